// Package framegen makes Ethernet frames for a host that answers ARP and IPv4:
// right ones, odd ones and broken ones. What it makes depends on nothing but the
// seed, so a frame that found something can be made again.
package framegen

import (
	"encoding/binary"
	"net/netip"
)

// A MAC is an Ethernet address.
type MAC [6]byte

// Broadcast is everybody's address.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Ethernet types and protocol numbers that the package builds or looks into.
const (
	TypeIPv4 = 0x0800
	TypeARP  = 0x0806
	TypeVLAN = 0x8100
	TypeQinQ = 0x88a8

	ICMP    = 1
	TCP     = 6
	UDP     = 17
	UDPLite = 136
)

// Flags of an IPv4 header, as they lie in its fragment field.
const (
	Reserved      = 0x8000
	DontFragment  = 0x4000
	MoreFragments = 0x2000
)

const (
	etherLen = 14
	ipv4Len  = 20
)

var be = binary.BigEndian

// Ether makes a frame.
// It is not padded to 60 bytes: what a host does with less is a question of its own.
func Ether(dst, src MAC, typ uint16, payload []byte) []byte {
	f := make([]byte, etherLen, etherLen+len(payload))
	copy(f, dst[:])
	copy(f[6:], src[:])
	be.PutUint16(f[12:], typ)
	return append(f, payload...)
}

// Tag puts a VLAN tag into a copy of a frame, before those it has.
func Tag(frame []byte, typ, control uint16) []byte {
	f := append([]byte(nil), frame[:12]...)
	f = be.AppendUint16(f, typ)
	f = be.AppendUint16(f, control)
	return append(f, frame[12:]...)
}

// ARP is an ARP message; what is zero in it gets the value of an ordinary
// request for IPv4 over Ethernet, but for the addresses.
type ARP struct {
	Hardware, Protocol, Operation uint16
	HardwareLen, ProtocolLen      byte
	SenderMAC, TargetMAC          MAC
	Sender, Target                netip.Addr
}

// Bytes builds the message.
func (a ARP) Bytes() []byte {
	b := be.AppendUint16(nil, or(a.Hardware, 1))
	b = be.AppendUint16(b, or(a.Protocol, TypeIPv4))
	b = append(b, or(a.HardwareLen, 6), or(a.ProtocolLen, 4))
	b = be.AppendUint16(b, or(a.Operation, 1))
	b = append(append(b, a.SenderMAC[:]...), a.Sender.AsSlice()...)
	return append(append(b, a.TargetMAC[:]...), a.Target.AsSlice()...)
}

func or[T byte | uint16](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// IPv4 is a datagram. Lengths and checksum are computed.
// Nothing is checked: a builder of broken frames takes what it gets. A length beyond 65535
// comes out modulo 65536.
type IPv4 struct {
	TOS, TTL, Protocol byte // TTL 0 stands for 64
	ID, Flags          uint16
	Offset             int // of a piece, in bytes
	Src, Dst           netip.Addr
	Options            []byte // padded with end-of-options to a multiple of four, cut to 40
	Payload            []byte
}

// Bytes builds the datagram.
func (d IPv4) Bytes() []byte {
	options := append([]byte(nil), d.Options...)
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	options = options[:min(len(options), 40)]
	hl := ipv4Len + len(options)
	b := []byte{4<<4 | byte(hl/4), d.TOS}
	b = be.AppendUint16(b, uint16(hl+len(d.Payload)))
	b = be.AppendUint16(b, d.ID)
	b = be.AppendUint16(b, d.Flags|uint16(d.Offset/8)&0x1fff)
	b = append(b, or(d.TTL, 64), d.Protocol, 0, 0)
	b = append(append(b, d.Src.AsSlice()...), d.Dst.AsSlice()...)
	b = append(b, options...)
	be.PutUint16(b[10:], ^sum(0, b))
	return append(b, d.Payload...)
}

// Cut cuts a datagram into pieces whose payloads end at the given places, in
// bytes, which must rise; the last piece holds what is left.
// Options stand in every piece, copied or not by their copied flag (RFC 791 3.1): hosts look
// at those of the first. Places that are no multiples of eight make pieces that lie elsewhere.
func (d IPv4) Cut(ends ...int) []IPv4 {
	var pieces []IPv4
	start := 0
	for _, end := range append(ends, len(d.Payload)) {
		p := d
		p.Offset += start
		p.Payload = d.Payload[start:end]
		if end < len(d.Payload) {
			p.Flags |= MoreFragments
		}
		pieces = append(pieces, p)
		start = end
	}
	return pieces
}

// ICMPMessage builds an ICMP message; rest is the second word of its header.
func ICMPMessage(typ, code byte, rest uint32, payload []byte) []byte {
	b := []byte{typ, code, 0, 0}
	b = be.AppendUint32(b, rest)
	b = append(b, payload...)
	be.PutUint16(b[2:], ^sum(0, b))
	return b
}

// UDPMessage builds a UDP message for a datagram between two hosts.
func UDPMessage(src, dst netip.Addr, from, to uint16, payload []byte) []byte {
	b := be.AppendUint16(nil, from)
	b = be.AppendUint16(b, to)
	b = be.AppendUint16(b, uint16(8+len(payload)))
	b = append(append(b, 0, 0), payload...)
	c := ^sum(pseudo(src, dst, UDP, len(b)), b)
	be.PutUint16(b[6:], c)
	if c == 0 {
		// RFC 768: 0 would say that there is none. Both are the same number in one's complement.
		be.PutUint16(b[6:], 0xffff)
	}
	return b
}

// UDPLiteMessage builds a UDP-Lite message whose checksum covers so many bytes
// (RFC 3828): 0 stands for all.
func UDPLiteMessage(src, dst netip.Addr, from, to, coverage uint16, payload []byte) []byte {
	b := be.AppendUint16(nil, from)
	b = be.AppendUint16(b, to)
	b = be.AppendUint16(b, coverage)
	b = append(append(b, 0, 0), payload...)
	n := len(b)
	if coverage != 0 && int(coverage) < n {
		n = int(coverage)
	}
	c := ^sum(pseudo(src, dst, UDPLite, len(b)), b[:n])
	if c == 0 {
		c = 0xffff
	}
	be.PutUint16(b[6:], c)
	return b
}

// TCPSegment is a TCP segment.
type TCPSegment struct {
	From, To     uint16
	Seq, Ack     uint32
	Offset       byte // in words; 0: computed
	Flags        uint16
	Window, Urge uint16
	Options      []byte // padded with end-of-options to a multiple of four
	Payload      []byte
}

// Bytes builds the segment for a datagram between two hosts.
func (s TCPSegment) Bytes(src, dst netip.Addr) []byte {
	options := append([]byte(nil), s.Options...)
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	offset := or(s.Offset, byte(5+len(options)/4))
	b := be.AppendUint16(nil, s.From)
	b = be.AppendUint16(b, s.To)
	b = be.AppendUint32(b, s.Seq)
	b = be.AppendUint32(b, s.Ack)
	b = be.AppendUint16(b, uint16(offset)<<12|s.Flags&0xfff)
	b = be.AppendUint16(b, s.Window)
	b = append(b, 0, 0)
	b = be.AppendUint16(b, s.Urge)
	b = append(append(b, options...), s.Payload...)
	be.PutUint16(b[16:], ^sum(pseudo(src, dst, TCP, len(b)), b))
	return b
}

// sum is the Internet checksum's sum, not yet inverted (RFC 1071).
func sum(start uint32, b []byte) uint16 {
	s := start
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(be.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// pseudo sums the pseudo header of RFC 9293 3.1.
func pseudo(src, dst netip.Addr, protocol byte, n int) uint32 {
	return uint32(sum(0, src.AsSlice())) + uint32(sum(0, dst.AsSlice())) + uint32(protocol) + uint32(n&0xffff)
}
