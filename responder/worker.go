// Package responder turns Ethernet frames into their answers, in place: ARP and
// IPv4 for a table of alias addresses. It is pure: no input or output, no
// goroutine, no clock, no log.
//
// The way of a frame: Handle (worker.go) takes a batch and hands each frame to
// arp (arp.go) or ipv4 (ipv4.go), which look its target up (table.go), count it
// and end in a Verdict (verdict.go).
package responder

import "math/rand/v2"

// ChecksumNotReady in a frame's flags: its transport checksum was left to a card
// that never saw it. It holds nothing to verify, and nothing to derive from.
const ChecksumNotReady uint8 = 1

// scratchSize bounds what the answers of one batch may take beside the frames'
// own buffers: some whole 64 KiB datagrams cut into pieces.
const scratchSize = 512 << 10

// A Worker answers frames on one goroutine. What it needs is allocated when it is
// made; handling a frame allocates nothing.
type Worker struct {
	responder *Responder
	number    int

	// Of the batch in hand.
	now      int64
	set      *set
	counts   *[NumVerdicts]counter // of the interface in hand, for this worker
	segments []*segment            // the same
	out      [][]byte
	verdicts []Verdict
	scratch  []byte // what is left of memory
	memory   []byte
	optBuf   [ipMaxLen - ipMinLen]byte

	staged    uint32
	strays    [NumVerdicts]counter // frames that belong to no interface
	ident     uint16               // IPv4 identification of the last answer
	limits    *limiter             // the card's, shared by its workers
	fragments reassembler
	waiting   waitingRoom
	conflicts conflictQueue
}

func newWorker(r *Responder, number int) *Worker {
	w := &Worker{responder: r, number: number, memory: make([]byte, scratchSize), limits: &r.limits, ident: uint16(rand.Uint32())}
	w.fragments.init()
	return w
}

// Handle answers a batch of frames that arrived at now (nanoseconds since the
// Unix epoch). flags holds a byte for each frame, or is empty. The answers are appended to
// out in the order of the frames: slices of the frames themselves, overwritten,
// or of memory of the worker's own, valid until the next Handle. wake is when Handle
// wants to be called again even without frames, 0 for not at all.
func (w *Worker) Handle(now int64, frames [][]byte, flags []uint8, out [][]byte) (answers [][]byte, wake int64) {
	w.now, w.set, w.out, w.scratch = now, w.responder.set.Load(), out, w.memory
	if cap(w.verdicts) < len(frames) {
		w.verdicts = make([]Verdict, len(frames)) // grows to the port's batch, once
	}
	w.verdicts = w.verdicts[:len(frames)]
	w.enter(w.set.untagged)
	l := w.set.untagged
	if l != nil && l.table.size > stageSize {
		w.stage(l, frames)
	}
	for i, frame := range frames {
		var flag uint8
		if i < len(flags) {
			flag = flags[i]
		}
		// Here and not in a function of its own: at some nanoseconds a frame a call
		// shows.
		v := EtherTypeOther
		if len(frame) < ethLen || l == nil {
			v = w.stray(frame, flag)
		} else if t, dst := be16(frame[ethType:]), be64(frame)>>16; t == typeVLAN || t == typeQinQ {
			v = w.stray(frame, flag)
		} else {
			if dst != l.mac && dst&groupBit == 0 {
				v = OtherHost
			} else if t == typeIPv4 {
				v = w.ipv4(l, frame, ethLen, flag)
			} else if t == typeARP {
				v = w.arp(l, frame, ethLen)
			}
			w.counts[v].add(1)
		}
		w.verdicts[i] = v
	}
	wake = w.timers()
	answers, w.out, w.set = w.out, nil, nil
	return answers, wake
}

// Verdicts are those of the frames of the last Handle, valid until the next.
func (w *Worker) Verdicts() []Verdict { return w.verdicts }

// stageSize is how many aliases the caches hold about as well as anything else.
const stageSize = 1 << 14

// stage looks up a batch's targets and their counters before the first frame is
// answered. In a table larger than the caches each of them is a miss of 100 ns and
// more; here they do not depend on each other, so that the processor waits for
// many at once. What is found is forgotten.
func (w *Worker) stage(l *link, frames [][]byte) {
	sum := uint32(0)
	for _, frame := range frames { // without a branch on what is loaded
		sum += l.table.slot(target(frame)).index
	}
	for _, frame := range frames {
		if index := l.table.lookup(target(frame)); index < indexEnd {
			sum += uint32(at(w.segments, index).rxPackets)
		}
	}
	w.staged = sum // or the compiler would drop the loads
}

// target is the address that an untagged frame asks for, if it is ARP or IPv4 at all.
func target(frame []byte) uint32 {
	if len(frame) < ethLen+arpLen {
		return 0
	}
	at := ethLen + ipDst
	if frame[ethType+1] == typeARP&0xff {
		at = ethLen + arpTargetIP
	}
	return be32(frame[at:])
}

// enter makes l the interface in hand. It is the untagged one, but while a tagged
// frame is answered.
func (w *Worker) enter(l *link) {
	if l != nil {
		w.counts, w.segments = l.counts[w.number], l.segments[w.number]
	}
}

// stray answers a frame that is not simply the untagged interface's: too short, or
// with VLAN tags.
func (w *Worker) stray(frame []byte, flags uint8) Verdict {
	frame, l, l3, v := w.set.untag(frame)
	if l == nil {
		w.strays[v].add(1)
		return v
	}
	w.enter(l)
	v = EtherTypeOther
	if dst := be64(frame) >> 16; dst != l.mac && dst&groupBit == 0 {
		v = OtherHost
	} else if t := be16(frame[l3-2:]); t == typeIPv4 {
		v = w.ipv4(l, frame, l3, flags)
	} else if t == typeARP {
		v = w.arp(l, frame, l3)
	}
	w.counts[v].add(1)
	w.enter(w.set.untagged)
	return v
}

// received counts a frame for an address of the interface in hand, and gives the
// cell that its answer is counted in.
func (w *Worker) received(index uint32, bytes int) *cell {
	c := at(w.segments, index)
	if c.rxPackets == 0 {
		use(w.segments, index)
	}
	c.rxPackets.add(1)
	c.rxBytes.add(uint64(bytes))
	return c
}

// take gives n bytes of scratch memory for an answer, nil if there is not so much.
func (w *Worker) take(n int) []byte {
	if n > len(w.scratch) {
		return nil
	}
	b := w.scratch[:n:n]
	w.scratch = w.scratch[n:]
	return b
}

// send appends an answer and counts it for the address it comes from.
func (w *Worker) send(frame []byte, c *cell) {
	c.sent(len(frame))
	w.out = append(w.out, frame)
}

// nextIdent gives an IPv4 identification. The workers' do not meet: each counts
// in steps of their number.
func (w *Worker) nextIdent() uint16 {
	w.ident += uint16(len(w.responder.workers))
	return w.ident
}
