package responder

// stageRows is how many rows, with their index, the nearer caches hold about as well
// as anything else.
const stageRows = 1 << 13

// window is how many slots from its home on a search looks at without a branch, whose
// outcome nobody could foresee: in an index that fills up every second or third
// search goes beyond the first slot, but few beyond the fourth.
const window = 4

// stage finds the rows of a chunk's targets before the first frame is answered. In a
// large ledger a slot of the index and a row are a miss each, of a hundred
// nanoseconds. Here those of different frames do not depend on each other, so that
// the processor waits for many at once: first all slots, then all rows. It looks only
// so many instructions ahead, so the two loops that miss do nothing else.
func (w *Worker) stage(l *link, frames [][]byte) {
	own, sum := w.ledger, uint32(0)
	var hashes [chunk]uint32
	for i, frame := range frames {
		h := hash(target(frame))
		hashes[i&(chunk-1)] = h
		sum += own.index[home(h, len(own.index))]
	}
	for i := range frames {
		w.rows[i&(chunk-1)] = own.guess(hashes[i&(chunk-1)])
	}
	for _, n := range w.rows[:len(frames)] {
		r := &own.rows[n]
		sum += r.addr + uint32(r.tx.load()) // its two ends: they may lie in two lines
	}
	w.staged = sum // or the compiler would drop the loads
	last, known := uint32(0), false
	for i, frame := range frames {
		if src := source(frame); src != last || i == 0 { // often all come from the same router
			last, known = src, !ordinary(src) || near(l.table.low, src) && !l.table.stranger(src)
		}
		if known {
			w.rows[i&(chunk-1)] = 1 // nobody's row: the frame needs a closer look
		}
	}
}

// guess gives the row of an address by tags alone. They are right but for one in many;
// whoever uses the row looks at its address.
func (l *ledger) guess(h uint32) uint32 {
	tag := l.tag(h)
	i := min(home(h, len(l.index)), len(l.index)-window)
	slots := (*[window]uint32)(l.index[i:])
	n := uint32(0)
	if s := slots[3]; (s^tag)&^l.mask == 0 {
		n = s
	}
	if s := slots[2]; (s^tag)&^l.mask == 0 {
		n = s
	}
	if s := slots[1]; (s^tag)&^l.mask == 0 {
		n = s
	}
	if s := slots[0]; (s^tag)&^l.mask == 0 {
		n = s
	}
	if n == 0 {
		n = l.tagged(h, tag)
	}
	return n & l.mask
}

// tagged is the same for any number of slots.
func (l *ledger) tagged(h, tag uint32) uint32 {
	for i := home(h, len(l.index)); ; {
		s := l.index[i]
		if s == 0 || (s^tag)&^l.mask == 0 {
			return s
		}
		if i++; i == len(l.index) {
			i = 0
		}
	}
}

// source is the address that an untagged frame comes from, if it is ARP or IPv4 at all.
func source(frame []byte) uint32 {
	if len(frame) < plainLen {
		return 0
	}
	at := ethLen + ipSrc
	if frame[ethType+1] == typeARP&0xff {
		at = ethLen + arpSenderIP
	}
	return be32(frame[at : at+4])
}

// target is the address that it asks for, likewise.
func target(frame []byte) uint32 {
	if len(frame) < plainLen {
		return 0
	}
	at := ethLen + ipDst
	if frame[ethType+1] == typeARP&0xff {
		at = ethLen + arpTargetIP
	}
	return be32(frame[at : at+4])
}
