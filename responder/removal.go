package responder

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// A removal says which addresses ceased to be answered for since a worker last
// looked. Each worker has its own: what one has not got round to is carried over to
// what comes next, and stays under the number that it had. That is what keeps two things
// apart that look alike: the row of an address that was removed, and its row since
// it came back, which no removal before may touch.
type removal struct {
	number uint64                    // they are numbered in the order published
	fresh  Ranges                    // what this one itself removed, if that is few addresses; else empty
	gone   atomic.Pointer[[]absence] // all that is pending, sorted likewise; nil: nothing any more
}

// An absence is a run of addresses and the last removal that they were part of.
type absence struct {
	first, last uint32
	number      uint64
}

// newRemoval makes a removal of what is pending.
func newRemoval(number uint64, fresh Ranges, pending []absence) *removal {
	m := &removal{number: number, fresh: fresh}
	if len(pending) > 0 {
		m.gone.Store(&pending)
	}
	return m
}

// pending lists what is to be forgotten. The worker lets go of the list when all of it is.
func (m *removal) pending() []absence {
	if list := m.gone.Load(); list != nil {
		return *list
	}
	return nil
}

// of gives the number of the last removal of a that is pending, 0 for none.
func (m *removal) of(a uint32) uint64 {
	list := m.pending()
	n, _ := slices.BinarySearchFunc(list, a, func(g absence, a uint32) int { return cmp.Compare(g.last, a) })
	if n == len(list) || list[n].first > a {
		return 0
	}
	return list[n].number
}

// few tells whether what of m is newer than the removal of a number is so little that
// each address can be searched for.
func (m *removal) few(number uint64) bool {
	list := m.pending()
	if len(list) > cleanAtOnce {
		return false // the worker asks, in a batch: a million are not to be summed up there
	}
	n := uint64(0)
	for _, g := range list {
		if g.number > number {
			n += uint64(g.last-g.first) + 1
		}
	}
	return n <= cleanAtOnce
}

// absences are ranges, sorted and without overlaps, under one number.
func absences(gone Ranges, number uint64) []absence {
	list := make([]absence, 0, gone.Len())
	for _, r := range gone.runs() {
		list = append(list, absence{r.first, r.last, number})
	}
	return list
}

// after lays newer absences over what is pending since the removal of a number: an address
// that went twice went the second time.
func after(pending []absence, number uint64, newer []absence) []absence {
	list := make([]absence, 0, len(pending)+len(newer)+1)
	n := 0
	for _, g := range pending {
		if g.number <= number {
			continue // carried out
		}
		first := uint64(g.first)
		if k := len(list); k > 0 {
			first = max(first, uint64(list[k-1].last)+1) // what began before g may reach into it
		}
		for ; n < len(newer) && newer[n].first <= g.last; n++ {
			if first < uint64(newer[n].first) {
				list = append(list, absence{uint32(first), newer[n].first - 1, g.number})
			}
			list = append(list, newer[n])
			first = max(first, uint64(newer[n].last)+1)
		}
		if first <= uint64(g.last) {
			list = append(list, absence{uint32(first), g.last, g.number})
		}
	}
	return append(list, newer[n:]...)
}

// pendingMin is how long the list of a worker that does not run may become whatever
// the table's size. It is copied for each change.
const pendingMin = 1 << 14

// bounded gives list, or if it has grown long one that does the same and is no longer
// than about twice what t answers for. A worker that handles no frame forgets nothing,
// and aliases come and go for years. But what is no alias now has no row that may
// stay: all between two aliases can go under one number, asked for or not.
func bounded(list []absence, t *table, number uint64) []absence {
	if len(list) <= max(pendingMin, 4*t.entries.Len()) {
		return list
	}
	var short []absence
	next := uint64(0) // what is not covered yet
	n := 0
	for e := range t.all {
		if next < uint64(e.first) {
			short = append(short, absence{uint32(next), e.first - 1, number})
		}
		for n < len(list) && list[n].last < e.first {
			n++
		}
		for k := n; k < len(list) && list[k].first <= e.last; k++ { // they are back
			short = append(short, absence{max(list[k].first, e.first), min(list[k].last, e.last), list[k].number})
		}
		next = uint64(e.last) + 1
	}
	if next < 1<<32 {
		short = append(short, absence{uint32(next), 1<<32 - 1, number})
	}
	return short
}
