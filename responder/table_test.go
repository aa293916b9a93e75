package responder_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/ipalias/ipalias/responder"
)

// asked tells whether an ARP request for a is answered.
func asked(t testing.TB, r *responder.Responder, a netip.Addr) bool {
	t.Helper()
	out, _ := r.Worker(0).Handle(noon, [][]byte{whoHas(a)}, nil, nil)
	return len(out) == 1
}

// with gives an interface these aliases and nothing else.
func with(ranges ...responder.Range) func(*responder.Interface) {
	return func(i *responder.Interface) {
		i.Aliases = []responder.Alias{{Label: "v0:x", Ranges: responder.RangesOf(ranges...)}}
	}
}

func TestHoles(t *testing.T) {
	prefixes := func(list ...string) (out []netip.Prefix) {
		for _, p := range list {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	for _, c := range []struct {
		addr   string
		change func(*responder.Interface)
		reason string // part of it; "": answered
	}{
		{addr: "0.0.0.1", reason: "0.0.0.0/8"},
		{addr: "0.255.255.255", reason: "0.0.0.0/8"},
		{addr: "1.0.0.0"},
		{addr: "126.255.255.255"},
		{addr: "127.0.0.0", reason: "loopback"},
		{addr: "127.255.255.255", reason: "loopback"},
		{addr: "128.0.0.0"},
		{addr: "223.255.255.255"},
		{addr: "224.0.0.0", reason: "multicast"},
		{addr: "239.255.255.255", reason: "multicast"},
		{addr: "240.0.0.0"},
		{addr: "255.255.255.254"},
		{addr: "255.255.255.255", reason: "broadcast"},
		{addr: "172.16.3.0", reason: "network address of 172.16.3.0/24"},
		{addr: "172.16.3.255", reason: "broadcast address of 172.16.3.0/24"},
		{addr: "172.16.3.200", reason: "gateway"},
		{addr: "10.0.0.0", change: func(i *responder.Interface) { i.Networks = prefixes("10.0.0.0/31", "10.0.0.9/32") }},
		{addr: "10.0.0.1", change: func(i *responder.Interface) { i.Networks = prefixes("10.0.0.0/31") }},
		{addr: "10.0.0.9", change: func(i *responder.Interface) { i.Networks = prefixes("10.0.0.9/32") }},
		{addr: "10.0.0.3", change: func(i *responder.Interface) { i.Networks = prefixes("10.0.0.0/30") }, reason: "broadcast address of 10.0.0.0/30"},
		{addr: "10.0.0.4", change: func(i *responder.Interface) { i.Networks = prefixes("10.0.0.6/30") }, reason: "network address of 10.0.0.4/30"},
		{addr: "10.0.0.5", change: func(i *responder.Interface) { i.Host = []netip.Addr{addr("10.0.0.5")} }, reason: "host itself"},
		{addr: "10.0.0.5", change: func(i *responder.Interface) { i.Exclude = []responder.Range{single("10.0.0.5")} }, reason: "excluded by 10.0.0.5"},
		{addr: "10.0.0.5", change: func(i *responder.Interface) { i.Exclude = []responder.Range{span("10.0.0.4", "10.0.0.9")} }, reason: "excluded by 10.0.0.4-10.0.0.9"},
	} {
		a := addr(c.addr)
		// Alone, then as first, middle and last of a range, which passes over it.
		for _, rng := range []responder.Range{{First: a, Last: a}, {First: a, Last: near(a, 2)}, {First: near(a, -2), Last: near(a, 2)}, {First: near(a, -2), Last: a}} {
			t.Run(fmt.Sprint(rng, " for ", a), func(t *testing.T) {
				i := lab()
				if c.change != nil {
					c.change(&i)
				}
				i.Aliases = []responder.Alias{{Label: "v0:a"}, {Label: "v0:b", Ranges: responder.RangesOf(rng)}}
				r := responder.New(responder.Config{Workers: 1})
				warnings, err := r.Publish([]responder.Interface{i})
				if err != nil {
					t.Fatal(err)
				}
				if asked(t, r, a) != (c.reason == "") {
					t.Errorf("an ARP request is answered: %v", c.reason != "")
				}
				m := r.Explain("v0", a)
				if m.Answered != (c.reason == "") || !strings.Contains(m.Reason, c.reason) || m.Label != "v0:b" || m.Rule != rng.String() {
					t.Errorf("Explain says %+v", m)
				}
				checkWarning(t, warnings, rng, c.reason)
			})
		}
	}
}

// near gives the address n steps on, or the last on that way.
func near(a netip.Addr, n int) netip.Addr {
	for ; n > 0 && a.Next().IsValid(); n-- {
		a = a.Next()
	}
	for ; n < 0 && a.Prev().IsValid(); n++ {
		a = a.Prev()
	}
	return a
}

// checkWarning: a single address in a hole is a warning that names its place and
// why; a range is none.
func checkWarning(t *testing.T, warnings []responder.Warning, rng responder.Range, reason string) {
	t.Helper()
	if !rng.Single() || reason == "" {
		if len(warnings) != 0 {
			t.Errorf("warnings %v", warnings)
		}
		return
	}
	if len(warnings) != 1 {
		t.Fatalf("warnings %v", warnings)
	}
	w := warnings[0]
	place := responder.EntryRef{Alias: 1, Range: 0}
	if w.Interface != "v0" || w.EntryRef != place || w.Label != "v0:b" || w.Range != rng || !strings.Contains(w.Reason, reason) {
		t.Errorf("warning %+v", w)
	}
	if s := w.String(); !strings.Contains(s, "v0:b") || !strings.Contains(s, rng.String()) || !strings.Contains(s, reason) {
		t.Errorf("the warning reads %q", s)
	}
}

func TestOverlaps(t *testing.T) {
	ref := func(alias, rng int) responder.EntryRef { return responder.EntryRef{Alias: alias, Range: rng} }
	range1 := span("10.0.0.10", "10.0.0.20")
	for _, c := range []struct {
		name   string
		a, b   responder.Range
		shared string // "": none
	}{
		{"the same", range1, range1, "10.0.0.10-10.0.0.20"},
		{"the same single one", single("10.0.0.1"), single("10.0.0.1"), "10.0.0.1"},
		{"within", range1, span("10.0.0.12", "10.0.0.14"), "10.0.0.12-10.0.0.14"},
		{"around", range1, span("10.0.0.1", "10.0.0.99"), "10.0.0.10-10.0.0.20"},
		{"over the end", range1, span("10.0.0.20", "10.0.0.30"), "10.0.0.20"},
		{"over the beginning", range1, span("10.0.0.1", "10.0.0.11"), "10.0.0.10/31"},
		{"one within", range1, single("10.0.0.15"), "10.0.0.15"},
		{"one at the end", range1, single("10.0.0.20"), "10.0.0.20"},
		{"behind", range1, span("10.0.0.21", "10.0.0.30"), ""},
		{"before", range1, span("10.0.0.1", "10.0.0.9"), ""},
		{"in a hole", span("127.0.0.1", "127.0.0.9"), single("127.0.0.5"), "127.0.0.5"},
	} {
		for _, sameLabel := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, sameLabel), func(t *testing.T) {
				i := lab()
				i.Aliases = []responder.Alias{{Label: "v0:a", Ranges: responder.RangesOf(single("10.9.9.9"), c.a)}, {Label: "v0:b", Ranges: responder.RangesOf(c.b)}}
				want := responder.Overlap{A: ref(0, 1), LabelA: "v0:a", B: ref(1, 0), LabelB: "v0:b"}
				if sameLabel {
					i.Aliases = []responder.Alias{{Label: "v0:a", Ranges: responder.RangesOf(single("10.9.9.9"), c.a, c.b)}}
					want.B, want.LabelB = ref(0, 2), "v0:a"
				}
				_, err := responder.Check(&i)
				var overlap *responder.OverlapError
				if is := errors.As(err, &overlap); is != (c.shared != "") {
					t.Fatalf("error %v", err)
				} else if !is {
					return
				}
				got := overlap.Overlaps[0]
				if got.Shared.String() != c.shared || overlap.Interface != "v0" || overlap.Total != 1 {
					t.Errorf("%+v, want %s shared", overlap, c.shared)
				}
				got.Shared = want.Shared
				if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Error(diff)
				}
				if text := err.Error(); !strings.Contains(text, want.LabelA) || !strings.Contains(text, want.LabelB) || !strings.Contains(text, c.shared) {
					t.Errorf("the error reads %q", text)
				}
			})
		}
	}
}

// TestManyOverlaps: a hundred are listed, all are counted.
func TestManyOverlaps(t *testing.T) {
	i := lab()
	var list responder.Ranges
	for n := range 150 {
		list = list.Append(single(fmt.Sprintf("10.0.0.%d", n)))
	}
	i.Aliases = []responder.Alias{{Label: "v0:a", Ranges: list}, {Label: "v0:b", Ranges: list}}
	_, err := responder.Check(&i)
	var overlap *responder.OverlapError
	if !errors.As(err, &overlap) || len(overlap.Overlaps) != 100 || overlap.Total != 150 {
		t.Fatalf("%d of %d overlaps: %v", len(overlap.Overlaps), overlap.Total, err)
	}
	for n, o := range overlap.Overlaps {
		if o.A != (responder.EntryRef{Alias: 0, Range: n}) || o.B != (responder.EntryRef{Alias: 1, Range: n}) {
			t.Fatalf("overlap %d is %+v: they are in the order of their places", n, o)
		}
	}
	if !strings.Contains(err.Error(), "149 more") {
		t.Errorf("the error reads %q", err)
	}
}

// TestWholeSlash8: sixteen million aliases answer at every boundary, are counted one
// by one, and take no memory until they are used.
func TestWholeSlash8(t *testing.T) {
	heap, resident := memory(t)
	r := newResponder(t, with(responder.PrefixRange(netip.MustParsePrefix("10.0.0.0/8"))))
	heapAfter, residentAfter := memory(t)
	if r.Size("v0") != 1<<24 {
		t.Errorf("%d addresses", r.Size("v0"))
	}
	// A worker's own memory is some MiB; the counters would be 512.
	if heapAfter-heap > 32<<20 || residentAfter-resident > 64<<20 {
		t.Errorf("the heap grew by %d MiB, memory by %d", (heapAfter-heap)>>20, (residentAfter-resident)>>20)
	}
	want := map[netip.Addr]bool{}
	for _, a := range []string{"10.0.0.0", "10.0.0.1", "10.0.255.255", "10.1.0.0", "10.127.255.255", "10.128.0.0", "10.255.255.254", "10.255.255.255"} {
		want[addr(a)] = true
		if !asked(t, r, addr(a)) {
			t.Errorf("%s is not answered for", a)
		}
	}
	for _, a := range []string{"9.255.255.255", "11.0.0.0", "0.0.0.0", "255.255.255.255", "172.16.3.10"} {
		if asked(t, r, addr(a)) {
			t.Errorf("%s is answered for", a)
		}
	}
	r.Used("v0", func(a netip.Addr, label string, c responder.Counters) bool {
		if !want[a] || label != "v0:x" || c != (responder.Counters{RxPackets: 1, RxBytes: 42, TxPackets: 1, TxBytes: 42}) {
			t.Errorf("%v of %s counted %+v", a, label, c)
		}
		delete(want, a)
		return true
	})
	if len(want) != 0 {
		t.Errorf("not counted: %v", want)
	}
}

// memory gives the bytes of the heap, and those resident where /proc tells.
func memory(t *testing.T) (heap, resident int64) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size, pages int64
		if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
			t.Fatal(err)
		}
		resident = pages * int64(os.Getpagesize())
	}
	return int64(m.HeapAlloc), resident
}
