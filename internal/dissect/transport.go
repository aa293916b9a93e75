package dissect

import (
	"fmt"
	"strings"
)

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// IANA's numbers of protocols that a network like this is likely to carry.
var protocolNames = map[byte]string{
	protoICMP: "ICMP", 2: "IGMP", 4: "IP in IP", protoTCP: "TCP", protoUDP: "UDP", 41: "IPv6", 47: "GRE", 50: "ESP", 51: "AH",
	protoICMPv6: "ICMP6", 88: "EIGRP", 89: "OSPF", 103: "PIM", 112: "VRRP", 132: "SCTP", 136: "UDP-Lite",
}

func protocolName(p byte) string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return fmt.Sprintf("protocol %d", p)
}

// A message is what an IP datagram carries, from its start on, as far as there
// is any.
type message struct {
	b      []byte
	length int    // as the IP header has it
	whole  bool   // all of it is there
	pseudo uint32 // sum of the pseudo header
	quoted bool   // by an ICMP error
}

func (m message) line(protocol byte) string {
	least := map[byte]int{protoICMP: 8, protoTCP: 20, protoUDP: 8, protoICMPv6: 8}[protocol]
	if m.quoted {
		least = min(least, 8) // that is all that RFC 792 asks for
	}
	name := protocolName(protocol)
	if len(m.b) < least {
		return fmt.Sprintf("%s, length %d, header cut short: %d of %d bytes", name, m.length, len(m.b), least)
	}
	switch protocol {
	case protoICMP:
		return m.icmp()
	case protoUDP:
		return m.udp()
	case protoTCP:
		return m.tcp()
	case protoICMPv6:
		return m.icmp6()
	}
	return fmt.Sprintf("%s, length %d", name, m.length)
}

// checksum gives a remark if the checksum, summed over a pseudo header or 0, is wrong.
func (m message) checksum(pseudo uint32, name string) string {
	if !m.whole || sum(pseudo, m.b) == 0xffff {
		return ""
	}
	return fmt.Sprintf(" (wrong %s checksum)", name)
}

var icmpNames = map[byte]string{
	0: "echo reply", 3: "unreachable", 4: "source quench", 5: "redirect", 8: "echo request", 9: "router advertisement",
	10: "router solicitation", 11: "time exceeded", 12: "parameter problem", 13: "timestamp request",
	14: "timestamp reply", 15: "information request", 16: "information reply", 17: "address mask request",
	18: "address mask reply", 30: "traceroute", 42: "extended echo request", 43: "extended echo reply",
}

// unreachableNames are the codes of type 3 (RFC 792, 1122, 1812).
var unreachableNames = []string{
	"net unreachable", "host unreachable", "protocol unreachable", "port unreachable", "fragmentation needed",
	"source route failed", "net unknown", "host unknown", "source host isolated", "net prohibited", "host prohibited",
	"net unreachable for TOS", "host unreachable for TOS", "communication prohibited", "host precedence violation",
	"precedence cutoff",
}

// icmpName names a type with its code, and tells whether the code is said.
// Code 0 is what most types have alone, and is not worth a word.
func icmpName(typ, code byte) (name string, said bool) {
	switch {
	case typ == 3 && int(code) < len(unreachableNames):
		return unreachableNames[code], true
	case typ == 11 && code == 0:
		return "time exceeded in transit", true
	case typ == 11 && code == 1:
		return "reassembly time exceeded", true
	}
	if name = icmpNames[typ]; name == "" {
		name = fmt.Sprintf("type %d", typ)
	}
	return name, code == 0
}

// quotes tells whether an ICMP type is an error, which quotes a datagram.
func quotes(typ byte) bool { return typ == 3 || typ == 4 || typ == 5 || typ == 11 || typ == 12 }

func (m message) icmp() string {
	typ, code := m.b[0], m.b[1]
	name, said := icmpName(typ, code)
	var line strings.Builder
	line.WriteString("ICMP " + name)
	if !said {
		fmt.Fprintf(&line, ", code %d", code)
	}
	switch {
	// RFC 792 gives both fields to echo, timestamp and information messages, RFC 950 to masks.
	case typ == 0 || typ == 8 || 13 <= typ && typ <= 18:
		fmt.Fprintf(&line, ", id %d, seq %d", be.Uint16(m.b[4:]), be.Uint16(m.b[6:]))
	// RFC 792: with code 0 the pointer says which byte was wrong.
	case typ == 12 && code == 0:
		fmt.Fprintf(&line, " at byte %d", m.b[4])
	// RFC 1191 4: the MTU of the next hop, in what was unused before.
	case typ == 3 && code == 4:
		fmt.Fprintf(&line, ", mtu %d", be.Uint16(m.b[6:]))
	case typ == 5:
		fmt.Fprintf(&line, " to %s", addr4(m.b[4:]))
	}
	fmt.Fprintf(&line, ", length %d", m.length)
	if quotes(typ) && !m.quoted {
		fmt.Fprintf(&line, ", quoting (%s)", ipv4Line(m.b[8:], true))
	}
	return line.String() + m.checksum(0, "ICMP")
}

var icmp6Names = map[byte]string{
	1: "unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem", 128: "echo request", 129: "echo reply",
	130: "multicast listener query", 131: "multicast listener report", 132: "multicast listener done",
	133: "router solicitation", 134: "router advertisement", 135: "neighbor solicitation",
	136: "neighbor advertisement", 137: "redirect", 143: "multicast listener report v2",
}

func (m message) icmp6() string {
	typ, code := m.b[0], m.b[1]
	name := icmp6Names[typ]
	if name == "" {
		name = fmt.Sprintf("type %d", typ)
	}
	line := "ICMP6 " + name
	if code != 0 {
		line += fmt.Sprintf(", code %d", code)
	}
	switch {
	case typ == 128 || typ == 129:
		line += fmt.Sprintf(", id %d, seq %d", be.Uint16(m.b[4:]), be.Uint16(m.b[6:]))
	case (typ == 135 || typ == 136) && len(m.b) >= 24:
		line += ", target " + addr16(m.b[8:])
	}
	return fmt.Sprintf("%s, length %d", line, m.length) + m.checksum(m.pseudo, "ICMP6")
}

func (m message) udp() string {
	length := int(be.Uint16(m.b[4:]))
	line := fmt.Sprintf("UDP %d > %d, length %d", be.Uint16(m.b), be.Uint16(m.b[2:]), max(length-8, 0))
	if length < 8 || length > m.length && !m.quoted && m.whole {
		return line + fmt.Sprintf(" (UDP length %d of %d bytes)", length, m.length)
	}
	m = m.checkedUDP()
	return line + m.checksum(m.pseudo, "UDP")
}

// checkedUDP cuts a message to what UDP's checksum is over. It is no longer whole if that
// can't be judged: there is none (0, RFC 768), or the length is not one that IP has room for.
func (m message) checkedUDP() message {
	if len(m.b) < 8 || be.Uint16(m.b[6:]) == 0 {
		m.whole = false
		return m
	}
	length := int(be.Uint16(m.b[4:]))
	if length < 8 || length > len(m.b) {
		m.whole = false
		return m
	}
	// UDP's own length is in the pseudo header, and may be less than IP's: Linux throws away
	// what lies behind (__udp4_lib_rcv).
	m.pseudo += uint32(length) - uint32(len(m.b))
	m.b = m.b[:length]
	return m
}

func (m message) tcp() string {
	line := fmt.Sprintf("TCP %d > %d", be.Uint16(m.b), be.Uint16(m.b[2:]))
	seq := fmt.Sprintf(", seq %d", be.Uint32(m.b[4:]))
	// An ICMP error quoted as much as RFC 792 asks for: ports and sequence number.
	if len(m.b) < 20 {
		return line + seq
	}
	hl, flags := int(m.b[12]>>4)*4, m.b[13]
	line += fmt.Sprintf(", Flags [%s]%s", tcpFlags(flags), seq)
	if flags&0x10 != 0 {
		line += fmt.Sprintf(", ack %d", be.Uint32(m.b[8:]))
	}
	line += fmt.Sprintf(", win %d", be.Uint16(m.b[14:]))
	if hl < 20 || hl > m.length {
		return line + fmt.Sprintf(", length %d (TCP header length %d)", m.length, hl)
	}
	if hl > 20 && hl <= len(m.b) {
		line += fmt.Sprintf(", options [%s]", tcpOptionsLine(m.b[20:hl]))
	}
	return line + fmt.Sprintf(", length %d", m.length-hl) + m.checksum(m.pseudo, "TCP")
}

// tcpFlags writes flags as tcpdump does: the dot is ACK.
// Its letters from the lowest bit on: E and W are RFC 3168's ECE and CWR.
func tcpFlags(flags byte) string {
	var s strings.Builder
	for i, bit := range []byte{0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80} {
		if flags&bit != 0 {
			s.WriteByte("FSRP.UEW"[i])
		}
	}
	if s.Len() == 0 {
		return "none"
	}
	return s.String()
}
