// Package dissect describes Ethernet frames to people: on one line, in the terms
// of tcpdump, or field by field.
//
// It is for frames that may hold anything. Nothing here fails: what cannot be
// made sense of is described as that. It decodes for itself because what it
// describes are often the frames that a decoder rejects.
//
// The layers are views: a function that takes bytes, finds out how many of them
// there really are, and says so.
package dissect

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

const (
	// The types of IEEE 802.1Q and 802.1ad. 0x9100, which old switches have for the outer tag,
	// is of no standard: it is shown as the number that it is.
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeVLAN = 0x8100
	typeIPv6 = 0x86dd
	typeQinQ = 0x88a8

	etherLen = 14
	tagLen   = 4
	arpLen   = 28 // for Ethernet and IPv4
	ipv4Len  = 20
	ipv6Len  = 40
)

// maxTags bounds how many VLAN tags are looked through: cards and switches know
// two, and a jumbo frame of nothing but tags is not worth a page.
const maxTags = 4

var be = binary.BigEndian

// A packet is a frame with its Ethernet header taken apart.
// Nothing is copied: it says where in the frame things are.
type packet struct {
	tags []uint16 // the control fields of the VLAN tags, outermost first
	typ  uint16   // of what begins at at
	at   int
	ok   bool // the header is there as a whole
}

func parse(frame []byte) packet {
	p := packet{at: etherLen, ok: len(frame) >= etherLen}
	if !p.ok {
		return p
	}
	p.typ = be.Uint16(frame[12:])
	for (p.typ == typeVLAN || p.typ == typeQinQ) && len(p.tags) < maxTags {
		if len(frame) < p.at+tagLen {
			p.ok = false
			return p
		}
		p.tags = append(p.tags, be.Uint16(frame[p.at:]))
		p.typ = be.Uint16(frame[p.at+2:])
		p.at += tagLen
	}
	return p
}

// Tags gives the VLAN identifiers of a frame, outermost first. Tags without one
// (VID 0), which carry but a priority, are left out.
func Tags(frame []byte) []uint16 {
	var ids []uint16
	for _, t := range parse(frame).tags {
		if id := t & 0xfff; id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Target gives the IPv4 address that a frame is for: the one that ARP asks for,
// or the destination. It tells whether there is one.
// The hardware type is not looked at: only the lengths say where ARP has its addresses.
func Target(frame []byte) (netip.Addr, bool) { return address(frame, 24, 16) }

// Source gives the IPv4 address that a frame comes from: ARP's sender, or the
// source. It tells whether there is one.
func Source(frame []byte) (netip.Addr, bool) { return address(frame, 14, 12) }

// address gives the address at an offset of an ARP packet or of an IPv4 header.
func address(frame []byte, inARP, inIPv4 int) (netip.Addr, bool) {
	p := parse(frame)
	if !p.ok {
		return netip.Addr{}, false
	}
	b := frame[p.at:]
	switch {
	case p.typ == typeARP && len(b) >= arpLen && b[4] == 6 && b[5] == 4:
		return netip.AddrFrom4([4]byte(b[inARP:])), true
	case p.typ == typeIPv4 && len(b) >= ipv4Len && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[inIPv4:])), true
	}
	return netip.Addr{}, false
}

// IPv4Header tells where in a frame its IPv4 header begins, if there is a whole one.
// It may belong to a datagram that is cut short, or whose total length is less than the header.
func IPv4Header(frame []byte) (at int, ok bool) {
	p := parse(frame)
	if !p.ok || p.typ != typeIPv4 {
		return 0, false
	}
	_, trouble := ipv4(frame[p.at:])
	return p.at, trouble == ""
}

// A datagram is as much of an IPv4 datagram as there is. Its header is there.
type datagram struct {
	b       []byte // to the end that its length names, or as far as there is any
	hl      int    // length of the header
	total   int    // length of the datagram, as the header has it
	missing int    // so many bytes less are there
}

// ipv4 finds the datagram that b begins with. If there is none, trouble says why.
// A wrong total length is no trouble, since the header says enough without it: see whole.
func ipv4(b []byte) (d datagram, trouble string) {
	if len(b) < ipv4Len {
		return d, fmt.Sprintf("cut short: %d of at least %d bytes of header", len(b), ipv4Len)
	}
	d = datagram{b: b, hl: int(b[0]&15) * 4, total: int(be.Uint16(b[2:]))}
	switch {
	case b[0]>>4 != 4:
		return d, fmt.Sprintf("version %d, expected 4", b[0]>>4)
	case d.hl < ipv4Len:
		return d, fmt.Sprintf("header length %d, expected at least %d", d.hl, ipv4Len)
	case len(b) < d.hl:
		return d, fmt.Sprintf("cut short: %d of %d bytes of header", len(b), d.hl)
	// What is behind the datagram is Ethernet's padding to 60 bytes, and no part of it.
	case d.total >= d.hl && d.total <= len(b):
		d.b = b[:d.total]
	case d.total > len(b):
		d.missing = d.total - len(b)
	}
	return d, ""
}

func (d datagram) src() netip.Addr { return netip.AddrFrom4([4]byte(d.b[12:])) }
func (d datagram) dst() netip.Addr { return netip.AddrFrom4([4]byte(d.b[16:])) }
func (d datagram) protocol() byte  { return d.b[9] }
func (d datagram) offset() int     { return int(be.Uint16(d.b[6:])&0x1fff) * 8 }
func (d datagram) more() bool      { return d.b[6]&0x20 != 0 }
func (d datagram) piece() bool     { return d.more() || d.offset() > 0 }
func (d datagram) options() []byte { return d.b[ipv4Len:d.hl] }
func (d datagram) payload() []byte { return d.b[d.hl:] }

// whole tells that all of the transport's message is there, so that its
// checksum can be judged.
func (d datagram) whole() bool { return !d.piece() && d.missing == 0 && d.total >= d.hl }

// pseudo is the sum of the pseudo header (RFC 9293 3.1) for n bytes of message.
func (d datagram) pseudo(n int) uint32 {
	return uint32(sum(0, d.b[12:20])) + uint32(d.protocol()) + uint32(n)
}

// sum is the Internet checksum's sum, not yet inverted (RFC 1071).
func sum(start uint32, b []byte) uint16 {
	s := uint64(start)
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(be.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	// Carries are added in at the end, not at each step: 64 bits hold those of any datagram.
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func mac(b []byte) string { return net.HardwareAddr(b).String() }

func addr4(b []byte) string { return netip.AddrFrom4([4]byte(b)).String() }
