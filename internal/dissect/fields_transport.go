package dissect

import "fmt"

// transport passes what an IPv4 datagram carries.
// Within a quotation no checksum is judged: what is quoted was mostly cut.
func (w *walk) transport(d datagram) {
	m := message{b: d.payload(), whole: d.whole() && w.prefix == "", pseudo: d.pseudo(len(d.payload()))}
	switch {
	case d.offset() > 0:
		w.rest("IP payload")
	case d.protocol() == protoICMP:
		w.icmp(m)
	case d.protocol() == protoUDP:
		m = m.checkedUDP()
		w.header("UDP", []shape{
			{"source port", 2, decimal},
			{"destination port", 2, decimal},
			{"length", 2, decimal},
			{"checksum", 2, m.checksumValue(m.pseudo, 6)},
		})
		w.rest("UDP payload")
	case d.protocol() == protoTCP:
		w.tcp(m)
	default:
		w.rest("IP payload")
	}
}

// checksumValue shows the checksum at an offset of the message, judged if all of
// it is there.
func (m message) checksumValue(pseudo uint32, at int) func([]byte) string {
	if !m.whole || len(m.b) < at+2 {
		return hexadecimal
	}
	return checksumValue(pseudo, m.b, at)
}

func (w *walk) icmp(m message) {
	if !w.header("ICMP", []shape{
		{"type", 1, func(b []byte) string { return named(decimal(b), icmpNames[b[0]]) }},
		{"code", 1, decimal},
		{"checksum", 2, m.checksumValue(0, 2)},
	}) {
		return
	}
	typ := m.b[0]
	switch {
	case typ == 0 || typ == 8 || 13 <= typ && typ <= 18:
		w.header("ICMP", []shape{{"identifier", 2, decimal}, {"sequence", 2, decimal}})
	// Of the header's second word RFC 792 makes a pointer in the first byte, RFC 1191 an MTU in
	// the second half.
	case typ == 12:
		w.header("ICMP", []shape{{"pointer", 1, decimal}, {"unused", 3, hexadecimal}})
	case typ == 3:
		w.header("ICMP", []shape{{"unused", 2, hexadecimal}, {"mtu", 2, decimal}})
	default:
		w.header("ICMP", []shape{{"rest of header", 4, hexadecimal}})
	}
	clock := func(b []byte) string {
		n := be.Uint32(b) // milliseconds since midnight UTC
		return fmt.Sprintf("%d (%02d:%02d:%02d.%03d)", n, n/3600000, n/60000%60, n/1000%60, n%1000)
	}
	switch {
	case typ == 13 || typ == 14:
		w.header("ICMP", []shape{{"originate", 4, clock}, {"receive", 4, clock}, {"transmit", 4, clock}})
	case quotes(typ) && w.prefix == "" && w.at < w.end:
		// One level: an error about an error is never sent.
		w.prefix = "quoted "
		end := w.end
		w.ipv4()
		w.end = end
		w.prefix = ""
	}
	w.rest("ICMP payload")
}

func (w *walk) tcp(m message) {
	if !w.header("TCP", []shape{
		{"source port", 2, decimal},
		{"destination port", 2, decimal},
		{"sequence", 4, decimal},
		{"acknowledgement", 4, decimal},
		{"header length", 1, func(b []byte) string { return fmt.Sprintf("%d bytes", b[0]>>4*4) }},
		{"flags", 1, func(b []byte) string { return fmt.Sprintf("%#02x [%s]", b[0], tcpFlags(b[0])) }},
		{"window", 2, decimal},
		{"checksum", 2, m.checksumValue(m.pseudo, 16)},
		{"urgent pointer", 2, decimal},
	}) {
		return
	}
	// A header length beyond what is there makes no options of the payload.
	if n := int(m.b[12]>>4)*4 - 20; n > 0 && w.at+n <= w.end {
		o := w.frame[w.at : w.at+n]
		w.add("TCP options", fmt.Sprintf("%s: % x", tcpOptionsLine(o), o), n)
	}
	w.rest("TCP payload")
}
