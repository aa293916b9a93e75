package responder

import (
	"cmp"
	"math/bits"
	"slices"
)

// A table finds the alias of an IPv4 address. It is immutable.
//
// Single addresses lie in an open-addressing hash, whose three or four slots for
// a handful of aliases are one cache line, and whose misses for a million are
// one each. Runs of addresses lie sorted and cost nothing per address, a /8
// as little as a pair.
type table struct {
	entries []entry // sorted, without overlaps, holes taken out: what is answered for
	labels  []label // in the order of the configuration
	holes   []hole
	barred  []entry // single addresses that lie in holes
	size    uint64  // addresses answered for

	slots []slot // length a power of two
	shift uint8  // 32 - log2(len(slots))
	runs  []run  // sorted
	more  uint32 // not 0 if there are runs: a free slot is not the end of a search

	low *[1 << 16 / 64]uint64 // a bit for each last half of what slots and runs hold

	special bool // some label has rules of its own: look it up
}

// An entry is a run of addresses of one label.
type entry struct {
	first, last uint32
	label       uint32
}

// A slot holds a single address. A free one has addr 0, which no alias can have, and
// kind unknown.
type slot struct {
	addr uint32
	kind uint32
}

// A run is an entry of more than one address, as lookups want it.
type run struct {
	first, last uint32
}

// A label is an alias without its addresses.
type label struct {
	name   string
	id     uint32 // the same as long as the interface has a label of this name
	closed Closed
	from   []prefix4 // nil: the interface's
	runs   []run4    // the configured ranges of more than one address, sorted
}

// key is what stands for a label where counters are kept under addresses.
func (l *label) key() uint32 { return l.id + 1 }

// prefix4 is an IPv4 prefix as the packet path compares it.
type prefix4 struct{ addr, mask uint32 }

func (p prefix4) contains(a uint32) bool { return a&p.mask == p.addr }

// anyContains tells whether one of the prefixes holds a; none at all hold everything.
func anyContains(list []prefix4, a uint32) bool {
	for _, p := range list {
		if p.contains(a) {
			return true
		}
	}
	return len(list) == 0
}

// What lookup says of an address.
const (
	unknown   = iota // nobody we know of
	isAlias          // it is answered for
	hostOwn          // the host itself has it
	broadcast        // it is the broadcast address of a network on link
)

// has tells whether a is answered for.
func (t *table) has(a uint32) bool { return t.lookup(a) == isAlias }

// lookup says what an address is.
func (t *table) lookup(a uint32) uint32 {
	if s := t.slot(a); t.found(s, a) {
		return s.kind
	}
	return t.search(a)
}

// near tells whether a may be in the table: whether some address with the same last
// two bytes is.
func (t *table) near(a uint32) bool { return t.low[a>>6&(1<<10-1)]>>(a&63)&1 != 0 }

// stranger tells whether a is an address that a sender may have: an ordinary one, and
// not ours.
func (t *table) stranger(a uint32) bool {
	return a-1<<24 < 223<<24 && a>>24 != 127 && (!t.near(a) || t.lookup(a) == unknown)
}

// mark notes addresses for near.
func (t *table) mark(first, last uint32) {
	for n := min(last-first, 1<<16-1); ; n-- {
		a := first + n
		t.low[a>>6&(1<<10-1)] |= 1 << (a & 63)
		if n == 0 {
			return
		}
	}
}

// slot is where a search for a begins, and found whether it ends there too. The packet
// path calls them itself, since they inline, and search only where it must.
func (t *table) slot(a uint32) slot          { return t.slots[hash(a)>>(t.shift&31)] }
func (t *table) found(s slot, a uint32) bool { return s.addr == a || s.addr|t.more == 0 }

// search goes on where lookup's first slot did not hold a.
func (t *table) search(a uint32) uint32 {
	mask := uint32(len(t.slots) - 1)
	for i := hash(a) >> (t.shift & 31); ; i++ {
		s := t.slots[i&mask]
		if s.addr == 0 {
			break
		}
		if s.addr == a {
			return s.kind
		}
	}
	if len(t.runs) != 0 {
		return t.searchRuns(a)
	}
	return unknown
}

// searchRuns looks a up among the runs by binary search.
func (t *table) searchRuns(a uint32) uint32 {
	runs := t.runs
	low := 0
	for n := len(runs); n > 1; {
		half := n / 2
		if runs[low+half].first <= a {
			low += half
		}
		n -= half
	}
	if r := &runs[low]; r.first <= a && a <= r.last {
		return isAlias
	}
	return unknown
}

// entryOf finds the entry that holds a: the slow way, which also tells the label.
func (t *table) entryOf(a uint32) *entry {
	i, _ := slices.BinarySearchFunc(t.entries, a, func(e entry, a uint32) int { return cmp.Compare(e.last, a) })
	if i < len(t.entries) && t.entries[i].first <= a {
		return &t.entries[i]
	}
	return nil
}

// labelOf gives the label of an address that is answered for.
func (t *table) labelOf(a uint32) *label { return &t.labels[t.entryOf(a).label] }

// arrange fills slots and runs from entries. The host's own and the broadcast
// addresses, which are never aliases, get slots as well: one lookup tells all
// about a sender.
func (t *table) arrange(own, bcast []uint32) {
	singles, runs := len(own)+len(bcast), 0
	for _, e := range t.entries {
		if e.first == e.last {
			singles++
		} else {
			runs++
		}
		t.size += uint64(e.last-e.first) + 1
	}
	t.runs, t.more = make([]run, 0, runs), uint32(runs)
	// At most two thirds full: a search that fails ends after three slots. A small
	// table, that lies in the nearest cache anyway, is an eighth full: most end at once.
	log := max(3, bits.Len(uint(singles+singles/2)))
	if singles <= 256 {
		log = max(3, bits.Len(uint(singles*8)))
	}
	t.slots, t.shift = make([]slot, 1<<log), uint8(32-log)
	t.low = new([1 << 16 / 64]uint64)
	for _, e := range t.entries {
		t.mark(e.first, e.last)
		if e.first != e.last {
			t.runs = append(t.runs, run{e.first, e.last})
		} else {
			t.place(e.first, isAlias)
		}
	}
	for _, a := range slices.Concat(own, bcast) {
		t.mark(a, a)
	}
	for _, a := range own {
		t.place(a, hostOwn)
	}
	for _, a := range bcast {
		t.place(a, broadcast)
	}
}

// place puts an address into the next free slot; the first to come stays.
func (t *table) place(a, kind uint32) {
	mask := uint32(len(t.slots) - 1)
	i := hash(a) >> t.shift
	for t.slots[i&mask].addr != 0 {
		if t.slots[i&mask].addr == a {
			return
		}
		i++
	}
	t.slots[i&mask] = slot{a, kind}
}
