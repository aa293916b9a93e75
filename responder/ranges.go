package responder

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// Ranges is a list of ranges in the order they were given. A table may have a
// million single addresses, and their list is kept as long as the table is: a single
// address takes four bytes of it and a range twelve, where a Range takes 48. The zero
// value is empty.
//
// A list is never changed once others have it: Append is the only method that
// writes, behind the end, as the built-in append does. That is why the
// configuration, the views over it and what is published can share one.
type Ranges struct {
	first []uint32 // of each IPv4 range
	long  []extent // those that are more than one address

	// other is what is no IPv4 range. Its members count as behind the others. It is
	// here so that Publish can refuse them; IPv6 will have a compact list of its own.
	// The pointer is for the size of a list: there may be a million of one address each.
	other *[]Range
}

// An extent says where the range of a number ends.
type extent struct{ n, last uint32 }

// run4 is an IPv4 range.
type run4 struct{ first, last uint32 }

func (r run4) wide() Range { return Range{v4addr(r.first), v4addr(r.last)} }

// RangesOf makes a list.
func RangesOf(list ...Range) Ranges { return Ranges{}.Append(list...) }

// rangesOf4 makes a list.
func rangesOf4(list []run4) Ranges {
	l := Ranges{}.Grow(len(list))
	for _, r := range list {
		l.push(r)
	}
	return l
}

// Append gives l with more at its end, in the same memory if that has room.
func (l Ranges) Append(list ...Range) Ranges {
	for _, r := range list {
		if r.First.Is4() && r.Last.Is4() {
			l.push(run4{v4(r.First), v4(r.Last)})
		} else {
			other := append(l.others(), r)
			l.other = &other
		}
	}
	return l
}

// push is Append of one.
func (l *Ranges) push(r run4) {
	if r.first != r.last {
		l.long = append(l.long, extent{uint32(len(l.first)), r.last})
	}
	l.first = append(l.first, r.first)
}

// extend has the last range end later. It is for who is just making the list.
func (l *Ranges) extend(last uint32) {
	n := uint32(len(l.first) - 1)
	if k := len(l.long); k > 0 && l.long[k-1].n == n {
		l.long[k-1].last = last
		return
	}
	l.long = append(l.long, extent{n, last})
}

// four is l without what is no IPv4 range.
func (l Ranges) four() Ranges { return Ranges{first: l.first, long: l.long} }

func (l Ranges) others() []Range {
	if l.other == nil {
		return nil
	}
	return *l.other
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
	joined := Ranges{first: slices.Concat(l.first, o.first), long: slices.Concat(l.long, o.long)}
	for n := len(l.long); n < len(joined.long); n++ {
		joined.long[n].n += uint32(len(l.first))
	}
	if other := slices.Concat(l.others(), o.others()); len(other) > 0 {
		joined.other = &other
	}
	return joined
}

// Grow gives l with room for n more.
func (l Ranges) Grow(n int) Ranges {
	l.first = slices.Grow(l.first, n)
	return l
}

// Clip gives l without the room that Append left behind its end.
func (l Ranges) Clip() Ranges {
	l.first, l.long = clip(l.first), clip(l.long)
	if other := slices.Clip(l.others()); len(other) > 0 {
		l.other = &other
	}
	return l
}

func clip[E any](list []E) []E {
	if cap(list)-len(list) > len(list)/16 {
		return slices.Clip(slices.Clone(list)) // slices.Clip alone would keep the memory
	}
	return slices.Clip(list)
}

// Len is how many ranges there are.
func (l Ranges) Len() int { return len(l.first) + len(l.others()) }

// At gives one of them.
func (l Ranges) At(n int) Range {
	if n < len(l.first) {
		return l.run(n).wide()
	}
	return l.others()[n-len(l.first)]
}

// run gives one of them that is IPv4.
func (l Ranges) run(n int) run4 {
	i, found := slices.BinarySearchFunc(l.long, uint32(n), func(e extent, n uint32) int { return cmp.Compare(e.n, n) })
	if found {
		return run4{l.first[n], l.long[i].last}
	}
	return run4{l.first[n], l.first[n]}
}

// All yields each with its number.
func (l Ranges) All() iter.Seq2[int, Range] {
	return func(yield func(int, Range) bool) {
		for n, r := range l.runs() {
			if !yield(n, r.wide()) {
				return
			}
		}
		for n, r := range l.others() {
			if !yield(len(l.first)+n, r) {
				return
			}
		}
	}
}

// runs yields each that is IPv4 with its number.
func (l Ranges) runs() iter.Seq2[int, run4] {
	return func(yield func(int, run4) bool) {
		long := l.long
		for n, a := range l.first {
			r := run4{a, a}
			if len(long) > 0 && long[0].n == uint32(n) {
				r.last, long = long[0].last, long[1:]
			}
			if !yield(n, r) {
				return
			}
		}
	}
}

// list gives them as a slice, for those who go to and fro in it.
func (l Ranges) list() []run4 {
	list := make([]run4, 0, len(l.first))
	for _, r := range l.runs() {
		list = append(list, r)
	}
	return list
}

// Index gives the number of the first range that holds an IPv4 address, -1 if
// none does.
func (l Ranges) Index(a netip.Addr) int {
	if !a.Is4() {
		return -1
	}
	at := v4(a)
	for n, r := range l.runs() {
		if r.first <= at && at <= r.last {
			return n
		}
	}
	return -1
}

// First gives a list of the first n, or of all if there are no more.
func (l Ranges) First(n int) Ranges {
	four := min(n, len(l.first))
	long, _ := slices.BinarySearchFunc(l.long, uint32(four), func(e extent, n uint32) int { return cmp.Compare(e.n, n) })
	first := Ranges{first: l.first[:four:four], long: l.long[:long:long]}
	if more := min(n-four, len(l.others())); more > 0 {
		other := l.others()[:more:more]
		first.other = &other
	}
	return first
}

// Equal tells whether l and o have the same ranges in the same order.
func (l Ranges) Equal(o Ranges) bool {
	return l.Same(o) || slices.Equal(l.first, o.first) && slices.Equal(l.long, o.long) && slices.Equal(l.others(), o.others())
}

// Same tells whether l and o are one list: equal, and found to be so without a
// look at a million addresses. It may be false for equal ones.
func (l Ranges) Same(o Ranges) bool {
	return same(l.first, o.first) && same(l.long, o.long) && same(l.others(), o.others())
}

func same[E any](a, b []E) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
