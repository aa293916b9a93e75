package kernelref

import (
	"fmt"
	"net"
	"strings"
)

// Describe shows a frame on two lines: what it is, and its bytes in
// hexadecimal.
// The bytes are there to be pasted into a case of a test.
func Describe(f []byte) string {
	return fmt.Sprintf("%s\n        %x", summary(f), f)
}

func summary(f []byte) string {
	if len(f) < etherLen {
		return fmt.Sprintf("%d bytes, no Ethernet header", len(f))
	}
	typ, at := etherType(f)
	s := fmt.Sprintf("%d bytes, %s > %s", len(f), net.HardwareAddr(f[6:12]), net.HardwareAddr(f[:6]))
	if at > etherLen {
		s += ", priority-tagged"
	}
	b := f[at:]
	switch {
	case typ == typeARP && len(b) >= 28:
		return s + fmt.Sprintf(", ARP op %d, %s at %s asks %s at %s", be16(b[6:]),
			net.IP(b[14:18]), net.HardwareAddr(b[8:14]), net.IP(b[24:28]), net.HardwareAddr(b[18:24]))
	case typ == typeIPv4:
		if d, ok := ipv4(f); ok {
			return s + ", " + d.String()
		}
		return s + ", IPv4 with a bad header"
	}
	return s + fmt.Sprintf(", type %#04x", typ)
}

// String says what a datagram is, on one line.
func (d datagram) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "IPv4 %s > %s tos %#02x len %d id %#04x ttl %d", d.src(), d.dst(), d.b[1], be16(d.b[2:]), d.id(), d.b[8])
	if be16(d.b[6:])&0x8000 != 0 {
		s.WriteString(" RF")
	}
	if d.df() {
		s.WriteString(" DF")
	}
	if d.piece() {
		fmt.Fprintf(&s, " piece %d+%d MF=%t", d.offset(), len(d.payload()), d.mf())
	}
	if d.hl > ipv4Len {
		fmt.Fprintf(&s, " options %x", d.b[ipv4Len:d.hl])
	}
	if !sumOK(d.b[:d.hl]) {
		s.WriteString(" (wrong IP checksum)")
	}
	p := d.payload()
	switch {
	case d.offset() != 0 || len(p) < 8:
		fmt.Fprintf(&s, ", protocol %d", d.b[9])
	case d.b[9] == protoICMP:
		fmt.Fprintf(&s, ", ICMP type %d code %d rest %x", p[0], p[1], p[4:8])
		if !d.piece() && !sumOK(p) {
			s.WriteString(" (wrong ICMP checksum)")
		}
		if q, ok := d.quote(); ok {
			fmt.Fprintf(&s, ", quotes %d bytes [%s]", len(p)-icmpLen, q)
		}
	case d.b[9] == 6 && len(p) >= 20:
		fmt.Fprintf(&s, ", TCP %d > %d seq %d ack %d offset %d flags %#02x window %d", be16(p), be16(p[2:]), be32(p[4:]), be32(p[8:]), p[12]>>4, p[13], be16(p[14:]))
	case d.b[9] == 17 || d.b[9] == 136:
		fmt.Fprintf(&s, ", protocol %d, %d > %d length %d checksum %#04x", d.b[9], be16(p), be16(p[2:]), be16(p[4:]), be16(p[6:]))
	default:
		fmt.Fprintf(&s, ", protocol %d", d.b[9])
	}
	return s.String()
}

// field names the bytes from a place on.
type field struct {
	at   int
	name string
}

var (
	etherFields = []field{{0, "Ethernet destination"}, {6, "Ethernet source"}, {12, "Ethernet type"}}
	arpFields   = []field{{0, "ARP hardware type"}, {2, "ARP protocol type"}, {4, "ARP lengths"}, {6, "ARP operation"},
		{8, "ARP sender MAC"}, {14, "ARP sender IP"}, {18, "ARP target MAC"}, {24, "ARP target IP"}, {28, "padding"}}
	ipFields = []field{{0, "version and header length"}, {1, "TOS"}, {2, "total length"}, {4, "identification"},
		{6, "flags and offset"}, {8, "TTL"}, {9, "protocol"}, {10, "IPv4 checksum"}, {12, "source"}, {16, "destination"}, {20, "options"}}
	icmpFields = []field{{0, "ICMP type"}, {1, "ICMP code"}, {2, "ICMP checksum"}, {4, "ICMP rest of header"}, {8, "ICMP payload"}}
	tcpFields  = []field{{0, "TCP source port"}, {2, "TCP destination port"}, {4, "sequence"}, {8, "acknowledgement"},
		{12, "data offset"}, {13, "TCP flags"}, {14, "window"}, {16, "TCP checksum"}, {18, "urgent pointer"}, {20, "TCP options"}}
)

// FieldName names the header field that byte i of a frame belongs to.
// It is for the message about the first byte that differs, of which a number says little.
func FieldName(f []byte, i int) string {
	typ, at := etherType(f)
	switch d, ok := ipv4(f); {
	case i < etherLen:
		return nameIn(etherFields, i)
	case typ == typeARP && i >= at:
		return nameIn(arpFields, i-at)
	case !ok || i < at:
		return "payload"
	case i < at+d.hl:
		return nameIn(ipFields, i-at)
	case d.b[9] == protoICMP:
		return nameIn(icmpFields, i-at-d.hl)
	case d.b[9] == 6:
		return nameIn(tcpFields, i-at-d.hl)
	}
	return "payload"
}

func nameIn(fields []field, i int) string {
	name := ""
	for _, f := range fields {
		if i >= f.at {
			name = f.name
		}
	}
	return name
}

// Kind names what an answer is, coarsely: "ARP", "ICMP 3/1", "TCP", "piece".
// Campaigns count by it what they compared: a generator whose frames are all met with silence
// would prove nothing.
func Kind(f []byte) string {
	typ, _ := etherType(f)
	d, ok := ipv4(f)
	switch {
	case typ == typeARP:
		return "ARP"
	case !ok:
		return fmt.Sprintf("type %#04x", typ)
	case d.offset() != 0:
		return "further piece"
	case d.b[9] == protoICMP && len(d.payload()) >= icmpLen && d.payload()[0] == icmpEchoReply:
		return "echo" // of any code
	case d.b[9] == protoICMP && len(d.payload()) >= icmpLen:
		return fmt.Sprintf("ICMP %d/%d", d.payload()[0], d.payload()[1])
	case d.b[9] == 6:
		return "TCP"
	}
	return fmt.Sprintf("protocol %d", d.b[9])
}
