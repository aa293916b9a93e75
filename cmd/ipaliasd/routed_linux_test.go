package main

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
)

const howtoRouted = "[interface.v0]\nreply = \"routed\"\n" + howto

// A neighbour of the tests is played by hand: it sends from one MAC and
// wants its answers at another, as a pair of routers with a shared address does.
var (
	sendsFrom = framegen.MAC{2, 0, 0, 0, 5, 1}
	listensAt = framegen.MAC{2, 0, 0, 0, 5, 2}
	strange   = netip.MustParseAddr("172.16.3.77")
	absent    = netip.MustParseAddr("172.16.3.78")
	offLink   = netip.MustParseAddr("192.0.2.9")
)

// pingFrom is an echo request of somebody, sent from a MAC.
func pingFrom(mac framegen.MAC, who netip.Addr) []byte {
	return datagram(mac, framegen.IPv4{Protocol: framegen.ICMP, Src: who, Dst: v0alias, Payload: framegen.ICMPMessage(8, 0, 1, nil)})
}

// isAt is the ARP reply by which mac has address.
func isAt(mac framegen.MAC, address netip.Addr) []byte {
	return framegen.Ether(daemonMAC, mac, framegen.TypeARP, framegen.ARP{
		Operation: 2,
		SenderMAC: mac,
		Sender:    address,
		TargetMAC: daemonMAC,
		Target:    v0alias,
	}.Bytes())
}

// asks fails unless frames are one ARP request of the alias for address, to everybody.
func asks(t *testing.T, frames [][]byte, address netip.Addr) {
	t.Helper()
	want := framegen.Ether(framegen.Broadcast, daemonMAC, framegen.TypeARP, framegen.ARP{
		SenderMAC: daemonMAC,
		Sender:    v0alias,
		Target:    address,
	}.Bytes())
	if len(frames) != 1 || !bytes.Equal(frames[0], want) {
		t.Fatalf("got %x, want the request %x", frames, want)
	}
}

// repliesTo fails unless frames are n echo replies to mac and who. Requests
// that are due again by now may be among them.
func repliesTo(t *testing.T, frames [][]byte, n int, mac framegen.MAC, who netip.Addr) {
	t.Helper()
	frames = slices.DeleteFunc(frames, func(f []byte) bool { return be16(f[12:]) == framegen.TypeARP })
	if len(frames) != n {
		t.Fatalf("%d frames, want %d: %x", len(frames), n, frames)
	}
	for _, f := range frames {
		if !bytes.Equal(f[:6], mac[:]) || !bytes.Equal(f[14+16:14+20], who.AsSlice()) {
			t.Errorf("got %x, want a reply to %s at %x", f, who, mac)
		}
	}
}

// datagram reads up to the next IPv4 datagram, without announcements. What waited for
// its next hop comes when ARP has told, after the answers to what came together with
// that: answers can't wait for it.
func (w *wire) datagram() [][]byte {
	w.t.Helper()
	var last []byte
	before := w.until(func(f []byte) bool { last = f; return be16(f[12:]) == framegen.TypeIPv4 })
	return append(slices.DeleteFunc(before, announcement), last)
}

// An answer goes where ARP says that its next hop is, not where the question came
// from; the first one waits until ARP has said it, and nobody else's does.
func TestRouted(t *testing.T) {
	a, b := lab(t)
	p := ipaliasd(t, a, "-c", file(t, howtoRouted))
	w := tap(t, b)
	w.answers() // from now on the MAC of b's kernel is known

	// Nobody believes what he did not ask for.
	if got := w.answers(isAt(sendsFrom, strange)); len(got) != 0 {
		t.Errorf("an ARP reply was answered with %x", got)
	}
	asks(t, w.answers(pingFrom(sendsFrom, strange)), strange)
	asks(t, w.answers(pingFrom(sendsFrom, absent)), absent) // and it stays so
	w.put(isAt(listensAt, strange))
	repliesTo(t, w.datagram(), 1, listensAt, strange)
	repliesTo(t, w.answers(pingFrom(sendsFrom, strange)), 1, listensAt, strange)

	// Who asks for the alias has said where he is.
	w.put(whoHas(listensAt, absent, v0alias))
	repliesTo(t, w.datagram(), 1, listensAt, absent)
	repliesTo(t, w.answers(pingFrom(sendsFrom, absent)), 1, listensAt, absent)
	p.interrupt(t)
	p.hasTotal(t, "resolving", 3) // the first of w too
	p.hasTotal(t, "unresolved", 0)
}

// Who is not on link is answered by way of the gateway, which is the kernel of b here.
func TestRoutedByGateway(t *testing.T) {
	a, b := lab(t, "ping")
	must(t, b, "ip", "addr", "add", offLink.String()+"/32", "dev", "lo")
	p := ipaliasd(t, a, "-c", file(t, howtoRouted))
	w := tap(t, b)
	w.put(pingFrom(sendsFrom, offLink))
	frames := w.datagram()
	asks(t, frames[:len(frames)-1], gateway)
	repliesTo(t, frames, 1, peerMAC, offLink)
	for _, size := range []string{"56", "20000"} {
		must(t, b, "ping", "-c", "1", "-W", "5", "-s", size, "-I", offLink.String(), v0alias.String())
	}
	p.interrupt(t)
	p.hasTotal(t, "resolving", 1)
	p.hasTotal(t, "echo-answered", 2)
}
