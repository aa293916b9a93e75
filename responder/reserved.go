package responder

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// A hole is a run of addresses that are never answered for, whatever the table
// says, and why.
type hole struct {
	first, last uint32
	reason      string
}

// always are the addresses that no host may have: RFC 1122 3.2.1.3, RFC 5735.
var always = []struct {
	prefix netip.Prefix
	reason string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "0.0.0.0/8 means this network"},
	{netip.MustParsePrefix("127.0.0.0/8"), "127.0.0.0/8 is loopback"},
	{netip.MustParsePrefix("224.0.0.0/4"), "224.0.0.0/4 is multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "255.255.255.255 is the limited broadcast"},
}

// holes lists what i never answers for, the weightiest reason first: what no
// host may have, the host's own, gateways, networks, excludes. They may overlap.
func holes(i *Interface) []hole {
	var list []hole
	add := func(r Range, reason string) {
		if r.First.Is4() && r.Last.Is4() {
			list = append(list, hole{v4(r.First), v4(r.Last), reason})
		}
	}
	for _, a := range always {
		add(PrefixRange(a.prefix), a.reason)
	}
	for _, a := range i.Host {
		add(Range{a, a}, "the host itself has "+a.String())
	}
	for _, a := range i.Gateways {
		add(Range{a, a}, a.String()+" is the gateway")
	}
	for _, n := range i.Networks {
		// RFC 3021: a /31 has neither network nor broadcast address, nor has a /32.
		if !n.Addr().Is4() || n.Bits() > 30 {
			continue
		}
		r := PrefixRange(n)
		add(Range{r.First, r.First}, fmt.Sprintf("%s is the network address of %s", r.First, n.Masked()))
		add(Range{r.Last, r.Last}, fmt.Sprintf("%s is the broadcast address of %s", r.Last, n.Masked()))
	}
	for _, r := range i.Exclude {
		add(r, "excluded by "+r.String())
	}
	return list
}

// AnsweredFor gives the addresses that i is answered for when it is published, sorted
// and without overlaps.
func AnsweredFor(i *Interface) Ranges {
	var all, barred Ranges
	for _, a := range i.Aliases {
		all = all.Join(a.Ranges)
	}
	for _, h := range union(holes(i)) {
		barred.push(run4{h.first, h.last})
	}
	return all.Union(Ranges{}).Without(barred)
}

// union gives the addresses that holes cover, sorted, without overlaps.
func union(holes []hole) []hole {
	sorted := slices.Clone(holes)
	slices.SortFunc(sorted, func(a, b hole) int { return cmp.Compare(a.first, b.first) })
	out := sorted[:0]
	for _, h := range sorted {
		if n := len(out); n > 0 && h.first <= out[n-1].last {
			out[n-1].last = max(out[n-1].last, h.last)
			continue
		}
		out = append(out, hole{first: h.first, last: h.last})
	}
	return out
}

// reason says why a is never answered for; "" if no hole holds it.
func reason(holes []hole, a uint32) string {
	for _, h := range holes {
		if h.first <= a && a <= h.last {
			return h.reason
		}
	}
	return ""
}

// v4 gives an IPv4 address as a number, v4addr the address of a number.
func v4(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func v4addr(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}
