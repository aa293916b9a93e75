package dissect

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
)

var (
	host    = framegen.MAC{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20}
	peer    = framegen.MAC{0x02, 0x00, 0x00, 0x00, 0x03, 0xc8}
	alias   = netip.MustParseAddr("172.16.3.10")
	gateway = netip.MustParseAddr("172.16.3.200")
	nobody  = netip.AddrFrom4([4]byte{})
)

func arp(a framegen.ARP) []byte {
	if a.SenderMAC == (framegen.MAC{}) {
		a.SenderMAC = peer
	}
	return framegen.Ether(framegen.Broadcast, peer, framegen.TypeARP, a.Bytes())
}

func ip(d framegen.IPv4) []byte {
	if !d.Src.IsValid() {
		d.Src, d.Dst = gateway, alias
	}
	return framegen.Ether(host, peer, framegen.TypeIPv4, d.Bytes())
}

func icmp(typ, code byte, rest uint32, payload []byte) []byte {
	return ip(framegen.IPv4{Protocol: framegen.ICMP, Payload: framegen.ICMPMessage(typ, code, rest, payload)})
}

func udp(payload []byte) []byte {
	return ip(framegen.IPv4{Protocol: framegen.UDP, Payload: framegen.UDPMessage(gateway, alias, 40000, 33434, payload)})
}

func tcp(s framegen.TCPSegment) []byte {
	s.From, s.To = 40000, 80
	return ip(framegen.IPv4{Protocol: framegen.TCP, Payload: s.Bytes(gateway, alias)})
}

// with gives a copy of f with bytes from a place on replaced.
func with(f []byte, at int, b ...byte) []byte {
	f = bytes.Clone(f)
	copy(f[at:], b)
	return f
}

func TestLine(t *testing.T) {
	request := framegen.ARP{Sender: gateway, Target: alias}
	echo := icmp(8, 0, 1<<16|1, make([]byte, 56))
	whole := framegen.IPv4{ID: 2, Src: gateway, Dst: alias, Protocol: framegen.ICMP,
		Payload: framegen.ICMPMessage(8, 0, 1<<16|1, make([]byte, 1992))}
	pieces := whole.Cut(1480)
	neighbour := append([]byte{0x60, 0, 0, 0, 0, 24, 58, 255}, make([]byte, 32)...)
	neighbour = append(neighbour, 135, 0, 0xff, 0xff-135+58+24-58-24, 0, 0, 0, 0)
	neighbour = append(neighbour, netip.MustParseAddr("fe80::1").AsSlice()...)

	for _, tc := range []struct {
		frame []byte
		want  string
	}{
		{nil, "Ethernet, cut short: 0 of 14 bytes of header"},
		{echo[:13], "Ethernet, cut short: 13 of 14 bytes of header"},
		{framegen.Tag(echo, framegen.TypeVLAN, 100)[:17], "Ethernet, cut short: 17 of 18 bytes of header"},
		{framegen.Ether(host, peer, 0x88cc, make([]byte, 46)), "LLDP, length 46"},
		{framegen.Ether(host, peer, 0x88b5, make([]byte, 46)), "ethertype 0x88b5, length 46"},
		{framegen.Ether(host, peer, 38, make([]byte, 46)), "802.3, length 38"},

		{arp(request), "ARP who-has 172.16.3.10 tell 172.16.3.200"},
		{arp(framegen.ARP{Sender: nobody, Target: alias}), "ARP who-has 172.16.3.10 (probe)"},
		{arp(framegen.ARP{Sender: alias, Target: alias}), "ARP announcement 172.16.3.10 is-at 02:00:00:00:03:c8"},
		{arp(framegen.ARP{Operation: 2, Sender: alias, Target: gateway, SenderMAC: host}), "ARP reply 172.16.3.10 is-at 00:8e:b8:83:19:20"},
		{arp(framegen.ARP{Operation: 77, Sender: gateway, Target: alias}), "ARP operation 77, 172.16.3.200 asks 172.16.3.10"},
		{arp(framegen.ARP{Hardware: 6, Sender: gateway, Target: alias}), "ARP who-has 172.16.3.10 tell 172.16.3.200, hardware type 6"},
		{arp(framegen.ARP{HardwareLen: 8, Sender: gateway, Target: alias}),
			"ARP request, hardware type 1 with 8 byte addresses, protocol 0x0800 with 4 byte addresses"},
		{arp(request)[:41], "ARP request, cut short: 27 of 28 bytes"},
		{arp(request)[:20], "ARP, cut short: 6 of 28 bytes"},

		{framegen.Tag(arp(request), framegen.TypeVLAN, 5<<13|100), "vlan 100, priority 5, ARP who-has 172.16.3.10 tell 172.16.3.200"},
		{framegen.Tag(framegen.Tag(arp(request), framegen.TypeVLAN, 200), framegen.TypeQinQ, 100),
			"vlan 100, vlan 200, ARP who-has 172.16.3.10 tell 172.16.3.200"},

		{echo, "IP 172.16.3.200 > 172.16.3.10: ICMP echo request, id 1, seq 1, length 64"},
		{append(bytes.Clone(echo), 0, 0, 0, 0), "IP 172.16.3.200 > 172.16.3.10: ICMP echo request, id 1, seq 1, length 64"},
		{icmp(0, 0, 1<<16|2, nil), "IP 172.16.3.200 > 172.16.3.10: ICMP echo reply, id 1, seq 2, length 8"},
		{icmp(8, 255, 1<<16|2, nil), "IP 172.16.3.200 > 172.16.3.10: ICMP echo request, code 255, id 1, seq 2, length 8"},
		{icmp(13, 0, 7<<16|2, make([]byte, 12)), "IP 172.16.3.200 > 172.16.3.10: ICMP timestamp request, id 7, seq 2, length 20"},
		{icmp(99, 1, 0, nil), "IP 172.16.3.200 > 172.16.3.10: ICMP type 99, code 1, length 8"},
		{icmp(12, 0, 21<<24, echo[14:42]), "IP 172.16.3.200 > 172.16.3.10: ICMP parameter problem at byte 21, length 36, " +
			"quoting (IP 172.16.3.200 > 172.16.3.10: ICMP echo request, id 1, seq 1, length 64)"},
		{icmp(3, 3, 0, udp(make([]byte, 8))[14:42]), "IP 172.16.3.200 > 172.16.3.10: ICMP port unreachable, length 36, " +
			"quoting (IP 172.16.3.200 > 172.16.3.10: UDP 40000 > 33434, length 8)"},
		{icmp(3, 4, 1280, nil), "IP 172.16.3.200 > 172.16.3.10: ICMP fragmentation needed, mtu 1280, length 8, quoting (IP, cut short: 0 of at least 20 bytes of header)"},
		{icmp(11, 1, 0, tcp(framegen.TCPSegment{Seq: 9})[14:42]), "IP 172.16.3.200 > 172.16.3.10: ICMP reassembly time exceeded, length 36, " +
			"quoting (IP 172.16.3.200 > 172.16.3.10: TCP 40000 > 80, seq 9)"},
		{with(echo, 60, 1), "IP 172.16.3.200 > 172.16.3.10: ICMP echo request, id 1, seq 1, length 64 (wrong ICMP checksum)"},
		{with(echo, 22, 63), "IP 172.16.3.200 > 172.16.3.10: ICMP echo request, id 1, seq 1, length 64 (wrong IP checksum)"},
		{with(echo, 22, 63)[:60], "IP 172.16.3.200 > 172.16.3.10: ICMP echo request, id 1, seq 1, length 64 (cut short: 46 of 84 bytes) (wrong IP checksum)"},
		{echo[:40], "IP 172.16.3.200 > 172.16.3.10: ICMP, length 64, header cut short: 6 of 8 bytes (cut short: 26 of 84 bytes)"},
		{echo[:30], "IP, cut short: 16 of at least 20 bytes of header"},
		{with(echo, 14, 0x55), "IP, version 5, expected 4"},
		{with(echo, 14, 0x44), "IP, header length 16, expected at least 20"},
		{with(echo, 14, 0x4f)[:60], "IP, cut short: 46 of 60 bytes of header"},
		{with(echo, 16, 0, 19)[:42], "IP 172.16.3.200 > 172.16.3.10: ICMP echo request, id 1, seq 1, length 0" +
			" (total length 19 is less than the header's 20) (wrong IP checksum)"},

		{ip(pieces[0]), "IP 172.16.3.200 > 172.16.3.10: frag 2 offset 0 +, ICMP echo request, id 1, seq 1, length 1480"},
		{ip(pieces[1]), "IP 172.16.3.200 > 172.16.3.10: frag 2 offset 1480, ICMP, length 520"},

		{udp(make([]byte, 8)), "IP 172.16.3.200 > 172.16.3.10: UDP 40000 > 33434, length 8"},
		{with(udp(make([]byte, 8)), 40, 0, 0), "IP 172.16.3.200 > 172.16.3.10: UDP 40000 > 33434, length 8"},
		{with(udp(make([]byte, 8)), 40, 0, 1), "IP 172.16.3.200 > 172.16.3.10: UDP 40000 > 33434, length 8 (wrong UDP checksum)"},
		{with(udp(make([]byte, 8)), 38, 0, 7), "IP 172.16.3.200 > 172.16.3.10: UDP 40000 > 33434, length 0 (UDP length 7 of 16 bytes)"},
		{with(udp(make([]byte, 8)), 38, 0, 17), "IP 172.16.3.200 > 172.16.3.10: UDP 40000 > 33434, length 9 (UDP length 17 of 16 bytes)"},

		{tcp(framegen.TCPSegment{Seq: 1, Flags: 2, Window: 64240, Options: []byte{2, 4, 5, 0xb4, 1, 3, 3, 7}}),
			"IP 172.16.3.200 > 172.16.3.10: TCP 40000 > 80, Flags [S], seq 1, win 64240, options [mss 1460, nop, wscale 7], length 0"},
		{tcp(framegen.TCPSegment{Seq: 1, Ack: 2, Flags: 0x18, Payload: []byte("hi")}),
			"IP 172.16.3.200 > 172.16.3.10: TCP 40000 > 80, Flags [P.], seq 1, ack 2, win 0, length 2"},
		{tcp(framegen.TCPSegment{}), "IP 172.16.3.200 > 172.16.3.10: TCP 40000 > 80, Flags [none], seq 0, win 0, length 0"},
		{tcp(framegen.TCPSegment{Offset: 4}), "IP 172.16.3.200 > 172.16.3.10: TCP 40000 > 80, Flags [none], seq 0, win 0, length 20 (TCP header length 16)"},
		{with(tcp(framegen.TCPSegment{}), 44, 9), "IP 172.16.3.200 > 172.16.3.10: TCP 40000 > 80, Flags [none], seq 0, win 0, length 0 (wrong TCP checksum)"},

		{ip(framegen.IPv4{Protocol: 2, Payload: make([]byte, 8)}), "IP 172.16.3.200 > 172.16.3.10: IGMP, length 8"},
		{ip(framegen.IPv4{Protocol: 200, Payload: make([]byte, 8)}), "IP 172.16.3.200 > 172.16.3.10: protocol 200, length 8"},
		{ip(framegen.IPv4{Protocol: 2, Options: []byte{7, 7, 8, 1, 2, 3, 4, 1, 68, 8, 9, 1, 0, 0, 0, 0, 148, 4, 0, 0, 99, 3, 0}}),
			"IP 172.16.3.200 > 172.16.3.10: options [RR pointer 8 of 7 1.2.3.4, nop, TS flag 1 overflow 0 pointer 9 of 8, router alert, option 99, 3 bytes, eol], IGMP, length 0"},
		{ip(framegen.IPv4{Protocol: 2, Options: []byte{7, 9, 0, 0}}),
			"IP 172.16.3.200 > 172.16.3.10: options [option 7 with bad length 9], IGMP, length 0"},

		{framegen.Ether(host, peer, typeIPv6, neighbour), "IP6 :: > ::: ICMP6 neighbor solicitation, target fe80::1, length 24 (wrong ICMP6 checksum)"},
		{framegen.Ether(host, peer, typeIPv6, neighbour[:39]), "IP6, cut short: 39 of 40 bytes of header"},
		{framegen.Ether(host, peer, typeIPv6, neighbour[:50]), "IP6 :: > ::: ICMP6 neighbor solicitation, length 24 (cut short: 50 of 64 bytes)"},
	} {
		if got := Line(tc.frame); got != tc.want {
			t.Errorf("%x\ngot  %s\nwant %s", tc.frame, got, tc.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	request := arp(framegen.ARP{Sender: gateway, Target: alias})
	for _, tc := range []struct {
		name   string
		frame  []byte
		ok     bool
		source netip.Addr
		target netip.Addr
	}{
		{"ARP", request, true, gateway, alias},
		{"ARP behind two tags", framegen.Tag(framegen.Tag(request, framegen.TypeVLAN, 2), framegen.TypeQinQ, 1), true, gateway, alias},
		{"IPv4", udp(nil), true, gateway, alias},
		{"cut ARP", request[:41], false, netip.Addr{}, netip.Addr{}},
		{"cut IPv4", udp(nil)[:33], false, netip.Addr{}, netip.Addr{}},
		{"neither", framegen.Ether(host, peer, 0x88cc, make([]byte, 46)), false, netip.Addr{}, netip.Addr{}},
		{"nothing", nil, false, netip.Addr{}, netip.Addr{}},
	} {
		source, ok := Source(tc.frame)
		target, _ := Target(tc.frame)
		if ok != tc.ok || source != tc.source || target != tc.target {
			t.Errorf("%s: got %v > %v, %t, want %v > %v, %t", tc.name, source, target, ok, tc.source, tc.target, tc.ok)
		}
	}
}

func TestTags(t *testing.T) {
	f := framegen.Tag(framegen.Tag(udp(nil), framegen.TypeVLAN, 6<<13), framegen.TypeQinQ, 1<<12|100)
	if got := Tags(f); len(got) != 1 || got[0] != 100 {
		t.Errorf("got %v, want only 100: a tag without identifier is none", got)
	}
}
