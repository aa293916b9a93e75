package responder

import (
	"cmp"
	"slices"
)

// A table finds the alias of an IPv4 address. It is immutable.
//
// Single addresses lie in an open-addressing hash, half full: eight bytes each, and
// a miss of the cache for one look-up in a million of them. Runs of addresses lie
// sorted and cost nothing per address, a /8 as little as a pair. What Amend changed
// since the whole was built lies in a small patch that is looked at first.
type table struct {
	*memory
	labels []label // in the order of the configuration, those that Amend added behind
	holes  []hole
	barred []entry // configured addresses and ranges of which something lies in holes; sorted
	size   uint64  // addresses answered for
	runs   []run4  // sorted
	others []other // the host's own and broadcast addresses, which have keys as well
	patch  *patch  // nil: none
	laid   int     // changes that Amend made since: of addresses, and with them of labels and low

	emptied []uint32 // labels that have lost their last address to the patch: they are none any more

	low *[1 << 16 / 64]uint64 // a bit for each last half of what keys, runs and patch hold

	crowded bool // so many that near says little
	special bool // some label has rules of its own: look it up
}

// An other is an address that is no alias but that senders are held against.
type other struct{ addr, kind uint32 }

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
	if t.patch != nil {
		if label, found := t.patch.find(a); found && label != nobody {
			return isAlias
		} else if found {
			return unknown
		}
	}
	if t.keyed(a) {
		return t.kind(a)
	}
	if len(t.runs) != 0 && t.inRun(a) {
		return isAlias
	}
	return unknown
}

// keyed tells whether a has a key.
func (t *table) keyed(a uint32) bool {
	if len(t.keys) == 0 {
		return false
	}
	for i := home(hash(a), len(t.keys)); ; {
		if k := t.keys[i]; k == a {
			return a != 0
		} else if k == 0 {
			return false
		}
		if i++; i == len(t.keys) {
			i = 0
		}
	}
}

// kind says what an address is that has a key.
func (t *table) kind(a uint32) uint32 {
	for _, o := range t.others {
		if o.addr == a {
			return o.kind
		}
	}
	return isAlias
}

// near tells whether a may be in the table that low is of: whether some address with
// the same last two bytes is.
func near(low *[1 << 16 / 64]uint64, a uint32) bool { return low[a>>6&(1<<10-1)]>>(a&63)&1 != 0 }

// stranger tells whether a is nobody's that we know of.
func (t *table) stranger(a uint32) bool { return t.lookup(a) == unknown }

// strangers tells that of two. It is what near says no more about in a large table.
func (t *table) strangers(a, b uint32) bool { return t.stranger(a) && t.stranger(b) }

// ordinary tells whether a is no address of the kinds that bogon looks at closer.
func ordinary(a uint32) bool { return a-1<<24 < 223<<24 && a>>24 != 127 }

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

// inRun looks a up among the runs by binary search.
func (t *table) inRun(a uint32) bool {
	runs := t.runs
	low := 0
	for n := len(runs); n > 1; {
		half := n / 2
		if runs[low+half].first <= a {
			low += half
		}
		n -= half
	}
	return runs[low].first <= a && a <= runs[low].last
}

// entryOf finds the entry that holds a: the slow way, which also tells the label.
func (t *table) entryOf(a uint32) (e entry, ok bool) {
	if t.patch != nil {
		if label, found := t.patch.find(a); found {
			return entry{a, a, label}, label != nobody
		}
	}
	return t.find(a)
}

// all yields what is answered for, in the order of addresses: the entries with the
// patch laid over them.
func (t *table) all(yield func(entry) bool) {
	var over []entry
	if t.patch != nil {
		over = t.patch.entries
	}
	next := func(to uint32) bool { // what the patch has below to
		for ; len(over) > 0 && over[0].first < to; over = over[1:] {
			if over[0].label != nobody && !yield(over[0]) {
				return false
			}
		}
		return true
	}
	for e := range t.each {
		if !next(e.first) {
			return
		}
		first := uint64(e.first)
		for ; len(over) > 0 && over[0].first <= e.last; over = over[1:] {
			o := over[0]
			if first < uint64(o.first) && !yield(entry{uint32(first), o.first - 1, e.label}) {
				return
			}
			if o.label != nobody && !yield(o) {
				return
			}
			first = uint64(o.first) + 1
		}
		if first <= uint64(e.last) && !yield(entry{uint32(first), e.last, e.label}) {
			return
		}
	}
	if next(1<<32-1) && len(over) > 0 && over[0].label != nobody {
		yield(over[0])
	}
}

// barredBy finds the configured address or range that has a, which lies in a hole.
func (t *table) barredBy(a uint32) (e entry, ok bool) {
	i, _ := slices.BinarySearchFunc(t.barred, a, func(e entry, a uint32) int { return cmp.Compare(e.last, a) })
	if i < len(t.barred) && t.barred[i].first <= a {
		return t.barred[i], true
	}
	return entry{}, false
}

// labelOf gives the label of an address that is answered for.
func (t *table) labelOf(a uint32) *label {
	e, _ := t.entryOf(a)
	return &t.labels[e.label]
}

// short is how many neighbours get keys like single addresses: a few bytes for each,
// where a table of many such pairs would else be searched by halves.
const short = 4

// arrange fills keys and runs from entries. The host's own and the broadcast
// addresses, which are never aliases, get keys as well: one look-up tells all
// about a sender.
func (t *table) arrange(own, bcast []uint32) error {
	keys, runs := len(own)+len(bcast), 0
	for e := range t.each {
		if n := e.last - e.first; n < short {
			keys += int(n) + 1
		} else {
			runs++
		}
		t.size += uint64(e.last-e.first) + 1
	}
	if keys > 0 {
		if err := t.memory.grow(keys); err != nil {
			return err
		}
	}
	t.runs, t.low = make([]run4, 0, runs), new([1 << 16 / 64]uint64)
	for e := range t.each {
		t.mark(e.first, e.last)
		if e.last-e.first >= short {
			t.runs = append(t.runs, run4{e.first, e.last})
			continue
		}
		for n := e.last - e.first; ; n-- {
			t.place(e.first + n)
			if n == 0 {
				break
			}
		}
	}
	t.crowded = t.size > 1<<13
	for i, list := range [][]uint32{own, bcast} {
		for _, a := range list {
			t.mark(a, a)
			t.place(a)
			t.others = append(t.others, other{a, hostOwn + uint32(i)})
		}
	}
	return nil
}

// place gives an address a key, if it has none yet.
func (t *table) place(a uint32) {
	i := home(hash(a), len(t.keys))
	for t.keys[i] != 0 {
		if t.keys[i] == a {
			return
		}
		if i++; i == len(t.keys) {
			i = 0
		}
	}
	t.keys[i] = a
}
