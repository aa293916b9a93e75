package responder

import (
	"runtime"
	"slices"
)

// A change of a few single addresses does not build the table anew: it goes into a
// patch over it. What is more, or makes trouble, is left to the whole way; so are
// the errors.

const (
	touchMost  = 1024 // addresses in one change
	patchShare = 64   // after changes of so large a part of a table a new one is made
)

// A touch is such a change in the making.
type touch struct {
	l       *link
	changes map[uint32]uint32 // address: label, or nobody
	lost    map[uint32]int    // label: how many addresses it has less
	fresh   []label           // new ones, behind those of the table
	added   []Alias           // their options
	names   map[string]uint32 // of fresh
}

// touch amends an interface by single addresses; false if it has to be done the
// whole way. It is called with the lock held.
func (r *Responder) touch(iface string, remove, add []Alias) bool {
	old := r.set.Load()
	l := old.byName(iface)
	defer runtime.KeepAlive(l)
	c := touch{l: l, changes: map[uint32]uint32{}, lost: map[uint32]int{}, names: map[string]uint32{}}
	n := 0
	for _, list := range [][]Alias{remove, add} {
		for _, a := range list {
			if n += a.Ranges.Len(); n > touchMost || len(a.Ranges.others()) > 0 {
				return false
			}
		}
	}
	l.state.number(l.table)
	for _, a := range remove {
		if !c.take(a) {
			return false
		}
	}
	for _, a := range add {
		if !c.give(a) {
			return false
		}
	}
	next, ok := c.link()
	if !ok {
		return false
	}
	s := *old
	s.number++
	s.links = slices.Clone(old.links)
	s.links[slices.Index(old.links, l)] = next
	s.tagged = slices.Clone(old.tagged)
	if s.untagged == l {
		s.untagged = next
	} else {
		s.tagged[slices.Index(old.tagged, l)] = next
	}
	r.set.Store(&s)
	return true
}

// number counts the addresses of each label of a table, and finds labels by their
// names, once for all changes of it.
func (s *state) number(t *table) {
	if s.numbered == t.memory {
		return
	}
	s.numbered, s.names, s.sizes, s.added = t.memory, map[string]uint32{}, make([]int, len(t.labels)), nil
	for n, lb := range t.labels {
		s.names[lb.name] = uint32(n)
		s.sizes[n] = len(lb.runs)
	}
	for e := range t.all {
		s.sizes[e.label] += int(e.last-e.first) + 1
	}
	for _, b := range t.barred {
		s.sizes[b.label]++
	}
}

// holder gives the label that answers for an address after the changes so far.
func (c *touch) holder(a uint32) uint32 {
	if label, changed := c.changes[a]; changed {
		return label
	}
	if e, ok := c.l.table.entryOf(a); ok {
		return e.label
	}
	return nobody
}

// take takes the single addresses of a away from its label.
func (c *touch) take(a Alias) bool {
	n, ok := c.l.state.names[a.Label]
	if !ok {
		return false
	}
	for _, r := range a.Ranges.runs() {
		if _, in := c.l.table.labels[n].run(r.first); r.first != r.last || in || c.holder(r.first) != n {
			return false
		}
		c.changes[r.first] = nobody
		c.lost[n]++
	}
	return true
}

// give adds the single addresses of a to its label.
func (c *touch) give(a Alias) bool {
	n, ok := c.l.state.names[a.Label]
	if !ok || c.lost[n] > 0 && c.lost[n] == c.l.state.sizes[n] { // there is none, or none any more
		if n, ok = c.names[a.Label]; !ok {
			lb, err := newLabel(&a, c.l.closed)
			if err != nil || len(a.Ranges.first) == 0 {
				return false
			}
			n = uint32(len(c.l.table.labels) + len(c.fresh))
			c.names[a.Label] = n
			c.fresh = append(c.fresh, lb)
			options := a
			options.Ranges = Ranges{}
			c.added = append(c.added, options)
		}
	}
	for _, r := range a.Ranges.runs() {
		if r.first != r.last || c.holder(r.first) != nobody || reason(c.l.table.holes, r.first) != "" {
			return false
		}
		c.changes[r.first] = n
		c.lost[n]--
	}
	return true
}

// link makes the link of an interface after a change.
func (c *touch) link() (*link, bool) {
	next, t := *c.l, *c.l.table
	s := next.state
	var gone Ranges
	for a, label := range c.changes {
		had := c.l.table.has(a)
		if label == nobody {
			t.size--
			gone.push(run4{a, a})
		} else if !had {
			t.size++
		}
	}
	gone = gone.Sorted()
	// An address that comes and goes leaves nothing in the patch, but a label that is none any
	// more, and marks in low. So it is the changes that are counted, not what they left.
	if t.laid += len(c.changes); t.laid > max(touchMost, t.entries.Len()/patchShare) {
		return nil, false
	}
	t.patch = c.l.table.over(c.changes)
	low := *t.low
	t.low = &low
	for a := range c.changes {
		t.mark(a, a)
	}
	for n := range c.fresh {
		s.label++
		c.fresh[n].id = s.label
		t.special = t.special || c.fresh[n].closed != c.l.closed || c.fresh[n].from != nil
	}
	t.labels = append(t.labels, c.fresh...) // behind what older tables see
	s.sizes = append(s.sizes, make([]int, len(c.fresh))...)
	s.added = append(s.added, c.added...)
	for n, lost := range c.lost {
		if s.sizes[n] -= lost; lost > 0 && s.sizes[n] == 0 {
			// It is to go: a label of its name that comes later is another one.
			t.emptied = append(t.emptied, n)
			delete(s.names, t.labels[n].name)
		}
	}
	for name, n := range c.names {
		s.names[name] = n
	}
	next.table, next.removals = &t, nil
	next.choose()
	next.forget(c.l.removals, gone)
	return &next, true
}

// fold brings into i, which was published, what was changed of it since.
func (l *link) fold(i *Interface) {
	defer runtime.KeepAlive(l)
	i.Aliases = slices.Clone(i.Aliases)
	if l.state.numbered == l.table.memory {
		i.Aliases = append(i.Aliases, l.state.added...)
	}
	if l.table.patch != nil {
		l.foldPatch(i)
	}
	if len(l.table.emptied) == 0 {
		return
	}
	emptied := map[int]bool{}
	for _, n := range l.table.emptied {
		emptied[int(n)] = true
	}
	left := i.Aliases[:0] // in a list of our own
	for n, a := range i.Aliases {
		if !emptied[n] {
			left = append(left, a)
		}
	}
	clear(i.Aliases[len(left):])
	i.Aliases = left
}

// foldPatch is fold for the addresses.
func (l *link) foldPatch(i *Interface) {
	gone, come := map[uint32]Ranges{}, map[uint32]Ranges{}
	for _, e := range l.table.patch.entries {
		one := Range{v4addr(e.first), v4addr(e.first)}
		if base, had := l.table.find(e.first); had {
			gone[base.label] = gone[base.label].Append(one)
		}
		if e.label != nobody {
			come[e.label] = come[e.label].Append(one)
		}
	}
	for n := range i.Aliases {
		a := &i.Aliases[n]
		a.Ranges = a.Ranges.Without(gone[uint32(n)]).Join(come[uint32(n)])
	}
}
