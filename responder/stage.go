package responder

import "math/bits"

// stageRows is how many rows, with their index, the nearer caches hold about as well
// as anything else.
const stageRows = 1 << 13

// window is how many slots from its home on a search looks at without a branch, whose
// outcome nobody could foresee: in an index that fills up every second or third
// search goes beyond the first slot, but few beyond the fourth.
const window = 4

// group is how many rows are found before they are asked for: the memory has work
// while the next are found.
const group = 16

// stage finds the rows of a chunk's targets before the first frame is answered. In a
// large ledger a slot of the index and a row are a miss each, of a hundred and fifty
// nanoseconds. Those of different frames do not depend on each other: all slots are
// asked for, then the rows, and none is waited for before the next is asked for. Who
// sends is looked at while the slots are on their way, and the first frames are
// answered while the last rows are.
func (w *Worker) stage(l *link, frames [][]byte) {
	own, slots := w.ledger, len(w.ledger.index)
	var homes, tags, senders [chunk]uint32
	for i, frame := range frames {
		src, dst := ends(frame)
		h := hash(dst)
		senders[i&(chunk-1)] = src
		homes[i&(chunk-1)] = uint32(home(h, slots))
		tags[i&(chunk-1)] = own.tag(h)
	}
	prefetchSlots(own.index, homes[:len(frames)])
	closer := w.closer(l, senders[:len(frames)])
	rows := w.rows[:len(frames)]
	for first := 0; first < len(rows); first += group {
		end := min(first+group, len(rows))
		own.guess(homes[first:end], tags[first:end], rows[first:end])
		prefetchRows(own.rows, rows[first:end])
	}
	for ; closer != 0; closer &= closer - 1 {
		rows[bits.TrailingZeros64(closer)] = 1 // nobody's: no fast way takes the frame
	}
}

// closer tells which frames need a closer look for their sender, a bit for each.
func (w *Worker) closer(l *link, senders []uint32) (closer uint64) {
	last, known := uint32(0), true // 0 is none
	for i, src := range senders {
		if src != last { // often all come from the same router
			last, known = src, !ordinary(src) || near(l.table.low, src) && !l.table.stranger(src)
		}
		if known {
			closer |= 1 << i
		}
	}
	return closer
}

// guess gives the rows of addresses by home and tag alone, 0 for none. They are right
// but for one in many; whoever uses a row looks at its address. The lower bits of a tag
// are zero, so what differs from a slot of the same tag is the row.
func (l *ledger) guess(homes, tags, rows []uint32) {
	index, mask := l.index, l.mask
	homes, tags = homes[:len(rows)], tags[:len(rows)]
	for i, tag := range tags {
		slots := (*[window]uint32)(index[min(int(homes[i]), len(index)-window):])
		n := uint32(0)
		if d := slots[3] ^ tag; d <= mask {
			n = d
		}
		if d := slots[2] ^ tag; d <= mask {
			n = d
		}
		if d := slots[1] ^ tag; d <= mask {
			n = d
		}
		if d := slots[0] ^ tag; d <= mask {
			n = d
		}
		rows[i] = n
	}
	for i, n := range rows {
		if n == 0 {
			rows[i] = l.tagged(int(homes[i]), tags[i])
		}
	}
}

// tagged is the same for any number of slots.
func (l *ledger) tagged(i int, tag uint32) uint32 {
	for {
		s := l.index[i]
		if d := s ^ tag; s == 0 || d <= l.mask {
			return s & l.mask
		}
		if i++; i == len(l.index) {
			i = 0
		}
	}
}

// ends are the addresses that an untagged frame comes from and that it asks for, if it
// is ARP or IPv4 at all.
func ends(frame []byte) (source, target uint32) {
	if len(frame) < plainLen {
		return 0, 0
	}
	from, to := ethLen+ipSrc, ethLen+ipDst
	if frame[ethType+1] == typeARP&0xff {
		from, to = ethLen+arpSenderIP, ethLen+arpTargetIP
	}
	return be32(frame[from : from+4]), be32(frame[to : to+4])
}
