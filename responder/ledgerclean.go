package responder

import "sync/atomic"

// A removal says which addresses ceased to be answered for since a worker last
// looked. Each worker has its own: what one has not got round to is added to what
// comes next. What is back by then is answered all along, but its counters begin anew, and
// once more where another removal comes before this one is carried out.
type removal struct {
	number uint64 // they are numbered in the order published
	gone   Ranges // sorted, without overlaps
}

const (
	cleanAtOnce = 256     // addresses that are dropped one by one, in the batch that learns of them
	cleanStep   = 128     // rows that are looked at in a batch otherwise
	maxGone     = 1 << 20 // runs; a worker with more to forget, as it has not run for long, forgets all
)

// removed tells whether a is among what is gone.
func (m *removal) removed(a uint32) bool { return m.gone.find(a) >= 0 }

// few tells whether m is so little that each address can be searched for.
func (m *removal) few() bool {
	// The worker asks, in a batch: a million ranges are not to be summed up there.
	return m.gone.Len() <= cleanAtOnce && m.gone.Addresses() <= cleanAtOnce
}

// clean takes the rows of removed aliases out. A few go at once. Many take their
// time, a part of the rows with each batch; until then every row that was not yet
// looked at must be asked of the table before anything is answered by it: valid
// stays below it.
func (l *ledger) clean(t *table, m *removal) {
	if l.cleaning == nil && m.number == l.cleaned.Load() {
		return
	}
	if l.cleaning == nil && m.few() {
		for _, r := range m.gone.runs() {
			for a := uint64(r.first); a <= uint64(r.last); a++ {
				if n := l.find(uint32(a), hash(uint32(a))); n != 0 {
					l.drop(n)
					l.release(n)
				}
			}
		}
		l.cleaned.Store(m.number)
		return
	}
	if l.cleaning == nil || l.cleaning.number != m.number {
		l.cleaning, l.cleanEnd, l.valid = m, l.next, 0
		l.free = 0 // these are met again
	}
	from := rowsStart + l.valid
	end := min(from+cleanStep, l.cleanEnd)
	for n := from; n < end; n++ {
		a := atomic.LoadUint32(&l.rows[n].addr)
		if a != 0 && (!t.has(a) || m.removed(a)) {
			l.drop(n)
			a = 0
		}
		if a == 0 {
			l.release(n)
		}
	}
	l.valid = end - rowsStart
	if end == l.cleanEnd {
		l.valid, l.cleaning = allValid, nil
		l.cleaned.Store(m.number)
	}
}

// stale tells whether row n, which find gave for a, is still to be cleaned, and the
// counters of a begin anew.
func (l *ledger) stale(n, a uint32) bool {
	return l.cleaning != nil && n >= rowsStart+l.valid && n < l.cleanEnd && l.cleaning.removed(a)
}

// pending tells whether a row of a, as a reader sees it, still counts for a time
// before m.
func (l *ledger) pending(m *removal, a uint32) bool {
	return l.cleaned.Load() != m.number && m.removed(a)
}
