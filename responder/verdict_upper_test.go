package responder_test

import (
	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

func icmpCases() []verdictCase {
	echo := framegen.IPv4{TOS: 0x2f, TTL: 1, ID: 99, Flags: framegen.DontFragment, Protocol: framegen.ICMP, Payload: ping(1, count(56))}
	odd := framegen.IPv4{Protocol: framegen.ICMP, Payload: framegen.ICMPMessage(8, 255, 0, count(3))}
	zeros := framegen.ICMPMessage(0, 0, 0, make([]byte, 8))
	unfinished := patch(ask(echo), 36, 0, 0)
	clock := framegen.ICMPMessage(13, 0, 0x12340001, []byte{
		0, 0, 4, 0, // originate
		0, 0, 0, 0, // receive
		0, 0, 0, 0, // transmit
	})
	return []verdictCase{
		{
			verdict: responder.EchoAnswered,
			frame:   append(ask(echo), count(9)...), // what follows the datagram is not echoed
			want:    [][]byte{answer(framegen.IPv4{TOS: 0x2f, Protocol: framegen.ICMP, Payload: pong(1, count(56))})},
			counted: alias,
		},
		{
			verdict: responder.EchoAnswered, note: "another code, odd length",
			frame:   ask(odd),
			want:    [][]byte{answer(framegen.IPv4{Protocol: framegen.ICMP, Payload: framegen.ICMPMessage(0, 255, 0, count(3))})},
			counted: alias,
		},
		{
			verdict: responder.EchoAnswered, note: "all zero: the checksum is 0xffff",
			frame:   ask(framegen.IPv4{Protocol: framegen.ICMP, Payload: framegen.ICMPMessage(8, 0, 0, make([]byte, 8))}),
			want:    [][]byte{answer(framegen.IPv4{Protocol: framegen.ICMP, Payload: zeros})},
			counted: alias,
		},
		{
			verdict: responder.EchoAnswered, note: "checksum not computed yet",
			frame: unfinished, flags: responder.ChecksumNotReady,
			want:    [][]byte{answer(framegen.IPv4{TOS: 0x2f, Protocol: framegen.ICMP, Payload: pong(1, count(56))})},
			counted: alias,
		},
		{
			verdict: responder.EchoAnswered, note: "with a route and timestamps to record",
			frame: ask(framegen.IPv4{
				Protocol: framegen.ICMP,
				Options:  option(timestamp, 12, 5, 0, empty, empty, recordRoute, 11, 4, empty, empty),
				Payload:  ping(1, count(8)),
			}),
			want: [][]byte{answer(framegen.IPv4{
				Protocol: framegen.ICMP,
				Options:  option(recordRoute, 11, 12, ourAlias, ourAlias, timestamp, 12, 13, 0, stamp, stamp),
				Payload:  pong(1, count(8)),
			})},
			counted: alias,
		},
		{
			verdict: responder.EchoLimited,
			with:    func(i *responder.Interface) { i.Limits = responder.Limits{EchoRate: 1, EchoBurst: 1} },
			before:  [][]byte{ask(echo)}, frame: ask(echo), counted: alias,
		},
		{
			verdict: responder.TimestampAnswered,
			frame:   ask(framegen.IPv4{Protocol: framegen.ICMP, Payload: clock}),
			want: [][]byte{answer(framegen.IPv4{Protocol: framegen.ICMP, Payload: framegen.ICMPMessage(14, 0, 0x12340001, []byte{
				0, 0, 4, 0,
				noonMs >> 24, noonMs >> 16 & 255, noonMs >> 8 & 255, noonMs & 255,
				noonMs >> 24, noonMs >> 16 & 255, noonMs >> 8 & 255, noonMs & 255,
			})})},
			counted: alias,
		},
		{verdict: responder.ICMPShort, frame: ask(framegen.IPv4{Protocol: framegen.ICMP, Payload: []byte{8, 0, 0xf7, 0xff}}), counted: alias},
		{verdict: responder.ICMPChecksum, frame: patch(ask(echo), 50, 0xff), counted: alias},
		{verdict: responder.ICMPIgnored, frame: ask(framegen.IPv4{Protocol: framegen.ICMP, Payload: pong(1, nil)}), counted: alias},
		{verdict: responder.ICMPIgnored, note: "address mask", frame: ask(framegen.IPv4{Protocol: framegen.ICMP, Payload: framegen.ICMPMessage(17, 0, 0, count(4))}), counted: alias},
	}
}

func refusalCases() []verdictCase {
	udp := framegen.IPv4{TOS: 0x1f, Protocol: framegen.UDP, Payload: framegen.UDPMessage(peer, alias, 4000, 53, count(12))}
	lite := framegen.IPv4{Protocol: framegen.UDPLite, Payload: framegen.UDPLiteMessage(peer, alias, 4000, 53, 8, count(12))}
	unknown := framegen.IPv4{Protocol: 200, Payload: count(2000)}
	syn := segment(framegen.TCPSegment{Seq: 1000, Flags: 2, Window: 64240, Payload: count(5)})
	ack := segment(framegen.TCPSegment{Seq: 1000, Ack: 0xfedcba98, Flags: 0x10})
	drop := func(i *responder.Interface) { i.Closed = responder.Drop }
	dropLabel := func(i *responder.Interface) { i.Aliases[1].HasClosed, i.Aliases[1].Closed = true, responder.Drop }
	oneError := func(i *responder.Interface) { i.Limits = responder.Limits{ErrorRate: 1, ErrorBurst: 1} }
	onePeer := func(i *responder.Interface) { i.Limits = responder.Limits{PeerRate: 1, PeerBurst: 1} }
	return []verdictCase{
		{verdict: responder.UDPRefused, frame: ask(udp), want: [][]byte{portUnreachable(udp)}, counted: alias},
		{verdict: responder.UDPRefused, note: "UDP-Lite", frame: ask(lite), want: [][]byte{portUnreachable(lite)}, counted: alias},
		{verdict: responder.UDPShort, frame: ask(framegen.IPv4{Protocol: framegen.UDP, Payload: count(7)}), counted: alias},
		{verdict: responder.UDPShort, note: "its length is beyond the end", frame: patch(ask(udp), 38, 0, 21), counted: alias},
		{verdict: responder.UDPChecksum, frame: patch(ask(udp), 45, 0xff), counted: alias},
		{verdict: responder.TCPReset, frame: ask(syn), want: [][]byte{reset(framegen.TCPSegment{Flags: 0x14, Ack: 1006})}, counted: alias},
		{verdict: responder.TCPReset, note: "with an acknowledgement", frame: ask(ack), want: [][]byte{reset(framegen.TCPSegment{Flags: 4, Seq: 0xfedcba98})}, counted: alias},
		{verdict: responder.TCPShort, frame: ask(framegen.IPv4{Protocol: framegen.TCP, Payload: count(19)}), counted: alias},
		{verdict: responder.TCPShort, note: "data offset", frame: ask(segment(framegen.TCPSegment{Offset: 4, Flags: 2})), counted: alias},
		{verdict: responder.TCPChecksum, frame: patch(ask(syn), 40, 0xff), counted: alias},
		{verdict: responder.TCPIgnored, frame: ask(segment(framegen.TCPSegment{Flags: 4})), counted: alias},
		{verdict: responder.TCPIgnored, note: "signed", frame: ask(segment(framegen.TCPSegment{Flags: 2, Options: append([]byte{19, 18}, count(16)...)})), counted: alias},
		{
			verdict: responder.ProtocolRefused, frame: ask(unknown),
			want: [][]byte{answer(framegen.IPv4{
				TOS:      0xc0,
				Protocol: framegen.ICMP,
				Payload:  framegen.ICMPMessage(3, 2, 0, ask(unknown)[14:][:576-28]), // RFC 1812 4.3.2.3
			})},
			counted: alias,
		},
		{verdict: responder.ProtocolSilent, note: "IGMP", frame: ask(framegen.IPv4{Protocol: 2, Payload: count(8)}), counted: alias},
		{verdict: responder.ProtocolSilent, note: "PIM", frame: ask(framegen.IPv4{Protocol: 103, Payload: count(8)}), counted: alias},
		{verdict: responder.ClosedDropped, note: "UDP", with: drop, frame: ask(udp), counted: alias},
		{verdict: responder.ClosedDropped, note: "TCP, by label", with: dropLabel, frame: ask(syn), counted: alias},
		{verdict: responder.GroupSilent, note: "UDP", frame: askAt(framegen.Broadcast, udp), counted: alias},
		{verdict: responder.GroupSilent, note: "TCP", frame: askAt(framegen.Broadcast, syn), counted: alias},
		{verdict: responder.ErrorLimited, with: oneError, before: [][]byte{ask(udp)}, frame: ask(unknown), counted: alias},
		{verdict: responder.ErrorLimited, note: "to one peer", with: onePeer, before: [][]byte{ask(udp)}, frame: ask(unknown), counted: alias},
	}
}

// segment is a TCP segment of the peer's port 4000 to our port 22.
func segment(s framegen.TCPSegment) framegen.IPv4 {
	s.From, s.To = 4000, 22
	return framegen.IPv4{TOS: 0xb, Protocol: framegen.TCP, Payload: s.Bytes(peer, alias)}
}

// reset is what comes back: DF, identification 0, the TOS of segment without the ECN bits.
func reset(s framegen.TCPSegment) []byte {
	s.From, s.To = 22, 4000
	return answer(framegen.IPv4{
		TOS:      0x8,
		Flags:    framegen.DontFragment,
		Protocol: framegen.TCP,
		Payload:  s.Bytes(alias, peer),
	})
}

// portUnreachable quotes all of a short datagram.
func portUnreachable(d framegen.IPv4) []byte {
	return answer(framegen.IPv4{
		TOS:      0xc0 | d.TOS&0x1e,
		Protocol: framegen.ICMP,
		Payload:  framegen.ICMPMessage(3, 3, 0, ask(d)[14:]),
	})
}
