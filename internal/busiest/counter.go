package busiest

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/responder"
)

// A Counter is a Handler that counts, for each frame that asks something of another
// Handler, who asks and which alias. While nobody looks it costs a load a batch. Each
// worker has a Counter of its own.
type Counter struct {
	h        capture.Handler
	verdicts func() []responder.Verdict

	window atomic.Pointer[window] // nil: nobody looks
	spare  *window                // of those who look
	asked  []parties              // by the frames of a batch, before they are overwritten
}

// A window is what was counted in some time. It is the worker's for the length of a
// batch, if it is free then: the worker never waits.
type window struct {
	mu      sync.Mutex
	askers  *sketch
	aliases *sketch
	missed  atomic.Uint64 // frames that came while somebody read
}

// parties are who asks and who is asked.
type parties struct{ from, to Key }

// NewCounter makes a Counter. After a batch was handled, verdicts gives those of its
// frames.
func NewCounter(verdicts func() []responder.Verdict) *Counter {
	return &Counter{verdicts: verdicts, asked: make([]parties, 0, 256)}
}

// Around puts the Counter around h. No Port may be running it.
func (c *Counter) Around(h capture.Handler) capture.Handler {
	c.h = h
	return c
}

// Handle implements capture.Handler.
func (c *Counter) Handle(b *capture.Batch) {
	w := c.window.Load()
	if w == nil || len(b.Frames) == 0 {
		c.h.Handle(b)
		return
	}
	c.asked = c.asked[:0] // grows to the port's batch, once
	for _, frame := range b.Frames {
		c.asked = append(c.asked, who(frame))
	}
	c.h.Handle(b)
	if !w.mu.TryLock() {
		w.missed.Add(uint64(len(b.Frames)))
		return
	}
	for i, v := range c.verdicts() {
		kind := kinds[v]
		if kind&asks == 0 || c.asked[i].from == 0 {
			continue
		}
		one := uint32(kind & answered)
		w.askers.add(c.asked[i].from, one)
		if kind&ofAlias != 0 {
			w.aliases.add(c.asked[i].to, one)
		}
	}
	w.mu.Unlock()
}

// What a verdict tells about a frame.
const (
	answered = 1 << iota // it was answered at once
	asks                 // somebody asked for something
	ofAlias              // of an alias
)

// kinds holds that for each verdict.
var kinds = func() (kinds [responder.NumVerdicts]uint8) {
	for v := range responder.Verdict(responder.NumVerdicts) {
		kinds[v] = asks | ofAlias
		if v.Answered() {
			kinds[v] |= answered
		}
	}
	for _, v := range notAsking {
		kinds[v] = 0
	}
	for _, v := range []responder.Verdict{responder.ARPNotAlias, responder.IPNotAlias} {
		kinds[v] = asks
	}
	return kinds
}()

// notAsking are the verdicts on frames that are for somebody else, whose addresses
// can't be trusted, or that tell something instead of asking.
var notAsking = []responder.Verdict{
	responder.EthShort, responder.OtherHost, responder.VLANOther, responder.EtherTypeOther,
	responder.ARPShort, responder.ARPFormat, responder.ARPOperation, responder.ARPReply,
	responder.ARPConflict, responder.ARPOwn, responder.ARPSpoofed,
	responder.IPShort, responder.IPVersion, responder.IPHeaderLength, responder.IPLength, responder.IPChecksum,
}

// who finds the parties of a frame, zero if it has none.
func who(frame []byte) (p parties) {
	const (
		head, tag     = 14, 4
		arp, ipv4     = 28, 20 // lengths
		vlan, qinq    = 0x8100, 0x88a8
		typeIP, typeA = 0x0800, 0x0806
	)
	at, tags, shift := head, Key(present), outerShift
	for len(frame) >= at {
		switch binary.BigEndian.Uint16(frame[at-2:]) {
		case typeIP:
			if len(frame) < at+ipv4 {
				return p
			}
			return parties{tags | address(frame[at+12:]), tags | address(frame[at+16:])}
		case typeA:
			if len(frame) < at+arp {
				return p
			}
			return parties{tags | address(frame[at+14:]), tags | address(frame[at+24:])}
		case vlan, qinq:
			if len(frame) < at+tag || shift > innerShift {
				return p
			}
			if id := binary.BigEndian.Uint16(frame[at:]) & idMask; id != 0 { // else a priority alone
				tags |= Key(id) << shift
				shift += innerShift - outerShift
			}
			at += tag
		default:
			return p
		}
	}
	return p
}

func address(b []byte) Key { return Key(binary.BigEndian.Uint32(b)) }

// Begin begins to count.
func (c *Counter) Begin() {
	c.spare = newWindow()
	c.window.Store(newWindow())
}

// End ends it, and gives the memory back.
func (c *Counter) End() {
	c.window.Store(nil)
	c.spare = nil
}

func newWindow() *window { return &window{askers: newSketch(), aliases: newSketch()} }

// A Sum is what several Counters counted.
type Sum struct {
	Askers, Aliases map[Key]*Entry
	Missed          uint64 // frames that were not counted
}

// Turn adds what was counted since Begin or the last Turn to sum, and begins anew. It,
// Begin and End have one caller at a time.
func (c *Counter) Turn(sum *Sum) {
	w := c.window.Load()
	if w == nil {
		return
	}
	c.window.Store(c.spare)
	w.mu.Lock() // the worker may still be at a batch
	defer w.mu.Unlock()
	w.askers.collect(sum.Askers)
	w.aliases.collect(sum.Aliases)
	sum.Missed += w.missed.Swap(0)
	w.askers.reset()
	w.aliases.reset()
	c.spare = w
}
