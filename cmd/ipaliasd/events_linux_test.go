package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/announce"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
)

const etherTypeARP = 0x0806

// socket opens a packet socket for ARP on the second card.
func socket(t *testing.T, n *netlab.Namespace) *packet.Conn {
	t.Helper()
	var conn *packet.Conn
	err := n.Do(func() error {
		card, err := net.InterfaceByName(netlab.CardB)
		if err != nil {
			return err
		}
		conn, err = packet.Listen(card, packet.Raw, etherTypeARP, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// awaitAnnouncements reads until each address was announced by MACA in both
// forms.
func awaitAnnouncements(t *testing.T, conn *packet.Conn, addresses ...string) {
	t.Helper()
	type form struct {
		op   arp.Operation
		addr string
	}
	missing := map[form]bool{}
	for _, a := range addresses {
		missing[form{arp.OperationRequest, a}] = true
		missing[form{arp.OperationReply, a}] = true
	}
	for len(missing) > 0 {
		p := nextAnnouncement(t, conn)
		delete(missing, form{p.Operation, p.SenderIP.String()})
	}
}

// nextAnnouncement reads up to an announcement of an address by MACA.
func nextAnnouncement(t *testing.T, conn *packet.Conn) arp.Packet {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, unix.ENETDOWN) { // the card was down when the socket was opened
			continue
		}
		if err != nil {
			t.Fatalf("nothing is announced: %v", err)
		}
		var f ethernet.Frame
		var p arp.Packet
		if err := f.UnmarshalBinary(buf[:n]); err != nil {
			t.Fatal(err)
		}
		if err := p.UnmarshalBinary(f.Payload); err != nil {
			t.Fatal(err)
		}
		announcement := p.SenderIP == p.TargetIP && f.Destination.String() == ethernet.Broadcast.String()
		ours := f.Source.String() == netlab.MACA.String() && p.SenderHardwareAddr.String() == netlab.MACA.String()
		if announcement && ours {
			return p
		}
	}
}

func TestAnnouncements(t *testing.T) {
	a, b := lab(t)
	conn := socket(t, b)
	ipaliasd(t, a, "-c", file(t, howto))
	awaitAnnouncements(t, conn, "172.16.3.10", "172.16.3.100")
}

func TestCardDownAndUp(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	for time := range 2 {
		must(t, a, "ip", "link", "set", netlab.CardA, "down")
		p.wait(t, p.stderr, "the card is down, waiting", time+1)
		conn := socket(t, b)
		must(t, a, "ip", "link", "set", netlab.CardA, "up")
		p.wait(t, p.stderr, "the card is up", time+1)
		awaitAnnouncements(t, conn, "172.16.3.10", "172.16.3.100")
		must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
		conn.Close()
	}
	p.interrupt(t)
}

func TestCarrierLostAndBack(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	must(t, b, "ip", "link", "set", netlab.CardB, "down")
	p.wait(t, p.stderr, "no carrier", 1)
	conn := socket(t, b)
	must(t, b, "ip", "link", "set", netlab.CardB, "up")
	awaitAnnouncements(t, conn, "172.16.3.10", "172.16.3.100")
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
}

func TestCardDownAtStart(t *testing.T) {
	a, b := lab(t, "ping")
	must(t, a, "ip", "link", "set", netlab.CardA, "down")
	p := start(t, a.Command(binary, "-c", file(t, howto)))
	p.wait(t, p.stderr, "the card is down, waiting", 1)
	must(t, a, "ip", "link", "set", netlab.CardA, "up")
	p.wait(t, p.stdout, "answering for 2 addresses", 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
}

func TestCardRemovedAndMadeAgain(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	must(t, a, "ip", "link", "del", netlab.CardA)
	p.wait(t, p.stderr, "does not exist, waiting", 1)
	again(t, a, b)
	p.wait(t, p.stderr, "the card is up", 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
	if !strings.Contains(p.stdout.String(), "echo-answered                2") {
		t.Errorf("the totals are not those of both cards:\n%s", p.stdout)
	}
}

// again makes the cards of lab once more.
func again(t *testing.T, a, b *netlab.Namespace) {
	t.Helper()
	err := netlab.Veth(
		netlab.End{Namespace: a, Name: netlab.CardA, MAC: netlab.MACA},
		netlab.End{Namespace: b, Name: netlab.CardB, MAC: netlab.MACB},
	)
	if err != nil {
		t.Fatal(err)
	}
	address(t, a, b)
}

func TestWaitForMissingCard(t *testing.T) {
	a, b := lab(t, "ping")
	must(t, a, "ip", "link", "del", netlab.CardA)
	p := start(t, a.Command(binary, "-c", file(t, "[interface.v0]\nwait = true\n"+howto)))
	p.wait(t, p.stderr, "does not exist, waiting", 1)
	again(t, a, b)
	p.wait(t, p.stdout, "answering for 2 addresses", 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
}

// claim sends an ARP reply by which mac has address.
func claim(t *testing.T, conn *packet.Conn, address string, mac net.HardwareAddr) {
	t.Helper()
	a := netip.MustParseAddr(address)
	p, err := arp.NewPacket(arp.OperationReply, mac, a, netlab.MACB, netip.MustParseAddr("172.16.3.200"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	f := ethernet.Frame{Destination: ethernet.Broadcast, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: payload}
	frame, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: ethernet.Broadcast}); err != nil {
		t.Fatal(err)
	}
}

func TestConflict(t *testing.T) {
	a, b := lab(t)
	p := ipaliasd(t, a, "-c", file(t, howto))
	conn := socket(t, b)
	other := net.HardwareAddr{2, 0, 0, 0, 0, 0x99}
	claim(t, conn, "172.16.3.10", other)
	claim(t, conn, "172.16.3.10", other)
	claim(t, conn, "172.16.3.50", other) // no alias
	p.wait(t, p.stderr, "another host claims this alias", 1)
	claim(t, conn, "172.16.3.10", other)
	claim(t, conn, "172.16.3.100", other)
	p.wait(t, p.stderr, "another host claims this alias", 2)
	show, err := p.client().Address(t.Context(), "172.16.3.10")
	if err != nil || show.Interfaces[0].ClaimedBy != other.String() {
		t.Errorf("show 172.16.3.10: %+v, %v; want a claim of %s", show, err, other)
	}
	p.edit(t, control.Delete, "v0:0") // which ends that conflict
	s := p.stats(t, func(s *control.Stats) bool { return s.Cards[0].Conflicts == 1 })
	if want := []control.Claim{{Interface: "v0", Address: "172.16.3.100", Theirs: other.String()}}; !slices.Equal(s.Cards[0].Claims, want) {
		t.Errorf("claims %+v, want %+v", s.Cards[0].Claims, want)
	}
	p.interrupt(t)
	log := p.stderr.String()
	for address, times := range map[string]int{"address=172.16.3.10 ": 1, "address=172.16.3.100 ": 1, "address=172.16.3.50 ": 0} {
		if got := strings.Count(log, address); got != times {
			t.Errorf("%s logged %d times, want %d", address, got, times)
		}
	}
	for _, want := range []string{"theirs=02:00:00:00:00:99", "ours=02:00:00:00:03:01"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log", want)
		}
	}
}

// Of many changes in a row each is announced, those too that come while as many are under way
// as are announced side by side.
func TestManyChangesAreAnnounced(t *testing.T) {
	a, b := lab(t)
	p := ipaliasd(t, a, "-c", file(t, howto))
	conn := socket(t, b)
	var addresses []string
	for n := range 60 {
		addresses = append(addresses, fmt.Sprintf("172.16.3.%d", 110+n))
		p.edit(t, control.Add, fmt.Sprintf("v0:n%d", n), addresses[n])
	}
	awaitAnnouncements(t, conn, addresses...)
}

// A host that has had an alias all along, and says nothing, is found by asking.
func TestConflictIsAskedFor(t *testing.T) {
	a, b := lab(t)
	must(t, b, "ip", "addr", "add", "172.16.3.10/24", "dev", netlab.CardB)
	p := ipaliasd(t, a, "-c", file(t, howto))
	s := p.stats(t, func(s *control.Stats) bool { return s.Cards[0].Conflicts > 0 })
	if want := []control.Claim{{Interface: "v0", Address: "172.16.3.10", Theirs: netlab.MACB.String()}}; !slices.Equal(s.Cards[0].Claims, want) {
		t.Errorf("claims %+v, want %+v", s.Cards[0].Claims, want)
	}
	p.interrupt(t)
}

// Aliases are announced again without a reason, but for those that another host claims.
// The first claim may come while that one is being announced, so it is seen from the
// next time on.
func TestReannounce(t *testing.T) {
	a, b := lab(t)
	p := ipaliasd(t, a, "-c", file(t, "[interface.v0]\nreannounce = 1\n"+howto))
	conn := socket(t, b)
	claim(t, conn, "172.16.3.100", net.HardwareAddr{2, 0, 0, 0, 0, 0x99})
	p.wait(t, p.stderr, "another host claims this alias", 1)
	for requests := 0; requests < announce.Rounds+3; { // more than for their being new
		switch n := nextAnnouncement(t, conn); {
		case n.Operation == arp.OperationRequest && n.SenderIP.String() == "172.16.3.10":
			requests++
		case n.SenderIP.String() == "172.16.3.100" && requests > announce.Rounds+1:
			t.Fatal("what another host claims is announced again")
		}
	}
	p.interrupt(t)
}

// From the moment the kernel has an alias as an address of its own, it is the
// kernel alone that answers.
func TestHostTakesAlias(t *testing.T) {
	a, b := lab(t, "arping", "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	must(t, a, "ip", "addr", "add", "172.16.3.10/24", "dev", netlab.CardA)
	p.wait(t, p.stderr, "level=WARN", 1)
	answered(t, b, "172.16.3.10")
	must(t, a, "ip", "addr", "add", "172.16.3.77/24", "dev", netlab.CardA) // no second warning
	p.wait(t, p.stderr, "172.16.3.77", 1)
	must(t, a, "ip", "addr", "del", "172.16.3.10/24", "dev", netlab.CardA)
	p.wait(t, p.stderr, "this alias is answered for now\" card=v0 address=172.16.3.10", 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
	if got := strings.Count(p.stderr.String(), "level=WARN"); got != 1 {
		t.Errorf("%d warnings, want one", got)
	}
}

func TestCardGetsAnotherMAC(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	must(t, a, "ip", "link", "set", netlab.CardA, "address", "02:00:00:00:00:55")
	p.wait(t, p.stderr, "02:00:00:00:00:55", 1)
	must(t, b, "ip", "neigh", "flush", "all")
	// The filter follows a moment after the log: ping goes on until it is answered.
	must(t, b, "ping", "-c", "1", "-w", "10", "172.16.3.10")
	if got := must(t, b, "ip", "neigh", "show", "172.16.3.10"); !strings.Contains(got, "02:00:00:00:00:55") {
		t.Errorf("neighbour %s", got)
	}
	p.interrupt(t)
}
