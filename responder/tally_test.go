package responder_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipalias/ipalias/responder"
)

// A tally tells of labels what Labels does, in whatever order they are asked for, also of
// those that Amend put behind the others, and of one whose name had an address before.
func TestTally(t *testing.T) {
	r := newResponder(t, labels(
		named("v0:a", single("10.0.0.1"), single("10.0.0.2")),
		named("v0:b", single("10.0.0.3")),
		named("v0:c", span("10.0.1.0", "10.0.1.255")),
		named("v0:host", single("172.16.3.1")),
	))
	for _, a := range []string{"10.0.0.1", "10.0.0.3", "10.0.1.7", "10.0.1.7"} {
		asked(t, r, addr(a))
	}
	change := func(remove, add []responder.Alias) {
		t.Helper()
		if _, err := r.Amend("v0", remove, add); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		want := r.Labels("v0")
		var names []string
		for n := range want {
			names = append(names, want[n].Label)
			one, known := r.Label("v0", want[n].Label)
			if d := cmp.Diff(want[n], one); d != "" || !known {
				t.Errorf("alone, %v: %s", known, d)
			}
			want[n].Ranges = responder.Ranges{}
		}
		var total responder.Counters
		for n := range want {
			total.RxPackets += want[n].Counters.RxPackets
		}
		for what, order := range map[string][]string{
			"in order": names, "backwards": reversed(names), "every second twice": slices.Repeat(names[1:], 2),
			"others between": {"v0:x", names[0], "v0:x", names[1], names[len(names)-1]},
		} {
			tally := r.Tally("v0")
			for _, name := range order {
				got, known := tally.Of(name)
				n := slices.Index(names, name)
				if known != (n >= 0) {
					t.Errorf("%s: %s is known: %v", what, name, known)
				} else if d := cmp.Diff(want[max(n, 0)], got); known && d != "" {
					t.Errorf("%s: (-want +got)\n%s", what, d)
				}
			}
			if got := tally.Total(); got != r.Total("v0") || got.RxPackets != total.RxPackets {
				t.Errorf("in all %+v, want %+v", got, r.Total("v0"))
			}
		}
	}
	check()
	b := []responder.Alias{named("v0:b", single("10.0.0.3"))}
	change(b, nil)
	check()
	change(nil, append(b, named("v0:d", single("10.0.0.4"))))
	asked(t, r, addr("10.0.0.4"))
	check()
	if r.Tally("v1") != nil {
		t.Error("there is a tally of an interface that is not there")
	}
}

// labels gives an interface these aliases and nothing else.
func labels(list ...responder.Alias) func(*responder.Interface) {
	return func(i *responder.Interface) { i.Aliases = list }
}

func named(label string, ranges ...responder.Range) responder.Alias {
	return responder.Alias{Label: label, Ranges: responder.RangesOf(ranges...)}
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// Of an address that is not answered for it is told whose it is all the same, however many
// labels there are: the table knows what lies in holes.
func TestExplainWhatLiesInHoles(t *testing.T) {
	r := newResponder(t, labels(
		named("v0:single", single("172.16.3.1"), single("172.16.3.9")), // the host's own, and a good one
		named("v0:range", span("172.16.3.200", "172.16.3.255")),
		named("v0:within", span("10.9.0.0", "10.9.0.3")),
		named("v0:good", span("10.8.0.0", "10.8.0.9")),
	), func(i *responder.Interface) {
		i.Exclude = []responder.Range{span("10.9.0.0", "10.9.0.255"), single("172.16.3.210"), single("172.16.3.220")}
		i.Host = []netip.Addr{addr("172.16.3.1")}
	})
	for _, tc := range []struct {
		address, label, rule string
		answered             bool
	}{
		{"172.16.3.1", "v0:single", "172.16.3.1", false},
		{"172.16.3.9", "v0:single", "172.16.3.9", true},
		{"172.16.3.210", "v0:range", "172.16.3.200-172.16.3.255", false},
		{"172.16.3.211", "v0:range", "172.16.3.200-172.16.3.255", true},
		{"172.16.3.220", "v0:range", "172.16.3.200-172.16.3.255", false},
		{"172.16.3.255", "v0:range", "172.16.3.200-172.16.3.255", false},
		{"10.9.0.2", "v0:within", "10.9.0.0/30", false},
		{"10.9.0.4", "", "", false},
		{"10.8.0.9", "v0:good", "10.8.0.0-10.8.0.9", true},
		{"10.8.0.10", "", "", false},
	} {
		m := r.Explain("v0", addr(tc.address))
		if m.Answered != tc.answered || m.Label != tc.label || m.Rule != tc.rule || (m.Reason == "") != tc.answered {
			t.Errorf("%s: %+v, want %+v", tc.address, m, tc)
		}
	}
}
