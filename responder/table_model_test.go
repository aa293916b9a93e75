package responder_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// windows are where the model looks at every address: the ends of the address space and of
// what is reserved, and some ordinary space.
var windows = []responder.Range{
	span("0.0.0.0", "0.0.0.5"), span("0.255.255.250", "1.0.0.5"),
	span("10.0.0.0", "10.0.0.200"),
	span("126.255.255.250", "127.0.0.5"), span("127.255.255.250", "128.0.0.5"),
	span("172.16.3.0", "172.16.3.255"),
	span("223.255.255.250", "224.0.0.5"), span("239.255.255.250", "240.0.0.5"),
	span("255.255.255.250", "255.255.255.255"),
}

// everyAddress are the addresses of the windows, in order.
var everyAddress = func() (all []netip.Addr) {
	for _, w := range windows {
		for a := w.First; a.IsValid() && a.Compare(w.Last) <= 0; a = a.Next() {
			all = append(all, a)
		}
	}
	return all
}()

// A model is the table as a Go map and linear scans.
type model struct {
	label    map[netip.Addr]string // what is answered for
	rule     map[netip.Addr]string // what was configured for it, answered or not
	overlaps bool
}

func newModel(i *responder.Interface) model {
	m := model{map[netip.Addr]string{}, map[netip.Addr]string{}, false}
	for _, a := range everyAddress {
		for _, alias := range i.Aliases {
			for _, r := range alias.Ranges.All() {
				if !r.Contains(a) {
					continue
				}
				m.overlaps = m.overlaps || m.rule[a] != ""
				m.rule[a] = r.String()
				if !reserved(i, a) {
					m.label[a] = alias.Label
				}
			}
		}
	}
	return m
}

// reserved is what DESIGN says is never answered for, with netip's own words for it.
func reserved(i *responder.Interface, a netip.Addr) bool {
	if a.As4()[0] == 0 || a.IsLoopback() || a.IsMulticast() || a == addr("255.255.255.255") {
		return true
	}
	if slices.Contains(i.Host, a) || slices.Contains(i.Gateways, a) {
		return true
	}
	for _, p := range i.Networks {
		if r := responder.PrefixRange(p); p.Bits() <= 30 && (a == r.First || a == r.Last) {
			return true
		}
	}
	return slices.ContainsFunc(i.Exclude, func(r responder.Range) bool { return r.Contains(a) })
}

// windowEnds tells for each of everyAddress whether it is the last of its window.
var windowEnds = func() (ends []bool) {
	for _, a := range everyAddress {
		ends = append(ends, slices.ContainsFunc(windows, func(w responder.Range) bool { return w.Last == a }))
	}
	return ends
}()

// randomInterface makes tables of singles, neighbours and ranges within a window.
func randomInterface(r *rand.Rand) responder.Interface {
	i := lab()
	i.Aliases = nil
	anywhere := func() int { return r.IntN(len(everyAddress)) }
	some := func(longest int) responder.Range {
		first := anywhere()
		last := min(first+r.IntN(longest), len(everyAddress)-1)
		return responder.Range{First: everyAddress[first], Last: everyAddress[last]}
	}
	for range r.IntN(4) {
		i.Exclude = append(i.Exclude, some(20))
	}
	if r.IntN(2) == 0 {
		i.Host = append(i.Host, everyAddress[anywhere()])
	}
	i.Networks = append(i.Networks, netip.PrefixFrom(everyAddress[anywhere()], 24+r.IntN(9)))
	longest := 1 + r.IntN(60)
	taken := make([]bool, len(everyAddress))
	for n := range 1 + r.IntN(4) {
		alias := responder.Alias{Label: "v0:" + string(rune('a'+n))}
		for range r.IntN(12) {
			first := anywhere()
			last := first
			for last+1 < len(taken) && last-first+1 < longest && !taken[last+1] && !windowEnds[last] && r.IntN(20) > 0 {
				last++
			}
			if taken[first] && r.IntN(200) > 0 { // an overlap is to be rare
				continue
			}
			for k := first; k <= last; k++ {
				taken[k] = true
			}
			alias.Ranges = alias.Ranges.Append(responder.Range{First: everyAddress[first], Last: everyAddress[last]})
		}
		i.Aliases = append(i.Aliases, alias)
	}
	return i
}

// TestTableAgainstModel: for random tables, the packet path, Explain, Labels and
// Size say what the model says, of every address.
func TestTableAgainstModel(t *testing.T) {
	random := rand.New(rand.NewPCG(16777216, 0))
	overlapping := 0
	for n := range 300 {
		i := randomInterface(random)
		m := newModel(&i)
		r := responder.New(responder.Config{Workers: 1})
		_, err := r.Publish([]responder.Interface{i})
		var overlap *responder.OverlapError
		if errors.As(err, &overlap) != m.overlaps {
			t.Fatalf("table %d: %v, the model says overlaps: %v\n%v", n, err, m.overlaps, i.Aliases)
		}
		if m.overlaps {
			overlapping++
			continue
		}
		for _, a := range everyAddress {
			label, answered := m.label[a]
			if asked(t, r, a) != answered {
				t.Fatalf("table %d: %v is answered: %v\n%+v", n, a, !answered, i)
			}
			e := r.Explain("v0", a)
			if e.Answered != answered || answered && (e.Label != label || e.Rule != m.rule[a] || e.Reason != "") || !answered && e.Reason == "" {
				t.Fatalf("table %d: of %v Explain says %+v, the model %q, %q\n%+v", n, a, e, label, m.rule[a], i)
			}
		}
		checkLabels(t, r, &i)
	}
	if overlapping == 0 || overlapping > 250 {
		t.Errorf("%d of the tables overlapped: the test no longer tries what it should", overlapping)
	}
}

// checkLabels: Labels gives back what was configured, and counts what the windows
// don't show, too.
func checkLabels(t *testing.T, r *responder.Responder, i *responder.Interface) {
	t.Helper()
	labels := r.Labels("v0")
	if len(labels) != len(i.Aliases) {
		t.Fatalf("%d labels, want %d", len(labels), len(i.Aliases))
	}
	var size, packets uint64
	for n, l := range labels {
		want := i.Aliases[n].Ranges.Sorted()
		if l.Label != i.Aliases[n].Label || !l.Ranges.Equal(want) {
			t.Fatalf("label %s: %v, configured is %s: %v", l.Label, l.Ranges, i.Aliases[n].Label, want)
		}
		size += l.Addresses
		packets += l.Counters.RxPackets
	}
	if size != r.Size("v0") || packets != r.Total("v0").RxPackets {
		t.Fatalf("the labels have %d addresses and %d packets, the interface %d and %d", size, packets, r.Size("v0"), r.Total("v0").RxPackets)
	}
}

// TestScatteredSingles: many single addresses, where the hash has its hardest time:
// neighbours in the last byte, in the first, and multiples of powers of two.
func TestScatteredSingles(t *testing.T) {
	for _, step := range []uint32{1, 3, 256, 1 << 12, 1 << 16, 0x61c88647} {
		var ranges []responder.Range
		have := map[uint32]bool{}
		for n := range uint32(3000) {
			a := 0x0a000000 + n*step
			if b := a >> 24; have[a] || b == 0 || b == 127 || b >= 224 || a&0xffffff00 == 0xac100300 {
				continue
			}
			have[a] = true
			ranges = append(ranges, responder.Range{First: number(a), Last: number(a)})
		}
		r := newResponder(t, with(ranges...))
		for a := range have {
			for d := range uint32(3) {
				if got := asked(t, r, number(a+d-1)); got != have[a+d-1] {
					t.Fatalf("step %#x: %v is answered: %v", step, number(a+d-1), got)
				}
			}
		}
	}
}

func number(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}
