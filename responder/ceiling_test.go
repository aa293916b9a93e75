package responder_test

import (
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// TestMaxCounted: addresses beyond the ceiling are answered like the others, and
// counted for their label.
func TestMaxCounted(t *testing.T) {
	i := lab()
	i.Aliases = []responder.Alias{
		{Label: "v0:a", Ranges: responder.RangesOf(span("10.0.0.0", "10.0.0.99"))},
		{Label: "v0:b", Ranges: responder.RangesOf(span("10.1.0.0", "10.1.0.99"))},
	}
	r := responder.New(responder.Config{Workers: 1, MaxCounted: 50})
	publish := func(i responder.Interface) {
		t.Helper()
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
	}
	publish(i)
	for range 3 {
		for _, first := range []uint32{0x0a000000, 0x0a010000} {
			for n := range uint32(40) {
				if !asked(t, r, number(first+n)) {
					t.Fatalf("%v is not answered for", number(first+n))
				}
			}
		}
	}
	labels := r.Labels("v0")
	for n, want := range []uint64{0, 30 * 3} {
		if l := labels[n]; l.Uncounted.RxPackets != want || l.Counters.TxPackets != 40*3 {
			t.Errorf("label %s: %d of %d packets for the label alone, want %d of %d", l.Label, l.Uncounted.RxPackets, l.Counters.TxPackets, want, 40*3)
		}
	}
	if n := len(counted(r)); n != 50 {
		t.Errorf("%d addresses have counters", n)
	}
	if c := r.Total("v0"); c.RxPackets != 80*3 {
		t.Errorf("%d packets in all", c.RxPackets)
	}
	// Rows of aliases that went are used again, in either way that they go.
	for _, gone := range []responder.Range{span("10.0.0.0", "10.0.0.9"), span("10.0.0.0", "10.0.0.99")} {
		next := i
		next.Aliases = []responder.Alias{{Label: "v0:a", Ranges: i.Aliases[0].Ranges.Without(responder.RangesOf(gone))}, i.Aliases[1]}
		publish(next)
		for n := range uint32(40) {
			asked(t, r, number(0x0a010000+n))
		}
	}
	if got := len(counted(r)); got != 40 {
		t.Errorf("%d addresses of the label that is left have counters, want all 40", got)
	}
}

// TestLabelBeginsAnew: what was counted for a label alone goes with the label, in either way
// that one of its name comes back.
func TestLabelBeginsAnew(t *testing.T) {
	for name, back := range map[string]responder.Range{"a single address": single("10.0.0.2"), "a range": span("10.0.0.2", "10.0.0.3")} {
		i := lab()
		i.Aliases = []responder.Alias{named("v0:a", single("10.0.0.1")), named("v0:x", single("10.0.0.2")), named("v0:y", single("10.0.0.9"))}
		r := responder.New(responder.Config{Workers: 1, MaxCounted: 1})
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.9"} {
			asked(t, r, addr(a))
		}
		for _, change := range []struct{ remove, add []responder.Alias }{
			{remove: i.Aliases[1:2]},
			{add: []responder.Alias{named("v0:x", back)}},
		} {
			if _, err := r.Amend("v0", change.remove, change.add); err != nil {
				t.Fatal(err)
			}
		}
		asked(t, r, addr("10.0.0.2"))
		for label, want := range map[string]uint64{"v0:x": 1, "v0:y": 1} {
			if l, _ := r.Label("v0", label); l.Uncounted.RxPackets != want || l.Counters.RxPackets != want {
				t.Errorf("%s: label %s counted %+v, %+v for it alone, want %d", name, label, l.Counters, l.Uncounted, want)
			}
		}
	}
}

// TestManyGo: so many aliases go that their rows take several batches: none of them is
// answered meanwhile, and those that come back begin at zero.
func TestManyGo(t *testing.T) {
	all, some := span("10.0.0.0", "10.0.19.255"), span("10.0.0.0", "10.0.4.255")
	r := newResponder(t, with(all))
	ask := func(rng responder.Range, answered bool) {
		t.Helper()
		for a := rng.First; a.Compare(rng.Last) <= 0; a = a.Next() {
			if asked(t, r, a) != answered {
				t.Fatalf("%v is answered: %v", a, !answered)
			}
		}
	}
	publish := func(ranges ...responder.Range) {
		t.Helper()
		i := lab()
		with(ranges...)(&i)
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
	}
	ask(all, true)
	publish()
	if n := len(counted(r)); n != 0 {
		t.Errorf("%d aliases that are gone are told of", n)
	}
	ask(span("10.0.19.0", "10.0.19.9"), false) // in the first batches, whose rows have not been looked at
	publish(some)
	ask(some, true)
	ask(span("10.0.5.0", "10.0.19.255"), false)
	want := map[netip.Addr]bool{}
	for a := some.First; a.Compare(some.Last) <= 0; a = a.Next() {
		want[a] = true
	}
	for a, n := range counted(r) {
		if !want[a] || n != 1 {
			t.Errorf("%v counted %d", a, n)
		}
		delete(want, a)
	}
	if len(want) != 0 {
		t.Errorf("%d aliases that came back counted nothing", len(want))
	}
}
