package shield

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/ipalias/ipalias/responder"
)

// A network is what one interface of a card is shielded for.
type network struct {
	tags []uint16   // VLAN identifiers, outermost first
	runs []interval // sorted, none touches another
}

// An interval is an inclusive run of IPv4 addresses, as numbers. They are wider
// than an address so that the one after the last has a number too.
type interval struct{ first, last uint64 }

// plan says what a shield of interfaces drops. Networks without any run are left
// out. The error is a *TooManyError.
func plan(interfaces []responder.Interface) ([]network, error) {
	var nets []network
	total := 0
	for n := range interfaces {
		runs := subtract(merge(aliases(&interfaces[n])), merge(holes(&interfaces[n])))
		if len(runs) == 0 {
			continue
		}
		total += len(runs)
		nets = append(nets, network{slices.Clone(interfaces[n].Tags), runs})
	}
	if total > MaxIntervals {
		return nil, &TooManyError{Intervals: total}
	}
	return nets, nil
}

func aliases(i *responder.Interface) (all []interval) {
	for _, a := range i.Aliases {
		for _, r := range a.Ranges.All() {
			all = add(all, r)
		}
	}
	return all
}

// reserved is what no host may have as its address.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("255.255.255.255/32"),
}

// holes is what the responder does not answer for, whatever the aliases say: the
// kernel must go on seeing it. A test holds the two against each other.
func holes(i *responder.Interface) (all []interval) {
	for _, p := range reserved {
		all = add(all, responder.PrefixRange(p))
	}
	for _, list := range [][]netip.Addr{i.Host, i.Gateways} {
		for _, a := range list {
			all = add(all, responder.Range{First: a, Last: a})
		}
	}
	for _, p := range i.Networks {
		if p.Bits() <= 30 { // RFC 3021: a /31 has neither network nor broadcast address
			r := responder.PrefixRange(p)
			all = add(all, responder.Range{First: r.First, Last: r.First})
			all = add(all, responder.Range{First: r.Last, Last: r.Last})
		}
	}
	for _, r := range i.Exclude {
		all = add(all, r)
	}
	return all
}

// add appends r if it is of IPv4 and not the wrong way round.
func add(all []interval, r responder.Range) []interval {
	if !r.First.Is4() || !r.Last.Is4() || r.Last.Less(r.First) {
		return all
	}
	first, last := r.First.As4(), r.Last.As4()
	return append(all, interval{uint64(binary.BigEndian.Uint32(first[:])), uint64(binary.BigEndian.Uint32(last[:]))})
}

// merge sorts runs, in place, and joins those that overlap or touch.
func merge(runs []interval) []interval {
	slices.SortFunc(runs, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	out := runs[:0]
	for _, r := range runs {
		if n := len(out); n > 0 && r.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, r.last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// subtract takes holes out of runs. Both are merged.
func subtract(runs, holes []interval) (out []interval) {
	for _, r := range runs {
		for len(holes) > 0 && holes[0].last < r.first {
			holes = holes[1:]
		}
		for _, h := range holes {
			if h.first > r.last || r.first > r.last {
				break
			}
			if r.first < h.first {
				out = append(out, interval{r.first, h.first - 1})
			}
			r.first = h.last + 1
		}
		if r.first <= r.last {
			out = append(out, r)
		}
	}
	return out
}
