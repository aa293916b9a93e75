package framegen

import "net/netip"

// arp makes requests that are odd in at most a few fields: a frame that is wrong in two ways
// shows only what a host looks at first.
func (g *Generator) arp() [][]byte {
	a := ARP{SenderMAC: g.h.From, Sender: g.source(), Target: g.target()}
	dst := Broadcast
	if g.chance(3) {
		dst = g.h.MAC
	}
	if g.chance(4) {
		a.Operation = pick[uint16](g, 1, 2, 3, 4, 8, 9, 25, 256)
	}
	if g.chance(8) {
		// 6 is IEEE 802, which Linux takes for Ethernet's (arp_process); 0x100 is 1 in the wrong order.
		a.Hardware = pick[uint16](g, 1, 6, 7, 15, 24, 0x100, 0xffff)
	}
	if g.chance(12) {
		a.Protocol = pick[uint16](g, TypeARP, 0x86dd, 8, 0xffff)
	}
	if g.chance(16) {
		a.HardwareLen = pick[byte](g, 1, 5, 7, 8, 255)
	}
	if g.chance(16) {
		a.ProtocolLen = pick[byte](g, 1, 3, 5, 16, 255)
	}
	if g.chance(6) {
		a.SenderMAC = g.oddMAC()
	}
	if g.chance(6) {
		a.TargetMAC = g.oddMAC()
	}
	if g.chance(10) {
		a.Sender = netip.AddrFrom4([4]byte{}) // a probe
	}
	return [][]byte{Ether(dst, g.h.From, TypeARP, a.Bytes())}
}

func (g *Generator) echo() [][]byte {
	d := g.datagram(ICMP)
	rest := pick(g, g.r.Uint32(), 0, 0xffffffff, 0x00010001)
	var code byte
	if g.chance(8) {
		code = byte(g.r.Uint32())
	}
	payload := g.bytes(g.size())
	if g.chance(8) {
		// With all else zero too the checksum is the one that Linux gets wrong.
		clear(payload)
	}
	d.Payload = ICMPMessage(8, code, rest, payload)
	return [][]byte{g.frame(d)}
}

// icmp makes other messages than echo requests.
func (g *Generator) icmp() [][]byte {
	d := g.datagram(ICMP)
	typ := pick[byte](g, 0, 3, 3, 4, 5, 9, 10, 11, 12, 14, 15, 16, 17, 18, 30, 37, 40, 42, 43, 200, byte(g.r.Uint32()))
	if g.chance(2) {
		typ = 13 // the only one besides echo that is answered
	}
	var payload []byte
	switch typ {
	case 13, 14:
		// Three times of four bytes, RFC 792. A request that is cut short is answered as well.
		payload = g.bytes(pick(g, 12, 12, 12, 0, 3, 4, 8, 11, 13, 40))
	case 3, 4, 5, 11, 12:
		payload = g.quoted(d)
	default:
		payload = g.bytes(g.r.IntN(64))
	}
	code := pick[byte](g, 0, 0, 1, 2, 3, 4)
	if g.chance(8) {
		code = byte(g.r.Uint32())
	}
	d.Payload = ICMPMessage(typ, code, g.r.Uint32(), payload)
	return [][]byte{g.frame(d)}
}

// quoted is a datagram that the host may have sent, for an error to quote. It is
// never an echo reply: a kernel believes "fragmentation needed" about one, and
// would cut what it answers to later frames.
func (g *Generator) quoted(d IPv4) []byte {
	q := IPv4{Protocol: pick[byte](g, UDP, TCP, UDPLite, 253), ID: uint16(g.r.Uint32()), Src: d.Dst, Dst: d.Src, Payload: g.bytes(pick(g, 8, 8, 20, 40))}
	b := q.Bytes()
	if g.chance(4) {
		b = b[:g.r.IntN(len(b))]
	}
	return b
}

// ports are mostly closed ones: 33434 is traceroute's first. 0 is no port to listen on.
func (g *Generator) ports() (from, to uint16) {
	from = pick[uint16](g, 40000, 40001, 53, 0, 65535, uint16(g.r.Uint32()))
	to = pick[uint16](g, 33434, 1, 80, 53, 0, 65535, uint16(g.r.Uint32()))
	return from, to
}

func (g *Generator) udp() [][]byte {
	d := g.datagram(UDP)
	from, to := g.ports()
	m := UDPMessage(d.Src, d.Dst, from, to, g.bytes(g.size()))
	if g.chance(6) {
		be.PutUint16(m[6:], 0) // no checksum
	}
	if g.chance(6) {
		be.PutUint16(m[4:], g.near(uint16(len(m))))
		if g.chance(2) {
			fixMessage(UDP, d.Src, d.Dst, m)
		}
	}
	d.Payload = m
	return [][]byte{g.withOptions(d)}
}

func (g *Generator) udplite() [][]byte {
	d := g.datagram(UDPLite)
	from, to := g.ports()
	payload := g.bytes(g.size())
	n := uint16(8 + len(payload))
	// 1 to 7 would leave out part of the header, and more than the length has nothing to cover.
	coverage := pick(g, 0, 8, 8, n, n+1, n-1, 1, 7, uint16(g.r.IntN(int(n)+1)), uint16(g.r.Uint32()))
	d.Payload = UDPLiteMessage(d.Src, d.Dst, from, to, coverage, payload)
	if g.chance(12) {
		be.PutUint16(d.Payload[6:], 0) // not allowed, RFC 3828 3.1
	}
	return [][]byte{g.withOptions(d)}
}

// protocol makes datagrams of protocols that nobody speaks there.
// IGMP (2) and PIM (103) are among them, for which a kernel may have a handler that is silent.
func (g *Generator) protocol() [][]byte {
	d := g.datagram(pick[byte](g, 0, 2, 3, 4, 41, 46, 47, 50, 51, 58, 94, 103, 108, 112, 132, 253, 255, byte(g.r.Uint32())))
	d.Payload = g.bytes(g.size())
	return [][]byte{g.withOptions(d)}
}

// Flags of a TCP segment.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
	urg
)

func (g *Generator) tcp() [][]byte {
	d := g.datagram(TCP)
	s := TCPSegment{Seq: pick(g, g.r.Uint32(), 0, 0xffffffff), Ack: pick(g, g.r.Uint32(), 0), Window: uint16(g.r.Uint32())}
	s.From, s.To = g.ports()
	// Each of the cases of RFC 9293 3.10.7.1, and combinations that nobody sends.
	s.Flags = pick[uint16](g, syn, syn, ack, syn|ack, fin, fin|ack, psh|ack, rst, rst|ack, 0, syn|fin, syn|rst, urg|psh|fin,
		uint16(g.r.IntN(64)), uint16(g.r.IntN(4096)))
	if g.chance(3) {
		s.Payload = g.bytes(g.size())
	}
	if g.chance(2) {
		s.Options = g.tcpOptions()
	}
	if g.chance(12) {
		s.Offset = byte(g.r.IntN(16))
	}
	d.Payload = s.Bytes(d.Src, d.Dst)
	return [][]byte{g.withOptions(d)}
}

// tcpOptions may hold a signature, or what looks like one: such a segment gets no RST, although
// no port is open (tcp_v4_send_reset).
func (g *Generator) tcpOptions() []byte {
	var b []byte
	for len(b) < 40 && !g.chance(3) {
		switch g.r.IntN(8) {
		case 0:
			b = append(b, 1)
		case 1:
			b = append(b, 2, 4, 5, 0xb4) // maximum segment size
		case 2:
			b = append(b, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0) // timestamps, RFC 7323
		case 3:
			b = append(append(b, 19, 18), g.bytes(16)...) // MD5 signature, RFC 2385
		case 4:
			n := g.r.IntN(20)
			b = append(append(b, 29, byte(4+n)), g.bytes(2+n)...) // authentication, RFC 5925
		case 5:
			b = append(b, 4, 2, 3, 3, 7)
		case 6:
			b = append(b, 0)
		default:
			b = append(b, byte(g.r.Uint32()), byte(g.r.IntN(20)), 0)
		}
	}
	return b[:min(len(b), 40)]
}

// withOptions makes the frame of a datagram, with IP options once in eight times.
func (g *Generator) withOptions(d IPv4) []byte {
	if g.chance(8) {
		d.Options = g.ipOptions()
	}
	return g.frame(d)
}
