package kernelref

import (
	"encoding/binary"
	"net/netip"
)

const (
	etherLen = 14
	minFrame = 60 // without the frame check sequence, IEEE 802.3
	ipv4Len  = 20
	icmpLen  = 8

	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeVLAN = 0x8100
	typeQinQ = 0x88a8

	protoICMP = 1

	icmpEchoReply      = 0
	icmpTimeExceeded   = 11
	icmpTimestampReply = 14

	optionTimestamp = 68 // RFC 791 3.1

	flagDF = 0x4000
	flagMF = 0x2000
)

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// etherType reads the type and says where the network header starts. It looks
// behind priority tags (VID 0), which are answered as if they were not there.
func etherType(f []byte) (typ uint16, at int) {
	if len(f) < etherLen {
		return 0, len(f)
	}
	at = etherLen
	typ = be16(f[12:])
	for (typ == typeVLAN || typ == typeQinQ) && len(f) >= at+4 && be16(f[at:])&0xfff == 0 {
		typ = be16(f[at+2:])
		at += 4
	}
	return typ, at
}

// A datagram is a view of an IPv4 datagram: whole header, options and what of
// the payload is there.
// The package takes frames apart by itself: with the responder's or framegen's reader
// a mistake there would be made on both sides of the comparison, and not be seen.
type datagram struct {
	b  []byte // from the IPv4 header on, cut to the total length
	hl int    // header length, in bytes
	at int    // where b starts in the frame
}

// ipv4 finds the datagram in a frame. The header is complete; its checksum may be wrong.
func ipv4(f []byte) (datagram, bool) {
	typ, at := etherType(f)
	if typ != typeIPv4 {
		return datagram{}, false
	}
	d, ok := header(f[at:])
	d.at = at
	return d, ok
}

// header reads an IPv4 header. The payload may be cut short: errors quote only the start.
func header(b []byte) (datagram, bool) {
	if len(b) < ipv4Len || b[0]>>4 != 4 {
		return datagram{}, false
	}
	d := datagram{b: b, hl: int(b[0]&15) * 4}
	total := int(be16(b[2:]))
	if d.hl < ipv4Len || d.hl > len(b) || total < d.hl {
		return datagram{}, false
	}
	if total < len(b) {
		d.b = b[:total]
	}
	return d, true
}

func (d datagram) src() netip.Addr { return netip.AddrFrom4([4]byte(d.b[12:16])) }
func (d datagram) dst() netip.Addr { return netip.AddrFrom4([4]byte(d.b[16:20])) }
func (d datagram) id() uint16      { return be16(d.b[4:]) }
func (d datagram) df() bool        { return be16(d.b[6:])&flagDF != 0 }
func (d datagram) mf() bool        { return be16(d.b[6:])&flagMF != 0 }
func (d datagram) offset() int     { return int(be16(d.b[6:])&0x1fff) * 8 }
func (d datagram) piece() bool     { return d.mf() || d.offset() != 0 }
func (d datagram) payload() []byte { return d.b[d.hl:] }

// icmp gives the ICMP message of a datagram that holds the whole of one.
// A piece is none, be it the first: its checksum is over what other pieces hold.
func (d datagram) icmp() ([]byte, bool) {
	m := d.payload()
	return m, d.b[9] == protoICMP && !d.piece() && len(m) >= icmpLen
}

// quote gives the header that an ICMP error quotes, with at as its place in the frame.
func (d datagram) quote() (datagram, bool) {
	m, ok := d.icmp()
	if !ok || !isError(m[0]) {
		return datagram{}, false
	}
	q, ok := header(m[icmpLen:])
	q.at = d.at + d.hl + icmpLen
	return q, ok
}

// isError tells the ICMP types that report about another datagram, RFC 1122 3.2.2.
func isError(typ byte) bool {
	switch typ {
	case 3, 4, 5, 11, 12:
		return true
	}
	return false
}

// sumOK verifies an Internet checksum, RFC 1071: the sum over all, the checksum
// included, is 0xffff.
func sumOK(b []byte) bool {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(be16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum == 0xffff
}

// clocks lists the places in a frame, from its start, of the 32-bit times of day
// that the answering host wrote.
func (d datagram) clocks() (places []int) {
	places = d.timestamps(nil)
	if m, ok := d.icmp(); ok && m[0] == icmpTimestampReply && len(m) >= 20 {
		places = append(places, d.at+d.hl+12, d.at+d.hl+16) // receive and transmit, RFC 792
	}
	if q, ok := d.quote(); ok {
		places = q.timestamps(places) // options are filled on the way in, before the error quotes them
	}
	return places
}

// timestamps appends the places of the used slots of the timestamp option in d's header.
func (d datagram) timestamps(places []int) []int {
	for i := ipv4Len; i < d.hl; {
		switch {
		case d.b[i] == 0: // end of options
			return places
		case d.b[i] == 1: // no operation
			i++
			continue
		case i+1 >= d.hl || d.b[i+1] < 2 || i+int(d.b[i+1]) > d.hl:
			return places
		}
		n := int(d.b[i+1])
		if d.b[i] == optionTimestamp && n >= 4 {
			places = append(places, slots(d.b[i:i+n], d.at+i)...)
		}
		i += n
	}
	return places
}

// slots gives the places of the times in a timestamp option that starts at a
// place. They are counted back from the pointer: who was there first chose where
// the slots start.
func slots(option []byte, at int) (places []int) {
	step := 4
	if option[3]&15 != 0 {
		step = 8 // the time follows an address
	}
	for end := int(option[2]) - 1; end-step >= 4; end -= step {
		if end <= len(option) {
			places = append(places, at+end-4)
		}
	}
	return places
}
