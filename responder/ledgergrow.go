package responder

// moveSteps is how many slots move from an old index for each address that is
// added: at this pace the old one is empty long before the new one is full, and no
// batch takes longer than some microseconds for it. One more moves for each frame, or
// an index would stay in two parts once no address is new: then half of the frames
// miss in the first.
const moveSteps = 8

// fullAt tells how many slots of an index may be filled before it grows.
func fullAt(slots int) int {
	if slots < sparse {
		return slots / 4
	}
	return slots / 4 * 3
}

// slotsFor is how many slots an index for so many rows begins with: half of them
// are filled then, or less where that costs next to nothing.
func slotsFor(rows int) int { return max(indexMin, 2*rows, min(8*rows, sparse)) }

// grow begins a new index, larger or with fewer slots that are no longer used. The
// rows move into it a few at a time.
func (l *ledger) grow() {
	if l.old != nil {
		l.move(len(l.old)) // only if more was dropped than added meanwhile
	}
	slots := min(slotsFor(l.live), len(l.regions[0]))
	l.old, l.moved, l.given = l.index, 0, 0
	l.inRegion ^= 1
	hugeUpTo(l.regions[l.inRegion], slots)
	l.index, l.filled = l.regions[l.inRegion][:slots:slots], 0
}

// settle moves so many slots of the old index, if there is one.
func (l *ledger) settle(slots int) {
	if l.old != nil {
		l.move(slots)
	}
}

// move moves so many slots of the old index to the new one.
func (l *ledger) move(slots int) {
	end := min(l.moved+slots, len(l.old))
	for l.moved < end {
		// The rows first, all at once: in a large ledger each of them is a miss.
		var addrs [moveSteps]uint32
		part := l.old[l.moved:min(l.moved+moveSteps, end)]
		for i, s := range part {
			addrs[i&(moveSteps-1)] = l.rows[s&l.mask].addr
		}
		for i, s := range part {
			if s > 1 {
				l.insert(s&l.mask, hash(addrs[i&(moveSteps-1)]))
			}
		}
		l.moved += len(part)
	}
	if l.moved == len(l.old) {
		zeroMemory(l.old[l.given:])
		l.old = nil
	} else if l.moved-l.given >= movedPiece {
		// A search in old begins no earlier than at moved.
		zeroMemory(l.old[l.given:l.moved])
		l.given = l.moved
	}
}
