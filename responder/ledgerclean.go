package responder

import "sync/atomic"

const (
	cleanAtOnce = 256  // addresses that are dropped one by one, in the batch that learns of them
	cleanStep   = 128  // rows that are looked at in a batch otherwise
	cleanIdle   = 4096 // the same in one without a frame, where nobody waits

	givenRows = 1 << 17 // rows that are nobody's any more, one behind the other: their memory goes in such pieces
	givenLeft = 1 << 14 // and the rest of them if it is no less
)

// clean takes the rows of removed aliases out, and tells whether all are. A few go at
// once. Many take their time, a part of the rows with each batch; until then every row
// that was not yet looked at must be asked of the table before anything is answered by
// it: valid stays below it.
//
// What is removed meanwhile does not begin it anew, or somebody who changes the table all
// the time would keep it from ever coming to an end. A few more are dropped when they
// come. For many the rows are gone through once more behind the time that is under
// way, and until then every row is asked of the table.
func (l *ledger) clean(t *table, m *removal, step uint32) (done bool) {
	switch {
	case l.cleaning != nil && m.number != l.cleaning.number:
		l.join(m)
	case l.cleaning != nil:
	case m.number == l.cleaned.Load():
		return true
	case m.few(l.cleaned.Load()):
		for _, g := range m.pending() {
			if g.number > l.cleaned.Load() {
				l.dropRun(g.first, g.last)
			}
		}
		l.cleaned.Store(m.number)
		m.gone.Store(nil)
		return true
	default:
		l.cleaning = m
		l.begin()
	}
	end := min(l.position+step, l.cleanEnd)
	for ; l.position < end; l.position++ {
		n := l.position
		a := atomic.LoadUint32(&l.rows[n].addr)
		if a != 0 && (l.stale(n, a) || !t.has(a)) {
			l.drop(n)
			a = 0
		}
		if a != 0 {
			l.endRun()
		} else if l.run == 0 {
			l.run, l.runGiven = n, n
		}
	}
	l.giveBack(givenRows)
	newest := l.goal == m.number
	if newest {
		l.valid = l.position - rowsStart
	}
	switch {
	case l.position < l.cleanEnd:
	case newest:
		l.end()
	default:
		l.cleaned.Store(l.goal)
		l.begin()
	}
	return l.cleaning == nil
}

// begin has all rows gone through from the first one on.
func (l *ledger) begin() {
	l.goal, l.position, l.cleanEnd, l.valid = l.cleaning.number, rowsStart, l.next, 0
	l.free, l.run = 0, 0 // these are met again
}

// endRun is when position is no longer behind rows that are nobody's: these can be used.
func (l *ledger) endRun() {
	if l.run != 0 {
		l.giveBack(givenLeft)
		l.spare(l.run, l.position-l.run)
		l.run = 0
	}
}

// giveBack gives the memory of rows that are nobody's back to the system if it is that of
// so many.
func (l *ledger) giveBack(least uint32) {
	if l.run != 0 && l.position-l.runGiven >= least {
		zeroMemory(l.rows[l.runGiven:l.position])
		l.runGiven = l.position
	}
}

// join goes on with a newer removal than the one that is being carried out.
func (l *ledger) join(m *removal) {
	before := l.cleaning.number
	l.cleaning = m
	if m.number != before+1 || m.fresh.Len() == 0 {
		l.valid = 0
		return
	}
	for _, r := range m.fresh.runs() {
		l.dropRun(r.first, r.last)
	}
	if l.goal == before {
		l.goal = m.number // of its own it has no row any more
	}
}

// end is when there is nothing left to forget.
func (l *ledger) end() {
	// In this order: a reader who finds a row's birth gone looks again. See pending.
	l.cleaned.Store(l.cleaning.number)
	zeroMemory(l.born[:l.bornEnd])
	l.cleaning.gone.Store(nil)
	l.valid, l.cleaning, l.bornEnd = allValid, nil, 0
	if l.run != 0 && l.position == l.next { // there is nothing behind them
		l.giveBack(givenLeft)
		l.next, l.run = l.run, 0
		l.last.Store(l.next)
	}
	l.endRun()
	if l.old == nil && len(l.index) > 4*slotsFor(l.live) {
		l.grow()
	}
}

// dropRun drops the rows of addresses that went just now.
func (l *ledger) dropRun(first, last uint32) {
	for a := uint64(first); a <= uint64(last); a++ {
		if n := l.find(uint32(a), hash(uint32(a))); n != 0 {
			l.forget(n)
		}
	}
}

// forget drops row n, which is used again: at once, or when clean meets it.
func (l *ledger) forget(n uint32) {
	l.drop(n)
	if l.cleaning == nil || n < l.position || n >= l.cleanEnd {
		l.spare(n, 1)
	}
}

// bear notes when row n was made.
func (l *ledger) bear(n uint32) {
	atomic.StoreUint32(&l.born[n], uint32(l.cleaning.number))
	l.bornEnd = max(l.bornEnd, n+1)
}

// stale tells whether row n, which find gave for a, is from before a was removed: its
// counters are to begin anew.
func (l *ledger) stale(n, a uint32) bool {
	return l.cleaning != nil && l.older(n, l.cleaning.of(a))
}

// older tells whether row n was made before the removal of a number, 0 for none. What
// is known of a birth is the lower half of such a number, which for those pending
// at one time is enough.
func (l *ledger) older(n uint32, number uint64) bool {
	if number <= l.cleaned.Load() {
		return false
	}
	born := atomic.LoadUint32(&l.born[n])
	return born == 0 || int32(uint32(number)-born) > 0
}

// pending tells whether row n of a, as a reader sees it, still counts for a time
// before m.
func (l *ledger) pending(m *removal, n, a uint32) bool {
	number := m.of(a)
	if number == 0 {
		return false
	}
	for {
		cleaned := l.cleaned.Load()
		older := l.older(n, number)
		if l.cleaned.Load() == cleaned {
			return older
		}
	}
}
