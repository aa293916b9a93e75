package config

import (
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/ipalias/ipalias/responder"
)

// kinds are what TOML calls its types.
var kinds = map[unstable.Kind]string{
	unstable.Array:         "an array",
	unstable.Table:         "a table",
	unstable.String:        "the string",
	unstable.Bool:          "the boolean",
	unstable.Float:         "the number",
	unstable.Integer:       "the number",
	unstable.LocalDate:     "the date",
	unstable.LocalTime:     "the time",
	unstable.LocalDateTime: "the time",
	unstable.DateTime:      "the time",
}

// describe says what v is, for "found ...".
// Arrays and tables are not written out: they may hold a million addresses.
func (v *value) describe() string {
	switch {
	case v.kind == unstable.Array && len(v.items) == 0:
		return "an empty array"
	case v.kind == unstable.Array, v.kind == unstable.Table:
		return kinds[v.kind]
	case v.kind == unstable.String:
		return kinds[v.kind] + " " + quote(v.text)
	}
	return kinds[v.kind] + " " + short(v.text)
}

// wrongType tells that v is none of what is expected.
func (d *decoder) wrongType(v *value, expected string) {
	d.fail(v.at, "wrong type: found %s, expected %s", v.describe(), expected)
}

func (d *decoder) isTable(v *value, expected string) bool {
	if v.kind != unstable.Table {
		d.wrongType(v, expected)
	}
	return v.kind == unstable.Table
}

func (d *decoder) isString(v *value, expected string) bool {
	if v.kind != unstable.String {
		d.wrongType(v, expected)
	}
	return v.kind == unstable.String
}

// boolean gives a truth value, false after a mistake.
// Decoders give something after a mistake too, so that what follows is checked. Nobody gets
// it: a text with a mistake makes no Config.
func (d *decoder) boolean(v *value) bool {
	if v.kind == unstable.Bool {
		return v.text == "true"
	}
	expected := "true or false"
	if v.kind == unstable.String {
		expected += ", without quotes"
	}
	d.wrongType(v, expected)
	return false
}

// integer gives a number within bounds, 0 after a mistake.
func (d *decoder) integer(v *value, low, high int) int {
	expected := fmt.Sprintf("a whole number from %d to %d", low, high)
	if v.kind != unstable.Integer {
		if _, err := strconv.Atoi(v.text); err == nil && v.kind == unstable.String {
			expected += ", without quotes"
		}
		d.wrongType(v, expected)
		return 0
	}
	// Base 0: TOML's 0x, 0o and 0b, and _ between digits, are those of Go.
	// In an int64, whatever int is here: what is too long for it is out of bounds as well.
	n, err := strconv.ParseInt(v.text, 0, 64)
	if err != nil || n < int64(low) || n > int64(high) {
		d.fail(v.at, "out of range: found %s, expected %s", short(v.text), expected)
		return 0
	}
	return int(n)
}

// choice gives the value that belongs to one of a few words, the first after a mistake.
func choice[T any](d *decoder, v *value, words []string, values []T) T {
	quoted := make([]string, len(words))
	for n, w := range words {
		quoted[n] = strconv.Quote(w)
	}
	if !d.isString(v, oneOf(quoted)) {
		return values[0]
	}
	n := slices.Index(words, v.text)
	if n < 0 {
		expected := oneOf(quoted)
		if near := nearest(v.text, words); near != "" {
			expected += fmt.Sprintf("; did you mean %q?", near)
		}
		d.fail(v.at, "bad value: found %s, expected %s", quote(v.text), expected)
		return values[0]
	}
	return values[n]
}

// closed gives what becomes of datagrams for ports: none is ever open.
func (d *decoder) closed(v *value) responder.Closed {
	return choice(d, v, []string{"refuse", "drop"}, []responder.Closed{responder.Refuse, responder.Drop})
}

// mac decodes the address that is answered with.
func (d *decoder) mac(v *value, i *Interface) {
	const expected = `a MAC address of six bytes such as "00:8e:b8:83:19:20"`
	if !d.isString(v, expected) {
		return
	}
	mac, err := net.ParseMAC(v.text)
	switch {
	case err != nil:
		d.fail(v.at, "bad MAC address: found %s, expected %s", quote(v.text), expected)
	// ParseMAC takes EUI-64 and the 20 bytes of InfiniBand too.
	case len(mac) != len(i.MAC):
		d.fail(v.at, "bad MAC address: found %s of %d bytes, expected %s", quote(v.text), len(mac), expected)
	// Before the next, which would hold as well, because it says more.
	case mac.String() == "ff:ff:ff:ff:ff:ff":
		d.fail(v.at, "bad MAC address: found %s, the broadcast address, expected the address of one station", quote(v.text))
	// The group bit of IEEE 802. Routers do not believe an ARP reply with one: RFC 1812 3.3.2.
	case mac[0]&1 != 0:
		d.fail(v.at, "bad MAC address: found %s, a multicast address (%02x is odd), expected the address of one station", quote(v.text), mac[0])
	case [6]byte(mac) == [6]byte{}:
		d.fail(v.at, "bad MAC address: found %s, which no station has, expected %s; leave mac out for the card's own", quote(v.text), expected)
	default:
		i.MAC = [6]byte(mac)
	}
}

// strings yields the strings of an array, or the one string that stands alone, until
// there are mistakes enough.
func (d *decoder) strings(v *value, expected string) iter.Seq[*value] {
	return func(yield func(*value) bool) {
		switch v.kind {
		case unstable.String:
			yield(v)
		case unstable.Array:
			for n, item := range v.items {
				v.items[n] = nil // a million addresses are not to be there twice
				if d.enough() || d.isString(item, expected) && !yield(item) {
					return
				}
			}
		default:
			d.wrongType(v, expected+", or an array of them")
		}
	}
}

// networks gives what is on link. An empty list stays one: it says that nothing is, where nil
// would leave it to the card.
func (d *decoder) networks(v *value, i *Interface) {
	const expected = `a prefix such as "172.16.3.0/24"`
	i.Networks = []netip.Prefix{}
	for s := range d.strings(v, expected) {
		if !strings.Contains(s.text, "/") {
			// Its class would give a length, but there have been none since RFC 4632.
			if _, err := netip.ParseAddr(s.text); err == nil {
				d.fail(s.at, "no prefix length: found %s, expected %s", quote(s.text), expected)
				continue
			}
			d.fail(s.at, "bad network: found %s, expected %s", quote(s.text), expected)
			continue
		}
		p, wrong := parsePrefix(s.text)
		if wrong != "" {
			d.fail(s.at, "%s", wrong)
			continue
		}
		i.Networks = append(i.Networks, p)
	}
}

// gateways gives the next hops, which are never answered for. Empty as with networks.
func (d *decoder) gateways(v *value, i *Interface) {
	i.Gateways = []netip.Addr{}
	for s := range d.strings(v, `an address such as "172.16.3.200"`) {
		a, wrong := parseAddr(s.text)
		switch {
		case wrong != "":
			d.fail(s.at, "%s", wrong)
		case a.IsUnspecified(), a.IsMulticast(), a.IsLoopback(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			d.fail(s.at, "bad gateway: found %s, expected the address of one host", quote(s.text))
		default:
			i.Gateways, i.gatewayAt = append(i.Gateways, a), append(i.gatewayAt, d.mark(s.at))
		}
	}
}

// from gives who is answered. An empty list could mean everybody as well as
// nobody: it is refused.
func (d *decoder) from(v *value) []netip.Prefix {
	if v.kind == unstable.Array && len(v.items) == 0 {
		d.fail(v.at, `nobody would be answered: found an empty array, expected a prefix such as "10.0.0.0/8"; leave from out to answer everybody`)
		return nil
	}
	var list []netip.Prefix
	for s := range d.strings(v, `a prefix such as "10.0.0.0/8"`) {
		// Aliases take ranges, so people write them here.
		if strings.Contains(s.text, "-") && !strings.Contains(s.text, "/") {
			d.fail(s.at, `bad prefix: found %s, expected a prefix such as "10.0.0.0/8" or an address, no range`, quote(s.text))
			continue
		}
		p, wrong := parsePrefix(s.text)
		if !strings.Contains(s.text, "/") {
			var a netip.Addr
			if a, wrong = parseAddr(s.text); wrong == "" {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if wrong != "" {
			d.fail(s.at, "%s", wrong)
			continue
		}
		list = append(list, p)
	}
	return list
}

// ranges gives addresses, ranges and prefixes.
func (d *decoder) ranges(v *value) []responder.Range {
	list := []responder.Range{}
	for s := range d.strings(v, expectedRange) {
		r, wrong := parseRange(s.text)
		if wrong != "" {
			d.fail(s.at, "%s", wrong)
			continue
		}
		list = append(list, r)
	}
	return list
}
