package daemon

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ipalias/ipalias/internal/announce"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/responder"
)

// Announced is what is a single address and answered for at the moment.
func TestTargets(t *testing.T) {
	i := eth0(t, []string{"172.16.3.10", "10.0.0.0/16"}, []string{"172.16.3.1"}, []string{"172.16.3.100"}, []string{"10.9.0.1-10.9.0.1"})
	i.Tags = []uint16{100}
	r := published(t, i)
	tab := table{responder: r, published: []responder.Interface{i}, configured: []wanted{{Interface: &config.Interface{Name: i.Name}, view: view(&i)}}}

	target := func(a string) announce.Target {
		return announce.Target{Addr: netip.MustParseAddr(a), MAC: ourMAC, Tags: []uint16{100}}
	}
	want := []announce.Target{target("172.16.3.10"), target("172.16.3.100"), target("10.9.0.1")}
	var got []announce.Target
	for a := range tab.targets() {
		got = append(got, a)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}

	// The host takes an alias while the announcements are under way.
	got = nil
	for a := range tab.targets() {
		got = append(got, a)
		i.Host = append(i.Host, netip.MustParseAddr("172.16.3.100"))
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]announce.Target{want[0], want[2]}, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("targets after a change (-want +got):\n%s", diff)
	}
}

func logger() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

func TestWarningsAreGivenOnce(t *testing.T) {
	log, text := logger()
	tab := table{log: log}
	warning := func(address string) doubt {
		return doubt{Warning: config.Warning{Place: config.Place{File: "ipalias.toml", Line: 2, Column: 9}, Msg: address + " is never answered for"}}
	}
	for _, step := range []struct {
		name     string
		warnings []doubt
		lines    int
	}{
		{"two", []doubt{warning("172.16.3.1"), warning("172.16.3.2")}, 2},
		{"the same again", []doubt{warning("172.16.3.1"), warning("172.16.3.2")}, 0},
		{"one more", []doubt{warning("172.16.3.1"), warning("172.16.3.2"), warning("172.16.3.3")}, 1},
		{"none", nil, 0},
		{"one came back", []doubt{warning("172.16.3.2")}, 1},
	} {
		text.Reset()
		tab.warn(step.warnings, 0)
		if got := strings.Count(text.String(), "\n"); got != step.lines {
			t.Errorf("%s: %d lines, want %d\n%s", step.name, got, step.lines, text)
		}
	}
	text.Reset()
	tab.warned = nil
	var many []doubt
	for a := netip.MustParseAddr("10.0.0.0"); len(many) < 1000; a = a.Next() {
		many = append(many, warning(a.String()))
	}
	tab.warn(many, 5)
	if got := strings.Count(text.String(), "\n"); got != maxWarnings+1 || !strings.Contains(text.String(), "number=985") {
		t.Errorf("1000 warnings: %d lines, want %d and one for the other 985", got, maxWarnings)
	}
}

func TestConflictsAreLoggedOnceAnAddress(t *testing.T) {
	log, text := logger()
	c := conflictLog{log: log}
	conflict := func(address string) responder.Conflict {
		return responder.Conflict{Interface: "eth0", Addr: netip.MustParseAddr(address), MAC: [6]byte{2, 0, 0, 0, 0, 9}, Ours: ourMAC}
	}
	c.report([]responder.Conflict{conflict("172.16.3.10"), conflict("172.16.3.10"), conflict("172.16.3.100")})
	c.report([]responder.Conflict{conflict("172.16.3.10")})
	if got := strings.Count(text.String(), "\n"); got != 2 {
		t.Errorf("%d lines, want 2\n%s", got, text)
	}
	for _, want := range []string{"address=172.16.3.10 ", "address=172.16.3.100 ", "theirs=02:00:00:00:00:09", "ours=00:8e:b8:83:19:20"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in the log", want)
		}
	}
	text.Reset()
	for a, n := netip.MustParseAddr("10.0.0.0"), 0; n < 3*maxConflicts; a, n = a.Next(), n+1 {
		c.report([]responder.Conflict{conflict(a.String())})
	}
	if got := strings.Count(text.String(), "\n"); got != maxConflicts-2+1 {
		t.Errorf("a flood of conflicts: %d lines, want %d and one that says so", got, maxConflicts-2)
	}
}

// A conflict ends when its address is answered for no more, and begins anew when it is
// again; looked at is that only after a change of the table.
func TestConflictsEnd(t *testing.T) {
	log, text := logger()
	c := conflictLog{log: log}
	both := []responder.Conflict{
		{Interface: "eth0", Addr: netip.MustParseAddr("172.16.3.10"), MAC: [6]byte{2, 0, 0, 0, 0, 9}},
		{Interface: "eth0", Addr: netip.MustParseAddr("172.16.3.100"), MAC: [6]byte{2, 0, 0, 0, 0, 10}},
	}
	hundred := control.Claim{Interface: "eth0", Address: "172.16.3.100", Theirs: "02:00:00:00:00:0a"}
	want := []control.Claim{{Interface: "eth0", Address: "172.16.3.10", Theirs: "02:00:00:00:00:09"}, hundred}
	c.report(both)
	shown := c.claims
	c.forget(0, func(string, netip.Addr) bool { t.Error("looked at without a change"); return true })
	if diff := cmp.Diff(want, c.claims); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.forget(1, func(_ string, a netip.Addr) bool { return a != both[0].Addr })
	if diff := cmp.Diff([]control.Claim{hundred}, c.claims); diff != "" {
		t.Errorf("after one was taken out (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("what was shown before changed (-want +got):\n%s", diff)
	}
	text.Reset()
	c.report(both)
	if got := strings.Count(text.String(), "\n"); got != 1 || len(c.claims) != 2 {
		t.Errorf("%d lines and %d claims, want one of the address that came back, and 2", got, len(c.claims))
	}
}
