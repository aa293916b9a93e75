package responder

import (
	"fmt"
	"runtime"
	"slices"
)

// Amend changes what one published interface answers for by a difference: first each
// alias of remove loses its ranges, then each of add gains its own. All or nothing,
// between two frames, and the result is that of a Publish of the whole.
//
// A range may be taken out of a longer one, which leaves its ends; what a label does
// not have can't be taken from it. A label that loses its last address is gone. A
// new label comes after the others, with its options; those of a label that is
// there stay, whatever add says. In warnings and in an *OverlapError an EntryRef of
// what is added is its place in add; what was there before has the place -1, -1.
func (r *Responder) Amend(iface string, remove, add []Alias) ([]Warning, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.ifs, func(i Interface) bool { return i.Name == iface })
	if at < 0 {
		return nil, fmt.Errorf("interface %s: not published", iface)
	}
	if r.touch(iface, remove, add) {
		return nil, nil
	}
	ifs := slices.Clone(r.ifs)
	i := &ifs[at]
	for n := range ifs { // all of them are built anew, with what was changed address by address
		r.set.Load().byName(ifs[n].Name).fold(&ifs[n])
	}
	for _, a := range remove {
		if err := i.take(a); err != nil {
			return nil, fmt.Errorf("interface %s: %w", iface, err)
		}
	}
	// Where in add the ranges of each label come from, and which it had before.
	had := make([]int, len(i.Aliases))
	for n, a := range i.Aliases {
		had[n] = a.Ranges.Len()
	}
	from := make([][]EntryRef, len(i.Aliases))
	for n, a := range add {
		k := slices.IndexFunc(i.Aliases, func(b Alias) bool { return b.Label == a.Label })
		if k < 0 {
			k = len(i.Aliases)
			i.Aliases, had, from = append(i.Aliases, a), append(had, 0), append(from, nil)
			i.Aliases[k].Ranges = Ranges{}
		}
		i.Aliases[k].Ranges = i.Aliases[k].Ranges.Join(a.Ranges)
		for m := range a.Ranges.Len() {
			from[k] = append(from[k], EntryRef{n, m})
		}
	}
	place := func(p EntryRef) EntryRef {
		if p.Range < had[p.Alias] {
			return EntryRef{-1, -1}
		}
		return from[p.Alias][p.Range-had[p.Alias]]
	}
	warnings, err := r.publish(ifs)
	if overlap, ok := err.(*OverlapError); ok {
		for n := range overlap.Overlaps {
			o := &overlap.Overlaps[n]
			o.A, o.B = place(o.A), place(o.B)
		}
	}
	var fresh []Warning
	for _, w := range warnings {
		if p := place(w.EntryRef); w.Interface == iface && p.Alias >= 0 {
			w.EntryRef = p
			fresh = append(fresh, w)
		}
	}
	return fresh, err
}

// take takes the ranges of a away from the label of its name.
func (i *Interface) take(a Alias) error {
	k := slices.IndexFunc(i.Aliases, func(b Alias) bool { return b.Label == a.Label })
	if k < 0 {
		return fmt.Errorf("there is no label %s", a.Label)
	}
	gone := a.Ranges.Union(Ranges{}) // a set: nothing is wrong with naming an address twice
	if missing := gone.Without(i.Aliases[k].Ranges.Sorted()); missing.Len() > 0 {
		return fmt.Errorf("label %s does not have %s", a.Label, missing.At(0))
	}
	i.Aliases[k].Ranges = i.Aliases[k].Ranges.Without(gone)
	if i.Aliases[k].Ranges.Len() == 0 {
		i.Aliases = slices.Delete(i.Aliases, k, k+1)
	}
	return nil
}

// Held finds an address of wanted that an interface has under another label than this
// one, whether it answers for it or not: what Amend would refuse. It is for who has
// something to do before an Amend that is hard to undo.
func (r *Responder) Held(iface, label string, wanted Ranges) (shared Range, by string, held bool) {
	l := r.set.Load().byName(iface)
	if l == nil {
		return Range{}, "", false
	}
	defer runtime.KeepAlive(l)
	t := l.table
	if len(wanted.long) > 0 {
		return t.heldAmong(label, wanted.Sorted().list())
	}
	for _, w := range wanted.runs() {
		if n := t.holderOf(w.first); n != nobody && t.labels[n].name != label {
			return w.wide(), t.labels[n].name, true
		}
	}
	return Range{}, "", false
}

// holderOf gives the label that has an address, nobody if none has.
func (t *table) holderOf(a uint32) uint32 {
	if e, ok := t.entryOf(a); ok {
		return e.label
	}
	if e, ok := t.barredBy(a); ok {
		return e.label
	}
	return nobody
}

// heldAmong goes through all that t has, once: ranges are added seldom.
func (t *table) heldAmong(label string, wanted []run4) (shared Range, by string, held bool) {
	within := func(n uint32, have run4) bool {
		k := reaching(wanted, have.first, 0)
		if t.labels[n].name == label || k == len(wanted) || wanted[k].first > have.last {
			return false
		}
		shared, by, held = run4{max(wanted[k].first, have.first), min(wanted[k].last, have.last)}.wide(), t.labels[n].name, true
		return true
	}
	for _, b := range t.barred {
		if within(b.label, run4{b.first, b.last}) {
			return shared, by, held
		}
	}
	for e := range t.all {
		if within(e.label, run4{e.first, e.last}) {
			return shared, by, held
		}
	}
	return shared, by, held
}
