package responder

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// Ranges is a list of ranges in the order they were given. A table may have a
// million single addresses, and their list is kept as long as the table is: an IPv4
// range takes eight bytes of it, where a Range takes 48. The zero value is empty.
//
// A list is never changed once others have it: Append is the only method that
// writes, behind the end, as the built-in append does. That is why the
// configuration, the views over it and what is published can share one.
type Ranges struct {
	v4 []run4

	// other is what is no IPv4 range. Its members count as behind those of v4. It is
	// here so that Publish can refuse them; IPv6 will have a compact list of its own.
	other []Range
}

// run4 is an IPv4 range.
type run4 struct{ first, last uint32 }

func (r run4) wide() Range { return Range{v4addr(r.first), v4addr(r.last)} }

// RangesOf makes a list.
func RangesOf(list ...Range) Ranges { return Ranges{}.Append(list...) }

// Append gives l with more at its end, in the same memory if that has room.
func (l Ranges) Append(list ...Range) Ranges {
	for _, r := range list {
		if r.First.Is4() && r.Last.Is4() {
			l.v4 = append(l.v4, run4{v4(r.First), v4(r.Last)})
		} else {
			l.other = append(l.other, r)
		}
	}
	return l
}

// Join gives a new list: l with o behind it. Where one of them is empty it is the
// other one itself.
func (l Ranges) Join(o Ranges) Ranges {
	switch {
	case o.Len() == 0:
		return l
	case l.Len() == 0:
		return o
	}
	return Ranges{slices.Concat(l.v4, o.v4), slices.Concat(l.other, o.other)}
}

// Grow gives l with room for n more.
func (l Ranges) Grow(n int) Ranges {
	l.v4 = slices.Grow(l.v4, n)
	return l
}

// Clip gives l without the room that Append left behind its end.
func (l Ranges) Clip() Ranges {
	if cap(l.v4)-len(l.v4) > len(l.v4)/16 {
		l.v4 = slices.Clone(l.v4) // slices.Clip would keep the memory
	}
	return Ranges{slices.Clip(l.v4), slices.Clip(l.other)}
}

// Len is how many ranges there are.
func (l Ranges) Len() int { return len(l.v4) + len(l.other) }

// At gives one of them.
func (l Ranges) At(n int) Range {
	if n < len(l.v4) {
		return l.v4[n].wide()
	}
	return l.other[n-len(l.v4)]
}

// All yields each with its number.
func (l Ranges) All() iter.Seq2[int, Range] {
	return func(yield func(int, Range) bool) {
		for n := range l.Len() {
			if !yield(n, l.At(n)) {
				return
			}
		}
	}
}

// Index gives the number of the first range that holds an IPv4 address, -1 if
// none does.
func (l Ranges) Index(a netip.Addr) int {
	if !a.Is4() {
		return -1
	}
	n := v4(a)
	return slices.IndexFunc(l.v4, func(r run4) bool { return r.first <= n && n <= r.last })
}

// First gives a list of the first n, or of all if there are no more.
func (l Ranges) First(n int) Ranges {
	four := min(n, len(l.v4))
	more := min(n-four, len(l.other))
	return Ranges{l.v4[:four:four], l.other[:more:more]}
}

// Equal tells whether l and o have the same ranges in the same order.
func (l Ranges) Equal(o Ranges) bool {
	return l.Same(o) || slices.Equal(l.v4, o.v4) && slices.Equal(l.other, o.other)
}

// Same tells whether l and o are one list: equal, and found to be so without a
// look at a million addresses. It may be false for equal ones.
func (l Ranges) Same(o Ranges) bool { return same(l.v4, o.v4) && same(l.other, o.other) }

func same[E any](a, b []E) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// What follows treats lists as sets of addresses. It leaves out what is no IPv4
// range.

// Addresses is how many addresses the ranges have, those of overlaps as often as
// they are there.
func (l Ranges) Addresses() (n uint64) {
	for _, r := range l.v4 {
		n += uint64(r.last-r.first) + 1
	}
	return n
}

// Sorted gives the ranges of l by their first addresses: l itself if they are
// sorted already.
func (l Ranges) Sorted() Ranges {
	byFirst := func(a, b run4) int { return cmp.Compare(a.first, b.first) }
	if slices.IsSortedFunc(l.v4, byFirst) {
		return Ranges{v4: l.v4}
	}
	if len(l.v4) < 1000 {
		l = Ranges{v4: slices.Clone(l.v4)}
		slices.SortStableFunc(l.v4, byFirst)
		return l
	}
	return Ranges{v4: byAddress(slices.Clone(l.v4), func(r *run4) uint32 { return r.first })}
}

// Shared gives the parts of l that lie in few, which is sorted and without
// overlaps. It costs nothing but time, however many l has: no copy of a
// million addresses is sorted for the sake of one.
func (l Ranges) Shared(few Ranges) Ranges {
	var parts Ranges
	if len(few.v4) == 0 {
		return parts
	}
	low, high := few.v4[0].first, few.v4[len(few.v4)-1].last
	from := 0
	for _, r := range l.v4 {
		if r.last < low || high < r.first {
			continue // nearly all of a million
		}
		from = reaching(few.v4, r.first, from)
		for n := from; n < len(few.v4) && few.v4[n].first <= r.last; n++ {
			parts.v4 = append(parts.v4, run4{max(r.first, few.v4[n].first), min(r.last, few.v4[n].last)})
		}
	}
	return parts
}

// Touching gives the ranges of l that have addresses of few, which is sorted and
// without overlaps.
func (l Ranges) Touching(few Ranges) (whole Ranges) {
	n := 0
	for _, r := range l.v4 {
		if n = reaching(few.v4, r.first, n); n < len(few.v4) && few.v4[n].first <= r.last {
			whole.v4 = append(whole.v4, r)
		}
	}
	return whole
}

// Without gives what of each of l lies in none of holes, which are sorted and
// without overlaps. What no hole touches stays as it is; if none touches
// anything, the result is l itself.
func (l Ranges) Without(holes Ranges) Ranges {
	if l.Shared(holes).Len() == 0 {
		return Ranges{v4: l.v4}
	}
	left := make([]run4, 0, len(l.v4))
	from := 0
	for _, r := range l.v4 {
		from = reaching(holes.v4, r.first, from)
		open := true // r has a rest
		for n := from; open && n < len(holes.v4) && holes.v4[n].first <= r.last; n++ {
			h := holes.v4[n]
			if r.first < h.first {
				left = append(left, run4{r.first, h.first - 1})
			}
			if open = h.last < r.last; open {
				r.first = h.last + 1
			}
		}
		if open {
			left = append(left, r)
		}
	}
	return Ranges{v4: left}
}

// reaching gives the index of the first of a sorted list that ends at a or behind
// it. near is the last such index: who asks for rising addresses walks along the list, and
// two lists of a million are gone through side by side.
func reaching(list []run4, a uint32, near int) int {
	if near == 0 || list[near-1].last < a {
		for range 8 {
			if near == len(list) || list[near].last >= a {
				return near
			}
			near++
		}
		n, _ := slices.BinarySearchFunc(list[near:], a, func(r run4, a uint32) int { return cmp.Compare(r.last, a) })
		return near + n
	}
	n, _ := slices.BinarySearchFunc(list[:near], a, func(r run4, a uint32) int { return cmp.Compare(r.last, a) })
	return n
}

// Union gives sorted ranges without overlaps that cover what l and o cover.
func (l Ranges) Union(o Ranges) Ranges {
	all := Ranges{v4: l.v4}.Join(Ranges{v4: o.v4}).Sorted()
	joined := make([]run4, 0, len(all.v4))
	for _, r := range all.v4 {
		if n := len(joined); n > 0 && r.first <= joined[n-1].last {
			joined[n-1].last = max(joined[n-1].last, r.last)
			continue
		}
		joined = append(joined, r)
	}
	return Ranges{v4: joined}
}
