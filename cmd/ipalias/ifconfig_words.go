package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// An ifRequest is what an ifconfig command line asks for.
// Words come in any order, as in ifconfig(8). All that it could say is understood, so that a
// line of an old script is done or refused with what does it today, and never misread.
type ifRequest struct {
	name      string
	address   string // as written; "" if the words have none
	netmask   netip.Addr
	broadcast netip.Addr
	// Never both: parseIfconfig refuses it. Neither: nothing was said.
	up, down bool
	others   []ifOther
}

// An ifOther is a word of ifconfig's that is done by ip alone, with its value.
type ifOther struct {
	word   string
	values []string
}

// value is the last one, the one that matters: "hw ether MAC".
// It is "" for words without any, which ifOthers' commands do not use.
func (o ifOther) value() string {
	if len(o.values) == 0 {
		return ""
	}
	return o.values[len(o.values)-1]
}

// ifOthers are the words that take an address no further, how many values each
// has, and the ip command that does it: %[1]s is the card, %[2]s the value. Those
// without a command have no meaning any more.
// Their number of values must be right even for those that mean nothing: else "irq 7" would
// make an address of the 7. Those about an alias's card are refused too, as one alias must
// not change all others on the card; ifconfig(8) did it without a word.
var ifOthers = map[string]struct {
	values  int
	command string
}{
	"mtu":         {1, "ip link set dev %[1]s mtu %[2]s"},
	"hw":          {2, "ip link set dev %[1]s address %[2]s"},
	"txqueuelen":  {1, "ip link set dev %[1]s txqueuelen %[2]s"},
	"arp":         {0, "ip link set dev %[1]s arp on"},
	"-arp":        {0, "ip link set dev %[1]s arp off"},
	"promisc":     {0, "ip link set dev %[1]s promisc on"},
	"-promisc":    {0, "ip link set dev %[1]s promisc off"},
	"allmulti":    {0, "ip link set dev %[1]s allmulticast on"},
	"-allmulti":   {0, "ip link set dev %[1]s allmulticast off"},
	"multicast":   {0, "ip link set dev %[1]s multicast on"},
	"-multicast":  {0, "ip link set dev %[1]s multicast off"},
	"add":         {1, "ip addr add %[2]s dev %[1]s"},
	"del":         {1, "ip addr del %[2]s dev %[1]s"},
	"pointopoint": {1, "ip addr add ADDRESS peer %[2]s dev %[1]s"},
	"dstaddr":     {1, "ip addr add ADDRESS peer %[2]s dev %[1]s"},
	"metric":      {1, ""},
	"-broadcast":  {0, ""},
	"trailers":    {0, ""},
	"-trailers":   {0, ""},
	"irq":         {1, ""},
	"io_addr":     {1, ""},
	"mem_start":   {1, ""},
	"media":       {1, ""},
}

// parseIfconfig reads the words of a command line that has more than a name.
func parseIfconfig(words []string) (*ifRequest, error) {
	q := &ifRequest{name: words[0]}
	if strings.HasPrefix(q.name, "-") {
		return nil, badCommandLine("unknown option %s: expected -a, or a card or an alias such as eth0:0", q.name)
	}
	rest := words[1:]
	// The address family, which was the default.
	// It is only known in this place, as in ifconfig(8).
	if rest[0] == "inet" {
		rest = rest[1:]
	}
	for len(rest) > 0 {
		n, err := q.word(rest)
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	// ifconfig(8) obeyed word for word, the last one winning, with a moment in between in which
	// the card was off and its routes were lost.
	if q.down && (q.up || q.address != "") {
		return nil, badCommandLine("down excludes an address and up: either the one or the other")
	}
	return q, nil
}

// word reads one word with its values, and tells how many words it took.
func (q *ifRequest) word(rest []string) (n int, err error) {
	word := rest[0]
	other, known := ifOthers[word]
	n = 1 + other.values
	if word == "netmask" || word == "broadcast" {
		n = 2
	}
	if len(rest) < n {
		return 0, badCommandLine("%s: expected %s behind it", word, count(uint64(n-1), "word", "words"))
	}
	switch values := rest[1:n]; {
	case word == "up":
		q.up = true
	case word == "down":
		q.down = true
	case word == "netmask":
		q.netmask, err = parseMask(values[0])
	case word == "broadcast":
		q.broadcast, err = parseAddress("broadcast", values[0])
	// There were once AX.25, ARCnet and others.
	case word == "hw" && values[0] != "ether":
		err = badCommandLine("hw %s: expected ether, the only hardware here", values[0])
	case known:
		q.others = append(q.others, ifOther{word, values})
	case word == "inet6":
		err = badCommandLine("inet6: expected IPv4; for a card there is: ip -6 addr add ADDRESS dev %s", cardName(q.name))
	// Also what is a wrong one, and an IPv6 one: who reads addresses says what is wrong with it.
	// A host's name is not resolved, unlike there: a misspelt word would be a question to a name
	// server, and its answer an address on the card.
	case q.address == "" && (strings.IndexAny(word, "@0123456789") == 0 || strings.Count(word, ":") > 1):
		q.address = word
	default:
		err = badCommandLine("unknown word %q: expected an address, netmask, broadcast, up or down", word)
	}
	return n, err
}

// cardName is the card that an alias is on.
func cardName(name string) string {
	card, _, _ := strings.Cut(name, ":")
	return card
}

func parseAddress(what, text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return a, badCommandLine("bad %s: found %q, expected an IPv4 address such as 172.16.3.1", what, text)
	}
	return a, nil
}

// parseMask reads a netmask as ifconfig did: with dots, or in hexadecimal.
// Hexadecimal is what BSD's ifconfig prints, and people paste it. Holes are refused here and
// not later: a length is all that goes on from here, and it would be a wrong one.
func parseMask(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	var word uint32
	if _, hex := fmt.Sscanf(text, "0x%8x", &word); err != nil && hex == nil {
		a, err = netip.AddrFrom4([4]byte{byte(word >> 24), byte(word >> 16), byte(word >> 8), byte(word)}), nil
	}
	if err == nil && a.Is4() {
		if _, ok := bitsOf(a); ok {
			return a, nil
		}
	}
	return a, badCommandLine("bad netmask: found %q, expected one such as 255.255.255.0, without holes", text)
}

// refuse is the error for a word that only ip can do, on the card.
func (o ifOther) refuse(name string) error {
	where := ""
	if isAlias(name) {
		where = ", and a matter of the card"
	}
	if command := ifOthers[o.word].command; command != "" {
		return fmt.Errorf("%s is not done here%s: %s", o.word, where, fmt.Sprintf(command, cardName(name), o.value()))
	}
	return fmt.Errorf("%s has no meaning on %s today, and nothing was changed", o.word, name)
}
