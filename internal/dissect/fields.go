package dissect

import (
	"fmt"
	"strings"
)

// A Field is one field of a frame.
type Field struct {
	Name       string // unique within the frame: "IP TTL", "quoted IP TTL"
	Value      string // for people
	Start, End int    // the bytes of the frame it lies in, [Start:End)
}

// Fields takes a frame apart, in the order of its bytes, each of which belongs to
// exactly one field.
// That is what lets Compare lay all of two frames side by side, and name any byte that differs.
func Fields(frame []byte) []Field {
	w := walk{frame: frame, end: len(frame)}
	w.ethernet()
	w.end = len(frame)
	w.rest("trailing bytes")
	return w.fields
}

// A walk goes through a frame and names what it passes.
type walk struct {
	frame  []byte
	at     int    // how far it has come
	end    int    // where the layer ends that it is in
	prefix string // of names: "quoted " within a quoted datagram
	fields []Field
}

// A shape is a field of a header: how long it is, and how its bytes are shown.
type shape struct {
	name string
	size int
	show func([]byte) string
}

// header passes fields, as far as there are bytes. It tells whether there were
// enough.
// A field that is cut short is passed with what there is of it, and ends the walk of its layer.
func (w *walk) header(layer string, shapes []shape) bool {
	for _, s := range shapes {
		n := min(s.size, w.end-w.at)
		if n <= 0 {
			return false
		}
		b := w.frame[w.at : w.at+n]
		value := ""
		if n < s.size {
			value = fmt.Sprintf("%x, cut short: %d of %d bytes", b, n, s.size)
		} else {
			value = s.show(b)
		}
		w.add(layer+" "+s.name, value, n)
		if n < s.size {
			return false
		}
	}
	return true
}

// add passes n bytes.
func (w *walk) add(name, value string, n int) {
	w.fields = append(w.fields, Field{w.prefix + name, value, w.at, w.at + n})
	w.at += n
}

// rest passes what is left of the layer, if there is something.
func (w *walk) rest(name string) {
	if w.at < w.end {
		w.add(name, bytesValue(w.frame[w.at:w.end]), w.end-w.at)
	}
}

// maxShown is how many bytes of data a value shows.
// Two values stand side by side on one line. What differs later is shown from there on (diff.go).
const maxShown = 8

func bytesValue(b []byte) string {
	count := "1 byte"
	if len(b) != 1 {
		count = fmt.Sprintf("%d bytes", len(b))
	}
	if len(b) > maxShown {
		return fmt.Sprintf("%s: % x ...", count, b[:maxShown])
	}
	return fmt.Sprintf("%s: % x", count, b)
}

func decimal(b []byte) string {
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return fmt.Sprint(n)
}

func hexadecimal(b []byte) string { return fmt.Sprintf("0x%x", b) }

func etherType(b []byte) string { return named(hexadecimal(b), typeNames[be.Uint16(b)]) }

func named(value, name string) string {
	if name == "" {
		return value
	}
	return fmt.Sprintf("%s (%s)", value, name)
}

func (w *walk) ethernet() {
	if !w.header("Ethernet", []shape{{"destination", 6, mac}, {"source", 6, mac}}) {
		return
	}
	p := parse(w.frame)
	for i := range p.tags {
		layer := fmt.Sprintf("VLAN tag %d", i+1)
		w.header(layer, []shape{{"type", 2, hexadecimal}, {"control", 2, func(b []byte) string {
			return fmt.Sprintf("vlan %d, priority %d, drop eligible %d", be.Uint16(b)&0xfff, b[0]>>5, b[0]>>4&1)
		}}})
	}
	w.header("Ethernet", []shape{{"type", 2, etherType}})
	if !p.ok {
		return
	}
	switch p.typ {
	case typeARP:
		w.arp()
	case typeIPv4:
		w.ipv4()
	default:
		w.rest("payload")
	}
}

func (w *walk) arp() {
	if !w.header("ARP", []shape{
		{"hardware type", 2, decimal},
		{"protocol type", 2, etherType},
		{"hardware address length", 1, decimal},
		{"protocol address length", 1, decimal},
		{"operation", 2, func(b []byte) string { return named(decimal(b), arpOperation(be.Uint16(b))) }},
	}) {
		return
	}
	if lengths := w.frame[w.at-4 : w.at-2]; lengths[0] != 6 || lengths[1] != 4 {
		w.rest("ARP addresses")
		return
	}
	w.header("ARP", []shape{
		{"sender MAC", 6, mac},
		{"sender IP", 4, addr4},
		{"target MAC", 6, mac},
		{"target IP", 4, addr4},
	})
}

func (w *walk) ipv4() {
	d, trouble := ipv4(w.frame[w.at:w.end])
	checksum := hexadecimal
	if trouble == "" {
		// What lies behind the datagram is no part of it.
		w.end = min(w.end, w.at+len(d.b))
		checksum = checksumValue(0, d.b[:d.hl], 10)
	}
	if !w.header("IP", []shape{
		{"version and header length", 1, func(b []byte) string { return fmt.Sprintf("%d, %d bytes", b[0]>>4, b[0]&15*4) }},
		{"TOS", 1, hexadecimal},
		{"total length", 2, decimal},
		{"identification", 2, decimal},
		{"flags and offset", 2, fragmentValue},
		{"TTL", 1, decimal},
		{"protocol", 1, func(b []byte) string { return named(decimal(b), protocolNames[b[0]]) }},
		{"checksum", 2, checksum},
		{"source", 4, addr4},
		{"destination", 4, addr4},
	}) || trouble != "" {
		w.rest("IP payload")
		return
	}
	if o := d.options(); len(o) > 0 {
		w.add("IP options", fmt.Sprintf("%s: % x", optionsLine(o), o), len(o))
	}
	w.transport(d)
}

func fragmentValue(b []byte) string {
	v := be.Uint16(b)
	var flags []string
	for _, f := range []struct {
		bit  uint16
		name string
	}{{0x8000, "reserved"}, {0x4000, "DF"}, {0x2000, "MF"}} {
		if v&f.bit != 0 {
			flags = append(flags, f.name)
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%s offset %d", strings.Join(flags, " "), v&0x1fff*8))
}

// checksumValue shows the checksum at an offset of the bytes it is over, and what
// it ought to be.
func checksumValue(pseudo uint32, over []byte, at int) func([]byte) string {
	return func(b []byte) string {
		if sum(pseudo, over) == 0xffff {
			return hexadecimal(b)
		}
		fixed := append([]byte(nil), over...)
		be.PutUint16(fixed[at:], 0)
		return fmt.Sprintf("%s (wrong, expected 0x%04x)", hexadecimal(b), ^sum(pseudo, fixed))
	}
}
