package shield

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/responder"
)

// ours is what the tests shield: aliases on and off link, untagged and in VLANs.
func ours() []responder.Interface {
	i := untagged("172.16.3.0/24", "10.64.0.0/16", "10.65.0.5")
	i.Host = []netip.Addr{hostIP}
	i.Gateways = []netip.Addr{peerIP}
	i.Networks = []netip.Prefix{netip.MustParsePrefix("172.16.3.1/24")}
	i.Exclude = spans("10.64.0.9")
	vlan := untagged("10.100.0.1")
	vlan.Name, vlan.Tags = "eth0.100", []uint16{100}
	qinq := untagged("10.200.0.1")
	qinq.Name, qinq.Tags = "eth0.100.200", []uint16{100, 200}
	return []responder.Interface{i, vlan, qinq}
}

// ip is a ping from the tests' own sender, who is nobody's neighbour.
func ip(dst string) []byte { return ipTo(macHost, dst) }

func ipTo(mac framegen.MAC, dst string) []byte {
	return framegen.Ether(mac, macTest, framegen.TypeIPv4, framegen.IPv4{Protocol: framegen.ICMP, Src: peerIP, Dst: netip.MustParseAddr(dst),
		Payload: framegen.ICMPMessage(8, 0, 1, nil)}.Bytes())
}

func arpFor(target string) []byte { return arp(framegen.ARP{Target: netip.MustParseAddr(target)}) }

func arp(a framegen.ARP) []byte {
	a.SenderMAC = macTest
	if !a.Sender.IsValid() {
		a.Sender = netip.MustParseAddr("172.16.3.77")
	}
	return framegen.Ether(framegen.Broadcast, macTest, framegen.TypeARP, a.Bytes())
}

// tag puts tags around a frame, outermost first.
func tag(frame []byte, ids ...uint16) []byte {
	for _, id := range slices.Backward(ids) {
		frame = framegen.Tag(frame, framegen.TypeVLAN, 3<<13|id) // the priority is nobody's concern
	}
	return frame
}

// What is dropped, and what is not; AF_PACKET hears all of it.
func TestWhatIsDropped(t *testing.T) {
	l := newLab(t)
	l.raise(t, ours()...)
	const drop, pass = true, false
	for _, tc := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"IP to an alias on link", ip("172.16.3.10"), drop},
		{"IP to the first of a prefix", ip("10.64.0.0"), drop},
		{"IP to the last of a prefix", ip("10.64.255.255"), drop},
		{"IP to the address before", ip("10.63.255.255"), pass},
		{"IP to the address behind", ip("10.65.0.0"), pass},
		{"IP to a single alias", ip("10.65.0.5"), drop},
		{"IP to the host", ip("172.16.3.1"), pass},
		{"IP to the gateway", ip("172.16.3.200"), pass},
		{"IP to the broadcast address", ip("172.16.3.255"), pass},
		{"IP to an excluded address", ip("10.64.0.9"), pass},
		{"IP to somebody else", ip("192.0.2.1"), pass},
		{"IP to an alias, broadcast", ipTo(framegen.Broadcast, "172.16.3.10"), drop},
		{"IP to an alias, another MAC", ipTo(framegen.MAC{2, 0, 0, 0, 3, 9}, "172.16.3.10"), pass},
		{"not IP, though it looks so", framegen.Ether(macHost, macTest, 0x88b5, ip("172.16.3.10")[14:]), pass},

		{"ARP for an alias", arpFor("172.16.3.10"), drop},
		{"ARP for an alias, hardware type 6", arp(framegen.ARP{Hardware: 6, Target: onLink}), drop},
		{"ARP probe for an alias", arp(framegen.ARP{Sender: netip.IPv4Unspecified(), Target: onLink}), drop},
		{"ARP for the host", arpFor("172.16.3.1"), pass},
		{"ARP for somebody else", arpFor("192.0.2.1"), pass},
		{"ARP for an excluded address", arpFor("10.64.0.9"), pass},
		{"ARP reply to the host", arp(framegen.ARP{Operation: 2, Sender: onLink, Target: hostIP}), pass},
		{"ARP reply to an alias", arp(framegen.ARP{Operation: 2, Target: onLink}), pass},
		{"ARP for another protocol", arp(framegen.ARP{Protocol: 0x86dd, Target: onLink}), pass},

		{"priority tag", tag(ip("172.16.3.10"), 0), drop},
		{"two priority tags", tag(ip("172.16.3.10"), 0, 0), drop},
		{"ARP with a priority tag", tag(arpFor("172.16.3.10"), 0), drop},
		{"ARP with two priority tags", tag(arpFor("172.16.3.10"), 0, 0), drop},
		{"host with a priority tag", tag(ip("172.16.3.1"), 0), pass},
		{"VLAN 100", tag(ip("10.100.0.1"), 100), drop},
		{"VLAN 100, service tag", framegen.Tag(ip("10.100.0.1"), framegen.TypeQinQ, 100), drop},
		{"VLAN 100 in a priority tag", tag(ip("10.100.0.1"), 0, 100), drop},
		{"VLAN 100 around a priority tag", tag(ip("10.100.0.1"), 100, 0), drop},
		{"ARP in VLAN 100", tag(arpFor("10.100.0.1"), 100), drop},
		{"VLAN 100's alias, untagged", ip("10.100.0.1"), pass},
		{"VLAN 100's alias in VLAN 101", tag(ip("10.100.0.1"), 101), pass},
		{"VLAN 100, an untagged alias", tag(ip("172.16.3.10"), 100), pass},
		{"QinQ", tag(ip("10.200.0.1"), 100, 200), drop},
		{"QinQ with a service tag", framegen.Tag(tag(ip("10.200.0.1"), 200), framegen.TypeQinQ, 100), drop},
		{"QinQ, ARP", tag(arpFor("10.200.0.1"), 100, 200), drop},
		{"QinQ, the wrong way round", tag(ip("10.200.0.1"), 200, 100), pass},
		{"QinQ, another inner tag", tag(ip("10.200.0.1"), 100, 201), pass},
		{"QinQ, VLAN 100's alias", tag(ip("10.100.0.1"), 100, 200), pass},
		{"three tags", tag(ip("10.200.0.1"), 100, 200, 1), pass},
	} {
		before := l.count.read(t)
		l.hear(t, tc.frame)
		if got := l.count.read(t) - before; got != map[bool]uint64{drop: 0, pass: 1}[tc.want] {
			t.Errorf("%s: %d frames passed, want drop: %v", tc.name, got, tc.want)
		}
		if heard := l.tapped(t); heard != 1 {
			t.Errorf("%s: AF_PACKET heard %d frames", tc.name, heard)
		}
	}
}

// Without the shield the kernel forwards, redirects and answers ARP on an
// alias's behalf; with it, it does nothing.
func TestKernelKeepsStill(t *testing.T) {
	l := newLab(t)
	fresh := onLink
	fromPeer := func(f []byte) []byte { copy(f[6:], macPeer[:]); return f }
	check := func(when string, works bool) {
		t.Helper()
		fresh = fresh.Next() // what the kernel resolved in vain it does not ask for again at once
		for _, f := range []struct {
			name  string
			frame []byte
		}{
			{"alias on link", fromPeer(ip(fresh.String()))},
			{"alias off link", fromPeer(ip(offLink.String()))},
			{"alias off link with a TTL of 1", fromPeer(framegen.Ether(macHost, macTest, framegen.TypeIPv4,
				framegen.IPv4{TTL: 1, Protocol: framegen.UDP, Src: peerIP, Dst: offLink, Payload: framegen.UDPMessage(peerIP, offLink, 1, 1, nil)}.Bytes()))},
			{"ARP for an alias that is routed elsewhere", arpFor(proxied.String())},
		} {
			heard := l.hear(t, f.frame)
			if (len(heard) > 0) != works {
				t.Errorf("%s, %s: the kernel sent %d frames: %x", when, f.name, len(heard), heard)
			}
		}
	}
	check("before", true)
	s := l.raise(t)
	check("with an empty shield", true)
	update(t, s, ours()...)
	check("with a shield", false)
	if err := s.Lower(); err != nil {
		t.Fatal(err)
	}
	check("after it was lowered", true)
	if left := l.tables(t); len(left) > 0 {
		t.Errorf("tables left: %q", left)
	}
}

// The host answers ARP and pings for its own address, and resolves its peer's.
func TestHostWorksOn(t *testing.T) {
	l := newLab(t)
	netlab.Need(t, "ping", "ip")
	l.raise(t, ours()...)
	for _, tc := range []struct {
		from *netlab.Namespace
		card string
		to   netip.Addr
	}{{l.peer, netlab.CardB, hostIP}, {l.host, netlab.CardA, peerIP}} {
		if out, err := tc.from.Command("ip", "neigh", "flush", "dev", tc.card).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if out, err := tc.from.Command("ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", tc.to.String()).CombinedOutput(); err != nil {
			t.Errorf("ping %s: %v\n%s", tc.to, err, out)
		}
	}
}
