package overlay

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/responder"
)

// Ranges are addresses as the journal has them: strings "a", "a-b" or "a/n".
type Ranges []responder.Range

// MarshalJSON writes an array of strings.
func (r Ranges) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, len(r)*20+2)
	text = append(text, '[')
	for n, one := range r {
		if n > 0 {
			text = append(text, ',')
		}
		text = append(text, '"')
		text = append(text, one.String()...) // digits, dots, colons: nothing to escape
		text = append(text, '"')
	}
	return append(text, ']'), nil
}

// UnmarshalJSON reads an array of strings.
func (r *Ranges) UnmarshalJSON(text []byte) error {
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*r = make(Ranges, len(list))
	for n, s := range list {
		var err error
		if (*r)[n], err = ParseRange(s); err != nil {
			return err
		}
	}
	return nil
}

// ParseRange reads what responder.Range.String writes. It is for programs; what
// people type is read by package config, which has words for their mistakes.
func ParseRange(s string) (r responder.Range, err error) {
	if first, last, ok := strings.Cut(s, "-"); ok {
		if r.First, err = netip.ParseAddr(first); err == nil {
			r.Last, err = netip.ParseAddr(last)
		}
		if err == nil && r.Last.Less(r.First) {
			err = fmt.Errorf("the range %s ends before it begins", s)
		}
		return r, err
	}
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err == nil {
			r = responder.PrefixRange(p)
		}
		return r, err
	}
	r.First, err = netip.ParseAddr(s)
	r.Last = r.First
	return r, err
}

// sorted gives a sorted copy.
func sorted(list []responder.Range) []responder.Range {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b responder.Range) int { return a.First.Compare(b.First) })
	return list
}

// shared gives the parts of many that lie in few, which is sorted and without
// overlaps. It costs nothing but time, however many there are: no copy of a
// million addresses is sorted for the sake of one.
func shared(many, few []responder.Range) []responder.Range {
	var parts []responder.Range
	if len(few) == 0 {
		return nil
	}
	for _, m := range many {
		for n := firstReaching(few, m.First); n < len(few) && few[n].First.Compare(m.Last) <= 0; n++ {
			parts = append(parts, responder.Range{First: higher(m.First, few[n].First), Last: lower(m.Last, few[n].Last)})
		}
	}
	return parts
}

// subtract gives what of each of list lies in none of holes, which are sorted
// and without overlaps. What no hole touches stays as it is.
func subtract(list, holes []responder.Range) []responder.Range {
	if len(holes) == 0 {
		return list
	}
	left := make([]responder.Range, 0, len(list))
	for _, r := range list {
		open := true // r has a rest
		for n := firstReaching(holes, r.First); open && n < len(holes) && holes[n].First.Compare(r.Last) <= 0; n++ {
			if r.First.Less(holes[n].First) {
				left = append(left, responder.Range{First: r.First, Last: holes[n].First.Prev()})
			}
			open = holes[n].Last.Less(r.Last)
			if open {
				r.First = holes[n].Last.Next()
			}
		}
		if open {
			left = append(left, r)
		}
	}
	return left
}

// firstReaching gives the index of the first of the sorted list that ends at a
// or behind it.
func firstReaching(list []responder.Range, a netip.Addr) int {
	n, _ := slices.BinarySearchFunc(list, a, func(r responder.Range, a netip.Addr) int { return r.Last.Compare(a) })
	return n
}

func higher(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func lower(a, b netip.Addr) netip.Addr {
	if b.Less(a) {
		return b
	}
	return a
}

// Difference gives what of each of a lies in none of b.
func Difference(a, b []responder.Range) []responder.Range { return subtract(a, union(nil, b)) }

// Same tells whether a and b are one slice: equal, and found to be so without
// looking at a million addresses.
func Same(a, b []responder.Range) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
