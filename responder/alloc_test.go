package responder_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// A player puts the same frames again and again without allocating anything
// itself: they are copied to buffers that are there already.
type player struct {
	w       *responder.Worker
	frames  [][]byte // as they are to arrive
	buffers [][]byte
	batch   [][]byte
	flags   []uint8
	out     [][]byte
	now     int64
}

func newPlayer(r *responder.Responder, flag uint8, frames ...[]byte) *player {
	p := &player{w: r.Worker(0), frames: frames, now: noon}
	for _, f := range frames {
		p.buffers = append(p.buffers, make([]byte, len(f)))
	}
	p.batch = make([][]byte, len(frames))
	p.flags = make([]uint8, len(frames))
	p.flags[len(frames)-1] = flag
	p.out = make([][]byte, 0, 1<<16)
	return p
}

// play puts the frames once, as one batch.
func (p *player) play() {
	for i, f := range p.frames {
		copy(p.buffers[i], f)
		p.batch[i] = p.buffers[i]
	}
	p.out, _ = p.w.Handle(p.now, p.batch, p.flags, p.out[:0])
}

// TestNoAllocs: the fate of a frame is decided without allocating, for every
// verdict. A minute passes between two rounds, so that limits fill up again and what
// waited for its pieces runs out: the timers' answers are measured too.
func TestNoAllocs(t *testing.T) {
	for _, c := range verdictCases() {
		t.Run(fmt.Sprintf("%v %s", c.verdict, c.note), func(t *testing.T) {
			var with []func(*responder.Interface)
			if c.with != nil {
				with = append(with, c.with)
			}
			r := newResponder(t, with...)
			p := newPlayer(r, c.flags, append(c.before[:len(c.before):len(c.before)], c.frame)...)
			noAllocs(t, 20, func() {
				p.play()
				p.now += 60 * second
			})
			verdicts := p.w.Verdicts()
			if got := verdicts[len(verdicts)-1]; got != c.verdict {
				t.Errorf("the last round ended as %v, not %v: it measured something else", got, c.verdict)
			}
		})
	}
}

// noAllocs fails if f allocates even once in so many rounds, after one to warm up.
// testing.AllocsPerRun would round an allocation every other round down to none.
func noAllocs(t *testing.T, rounds int, f func()) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as AllocsPerRun does
	f()
	// Something of the runtime's own may fall into the first measurement; what f
	// does falls into all of them.
	var allocated uint64
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			f()
		}
		runtime.ReadMemStats(&after)
		if allocated = after.Mallocs - before.Mallocs; allocated == 0 {
			return
		}
	}
	t.Errorf("%d allocations in %d rounds", allocated, rounds)
}

// TestNoAllocsUnderFlood keeps the slow paths at their bounds, where they evict.
func TestNoAllocsUnderFlood(t *testing.T) {
	from := func(n int) netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	}
	floods := []struct {
		name  string
		frame func(n int) []byte
	}{
		{"first pieces", func(n int) []byte {
			return ask(framegen.IPv4{ID: uint16(n), Flags: framegen.MoreFragments, Protocol: framegen.ICMP, Src: from(n), Payload: ping(1, count(1472))})
		}},
		{"last pieces", func(n int) []byte {
			return ask(framegen.IPv4{ID: uint16(n), Offset: 1480, Protocol: framegen.UDP, Src: from(n), Payload: count(9)})
		}},
		{"one datagram of tiny pieces", func(n int) []byte {
			return ask(framegen.IPv4{Flags: framegen.MoreFragments, Offset: 16 * (n % 4000), Protocol: framegen.ICMP, Payload: count(8)})
		}},
		{"errors to many", func(n int) []byte {
			return ask(framegen.IPv4{Protocol: 200, Src: from(n), Payload: count(600)})
		}},
		{"resets", func(n int) []byte { return ask(segment(framegen.TCPSegment{Seq: uint32(n), Flags: 2})) }},
		{"conflicts", func(n int) []byte {
			return arp(framegen.Broadcast, framegen.ARP{SenderMAC: peerMAC, Sender: alias, Target: alias})
		}},
		{"echoes to neighbours unknown", func(n int) []byte {
			return ask(framegen.IPv4{Protocol: framegen.ICMP, Src: addr("172.16.3.200").Next(), Payload: ping(uint16(n), count(56))})
		}},
	}
	for _, reply := range []responder.Reply{responder.Reflect, responder.Routed} {
		for _, flood := range floods {
			t.Run(fmt.Sprintf("%s %d", flood.name, reply), func(t *testing.T) {
				r := newResponder(t, func(i *responder.Interface) {
					i.Reply, i.Limits = reply, responder.DefaultLimits
				})
				var frames [][]byte
				for n := range 3000 {
					frames = append(frames, flood.frame(n))
				}
				p := newPlayer(r, 0, frames...)
				noAllocs(t, 5, func() {
					p.play()
					p.now += second
				})
			})
		}
	}
}

// TestNoAllocsTimers: Time Exceeded for a thousand datagrams at once.
func TestNoAllocsTimers(t *testing.T) {
	r := newResponder(t)
	var frames [][]byte
	for n := range 1000 {
		frames = append(frames, ask(framegen.IPv4{
			ID:       uint16(n),
			Flags:    framegen.MoreFragments,
			Protocol: framegen.ICMP,
			Payload:  ping(1, count(64)),
		}))
	}
	p := newPlayer(r, 0, frames...)
	sent := 0
	noAllocs(t, 3, func() {
		p.play()
		p.now += 31 * second
		out, _ := p.w.Handle(p.now, nil, nil, p.out[:0])
		sent = len(out)
	})
	if sent != len(frames) {
		t.Errorf("%d answers to %d datagrams that ran out", sent, len(frames))
	}
}

// TestNoAllocsVLAN: tags are looked at in place too.
func TestNoAllocsVLAN(t *testing.T) {
	r := newResponder(t, func(i *responder.Interface) { i.Tags = []uint16{100, 200} })
	frame := framegen.Tag(framegen.Tag(whoHas(alias), framegen.TypeVLAN, 200), framegen.TypeQinQ, 100)
	p := newPlayer(r, 0, frame, framegen.Tag(frame, framegen.TypeVLAN, 0))
	noAllocs(t, 100, p.play)
	if len(p.out) != 2 || binary.BigEndian.Uint16(p.out[0][12:]) != framegen.TypeQinQ {
		t.Errorf("answers %x", p.out)
	}
}
