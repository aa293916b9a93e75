package responder_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// hostOf is one of many hosts on link, hostMAC where it is.
func hostOf(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func hostMAC(n int) framegen.MAC { return framegen.MAC{2, 1, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

func wide(i *responder.Interface) {
	i.Networks = append(i.Networks, netip.MustParsePrefix("10.0.0.0/8"))
}

// hostsApart gives hosts that share their places in the ARP cache neither with each other
// nor with peer. Which do depends on keys that are random: of some hundred, a pair in
// most runs.
func hostsApart(n int) []int {
	taken := map[uint32]bool{responder.NeighbourSlot(peer): true}
	var hosts []int
	for i := 1; len(hosts) < n; i++ {
		if s := responder.NeighbourSlot(hostOf(i)); !taken[s] {
			taken[s] = true
			hosts = append(hosts, i)
		}
	}
	return hosts
}

// However many next hops stay silent, who is known is answered at once, what
// waits is bounded, and all of it is over after three seconds.
func TestRoutedSilentHops(t *testing.T) {
	const room = 128
	r := newRouted(t, wide)
	hosts := hostsApart(3*room + 2)
	first, fifth, late, later := hosts[0], hosts[4], hosts[3*room], hosts[3*room+1]
	waiting := 0
	for _, n := range hosts[:3*room] {
		v, answers := put(t, r, noon, pingOf(hostOf(n)), 0)
		switch {
		case v == responder.Resolving && len(answers) == 1:
			waiting++
		case v != responder.Unresolved:
			t.Fatalf("host %d: %v, %x", n, v, answers)
		}
		expect(t, r, noon, pingOf(peer), responder.EchoAnswered, pongTo(nextMAC, peer))
	}
	if waiting != room {
		t.Errorf("%d answers wait, want %d", waiting, room)
	}
	// Each that is resolved makes room for another one.
	expect(t, r, noon, isAt(hostMAC(fifth), hostOf(fifth)), responder.ARPReply, pongTo(hostMAC(fifth), hostOf(fifth)))
	expect(t, r, noon, pingOf(hostOf(late)), responder.Resolving, wants(framegen.Broadcast, hostOf(late)))
	expect(t, r, noon, pingOf(hostOf(later)), responder.Unresolved, wants(framegen.Broadcast, hostOf(later)))
	sent := 0
	for now := noon + second; now <= noon+3*second; now += second {
		answers, _ := tick(r, now)
		sent += len(answers)
	}
	if sent != 2*room {
		t.Errorf("%d requests were repeated, want %d", sent, 2*room)
	}
	if _, wake := tick(r, noon+3*second); wake != 0 {
		t.Error("something still waits")
	}
	expect(t, r, noon+4*second, pingOf(hostOf(first)), responder.Resolving, wants(framegen.Broadcast, hostOf(first)))
}

// A next hop that is not known is asked for even while there is no room to wait for it:
// else nobody who came later would ever be answered, as long as the others keep coming.
func TestRoutedAsksWithoutRoom(t *testing.T) {
	r := newResponder(t, routed, wide)
	for _, n := range hostsApart(200) {
		put(t, r, noon, pingOf(hostOf(n)), 0)
	}
	expect(t, r, noon, pingOf(offLink), responder.Unresolved, wants(framegen.Broadcast, peer))
}

// The cache has a fixed size. Whatever is put into it, an answer goes to the right MAC
// or waits, never to another's.
func TestRoutedCacheReplaces(t *testing.T) {
	const hosts = 100_000 // of 65,536 that it has room for
	r := newResponder(t, routed, wide)
	learned := make([][]byte, 0, 64)
	w := r.Worker(0)
	for n := range hosts {
		if learned = append(learned, asksFrom(hostMAC(n+1), hostOf(n+1))); len(learned) == cap(learned) {
			w.Handle(noon, learned, nil, nil)
			learned = learned[:0]
		}
	}
	known := 0
	for n := range hosts {
		answers, _ := w.Handle(noon, [][]byte{pingOf(hostOf(n + 1))}, nil, nil)
		if len(answers) == 0 || be16(answers[0][12:]) == framegen.TypeARP {
			continue // it waits, or there is no room to
		}
		known++
		if mac := hostMAC(n + 1); !bytes.Equal(answers[0][:6], mac[:]) {
			t.Fatalf("the answer to host %d goes to %x", n+1, answers[0][:6])
		}
	}
	if known > 65536 || known < 65536/2 {
		t.Errorf("%d hosts are known", known)
	}
}
