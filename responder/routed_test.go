package responder_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// A neighbour sends from peerMAC (what ask writes) and has its address at nextMAC, so that
// an answer that goes there went where ARP said.
var nextMAC = framegen.MAC{2, 0, 0, 0, 7, 7}

var offLink = addr("192.0.2.9")

func routed(i *responder.Interface) { i.Reply = responder.Routed }

// pingOf is an echo request of somebody, pongTo the reply at a MAC.
func pingOf(who netip.Addr) []byte {
	return ask(framegen.IPv4{Protocol: framegen.ICMP, Src: who, Payload: ping(1, count(8))})
}

func pongTo(mac framegen.MAC, who netip.Addr) []byte {
	d := framegen.IPv4{Protocol: framegen.ICMP, Src: alias, Dst: who, Payload: pong(1, count(8))}
	return framegen.Ether(mac, ourMAC, framegen.TypeIPv4, d.Bytes())
}

// wants is the request of the alias for somebody's MAC, to everybody or, to confirm
// it, to the MAC that is known.
func wants(to framegen.MAC, who netip.Addr) []byte {
	return framegen.Ether(to, ourMAC, framegen.TypeARP, framegen.ARP{SenderMAC: ourMAC, Sender: alias, Target: who}.Bytes())
}

// isAt is the ARP reply by which mac has who.
func isAt(mac framegen.MAC, who netip.Addr) []byte {
	return framegen.Ether(ourMAC, mac, framegen.TypeARP, framegen.ARP{
		Operation: 2,
		SenderMAC: mac,
		Sender:    who,
		TargetMAC: ourMAC,
		Target:    alias,
	}.Bytes())
}

// asksFrom is the ARP request of mac and who for the alias.
func asksFrom(mac framegen.MAC, who netip.Addr) []byte {
	return framegen.Ether(framegen.Broadcast, mac, framegen.TypeARP, framegen.ARP{SenderMAC: mac, Sender: who, Target: alias}.Bytes())
}

// expect puts a frame and compares all that is sent then.
func expect(t *testing.T, r *responder.Responder, now int64, frame []byte, v responder.Verdict, want ...[]byte) {
	t.Helper()
	got, answers := put(t, r, now, frame, 0)
	if got != v {
		t.Errorf("verdict %v, want %v", got, v)
	}
	checkAnswers(t, answers, want)
}

// newRouted is the lab in routed mode, which knows that the host at peer is at nextMAC.
func newRouted(t *testing.T, with ...func(*responder.Interface)) *responder.Responder {
	t.Helper()
	r := newResponder(t, append(with, routed)...)
	expect(t, r, noon, pingOf(peer), responder.Resolving, wants(framegen.Broadcast, peer))
	expect(t, r, noon, isAt(nextMAC, peer), responder.ARPReply, pongTo(nextMAC, peer))
	return r
}

// An answer waits for its next hop and then goes where ARP said: nowhere else, and once.
func TestRouted(t *testing.T) {
	r := newRouted(t)
	expect(t, r, noon, isAt(nextMAC, peer), responder.ARPReply)
	expect(t, r, noon, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
	expect(t, r, noon, pingOf(offLink), responder.EchoAnswered, pongTo(nextMAC, offLink)) // peer is the gateway
	if answers, wake := tick(r, noon); len(answers) != 0 || wake != 0 {
		t.Errorf("%x is sent later, and something is due at %d", answers, wake)
	}
	if c := r.Total("v0"); c.TxPackets != 3 || c.RxPackets != 3 {
		t.Errorf("counted %+v, want three each", c)
	}
}

// The way to who is not on link is by the gateway; where there is none there is none.
func TestRoutedGateway(t *testing.T) {
	r := newResponder(t, routed)
	expect(t, r, noon, pingOf(offLink), responder.Resolving, wants(framegen.Broadcast, peer))
	expect(t, r, noon, isAt(nextMAC, peer), responder.ARPReply, pongTo(nextMAC, offLink))

	r = newResponder(t, routed, func(i *responder.Interface) { i.Gateways = nil })
	expect(t, r, noon, pingOf(offLink), responder.Unresolved)

	// A gateway that is in none of the networks is on link all the same, as "onlink" says in routes.
	r = newResponder(t, routed, func(i *responder.Interface) { i.Networks = nil })
	expect(t, r, noon, pingOf(offLink), responder.Resolving, wants(framegen.Broadcast, peer))
	expect(t, r, noon, isAt(nextMAC, peer), responder.ARPReply, pongTo(nextMAC, offLink))
}

// In routed mode the MAC that a question came from is no matter, however odd, since
// nothing goes there.
func TestRoutedOddSource(t *testing.T) {
	r := newRouted(t)
	for _, mac := range []framegen.MAC{nobody, framegen.Broadcast, ourMAC, otherMAC} {
		expect(t, r, noon, patch(pingOf(peer), 6, mac[:]...), responder.EchoAnswered, pongTo(nextMAC, peer))
	}
}

// Refusals and resets go the same way as echo replies.
func TestRoutedRefusals(t *testing.T) {
	r := newRouted(t)
	for _, d := range []framegen.IPv4{
		{Protocol: 200, Payload: count(8)},
		segment(framegen.TCPSegment{Flags: 2}),
		{Protocol: framegen.UDP, Payload: framegen.UDPMessage(peer, alias, 4000, 53, count(8))},
	} {
		v, answers := put(t, r, noon, ask(d), 0)
		if !v.Answered() || len(answers) != 1 || !bytes.Equal(answers[0][:6], nextMAC[:]) {
			t.Errorf("protocol %d: %v, %x", d.Protocol, v, answers)
		}
	}
}

// Three requests a second apart, then the answer is given up, and whoever comes next
// begins anew.
func TestRoutedRetries(t *testing.T) {
	r := newResponder(t, routed)
	expect(t, r, noon, pingOf(peer), responder.Resolving, wants(framegen.Broadcast, peer))
	now := noon
	for i := range 2 {
		answers, wake := tick(r, now+second-1)
		if len(answers) != 0 || wake != now+second {
			t.Fatalf("retry %d: sends %x early, wakes after %d ns", i, answers, wake-now)
		}
		now += second
		answers, _ = tick(r, now)
		checkAnswers(t, answers, [][]byte{wants(framegen.Broadcast, peer)})
	}
	if answers, wake := tick(r, now+second); len(answers) != 0 || wake != 0 {
		t.Errorf("after the third second: %x, wakes at %d", answers, wake)
	}
	// Too late for the answer, but in time for the next one.
	expect(t, r, now+second, isAt(nextMAC, peer), responder.ARPReply)
	expect(t, r, now+second, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
}

// Several answers for one hop cost one request a second, and go out together, in order.
func TestRoutedSeveralWait(t *testing.T) {
	r := newResponder(t, routed)
	expect(t, r, noon, pingOf(peer), responder.Resolving, wants(framegen.Broadcast, peer))
	for range 4 {
		expect(t, r, noon+second/2, pingOf(peer), responder.Resolving)
	}
	answers, _ := tick(r, noon+second)
	checkAnswers(t, answers, [][]byte{wants(framegen.Broadcast, peer)})
	_, answers = put(t, r, noon+second, isAt(nextMAC, peer), 0)
	if len(answers) != 5 {
		t.Fatalf("%d answers, want five", len(answers))
	}
	for i := 1; i < len(answers); i++ {
		if be16(answers[i][14+4:]) != be16(answers[i-1][14+4:])+1 {
			t.Error("they are not in the order in which they were asked for")
		}
	}
}

// All pieces of an answer wait, and go out in order.
func TestRoutedPieces(t *testing.T) {
	r := newResponder(t, routed)
	_, requests := putAll(t, r, noon, echoPieces(1, 5000, everyN(1480, 5008)...))
	checkAnswers(t, requests, [][]byte{wants(framegen.Broadcast, peer)})
	_, answers := put(t, r, noon, isAt(nextMAC, peer), 0)
	if !bytes.Equal(rejoin(t, answers, 1500), pong(1, count(5000))) {
		t.Error("another payload came back")
	}
}

// Nobody is believed who was not asked, or who can't be right.
func TestRoutedPoison(t *testing.T) {
	r := newRouted(t)
	fresh := addr("172.16.3.77")
	expect(t, r, noon, isAt(otherMAC, fresh), responder.ARPReply) // nobody asked
	expect(t, r, noon, pingOf(fresh), responder.Resolving, wants(framegen.Broadcast, fresh))
	for _, mac := range []framegen.MAC{nobody, framegen.Broadcast, {1, 0, 0x5e, 0, 0, 1}, ourMAC} {
		expect(t, r, noon, isAt(mac, fresh), responder.ARPReply)
	}
	expect(t, r, noon, isAt(otherMAC, fresh), responder.ARPReply, pongTo(otherMAC, fresh))

	// A request to us makes an entry: who wants an answer tells where he is.
	asker := addr("172.16.3.78")
	put(t, r, noon, asksFrom(otherMAC, asker), 0)
	expect(t, r, noon, pingOf(asker), responder.EchoAnswered, pongTo(otherMAC, asker))
	// One that we don't answer makes none, and who is not on link has no MAC here.
	elsewhere := addr("172.16.3.79")
	put(t, r, noon, arp(framegen.Broadcast, framegen.ARP{SenderMAC: otherMAC, Sender: elsewhere, Target: noAlias}), 0)
	expect(t, r, noon, pingOf(elsewhere), responder.Resolving, wants(framegen.Broadcast, elsewhere))
	put(t, r, noon, asksFrom(otherMAC, offLink), 0)
	expect(t, r, noon, pingOf(offLink), responder.EchoAnswered, pongTo(nextMAC, offLink))
	// Nor a probe.
	put(t, r, noon, asksFrom(otherMAC, addr("0.0.0.0")), 0)
	expect(t, r, noon, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
}

// RFC 826, "packet reception": an address that is known gets the MAC that ARP tells,
// before it is asked whom the packet is for. So a gateway that moves to another card
// and announces it (by request or by reply) is found there at once.
func TestRoutedAnnouncement(t *testing.T) {
	for _, op := range []uint16{1, 2} {
		r := newRouted(t)
		announced := framegen.ARP{Operation: op, SenderMAC: otherMAC, Sender: peer, TargetMAC: framegen.Broadcast, Target: peer}
		put(t, r, noon+5*second, framegen.Ether(framegen.Broadcast, otherMAC, framegen.TypeARP, announced.Bytes()), 0)
		_, answers := put(t, r, noon+5*second, pingOf(offLink), 0)
		if len(answers) != 1 || !bytes.Equal(answers[0][:6], otherMAC[:]) {
			t.Errorf("operation %d: the next answer is %x, want it at the new MAC %x", op, answers, otherMAC)
		}
	}
}

// What was confirmed half a minute ago is used and asked for again, once a second and
// straight to whom it concerns; after a minute and a half it is not used any more.
func TestRoutedStale(t *testing.T) {
	r := newRouted(t)
	expect(t, r, noon+20*second, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
	stale := noon + 35*second
	expect(t, r, stale, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer), wants(nextMAC, peer))
	expect(t, r, stale+second/2, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
	expect(t, r, stale+second, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer), wants(nextMAC, peer))
	expect(t, r, stale+2*second, isAt(nextMAC, peer), responder.ARPReply)
	expect(t, r, stale+20*second, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))

	gone := stale + 100*second
	expect(t, r, gone, pingOf(peer), responder.Resolving, wants(framegen.Broadcast, peer))
	expect(t, r, gone, isAt(otherMAC, peer), responder.ARPReply, pongTo(otherMAC, peer))
}

// A worker whose clock is a moment behind that of another, which has just confirmed a
// neighbour or asked for it, neither takes it for unknown nor asks again.
func TestRoutedMomentBehind(t *testing.T) {
	r := newRouted(t)
	const moment = second / 10
	expect(t, r, noon-moment, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
	stale := noon + 35*second
	expect(t, r, stale, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer), wants(nextMAC, peer))
	expect(t, r, stale-moment, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
}

// A clock that is set back makes nothing hang and nothing last for ever.
func TestRoutedClockBack(t *testing.T) {
	r := newRouted(t)
	now := noon - 3600*second
	v, answers := put(t, r, now, pingOf(peer), 0)
	if len(answers) == 0 {
		t.Fatalf("%v, neither an answer nor a request", v)
	}
	if v == responder.Resolving {
		expect(t, r, now, isAt(nextMAC, peer), responder.ARPReply, pongTo(nextMAC, peer))
	}
	expect(t, r, now+second, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
}

// What waits while the table changes follows it: an alias that is gone answers nothing.
func TestRoutedPublish(t *testing.T) {
	for name, change := range map[string]func(*responder.Interface){
		"alias gone":     func(i *responder.Interface) { i.Aliases = i.Aliases[2:] },
		"interface gone": func(i *responder.Interface) { i.Name = "v9" },
		"not routed":     func(i *responder.Interface) { i.Reply = responder.Reflect },
	} {
		r := newResponder(t, routed)
		expect(t, r, noon, pingOf(peer), responder.Resolving, wants(framegen.Broadcast, peer))
		i := lab()
		i.Reply = responder.Routed
		change(&i)
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
		_, answers := put(t, r, noon, isAt(nextMAC, peer), 0)
		if _, wake := tick(r, noon+second); len(answers) != 0 || wake != 0 {
			t.Errorf("%s: %x is sent, wakes at %d", name, answers, wake)
		}
	}
	// What stays keeps its neighbours.
	r := newRouted(t)
	i := lab()
	i.Reply = responder.Routed
	if _, err := r.Publish([]responder.Interface{i}); err != nil {
		t.Fatal(err)
	}
	expect(t, r, noon, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
}

// Requests carry the tags of the frame whose answer waits, and each VLAN has
// neighbours of its own.
func TestRoutedVLAN(t *testing.T) {
	r := responder.New(responder.Config{Workers: 1})
	plain, vlan := lab(), lab()
	vlan.Name, vlan.Tags = "v0.100", []uint16{100}
	plain.Reply, vlan.Reply = responder.Routed, responder.Routed
	if _, err := r.Publish([]responder.Interface{plain, vlan}); err != nil {
		t.Fatal(err)
	}
	tags := tag{ctag, 0x6000 | 100}
	expect(t, r, noon, tagged(pingOf(peer), tags), responder.Resolving, tagged(wants(framegen.Broadcast, peer), tags))
	expect(t, r, noon, isAt(otherMAC, peer), responder.ARPReply) // on the untagged network
	expect(t, r, noon, tagged(isAt(nextMAC, peer), tags), responder.ARPReply, tagged(pongTo(nextMAC, peer), tags))
	expect(t, r, noon, pingOf(peer), responder.Resolving, wants(framegen.Broadcast, peer))
	expect(t, r, noon, isAt(otherMAC, peer), responder.ARPReply, pongTo(otherMAC, peer))
	expect(t, r, noon, tagged(pingOf(peer), tags), responder.EchoAnswered, tagged(pongTo(nextMAC, peer), tags))
	stale := noon + 35*second
	expect(t, r, stale, tagged(pingOf(peer), tags), responder.EchoAnswered, tagged(pongTo(nextMAC, peer), tags), tagged(wants(nextMAC, peer), tags))
}
