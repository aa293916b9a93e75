package responder_test

import (
	"net/netip"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// A verdictCase is a frame and what must become of it.
type verdictCase struct {
	verdict responder.Verdict
	note    string                     // what is special, where a verdict has several frames
	with    func(*responder.Interface) // changes the lab
	before  [][]byte                   // frames that come first, in the same batch
	frame   []byte
	flags   uint8
	want    [][]byte   // the answers to frame
	counted netip.Addr // the alias that the frame (and those before it) is counted for
	stray   bool       // the frame belongs to no interface
	asksARP bool       // what goes out is an ARP request of our own, which is nobody's answer
}

// verdictCases holds at least one frame for every verdict.
func verdictCases() []verdictCase {
	var all []verdictCase
	all = append(all, etherCases()...)
	all = append(all, arpCases()...)
	all = append(all, headerCases()...)
	all = append(all, deliveryCases()...)
	all = append(all, fragmentCases()...)
	all = append(all, icmpCases()...)
	return append(all, refusalCases()...)
}

func etherCases() []verdictCase {
	request := whoHas(alias)
	return []verdictCase{
		{verdict: responder.EthShort, frame: request[:13], stray: true},
		{verdict: responder.EthShort, note: "no byte at all", frame: nil, stray: true},
		{verdict: responder.EthShort, note: "ends in a tag", frame: framegen.Tag(request, framegen.TypeVLAN, 5)[:17], stray: true},
		{verdict: responder.OtherHost, frame: arp(otherMAC, framegen.ARP{SenderMAC: peerMAC, Sender: peer, Target: alias})},
		{verdict: responder.VLANOther, frame: framegen.Tag(request, framegen.TypeVLAN, 100), stray: true},
		{verdict: responder.EtherTypeOther, frame: framegen.Ether(ourMAC, peerMAC, 0x86dd, count(40))},
	}
}

func arpCases() []verdictCase {
	reply := func(target framegen.MAC, ip netip.Addr) []byte {
		return framegen.Ether(target, ourMAC, framegen.TypeARP, framegen.ARP{
			Operation: 2,
			SenderMAC: ourMAC,
			Sender:    alias,
			TargetMAC: target,
			Target:    ip,
		}.Bytes())
	}
	from := func(mac framegen.MAC, ip netip.Addr) []byte {
		return arp(framegen.Broadcast, framegen.ARP{SenderMAC: mac, Sender: ip, Target: alias})
	}
	zero := addr("0.0.0.0")
	return []verdictCase{
		{verdict: responder.ARPAnswered, frame: whoHas(alias), want: [][]byte{reply(peerMAC, peer)}, counted: alias},
		{
			verdict: responder.ARPAnswered, note: "hardware type 6, unicast, padded",
			frame: append(arp(ourMAC, framegen.ARP{
				Hardware:  6,
				SenderMAC: otherMAC,
				Sender:    peer,
				TargetMAC: framegen.MAC{0xde, 0xad, 0xbe, 0xef},
				Target:    alias,
			}), count(18)...),
			want: [][]byte{reply(otherMAC, peer)}, counted: alias,
		},
		{verdict: responder.ARPProbeAnswered, frame: from(peerMAC, zero), want: [][]byte{reply(peerMAC, zero)}, counted: alias},
		{verdict: responder.ARPShort, frame: whoHas(alias)[:14+27]},
		{verdict: responder.ARPFormat, note: "hardware", frame: arp(ourMAC, framegen.ARP{Hardware: 2, Sender: peer, Target: alias})},
		{verdict: responder.ARPFormat, note: "protocol", frame: arp(ourMAC, framegen.ARP{Protocol: 0x86dd, Sender: peer, Target: alias})},
		{verdict: responder.ARPFormat, note: "hardware length", frame: arp(ourMAC, framegen.ARP{HardwareLen: 8, Sender: peer, Target: alias})},
		{verdict: responder.ARPFormat, note: "protocol length", frame: arp(ourMAC, framegen.ARP{ProtocolLen: 16, Sender: peer, Target: alias})},
		{verdict: responder.ARPOperation, frame: arp(ourMAC, framegen.ARP{Operation: 3, SenderMAC: peerMAC, Sender: peer, Target: alias})},
		{verdict: responder.ARPNotAlias, frame: whoHas(noAlias)},
		{verdict: responder.ARPReply, frame: arp(ourMAC, framegen.ARP{Operation: 2, SenderMAC: peerMAC, Sender: peer, Target: alias})},
		{verdict: responder.ARPConflict, frame: from(peerMAC, alias)},
		{verdict: responder.ARPConflict, note: "in a reply", frame: arp(framegen.Broadcast, framegen.ARP{Operation: 2, SenderMAC: peerMAC, Sender: alias, Target: alias})},
		{verdict: responder.ARPOwn, frame: from(ourMAC, alias)},
		{verdict: responder.ARPSpoofed, frame: from(otherMAC, alias)},
		{verdict: responder.ARPSource, frame: from(peerMAC, addr("127.0.0.1"))},
		{
			verdict: responder.ARPSource, note: "the host's own address",
			with:  func(i *responder.Interface) { i.Host = []netip.Addr{noAlias} },
			frame: from(peerMAC, noAlias),
		},
		{verdict: responder.ARPNoReturn, frame: from(framegen.Broadcast, peer), counted: alias},
		{verdict: responder.ARPNoReturn, note: "zero", frame: from(nobody, peer), counted: alias},
		{verdict: responder.ARPNoReturn, note: "ourselves", frame: from(ourMAC, peer), counted: alias},
	}
}

// headerCases are about the IPv4 header up to its addresses and options.
func headerCases() []verdictCase {
	const version, length, ttl = 14, 16, 22
	echo := ask(framegen.IPv4{Protocol: framegen.ICMP, Payload: ping(1, count(8))})
	with := func(options ...byte) framegen.IPv4 {
		return framegen.IPv4{Protocol: framegen.ICMP, Options: options, Payload: ping(1, nil)}
	}
	badRoute := with(7, 7, 3, 0, 0, 0, 0) // record route: the pointer is below 4
	return []verdictCase{
		{verdict: responder.IPShort, frame: echo[:14+19]},
		{verdict: responder.IPShort, note: "within its options", frame: fixed(patch(echo, version, 0x4f))[:14+32]},
		{verdict: responder.IPVersion, frame: patch(echo, version, 0x65)},
		{verdict: responder.IPHeaderLength, frame: patch(echo, version, 0x44)},
		{verdict: responder.IPLength, note: "beyond the frame", frame: fixed(patch(echo, length, 0, 37))},
		{verdict: responder.IPLength, note: "below the header", frame: fixed(patch(echo, length, 0, 19))},
		{verdict: responder.IPChecksum, frame: patch(echo, ttl, 63)},
		{verdict: responder.IPSource, frame: ask(framegen.IPv4{Protocol: framegen.ICMP, Src: addr("127.0.0.1"), Payload: ping(1, nil)}), counted: alias},
		{verdict: responder.IPSource, note: "an alias", frame: ask(framegen.IPv4{Protocol: framegen.ICMP, Src: alias2, Payload: ping(1, nil)}), counted: alias},
		{verdict: responder.IPNotAlias, frame: ask(framegen.IPv4{Protocol: framegen.ICMP, Dst: noAlias, Payload: ping(1, nil)})},
		{verdict: responder.IPSourceRoute, frame: ask(with(131, 7, 8, 172, 16, 3, 50)), counted: alias},
		{
			verdict: responder.IPOptionRefused,
			frame:   ask(badRoute),
			want: [][]byte{answer(framegen.IPv4{
				TOS:      0xc0,
				Protocol: framegen.ICMP,
				Payload:  framegen.ICMPMessage(12, 0, 22<<24, ask(badRoute)[14:]),
			})},
			counted: alias,
		},
		{verdict: responder.IPOptionBad, note: "came to everybody", frame: askAt(framegen.Broadcast, badRoute), counted: alias},
		{
			verdict: responder.IPOptionBad, note: "about an error",
			frame:   ask(framegen.IPv4{Protocol: framegen.ICMP, Options: badRoute.Options, Payload: framegen.ICMPMessage(3, 1, 0, nil)}),
			counted: alias,
		},
	}
}

// deliveryCases are about the way back.
func deliveryCases() []verdictCase {
	echo := framegen.IPv4{Protocol: framegen.ICMP, Payload: ping(1, count(8))}
	big := framegen.IPv4{Protocol: framegen.ICMP, Payload: ping(1, count(65507))}
	routed := func(i *responder.Interface) { i.Reply = responder.Routed }
	var crowd [][]byte
	for n := range 4096 {
		crowd = append(crowd, ask(framegen.IPv4{
			Protocol: framegen.ICMP,
			Src:      netip.AddrFrom4([4]byte{172, 16, 3, byte(201 + n%50)}),
			Payload:  ping(1, nil),
		}))
	}
	return []verdictCase{
		{
			verdict: responder.NotFrom,
			with:    func(i *responder.Interface) { i.From = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
			frame:   ask(echo), counted: alias,
		},
		{
			verdict: responder.NotFrom, note: "ARP, by label",
			with: func(i *responder.Interface) {
				i.Aliases[1].From = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			},
			frame: whoHas(alias), counted: alias,
		},
		{verdict: responder.NoReturn, note: "to a zero MAC", frame: patch(ask(echo), 6, nobody[:]...), counted: alias},
		{verdict: responder.NoReturn, note: "to a group MAC", frame: patch(ask(echo), 6, 1, 0, 0x5e), counted: alias},
		{verdict: responder.NoReturn, note: "to ourselves", frame: patch(ask(echo), 6, ourMAC[:]...), counted: alias},
		{
			verdict: responder.NoReturn, note: "to the subnet broadcast",
			frame:   ask(framegen.IPv4{Protocol: framegen.ICMP, Src: addr("172.16.3.255"), Payload: ping(1, nil)}),
			counted: alias,
		},
		{
			// Frames merged by a card (GRO) are larger than the MTU; each of the answers
			// takes 65 KiB of scratch memory.
			verdict: responder.NoRoom,
			before:  repeat(ask(big), 7), frame: ask(big), counted: alias,
		},
		{
			verdict: responder.Resolving, with: routed, frame: ask(echo), counted: alias, asksARP: true,
			want: [][]byte{framegen.Ether(framegen.Broadcast, ourMAC, framegen.TypeARP, framegen.ARP{
				SenderMAC: ourMAC,
				Sender:    alias,
				Target:    peer,
			}.Bytes())},
		},
		{verdict: responder.Unresolved, with: routed, before: crowd, frame: crowd[0], counted: alias, asksARP: true},
	}
}

func repeat(frame []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, frame)
	}
	return all
}

func fragmentCases() []verdictCase {
	whole := framegen.IPv4{ID: 7, Protocol: framegen.ICMP, Payload: ping(1, count(24))}
	pieces := whole.Cut(8, 16)
	overlap := pieces[1]
	overlap.Offset, overlap.Payload = 0, count(16)
	last, beyond := pieces[2], pieces[1]
	beyond.Offset = 64
	return []verdictCase{
		{verdict: responder.FragmentHeld, frame: ask(pieces[0]), counted: alias},
		{verdict: responder.FragmentDuplicate, before: [][]byte{ask(pieces[0])}, frame: ask(pieces[0]), counted: alias},
		{verdict: responder.FragmentOverlap, before: [][]byte{ask(pieces[0])}, frame: ask(overlap), counted: alias},
		{verdict: responder.FragmentBad, before: [][]byte{ask(last)}, frame: ask(beyond), counted: alias},
		{
			verdict: responder.EchoAnswered, note: "of three pieces",
			before:  [][]byte{ask(pieces[0]), ask(pieces[2])},
			frame:   ask(pieces[1]),
			want:    [][]byte{answer(framegen.IPv4{Protocol: framegen.ICMP, Payload: pong(1, count(24))})},
			counted: alias,
		},
	}
}
