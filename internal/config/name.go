package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest name of a card in bytes: IFNAMSIZ less the zero byte.
const maxName = 15

// maxWhole is a length that no name of a card with its VLANs comes near to.
// The name is looked at before it is taken apart: a sender may give a megabyte of dots.
const maxWhole = 256

// MaxLabel is the longest label of an alias in bytes.
// The kernel's own labels end at IFNAMSIZ. Ours are never given to it, and may say what an
// address is for.
const MaxLabel = 256

// parseName takes the name of an interface apart: "eth0", "eth0.100",
// "eth0.100.200". A part that is a number is a VLAN identifier; any other dot
// belongs to the name of the card. wrong is "" if the name is good.
// It goes by the name alone, which has to mean the same before the card is there.
func parseName(name string) (card string, tags []uint16, wrong string) {
	if len(name) > maxWhole {
		return name, nil, fmt.Sprintf("bad interface name: found %s of %d bytes, expected a card such as eth0", quote(name), len(name))
	}
	parts := strings.Split(name, ".")
	n := 1
	for n < len(parts) && !isNumber(parts[n]) {
		n++
	}
	card = strings.Join(parts[:n], ".")
	if wrong := badCard(card, name); wrong != "" {
		return card, nil, wrong
	}
	// IEEE 802.1ad has a service tag and a customer tag; the responder looks behind no more.
	if len(parts)-n > 2 {
		return card, nil, fmt.Sprintf("too many VLAN tags: found %s, expected at most two, as in %q", quote(name), card+".100.200")
	}
	for _, part := range parts[n:] {
		if !isNumber(part) {
			return card, nil, fmt.Sprintf("bad VLAN: found %s, expected a number after each dot behind the card, as in %q", quote(name), card+".100")
		}
		id, err := strconv.Atoi(part)
		switch {
		// IEEE 802.1Q: 0 is a priority without a VLAN, 4095 is reserved.
		case err != nil || id < 1 || id > 4094:
			return card, nil, fmt.Sprintf("bad VLAN: found %s in %s, expected a number from 1 to 4094", quote(part), quote(name))
		// eth0.010 and eth0.10 would be two interfaces of one VLAN.
		case part[0] == '0':
			return card, nil, fmt.Sprintf("bad VLAN: found %s in %s, expected no leading zero: %d", quote(part), quote(name), id)
		}
		tags = append(tags, uint16(id))
	}
	return card, tags, ""
}

// badCard says why Linux would refuse the name of a card (dev_valid_name), ""
// if it would not.
func badCard(card, name string) string {
	switch {
	case card == "":
		return fmt.Sprintf("bad interface name: found %s, expected a card such as eth0", quote(name))
	case strings.Contains(card, ":"):
		before, _, _ := strings.Cut(card, ":")
		return fmt.Sprintf("bad interface name: found %s, expected a card without a colon such as %s; with a colon it is a label of the card's aliases", quote(name), quote(before))
	case strings.ContainsFunc(card, func(r rune) bool { return r == '/' || unicode.IsSpace(r) || unicode.IsControl(r) }),
		strings.HasSuffix(card, "."):
		return fmt.Sprintf("bad interface name: found %s, expected a card such as eth0, without spaces, slashes or a dot at its end", quote(name))
	case len(card) > maxName:
		return fmt.Sprintf("bad interface name: found %s of %d bytes, expected at most %d", quote(card), len(card), maxName)
	}
	return ""
}

// isNumber tells whether s is digits.
func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Plain tells whether a terminal shows a text as what it is. Escape sequences would do as they
// please there, marks of direction have it read as another text, and what is no UTF-8
// has become U+FFFD on its way through JSON: a name that nobody gave.
func Plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) })
}

// badLabel says what is wrong with a label of an interface, "" if nothing is.
func badLabel(label, iface string) string {
	card, text, colon := strings.Cut(label, ":")
	switch {
	case len(label) > MaxLabel:
		return fmt.Sprintf("bad label: found %s of %d bytes, expected at most %d", quote(label), len(label), MaxLabel)
	case !colon && findField(interfaceKeys, label) != nil:
		return fmt.Sprintf("bad label: found %s, expected %q; the key %s of the interface belongs in [interface.%s], before its aliases",
			quote(label), iface+":TEXT", label, quoteKey(iface))
	case !colon:
		return fmt.Sprintf("bad label: found %s, expected %q", quote(label), iface+":TEXT")
	case card == "":
		return fmt.Sprintf("bad label: found %s, expected the card before the colon: %q", quote(label), iface+":"+text)
	case card != iface:
		return fmt.Sprintf("label of another interface: found %s in the aliases of %s, expected %q", quote(label), iface, iface+":"+text)
	case text == "":
		return fmt.Sprintf("bad label: found %s, expected a text after the colon: %q", quote(label), iface+":0")
	case !Plain(text):
		return fmt.Sprintf("bad label: found %s, expected a text on one line, without control or invisible characters", quote(label))
	}
	return ""
}
