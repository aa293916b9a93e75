// Package responder turns Ethernet frames into their answers, in place: ARP and
// IPv4 for a table of alias addresses. It is pure: no input or output, no
// goroutine, no clock, no log.
//
// The way of a frame: Handle (worker.go) takes a batch. What nearly all frames are is
// answered in loops (plain.go), for aliases that have been asked before (ledger.go); any
// other frame goes to arp (arp.go) or ipv4 (ipv4.go), which look its target up (table.go),
// count it and end in a Verdict (verdict.go).
package responder

import (
	"encoding/binary"
	"math/rand/v2"
)

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
	tidied   uint64                // the set that all ledgers are as
	untidy   bool                  // not all of them are as set wants them yet
	counts   *[NumVerdicts]counter // of the interface in hand, for this worker
	ledger   *ledger               // the same
	out      [][]byte
	verdicts []Verdict
	scratch  []byte // what is left of memory
	memory   []byte
	optBuf   [ipMaxLen - ipMinLen]byte

	rows      [chunk]uint32        // of a chunk's targets, as far as stage found them
	strays    [NumVerdicts]counter // frames that belong to no interface
	ident     uint16               // IPv4 identification of the last answer
	limits    *limiter             // the card's, shared by its workers
	identStep uint16               // how many workers there are
	fragments reassembler
	waiting   waitingRoom
	conflicts conflictQueue
}

func newWorker(r *Responder, number, workers int) *Worker {
	w := &Worker{responder: r, number: number, identStep: uint16(workers), memory: make([]byte, scratchSize), limits: &r.limits, ident: uint16(rand.Uint32())}
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
	if w.set.number != w.tidied || w.untidy {
		w.tidy(len(frames) == 0)
	}
	l := w.set.untagged
	w.enter(l)
	for first := 0; first < len(frames); first += chunk {
		end := min(first+chunk, len(frames))
		part, verdicts := frames[first:end], w.verdicts[first:end]
		if len(flags) >= end {
			w.chunk(l, part, flags[first:end], verdicts)
		} else {
			w.chunk(l, part, noFlags[:len(part)], verdicts)
		}
	}
	if wake = w.timers(); w.untidy {
		wake = now
	}
	answers, w.out, w.set = w.out, nil, nil
	return answers, wake
}

// chunk is how many frames are looked up together.
const chunk = 64

var (
	noFlags [chunk]uint8
	noRows  [chunk]uint32
)

// chunk answers up to so many frames.
func (w *Worker) chunk(l *link, frames [][]byte, flags []uint8, verdicts []Verdict) {
	if l != nil {
		w.ledger.settle(len(frames))
	}
	plain, rows := l != nil && l.plain, noRows[:]
	// What the caches hold is found faster one by one. In a crowded table near, which
	// below spares most frames for others a look-up, says little.
	if plain && (l.table.crowded || w.ledger.live > stageRows) {
		w.stage(l, frames)
		rows = w.rows[:]
	}
	for i := 0; i < len(frames); {
		done := 0
		if plain && len(frames[i]) >= plainLen {
			f := (*[plainLen]byte)(frames[i])
			t, to := binary.LittleEndian.Uint16(f[ethType:]), le64(f[:])
			switch {
			case to<<16 != l.rawMAC<<16 && to&1 == 0 && t != rawVLAN && t != rawQinQ:
				verdicts[i] = OtherHost // what a promiscuous card sees most
				w.counts[OtherHost].add(1)
				i++
				continue
			case t == rawARP && near(l.table.low, be32(f[ethLen+arpTargetIP:])):
				done = w.plainARPs(l, frames[i:], verdicts[i:], rows[i:])
			case t == rawIPv4 && near(l.table.low, be32(f[ethLen+ipDst:])):
				done = w.plainEchoes(l, frames[i:], flags[i:], verdicts[i:], rows[i:])
			}
			if done == 0 {
				done = w.plainOthers(l, frames[i:], flags[i:], verdicts[i:])
			}
		}
		if done == 0 {
			verdicts[i] = w.frame(l, frames[i], flags[i])
			done = 1
		}
		i += done
	}
}

// frame answers any frame.
func (w *Worker) frame(l *link, frame []byte, flags uint8) Verdict {
	if len(frame) < ethLen || l == nil {
		return w.stray(frame, flags)
	}
	t, dst, v := be16(frame[ethType:]), be64(frame)>>16, EtherTypeOther
	switch {
	case t == typeVLAN || t == typeQinQ:
		return w.stray(frame, flags)
	case dst != l.mac && dst&groupBit == 0:
		v = OtherHost
	case t == typeIPv4:
		v = w.ipv4(l, frame, ethLen, flags)
	case t == typeARP:
		v = w.arp(l, frame, ethLen)
	}
	w.counts[v].add(1)
	return v
}

// Verdicts are those of the frames of the last Handle, valid until the next.
func (w *Worker) Verdicts() []Verdict { return w.verdicts }

// enter makes l the interface in hand. It is the untagged one, but while a tagged
// frame is answered.
func (w *Worker) enter(l *link) {
	if l == nil {
		w.ledger = nil // of an interface that went it would stay mapped
		return
	}
	w.counts, w.ledger = l.counts[w.number], l.ledgers[w.number]
}

// tidy has the ledgers of all interfaces forget what is no longer answered for, before
// anything is answered by them. That of a VLAN whose frames are rare is not to wait for one.
func (w *Worker) tidy(idle bool) {
	w.tidied, w.untidy = w.set.number, false
	step := uint32(cleanStep)
	if idle {
		step = cleanIdle
	}
	for _, l := range w.set.links {
		m := l.removals[w.number]
		l.faults[w.number].forget(m)
		own := l.ledgers[w.number]
		done := own.clean(l.table, m, step)
		if idle {
			own.settle(cleanIdle)
		}
		if !done || own.old != nil {
			w.untidy = true
		}
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
	w.ledger.settle(1)
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

// received counts a frame for address a of the interface in hand, and gives the row
// that its answer is counted in; nil if a is no alias.
func (w *Worker) received(l *link, a uint32, bytes int) *row {
	r := w.row(l, a)
	if r != nil && r.rx.count(bytes) {
		w.spill(l, r)
	}
	return r
}

// row gives what an alias is counted in: its row, or its label's if there are as many
// rows as there may be; nil if a is no alias.
func (w *Worker) row(l *link, a uint32) *row {
	own, h := l.ledgers[w.number], hash(a)
	n := own.look(h)
	if own.sure(n, &own.rows[n], a) {
		return &own.rows[n]
	}
	if n = own.find(a, h); n != 0 && n-rowsStart < own.valid {
		return &own.rows[n]
	}
	if !l.table.has(a) {
		return nil
	}
	if n != 0 {
		if !own.stale(n, a) {
			return &own.rows[n]
		}
		own.forget(n)
	}
	if n = own.add(a, h); n != 0 {
		return &own.rows[n]
	}
	shared, key := l.shared[w.number], l.table.labelOf(a).key()
	if n = shared.find(key, hash(key)); n == 0 {
		n = shared.add(key, hash(key))
	}
	return &shared.rows[n] // [0] if there is no room even there: what nobody reads
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
func (w *Worker) send(l *link, frame []byte, r *row) {
	if r.tx.count(len(frame)) {
		w.spill(l, r)
	}
	w.out = append(w.out, frame)
}

// nextIdent gives an IPv4 identification. The workers' do not meet: each counts
// in steps of their number.
func (w *Worker) nextIdent() uint16 {
	w.ident += w.identStep
	return w.ident
}
