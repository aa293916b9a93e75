package main

import (
	"strings"
	"testing"

	"github.com/ipalias/ipalias/internal/netlab"
)

// The configuration goes by names: a card that is called otherwise now is waited
// for, and one that got the name is served.
func TestCardRenamed(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	rename := func(from, to string) {
		must(t, a, "ip", "link", "set", from, "down") // Linux before 6.2 renames no other
		must(t, a, "ip", "link", "set", from, "name", to)
		must(t, a, "ip", "link", "set", to, "up")
	}
	rename(netlab.CardA, "v9")
	p.wait(t, p.stderr, "the card is called v9 now, waiting for one called "+netlab.CardA, 1)
	if out, ok := client(b, "ping", "-c", "1", "-W", "1", "172.16.3.10"); ok {
		t.Errorf("v9 answers for aliases of %s:\n%s", netlab.CardA, out)
	}
	rename("v9", netlab.CardA)
	p.wait(t, p.stderr, `msg="the card is up"`, 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")

	// Another card gets the name, while the old one lives on.
	must(t, a, "ip", "link", "set", netlab.CardA, "down")
	must(t, a, "ip", "link", "set", netlab.CardA, "name", "v9")
	p.wait(t, p.stderr, "is called v9 now", 2)
	must(t, b, "ip", "link", "set", netlab.CardB, "name", "v8")
	must(t, b, "ip", "addr", "flush", "dev", "v8")
	again(t, a, b)
	p.wait(t, p.stderr, `msg="the card is up"`, 2)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
}

// Where the system renames a card without taking it down, the daemon lets go of it too.
func TestCardRenamedWhileUp(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	if out, ok := client(a, "ip", "link", "set", netlab.CardA, "name", "v9"); !ok {
		netlab.Miss(t, "the kernel renames no card that is up: %s", out)
	}
	p.wait(t, p.stderr, "the card is called v9 now", 1)
	if out, ok := client(b, "ping", "-c", "1", "-W", "1", "172.16.3.10"); ok {
		t.Errorf("v9 answers for aliases of %s:\n%s", netlab.CardA, out)
	}
	must(t, a, "ip", "link", "set", "v9", "name", netlab.CardA)
	p.wait(t, p.stderr, `msg="the card is up"`, 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
}

// An answer is cut to the MTU of now: one cut to that of before would not leave.
func TestCardGetsAnotherMTU(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	must(t, b, "ip", "link", "set", netlab.CardB, "mtu", "1000")
	must(t, a, "ip", "link", "set", netlab.CardA, "mtu", "1000")
	p.wait(t, p.stderr, "MTU 1500 -> 1000", 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "-s", "3000", "172.16.3.10")
	p.interrupt(t)
	if got := strings.Count(p.stderr.String(), "MTU"); got != 1 {
		t.Errorf("the MTU is said %d times, want once", got)
	}
}

// A card on top of another one is as good as any.
func TestMacvlan(t *testing.T) {
	a, b := lab(t, "ping")
	if out, ok := client(a, "ip", "link", "add", "link", netlab.CardA, "name", "mv0", "address", "02:00:00:00:00:44", "type", "macvlan", "mode", "bridge"); !ok {
		netlab.Miss(t, "no macvlan here: %s", out)
	}
	must(t, a, "ip", "link", "set", "mv0", "up")
	p := ipaliasd(t, a, "-i", "mv0", "-a", "172.16.3.77")
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.77")
	if got := must(t, b, "ip", "neigh", "show", "172.16.3.77"); !strings.Contains(got, "02:00:00:00:00:44") {
		t.Errorf("neighbour %s", got)
	}
	p.interrupt(t)
}

// bridge makes br0 in n.
func bridge(t *testing.T, n *netlab.Namespace) {
	t.Helper()
	if out, ok := client(n, "ip", "link", "add", "br0", "type", "bridge"); !ok {
		netlab.Miss(t, "no bridge here: %s", out)
	}
	must(t, n, "ip", "link", "set", "br0", "up")
}

func TestBridgePortIsRefused(t *testing.T) {
	a, b := lab(t, "ping")
	bridge(t, a)
	must(t, a, "ip", "link", "set", netlab.CardA, "master", "br0")
	p := start(t, a.Command(binary, "-c", file(t, "[interface.v0]\nwait = true\n"+howto))) // it is there: nothing to wait for
	if got := p.status(t); got != failed {
		t.Errorf("exit status %d, want %d", got, failed)
	}
	if got := p.stderr.String(); !strings.Contains(got, "card v0 is a port of the bridge br0: answer on br0 instead") {
		t.Errorf("message %q", got)
	}
	// What it says is right.
	p = ipaliasd(t, a, "-i", "br0", "-a", "172.16.3.10")
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
}

func TestCardBecomesBridgePort(t *testing.T) {
	a, b := lab(t, "ping")
	bridge(t, a)
	p := ipaliasd(t, a, "-c", file(t, howto))
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	must(t, a, "ip", "link", "set", netlab.CardA, "master", "br0")
	p.wait(t, p.stderr, "the card is a port of the bridge br0: answer on br0 instead", 1)
	if out, ok := client(b, "ping", "-c", "1", "-W", "1", "172.16.3.10"); ok {
		t.Errorf("a bridge port answers:\n%s", out)
	}
	must(t, a, "ip", "link", "set", netlab.CardA, "mtu", "1400") // an event that is no news
	must(t, a, "ip", "link", "set", netlab.CardA, "nomaster")
	p.wait(t, p.stderr, `msg="the card is up"`, 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
	if got := strings.Count(p.stderr.String(), "port of the bridge"); got != 1 {
		t.Errorf("the bridge is said %d times, want once", got)
	}
}

// A bridge has the MAC address of a port, and none after the last one left it: it is
// waited for then, by a daemon that runs and by one that starts.
func TestBridgeWithoutPorts(t *testing.T) {
	a, b := lab(t, "ping")
	bridge(t, a)
	must(t, a, "ip", "link", "set", netlab.CardA, "master", "br0")
	p := ipaliasd(t, a, "-i", "br0", "-a", "172.16.3.10")
	for range 2 {
		must(t, a, "ip", "link", "set", netlab.CardA, "nomaster")
		if p == nil {
			p = start(t, a.Command(binary, "-i", "br0", "-a", "172.16.3.10"))
		}
		p.wait(t, p.stderr, "the card has no MAC address, waiting for one", 1)
		must(t, a, "ip", "link", "set", netlab.CardA, "master", "br0")
		p.wait(t, p.stderr, `msg="the card is up"`, 1)
		must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
		p.interrupt(t)
		p = nil
	}
}

// Where nobody answers there is no shield either: what comes for aliases through a
// port is the bridge's to pass on, and a card of another name is another card's.
func TestShieldLeavesWithTheCard(t *testing.T) {
	a, b := lab(t, "ping")
	bridge(t, a)
	p := ipaliasd(t, a, "-c", file(t, shielded))
	p.wait(t, p.stderr, "the shield is up", 1)
	for n, step := range []struct{ away, back []string }{
		{[]string{"master", "br0"}, []string{"nomaster"}},
		{[]string{"down", "name", "v9"}, nil},
	} {
		must(t, a, append([]string{"ip", "link", "set", netlab.CardA}, step.away...)...)
		p.wait(t, p.stderr, "the shield is down", n+1)
		if got := tables(t, a); len(got) != 0 {
			t.Errorf("%q: there is left: %q", step.away, got)
		}
		if step.back != nil {
			must(t, a, append([]string{"ip", "link", "set", netlab.CardA}, step.back...)...)
			p.wait(t, p.stderr, "the shield is up", n+2)
			must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.100")
		}
	}
	p.interrupt(t)
}
