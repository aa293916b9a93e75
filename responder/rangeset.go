package responder

import (
	"cmp"
	"slices"
)

// What stands here treats lists as sets of addresses. It leaves out what is no IPv4
// range.

// Addresses is how many addresses the ranges have, those of overlaps as often as
// they are there.
func (l Ranges) Addresses() uint64 {
	n := uint64(len(l.first))
	for _, e := range l.long {
		n += uint64(e.last - l.first[e.n])
	}
	return n
}

// Sorted gives the ranges of l by their first addresses: l itself if they are
// sorted already.
func (l Ranges) Sorted() Ranges {
	byFirst := func(a, b run4) int { return cmp.Compare(a.first, b.first) }
	switch {
	case slices.IsSorted(l.first):
		return l.four()
	case len(l.long) == 0 && len(l.first) >= 1000:
		return Ranges{first: byAddress(slices.Clone(l.first), func(a *uint32) uint32 { return *a })}
	}
	list := l.list()
	if len(list) < 1000 {
		slices.SortStableFunc(list, byFirst)
		return rangesOf4(list)
	}
	return rangesOf4(byAddress(list, func(r *run4) uint32 { return r.first }))
}

// find gives the number of the range that holds a, -1 if none does. l is sorted and
// without overlaps.
func (l Ranges) find(a uint32) int {
	n, found := slices.BinarySearch(l.first, a)
	if found {
		return n
	}
	if n--; n < 0 || l.run(n).last < a {
		return -1
	}
	return n
}

// Shared gives the parts of l that lie in few, which is sorted and without
// overlaps. It costs nothing but time, however many l has: no copy of a
// million addresses is sorted for the sake of one.
func (l Ranges) Shared(few Ranges) Ranges {
	var parts Ranges
	list := few.list()
	if len(list) == 0 {
		return parts
	}
	low, high := list[0].first, list[len(list)-1].last
	from := 0
	for _, r := range l.runs() {
		if r.last < low || high < r.first {
			continue // nearly all of a million
		}
		from = reaching(list, r.first, from)
		for n := from; n < len(list) && list[n].first <= r.last; n++ {
			parts.push(run4{max(r.first, list[n].first), min(r.last, list[n].last)})
		}
	}
	return parts
}

// Touching gives the ranges of l that have addresses of few, which is sorted and
// without overlaps.
func (l Ranges) Touching(few Ranges) (whole Ranges) {
	list, n := few.list(), 0
	for _, r := range l.runs() {
		if n = reaching(list, r.first, n); n < len(list) && list[n].first <= r.last {
			whole.push(r)
		}
	}
	return whole
}

// Without gives what of each of l lies in none of holes, which are sorted and
// without overlaps. What no hole touches stays as it is; if none touches
// anything, the result is l itself.
func (l Ranges) Without(holes Ranges) Ranges {
	if l.Shared(holes).Len() == 0 {
		return l.four()
	}
	left := Ranges{}.Grow(len(l.first))
	list, from := holes.list(), 0
	for _, r := range l.runs() {
		from = reaching(list, r.first, from)
		open := true // r has a rest
		for n := from; open && n < len(list) && list[n].first <= r.last; n++ {
			h := list[n]
			if r.first < h.first {
				left.push(run4{r.first, h.first - 1})
			}
			if open = h.last < r.last; open {
				r.first = h.last + 1
			}
		}
		if open {
			left.push(r)
		}
	}
	return left
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
	all := l.four().Join(o.four()).Sorted()
	joined := Ranges{}.Grow(len(all.first))
	end := uint32(0) // of the last one
	for n, r := range all.runs() {
		switch {
		case n == 0 || r.first > end:
			joined.push(r)
			end = r.last
		case r.last > end:
			joined.extend(r.last)
			end = r.last
		}
	}
	return joined
}
