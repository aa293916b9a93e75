package responder

import (
	"cmp"
	"runtime"
	"slices"
)

// memory is what of a table grows with it: for a single address of a label with many
// four bytes that say it is answered for, and eight to find it by. It is mapped from
// the system, where the garbage collector does not count it, and given back when
// nobody has it any more. Who uses it without a worker's set has to keep its link
// alive.
type memory struct {
	entries Ranges   // sorted, without overlaps, holes taken out: what is answered for
	owners  []owner  // by number
	keys    []uint32 // by hash; 0, which no alias can be, is free
	mappings
}

// An owner is the label of the entries from the one of a number on, until the next owner.
type owner struct{ n, label uint32 }

// newMemory maps room for so many entries.
func newMemory(most int) (m *memory, err error) {
	m = &memory{}
	if m.entries.first, err = reserve[uint32](m, most); err == nil {
		if m.entries.long, err = reserve[extent](m, most); err == nil {
			m.owners, err = reserve[owner](m, most)
		}
	}
	if err != nil {
		m.release()
		return nil, err
	}
	return m, nil
}

// reserve maps an empty list with room for so many, which m is to have.
func reserve[E any](m *memory, most int) ([]E, error) {
	list, err := mapFor[E](&m.mappings, m, most)
	return list[:0], err
}

// grow maps room for so many keys, once.
func (m *memory) grow(keys int) error {
	list, err := reserve[uint32](m, 2*keys)
	m.keys = list[:cap(list)]
	return err
}

// mappings is what was mapped for one owner. It goes when the owner does, which for what
// is looked at without locks only the collector can tell.
type mappings struct {
	list []mapping
}

type mapping struct {
	cleanup runtime.Cleanup
	unmap   func()
}

// mapFor maps n values for an owner, whose m is.
func mapFor[E, O any](m *mappings, owner *O, n int) ([]E, error) {
	list, err := mapMemory[E](n)
	if err != nil {
		return nil, err
	}
	cleanup := runtime.AddCleanup(owner, unmapMemory[E], list)
	m.list = append(m.list, mapping{cleanup, func() { unmapMemory(list) }})
	return list, nil
}

// release unmaps at once what nobody but the caller ever had. The collector may not come
// for long: of what is mapped it knows nothing.
func (m *mappings) release() {
	for _, one := range m.list {
		one.cleanup.Stop()
		one.unmap()
	}
	m.list = nil
}

// An entry is a run of addresses of one label.
type entry struct {
	first, last uint32
	label       uint32
}

// push appends an entry.
func (m *memory) push(e entry) {
	if k := len(m.owners); k == 0 || m.owners[k-1].label != e.label {
		m.owners = append(m.owners, owner{uint32(len(m.entries.first)), e.label})
	}
	m.entries.push(run4{e.first, e.last})
}

// find gives the entry that holds a.
func (m *memory) find(a uint32) (e entry, ok bool) {
	n := m.entries.find(a)
	if n < 0 {
		return entry{}, false
	}
	k, found := slices.BinarySearchFunc(m.owners, uint32(n), func(o owner, n uint32) int { return cmp.Compare(o.n, n) })
	if !found {
		k--
	}
	r := m.entries.run(n)
	return entry{r.first, r.last, m.owners[k].label}, true
}

// A cursor goes through the entries of a memory in the order of addresses.
type cursor struct {
	*memory
	n, long, owner int // of the next entry
}

// next gives the next entry, false behind the last one.
func (c *cursor) next() (e entry, ok bool) {
	if c.n == len(c.entries.first) {
		return e, false
	}
	e.first = c.entries.first[c.n]
	e.last = e.first
	if long := c.entries.long; c.long < len(long) && long[c.long].n == uint32(c.n) {
		e.last = long[c.long].last
		c.long++
	}
	if c.owner+1 < len(c.owners) && c.owners[c.owner+1].n == uint32(c.n) {
		c.owner++
	}
	e.label = c.owners[c.owner].label
	c.n++
	return e, true
}

// each yields the entries, likewise.
func (m *memory) each(yield func(entry) bool) {
	c := cursor{memory: m}
	for e, ok := c.next(); ok && yield(e); {
		e, ok = c.next()
	}
}
