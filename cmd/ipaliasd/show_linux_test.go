package main

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/responder"
)

const manyRules = `[interface.v0]
counters = 1
exclude = ["10.64.0.7", "10.64.9.0/24"]
[interface.v0.aliases]
"v0:0" = "172.16.3.10"
"v0:1" = ["172.16.3.100", "172.16.3.20"]
"v0:lab" = ["10.64.0.0/16", "172.16.3.192-172.16.3.255"]
`

// addressAnswer is what is told of an address.
type addressAnswer struct {
	address  string
	answered bool
	label    string
	rule     string
	from     string
	reason   string
	counters responder.Counters
	shared   bool // counted with its label
}

// ofManyRules are the answers once 10.64.0.9 was asked for, and then v0:1.
func ofManyRules() []addressAnswer {
	const yes, no = true, false
	asked := responder.Counters{RxPackets: 1, RxBytes: 42, TxPackets: 1, TxBytes: 42}
	return []addressAnswer{
		{"172.16.3.10", yes, "v0:0", "172.16.3.10", control.FromFile, "", responder.Counters{}, yes},
		{"10.64.0.9", yes, "v0:lab", "10.64.0.0/16", control.FromFile, "", asked, no},
		{"172.16.3.100", yes, "v0:1", "172.16.3.100", control.FromFile, "", responder.Counters{}, yes},
		{"172.16.3.199", yes, "v0:lab", "172.16.3.192/26", control.FromFile, "", responder.Counters{}, yes},
		{"172.16.3.30", yes, "v0:run", "172.16.3.30", control.Added, "", responder.Counters{}, yes},
		{"172.16.3.31", yes, "v0:0", "172.16.3.31", control.FromFile, "", responder.Counters{}, yes},
		{"10.64.0.7", no, "v0:lab", "10.64.0.0/16", control.FromFile, "exclude", responder.Counters{}, no},
		{"10.64.9.77", no, "v0:lab", "10.64.0.0/16", control.FromFile, "exclude", responder.Counters{}, no},
		{"172.16.3.200", no, "v0:lab", "172.16.3.192/26", control.FromFile, "gateway", responder.Counters{}, no},
		{"172.16.3.255", no, "v0:lab", "172.16.3.192/26", control.FromFile, "broadcast", responder.Counters{}, no},
		{"172.16.3.1", no, "", "", "", "host", responder.Counters{}, no},
		{"127.0.0.1", no, "", "", "", "loopback", responder.Counters{}, no},
		{"224.0.0.1", no, "", "", "", "multicast", responder.Counters{}, no},
		{"172.16.3.20", no, "v0:1", "", control.Removed, "removed from v0:1 at run time", responder.Counters{}, no},
		{"10.65.0.1", no, "", "", "", "no alias", responder.Counters{}, no},
		{"fe80::1", no, "", "", "", "no alias", responder.Counters{}, no},
	}
}

// Whatever address is asked about, it is told who has it and since when, or why
// nobody answers.
func TestShowAddress(t *testing.T) {
	a, b := lab(t)
	cfg := file(t, manyRules)
	p := ipaliasd(t, a, "-c", cfg)
	p.edit(t, control.Add, "v0:run", "172.16.3.30", "172.16.3.31")
	p.edit(t, control.Delete, "v0:1", "172.16.3.20")
	if err := os.WriteFile(cfg, []byte(strings.Replace(manyRules, `"172.16.3.10"`, `["172.16.3.10", "172.16.3.31"]`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.client().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := tap(t, b)
	w.answers(question(peerMAC, netip.MustParseAddr("10.64.0.9"), 1, nil)) // the second is asked for v0:1
	for _, want := range ofManyRules() {
		t.Run(want.address, func(t *testing.T) { told(t, p, want) })
	}
	t.Run("an address that found no place is in its label", func(t *testing.T) {
		show, err := p.client().Show(t.Context(), "v0:1")
		if err != nil || len(show.Interfaces[0].Labels) != 1 {
			t.Fatalf("%+v, %v", show, err)
		}
		if l := show.Interfaces[0].Labels[0]; l.Uncounted.RxPackets != 1 || l.Counters != l.Uncounted {
			t.Errorf("v0:1 counted %+v, %+v of it for no single address; want one packet", l.Counters, l.Uncounted)
		}
	})
}

func told(t *testing.T, p *process, want addressAnswer) {
	t.Helper()
	show, err := p.client().Address(t.Context(), want.address)
	if err != nil || len(show.Interfaces) != 1 {
		t.Fatalf("%s: %v, %v", want.address, show, err)
	}
	got := show.Interfaces[0]
	if got.Answered != want.answered || got.Label != want.label || got.Rule != want.rule || got.From != want.from ||
		!strings.Contains(got.Reason, want.reason) || (got.Reason == "") != (want.reason == "") ||
		got.Counters != want.counters || got.WithLabel != want.shared {
		t.Errorf("%s: %+v, want %+v", want.address, got, want)
	}
}

// Nothing is answered for on a card that is not there, whether it was before or not.
func TestShowAddressWithoutCard(t *testing.T) {
	a, _ := lab(t)
	p := ipaliasd(t, a, "-c", file(t, howto+"[interface.v9]\nwait = true\naliases = { \"v9:0\" = \"172.16.3.10\" }\n"))
	reasons := func(want ...string) {
		t.Helper()
		show, err := p.client().Address(t.Context(), "172.16.3.10")
		if err != nil || len(show.Interfaces) != 2 {
			t.Fatalf("%+v, %v", show, err)
		}
		for i, got := range show.Interfaces {
			if got.Reason != want[i] || got.Answered != (want[i] == "") || got.From != control.FromFile || got.Label != got.Interface+":0" {
				t.Errorf("%+v, want the reason %q", got, want[i])
			}
		}
	}
	const missing = "the card does not exist, waiting for it"
	reasons("", missing)
	must(t, a, "ip", "link", "set", netlab.CardA, "down")
	p.wait(t, p.stderr, "the card is down", 1)
	reasons("the card is down, waiting for it to come up", missing)
	must(t, a, "ip", "link", "del", netlab.CardA)
	p.wait(t, p.stderr, "the card does not exist", 2)
	reasons(missing, missing)
	p.interrupt(t)
}
