package responder

// stageRows is how many rows, with their index, the nearer caches hold about as well
// as anything else.
const stageRows = 1 << 13

// stage finds the rows of a chunk's targets before the first frame is answered. In a
// large ledger a slot of the index and a row are a miss each, of a hundred
// nanoseconds. Here those of different frames do not depend on each other, so that
// the processor waits for many at once: first all slots, then all rows.
func (w *Worker) stage(l *link, frames [][]byte) {
	own := w.ledger
	var hashes, slots [chunk]uint32
	for i, frame := range frames { // no branch on what is loaded from the index
		h := hash(target(frame))
		hashes[i&(chunk-1)] = h
		slots[i&(chunk-1)] = own.index[home(h, len(own.index))]
	}
	sum, t := uint32(0), l.table
	for i, frame := range frames {
		s, h := slots[i&(chunk-1)], hashes[i&(chunk-1)]
		if tag := own.tag(h); (s^tag)&^own.mask != 0 {
			s = own.tagged(h, tag)
		}
		n := s & own.mask
		if src := source(frame); !ordinary(src) || near(t.low, src) && !t.stranger(src) {
			n = 1 // nobody's row: the frame needs a closer look
		}
		w.rows[i&(chunk-1)] = n
		r := &own.rows[n]
		sum += r.addr + uint32(r.tx.load()) // its two ends: they may lie in two lines
	}
	w.staged = sum // or the compiler would drop the loads
}

// tagged goes on with a search by tags alone. They are right but for one in many;
// whoever uses the row looks at its address.
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

// source is the address that an untagged frame comes from, likewise.
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

// target is the address that an untagged frame asks for, if it is ARP or IPv4 at all.
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
