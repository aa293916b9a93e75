package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipalias/ipalias/internal/nettools"
)

// A routeRequest is what a route command line asks for.
// Target and gateway are addresses only: names are not resolved, since a route that a
// resolver decides over is one that nobody can predict.
type routeRequest struct {
	verb    string // "add" or "del"
	target  netip.Prefix
	guessed bool // target's length is not said: guess finds it
	gateway netip.Addr
	dev     string // "" if it is not said
	// 0 is a metric, so it can't stand for none: "del" without one takes any.
	metric int // -1 if it is not said
	// The last one, if there are several: one is enough to refuse the line.
	other string // a word that only ip can do
	value string // of other
}

// routeOthers are the words of route(8) that are done by ip alone: the command for
// a verb, a route and a value. Those without one have no meaning any more.
// The command holds the whole route: to type a part beside it would make two.
var routeOthers = map[string]string{
	"mss":       "ip route %[1]s %[2]s advmss %[3]s",
	"window":    "ip route %[1]s %[2]s window %[3]s",
	"irtt":      "ip route %[1]s %[2]s rtt %[3]sms",
	"reject":    "ip route %[1]s unreachable %[2]s",
	"mod":       "",
	"dyn":       "",
	"reinstate": "",
}

// refuse is the error for a word that only ip can do.
func (q *routeRequest) refuse() error {
	if format := routeOthers[q.other]; format != "" {
		return fmt.Errorf("%s is not done here: %s", q.other, fmt.Sprintf(format, q.verb, q.ipWords(), q.value))
	}
	return fmt.Errorf("%s has no meaning today, and nothing was changed", q.other)
}

// parseRoute reads the words of a command line with a verb.
func parseRoute(words []string) (*routeRequest, error) {
	q := &routeRequest{verb: words[0], metric: -1}
	if q.verb == "delete" {
		q.verb = "del"
	}
	if q.verb != "add" && q.verb != "del" {
		return nil, badCommandLine("unknown word %q: expected add, del, -n or nothing", words[0])
	}
	rest := words[1:]
	kind := ""
	if len(rest) > 0 && (rest[0] == "-net" || rest[0] == "-host") {
		kind, rest = rest[0], rest[1:]
	}
	if len(rest) == 0 {
		return nil, badCommandLine("route %s: need a target, as in: ipalias route %s default gw 172.16.3.200", q.verb, q.verb)
	}
	if err := q.parseTarget(kind, rest[0]); err != nil {
		return nil, err
	}
	rest = rest[1:]
	for len(rest) > 0 {
		n, err := q.option(rest)
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	// Of a typing error in a mask the kernel says EINVAL only. A guessed one is checked by guess,
	// which has to know the cards' networks first.
	if masked := q.target.Masked(); !q.guessed && masked != q.target {
		return nil, badCommandLine("bad target: found %s, expected no host bits: %s", q.target, masked)
	}
	return q, nil
}

// parseTarget reads "default", an address or a prefix. Without -net and -host an
// address is a network if its class says so, as in route(8).
func (q *routeRequest) parseTarget(kind, text string) error {
	if text == "default" {
		q.target = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		return nil
	}
	// "-host" with a length says two things at once, and is refused below as no address.
	if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() && kind != "-host" {
		q.target = p
		return nil
	}
	a, err := parseAddress("target", text)
	switch {
	case err != nil && kind == "-host":
		return err
	case err != nil:
		return badCommandLine("bad target: found %q, expected default, an IPv4 address such as 172.16.3.1 or a prefix such as 172.16.3.0/24", text)
	}
	q.target = netip.PrefixFrom(a, 32)
	class := netip.PrefixFrom(a, classBits(a))
	// 172.16.0.0 is a network then and 172.16.3.0 a host, for which the HOWTO says -net.
	q.guessed = kind == "-net" || kind == "" && class.Masked() == class
	return nil
}

// classBits is the length of the network that an address was in before CIDR, RFC 791 3.2.
func classBits(a netip.Addr) int {
	switch first := a.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	case first < 224:
		return 24
	}
	return 32
}

// option reads one word with its value, and tells how many words it took.
func (q *routeRequest) option(rest []string) (n int, err error) {
	word := rest[0]
	single := word == "reject" || word == "mod" || word == "dyn" || word == "reinstate"
	_, known := routeOthers[word]
	known = known || slices.Contains([]string{"netmask", "gw", "metric", "dev"}, word)
	// A dash is a misspelt flag rather than a card: the kernel would only say that there is no
	// such device.
	if !known && len(rest) == 1 && !strings.HasPrefix(word, "-") {
		q.dev = word // route(8) takes "dev" for granted at the end
		return 1, nil
	}
	switch {
	// A name in the wrong place and a misspelt word look the same.
	case !known:
		return 0, badCommandLine("unknown word %q: expected netmask, gw, metric or dev", word)
	case single:
		q.other = word
		return 1, nil
	case len(rest) < 2:
		return 0, badCommandLine("%s: expected a word behind it", word)
	}
	switch value := rest[1]; word {
	case "netmask":
		mask, err := parseMask(value)
		if err != nil {
			return 0, err
		}
		bits, _ := bitsOf(mask)
		q.target, q.guessed = netip.PrefixFrom(q.target.Addr(), bits), false
	case "gw":
		q.gateway, err = parseAddress("gateway", value)
	case "dev":
		q.dev = value
	case "metric":
		if q.metric, err = strconv.Atoi(value); err != nil || q.metric < 0 {
			err = badCommandLine("bad metric: found %q, expected a number", value)
		}
	default:
		q.other, q.value = word, value
	}
	return 2, err
}

// guess finds the netmask that a network was given without, as the kernel of the
// HOWTO did (guess_mask): that of a card which is in it, else its class's. It finds
// the card, too, if none is named.
// The class alone would be wrong for the HOWTO itself: its 172.16.3.0 is of class B. Routes
// are the most specific first, so the first that contains an address is the one that the
// kernel would take.
func (q *routeRequest) guess(routes []nettools.Route) error {
	if q.guessed {
		q.target = netip.PrefixFrom(q.target.Addr(), classBits(q.target.Addr()))
		for _, k := range routes {
			// A default route on link contains everything, and says nothing about a network.
			connected := !k.Gateway.IsValid() && !k.Reject && k.Dst.Bits() < 32 && k.Dst.Bits() > 0
			if connected && k.Dst.Addr() == q.target.Addr() && (q.dev == "" || q.dev == k.Card) {
				q.target, q.dev = k.Dst, k.Card
				break
			}
		}
		q.guessed = false
	}
	if masked := q.target.Masked(); masked != q.target {
		return badCommandLine("bad target: %s is more than its class's network %s: need a netmask", q.target.Addr(), masked)
	}
	// A gateway finds its card itself, in the kernel. A deletion is not narrowed: a card that we
	// guessed could keep it from a route which is there.
	if q.dev != "" || q.gateway.IsValid() || q.verb == "del" {
		return nil
	}
	for _, k := range routes {
		if !k.Gateway.IsValid() && !k.Reject && k.Dst.Bits() > 0 && k.Dst.Contains(q.target.Addr()) {
			q.dev = k.Card
			return nil
		}
	}
	return nil
}

// fits tells whether a route is the one that is asked for. What the kernel keeps for
// its own addresses counts for "add": nothing need be done for it.
// A word that is left out fits anything, but for the gateway when adding: a route on link
// and one through a gateway to the same target lead elsewhere. What rejects never fits: to
// call it there would be to say that packets get through.
func (q *routeRequest) fits(k nettools.Route) bool {
	if k.Local && q.verb == "del" {
		return false
	}
	through := k.Gateway == q.gateway || q.verb == "del" && !q.gateway.IsValid()
	return k.Dst == q.target && through && !k.Reject &&
		(q.dev == "" || q.dev == k.Card) && (q.metric < 0 || q.metric == k.Metric)
}

// ipWords writes the route as ip route takes it.
func (q *routeRequest) ipWords() string {
	text := q.target.String()
	if q.target.Bits() == 0 {
		text = "default"
	}
	if q.gateway.IsValid() {
		text += " via " + q.gateway.String()
	}
	if q.dev != "" {
		text += " dev " + q.dev
	}
	if q.metric >= 0 {
		text += fmt.Sprintf(" metric %d", q.metric)
	}
	return text
}

// words writes the target as route takes it.
func (q *routeRequest) words() string {
	switch {
	case q.target.Bits() == 0:
		return "default"
	case q.guessed:
		return "-net " + q.target.Addr().String()
	case q.target.Bits() == 32:
		return "-host " + q.target.Addr().String()
	}
	return "-net " + q.target.String()
}
