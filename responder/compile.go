package responder

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// An EntryRef names a place in an Interface: Aliases[Alias].Ranges.At(Range).
type EntryRef struct {
	Alias int
	Range int
}

// A Warning is about a single address that will never be answered for.
type Warning struct {
	Interface string
	EntryRef
	Label  string
	Range  Range
	Reason string
}

// String says it in one line.
func (w Warning) String() string {
	return fmt.Sprintf("%s: %s is never answered for: %s", w.Label, w.Range, w.Reason)
}

// An Overlap is a run of addresses that two entries claim. A stands before B in
// the configuration.
type Overlap struct {
	A, B           EntryRef
	LabelA, LabelB string
	Shared         Range
}

// An OverlapError lists the overlaps of one interface in the order of their
// second place.
type OverlapError struct {
	Interface string
	Overlaps  []Overlap // the first hundred
	Total     int
}

const maxOverlaps = 100

// Error names the first overlap and how many there are.
func (e *OverlapError) Error() string {
	o := e.Overlaps[0]
	text := fmt.Sprintf("interface %s: %s and %s overlap in %s", e.Interface, o.LabelA, o.LabelB, o.Shared)
	if e.Total > 1 {
		text += fmt.Sprintf(" (and %d more overlaps)", e.Total-1)
	}
	return text
}

// Check tells what Publish would say of one interface.
func Check(i *Interface) ([]Warning, error) {
	t, warnings, err := compileTable(i)
	if err == nil {
		t.release()
	}
	return warnings, err
}

// A piece is one configured range with its place, as the compiler sorts them.
type piece struct {
	first, last uint32
	alias, rng  int32
}

// compileTable builds the table of i but for its look-up; see (*table).arrange.
func compileTable(i *Interface) (*table, []Warning, error) {
	pieces, err := collect(i)
	if err != nil {
		return nil, nil, err
	}
	if err := overlaps(i, pieces); err != nil {
		return nil, nil, err
	}
	t := &table{holes: holes(i)}
	// With room for the labels that Amend puts behind them: to grow a list of a million is
	// to copy it.
	const few = 16
	t.labels = make([]label, 0, len(i.Aliases)+len(i.Aliases)/patchShare+few)
	for _, a := range i.Aliases {
		l, err := newLabel(&a, i.Closed)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range a.Ranges.runs() {
			if r.first != r.last {
				l.runs = append(l.runs, r)
			}
		}
		slices.SortFunc(l.runs, func(a, b run4) int { return cmp.Compare(a.first, b.first) })
		t.special = t.special || l.closed != i.Closed || l.from != nil
		t.labels = append(t.labels, l)
	}
	if t.memory, err = newMemory(len(pieces) + len(t.holes)); err != nil {
		return nil, nil, err
	}
	return t, t.fill(i, pieces), nil
}

// newLabel makes a label without addresses; closed is the interface's.
func newLabel(a *Alias, closed Closed) (l label, err error) {
	l = label{name: a.Label, closed: closed}
	if a.HasClosed {
		l.closed = a.Closed
	}
	if l.from, err = prefixes4(a.From); err != nil {
		return l, fmt.Errorf("label %s: from: %w", a.Label, err)
	}
	return l, nil
}

// collect gives the ranges of i sorted by address, those that begin together in the
// order of the configuration.
func collect(i *Interface) ([]piece, error) {
	n := 0
	for _, a := range i.Aliases {
		n += a.Ranges.Len()
	}
	pieces := make([]piece, 0, n)
	for ai, a := range i.Aliases {
		if len(a.Ranges.others()) > 0 {
			return nil, fmt.Errorf("label %s: %s is no IPv4 address", a.Label, a.Ranges.others()[0])
		}
		for ri, r := range a.Ranges.runs() {
			if r.first > r.last {
				return nil, fmt.Errorf("label %s: the range %s-%s ends before it begins", a.Label, v4addr(r.first), v4addr(r.last))
			}
			pieces = append(pieces, piece{r.first, r.last, int32(ai), int32(ri)})
		}
	}
	return byAddress(pieces, func(p *piece) uint32 { return p.first }), nil
}

// overlaps finds the neighbours among sorted pieces that share addresses. The
// piece that reaches furthest so far is the one to compare with: who overlaps
// any earlier piece overlaps that one, or was reported with it.
func overlaps(i *Interface, pieces []piece) error {
	var found []Overlap
	reach := 0
	for n := 1; n < len(pieces); n++ {
		p, q := pieces[reach], pieces[n]
		if q.first <= p.last {
			shared := Range{v4addr(q.first), v4addr(min(p.last, q.last))}
			if q.alias < p.alias || q.alias == p.alias && q.rng < p.rng {
				p, q = q, p
			}
			found = append(found, Overlap{
				A: EntryRef{int(p.alias), int(p.rng)}, LabelA: i.Aliases[p.alias].Label,
				B: EntryRef{int(q.alias), int(q.rng)}, LabelB: i.Aliases[q.alias].Label,
				Shared: shared,
			})
		}
		if pieces[n].last > pieces[reach].last {
			reach = n
		}
	}
	if found == nil {
		return nil
	}
	slices.SortStableFunc(found, func(a, b Overlap) int {
		return cmp.Or(cmp.Compare(a.B.Alias, b.B.Alias), cmp.Compare(a.B.Range, b.B.Range))
	})
	return &OverlapError{Interface: i.Name, Overlaps: found[:min(len(found), maxOverlaps)], Total: len(found)}
}

// fill makes the entries: the pieces less the holes. Single addresses of one label
// that are neighbours are joined: a file of a million lines is often a few runs. A single address in a hole is a warning; a range passes over it.
func (t *table) fill(i *Interface, pieces []piece) (warnings []Warning) {
	union := union(t.holes)
	h := 0
	before := piece{alias: -1} // the last entry, if it is made of single addresses
	push := func(first, last uint64, p piece) {
		switch single := p.first == p.last; {
		case !single:
			before.alias = -1
		case before.alias == p.alias && uint64(before.last)+1 == first:
			before.last = p.last
			t.entries.extend(p.last)
			return
		default:
			before = p
		}
		t.memory.push(entry{first: uint32(first), last: uint32(last), label: uint32(p.alias)})
	}
	for _, p := range pieces {
		for h < len(union) && union[h].last < p.first {
			h++
		}
		first := uint64(p.first)
		for k := h; k < len(union) && union[k].first <= p.last; k++ {
			if n := len(t.barred); n == 0 || t.barred[n-1].first != p.first {
				t.barred = append(t.barred, entry{first: p.first, last: p.last, label: uint32(p.alias)})
			}
			if p.first == p.last {
				a := i.Aliases[p.alias]
				warnings = append(warnings, Warning{i.Name, EntryRef{int(p.alias), int(p.rng)}, a.Label, a.Ranges.At(int(p.rng)), reason(t.holes, p.first)})
			}
			if uint64(union[k].first) > first {
				push(first, uint64(union[k].first)-1, p)
			}
			first = uint64(union[k].last) + 1
		}
		if first <= uint64(p.last) {
			push(first, uint64(p.last), p)
		}
	}
	slices.SortFunc(warnings, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Alias, b.Alias), cmp.Compare(a.EntryRef.Range, b.EntryRef.Range))
	})
	return warnings
}

// gone lists what old answered for and t, which has no patch yet, does not; sorted.
func (t *table) gone(old *table) (list Ranges) {
	have := cursor{memory: t.memory}
	e, more := have.next()
	for o := range old.all {
		first := uint64(o.first)
		for first <= uint64(o.last) {
			for more && uint64(e.last) < first {
				e, more = have.next()
			}
			if !more || e.first > o.last {
				list.push(run4{uint32(first), o.last})
				break
			}
			if uint64(e.first) > first {
				list.push(run4{uint32(first), e.first - 1})
			}
			first = uint64(e.last) + 1
		}
	}
	return list
}

// prefixes4 checks and converts IPv4 prefixes.
func prefixes4(list []netip.Prefix) ([]prefix4, error) {
	var out []prefix4
	for _, p := range list {
		if !p.IsValid() || !p.Addr().Is4() {
			return nil, errors.New(p.String() + " is no IPv4 prefix")
		}
		out = append(out, prefix4{v4(p.Masked().Addr()), ^uint32(uint64(0xffffffff) >> p.Bits())})
	}
	return out, nil
}
