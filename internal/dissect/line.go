package dissect

import (
	"fmt"
	"net/netip"
	"strings"
)

// Line describes a frame on one line:
//
//	ARP who-has 172.16.3.10 tell 172.16.3.200
//	vlan 100, IP 172.16.3.200 > 172.16.3.10: ICMP echo request, id 1, seq 1, length 64
//
// Of checksums and lengths only the wrong ones are told. Padding is passed over.
func Line(frame []byte) string {
	p := parse(frame)
	if !p.ok {
		whole := etherLen
		if len(frame) >= etherLen {
			whole = p.at + tagLen
		}
		return fmt.Sprintf("Ethernet, cut short: %d of %d bytes of header", len(frame), whole)
	}
	var line strings.Builder
	for _, t := range p.tags {
		fmt.Fprintf(&line, "vlan %d, ", t&0xfff)
		if t>>13 != 0 {
			fmt.Fprintf(&line, "priority %d, ", t>>13)
		}
	}
	switch b := frame[p.at:]; {
	case p.typ == typeARP:
		line.WriteString(arpLine(b))
	case p.typ == typeIPv4:
		line.WriteString(ipv4Line(b, false))
	case p.typ == typeIPv6:
		line.WriteString(ipv6Line(b))
	case p.typ < 0x600: // IEEE 802.3: a length, no type
		fmt.Fprintf(&line, "802.3, length %d", p.typ)
	default:
		fmt.Fprintf(&line, "%s, length %d", typeName(p.typ), len(b))
	}
	return line.String()
}

var typeNames = map[uint16]string{
	typeIPv4: "IPv4",
	typeARP:  "ARP",
	typeIPv6: "IPv6",
	typeVLAN: "one more VLAN tag",
	typeQinQ: "one more VLAN tag",
	0x8035:   "RARP",
	0x8809:   "slow protocols (LACP)",
	0x8847:   "MPLS",
	0x8863:   "PPPoE discovery",
	0x8864:   "PPPoE session",
	0x888e:   "EAPOL",
	0x88cc:   "LLDP",
	0x88f7:   "PTP",
}

func typeName(typ uint16) string {
	if name, ok := typeNames[typ]; ok {
		return name
	}
	return fmt.Sprintf("ethertype 0x%04x", typ)
}

func arpLine(b []byte) string {
	if len(b) < 8 {
		return fmt.Sprintf("ARP, cut short: %d of %d bytes", len(b), arpLen)
	}
	// RFC 826 lets addresses be of any kind and length. Only those of Ethernet and IPv4 lie where
	// they are read below.
	hardware, protocol := be.Uint16(b), be.Uint16(b[2:])
	if protocol != typeIPv4 || b[4] != 6 || b[5] != 4 {
		return fmt.Sprintf("ARP %s, hardware type %d with %d byte addresses, protocol 0x%04x with %d byte addresses",
			arpOperation(be.Uint16(b[6:])), hardware, b[4], protocol, b[5])
	}
	if len(b) < arpLen {
		return fmt.Sprintf("ARP %s, cut short: %d of %d bytes", arpOperation(be.Uint16(b[6:])), len(b), arpLen)
	}
	sender, target := addr4(b[14:]), addr4(b[24:])
	var line string
	switch op := be.Uint16(b[6:]); {
	// RFC 5227 1.1 names both: a probe asks without saying who, an announcement asks for itself.
	case op == 1 && sender == "0.0.0.0":
		line = fmt.Sprintf("ARP who-has %s (probe)", target)
	case op == 1 && sender == target:
		line = fmt.Sprintf("ARP announcement %s is-at %s", sender, mac(b[8:14]))
	case op == 1:
		line = fmt.Sprintf("ARP who-has %s tell %s", target, sender)
	case op == 2:
		line = fmt.Sprintf("ARP reply %s is-at %s", sender, mac(b[8:14]))
	default:
		line = fmt.Sprintf("ARP %s, %s asks %s", arpOperation(op), sender, target)
	}
	if hardware != 1 {
		line += fmt.Sprintf(", hardware type %d", hardware)
	}
	return line
}

func arpOperation(op uint16) string {
	// RFC 826, 903 and 2390, as IANA's registry of ARP operations has them.
	names := []string{1: "request", 2: "reply", 3: "reverse request", 4: "reverse reply", 8: "inverse request", 9: "inverse reply"}
	if int(op) < len(names) && names[op] != "" {
		return names[op]
	}
	return fmt.Sprintf("operation %d", op)
}

// ipv4Line describes a datagram. A quoted one is expected to be cut, and its
// transport's checksum can't be judged.
func ipv4Line(b []byte, quoted bool) string {
	d, trouble := ipv4(b)
	if trouble != "" {
		return "IP, " + trouble
	}
	var line strings.Builder
	fmt.Fprintf(&line, "IP %s > %s: ", d.src(), d.dst())
	if d.piece() {
		fmt.Fprintf(&line, "frag %d offset %d", be.Uint16(d.b[4:]), d.offset())
		if d.more() {
			line.WriteString(" +")
		}
		line.WriteString(", ")
	}
	if o := d.options(); len(o) > 0 {
		fmt.Fprintf(&line, "options [%s], ", optionsLine(o))
	}
	m := message{
		b:      d.payload(),
		length: max(d.total-d.hl, 0),
		whole:  d.whole() && !quoted,
		pseudo: d.pseudo(len(d.payload())),
		quoted: quoted,
	}
	// The transport's header is in the first piece alone; here its place holds data.
	if d.offset() > 0 {
		fmt.Fprintf(&line, "%s, length %d", protocolName(d.protocol()), m.length)
	} else {
		line.WriteString(m.line(d.protocol()))
	}
	switch {
	case d.total < d.hl:
		fmt.Fprintf(&line, " (total length %d is less than the header's %d)", d.total, d.hl)
	case d.missing > 0 && !quoted:
		fmt.Fprintf(&line, " (cut short: %d of %d bytes)", len(d.b), d.total)
	}
	if sum(0, d.b[:d.hl]) != 0xffff && !quoted {
		line.WriteString(" (wrong IP checksum)")
	}
	return line.String()
}

// ipv6Line describes a datagram without extension headers.
// They are shown as the protocol that their number is. IPv6 is not answered, and a line
// about it is only to say what passed by.
func ipv6Line(b []byte) string {
	if len(b) < ipv6Len {
		return fmt.Sprintf("IP6, cut short: %d of %d bytes of header", len(b), ipv6Len)
	}
	if b[0]>>4 != 6 {
		return fmt.Sprintf("IP6, version %d, expected 6", b[0]>>4)
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	length, next := int(be.Uint16(b[4:])), b[6]
	rest := b[ipv6Len:]
	cut := ""
	if length <= len(rest) {
		rest = rest[:length]
	} else {
		cut = fmt.Sprintf(" (cut short: %d of %d bytes)", len(b), length+ipv6Len)
	}
	m := message{
		b:      rest,
		length: length,
		whole:  cut == "",
		pseudo: uint32(sum(0, b[8:40])) + uint32(next) + uint32(length),
	}
	return fmt.Sprintf("IP6 %s > %s: %s%s", src, dst, m.line(next), cut)
}
