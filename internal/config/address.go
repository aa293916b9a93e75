package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/ipalias/ipalias/responder"
)

const (
	expectedAddr  = `an IPv4 address such as 172.16.3.10`
	expectedRange = `an address "a", a range "a-b" or a prefix "a/n"`
)

// parseRange reads an address, a range "a-b" or a prefix "a/n". wrong is "" if
// it is good, else the message.
// It says in words what is wrong and not in an error, for the caller has the place.
func parseRange(s string) (r responder.Range, wrong string) {
	// Most are single addresses, and there may be a million of them.
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		return responder.Range{First: a, Last: a}, ""
	}
	switch {
	case strings.TrimSpace(s) == "":
		return r, "no address: found an empty string, expected " + expectedRange
	// Text editors and web pages make a dash of a hyphen, and the two look alike. From here on the
	// order is from what tells most: a list with commas would else be a prefix with a bad length.
	case strings.ContainsAny(s, "\u2013\u2014"), strings.Contains(s, ".."), strings.Contains(s, " to "):
		return r, fmt.Sprintf("bad range: found %s, expected two addresses with a plain - between: a-b", quote(s))
	case strings.ContainsAny(s, ",;"), len(strings.Fields(s)) > 1 && !strings.Contains(s, "-"):
		return r, fmt.Sprintf("several addresses in one string: found %s, expected one in each string", quote(s))
	case strings.Contains(s, "/"):
		p, wrong := parsePrefix(s)
		if wrong != "" {
			return r, wrong
		}
		return responder.PrefixRange(p), ""
	case strings.Contains(s, "-"):
		return parseDashed(s)
	}
	a, wrong := parseAddr(s)
	return responder.Range{First: a, Last: a}, wrong
}

// parseDashed reads a range "a-b", with spaces around its dash or without.
func parseDashed(s string) (r responder.Range, wrong string) {
	left, right, _ := strings.Cut(s, "-")
	left, right = strings.TrimSpace(left), strings.TrimSpace(right)
	first, err1 := netip.ParseAddr(left)
	last, err2 := netip.ParseAddr(right)
	switch {
	case left == "" || right == "":
		return r, fmt.Sprintf("half a range: found %s, expected two addresses a-b", quote(s))
	// A host name has dashes too: "web-1".
	case err1 != nil && !strings.Contains(left, ":") && !strings.ContainsAny(left, "."):
		return r, fmt.Sprintf("bad address: found %s, expected %s; names are not looked up", quote(s), expectedAddr)
	case err1 == nil && isNumber(right):
		// "10.0.0.1-200", as nmap has it.
		full := left[:strings.LastIndexAny(left, ".:")+1] + right
		return r, fmt.Sprintf("bad range: found %s, expected a whole address behind the dash; did you mean %q?", quote(s), left+"-"+full)
	case err1 == nil && err2 == nil && first.Is4() != last.Is4():
		return r, fmt.Sprintf("mixed range: found %s, expected two IPv4 addresses", quote(s))
	}
	for _, part := range []string{left, right} {
		if _, wrong := parseAddr(part); wrong != "" {
			return r, wrong + "; in " + quote(s)
		}
	}
	if last.Less(first) {
		return r, fmt.Sprintf("reversed range: found %s, expected the lower address first: %q", quote(s), right+"-"+left)
	}
	return responder.Range{First: first, Last: last}, ""
}

// parsePrefix reads a prefix "a/n" whose host bits are zero.
func parsePrefix(s string) (p netip.Prefix, wrong string) {
	left, right, _ := strings.Cut(s, "/")
	left, right = strings.TrimSpace(left), strings.TrimSpace(right)
	if strings.Contains(s, "-") && strings.Count(s, ".") > 3 {
		return p, fmt.Sprintf("bad range: found %s, expected a range of addresses a-b or a prefix a/n, not both", quote(s))
	}
	a, wrong := parseAddr(left)
	if wrong != "" {
		return p, wrong + "; in " + quote(s)
	}
	n, err := strconv.Atoi(right)
	switch {
	case strings.Contains(right, "."):
		if ones, ok := maskLength(right); ok {
			return p, fmt.Sprintf("bad prefix length: found the mask %s in %s, expected %q", right, quote(s), fmt.Sprintf("%s/%d", a, ones))
		}
		return p, fmt.Sprintf("bad prefix length: found %s in %s, expected a number from 0 to 32", quote(right), quote(s))
	// Atoi takes "+8", and "08" is eight to some and nothing to others.
	case err != nil || !isNumber(right) || n > 32 || len(right) > 1 && right[0] == '0':
		return p, fmt.Sprintf("bad prefix length: found %s in %s, expected a number from 0 to 32", quote(right), quote(s))
	}
	p = netip.PrefixFrom(a, n)
	// To ip-address(8) it is one address with its network, to others the network: one alias, or
	// 256 of them. It is not for us to choose.
	if p.Masked() != p {
		return p, fmt.Sprintf("host bits set: found %s, expected the prefix %q or the single address %q", quote(s), p.Masked(), a)
	}
	return p, ""
}

// maskLength gives the prefix length of a mask such as 255.255.0.0.
// It gives false where the ones are not in a row: such a mask is no prefix.
func maskLength(s string) (int, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return 0, false
	}
	ones, size := net.IPMask(a.AsSlice()).Size()
	return ones, size != 0
}

// parseAddr reads one IPv4 address, and says more of a bad one than the
// standard library does: these are the mistakes people make.
// Each case has the words for one of them; the first that fits is the likeliest.
func parseAddr(s string) (a netip.Addr, wrong string) {
	a, err := netip.ParseAddr(s)
	if err == nil && a.Is4() {
		return a, ""
	}
	why := ""
	parts := strings.Split(s, ".")
	switch {
	case err == nil:
		return a, fmt.Sprintf("IPv6 address: found %s, expected %s; IPv6 aliases are not answered yet", quote(s), expectedAddr)
	case s == "":
		return a, "no address: found an empty string, expected " + expectedAddr
	case s != strings.TrimSpace(s):
		why = fmt.Sprintf("; remove the spaces: %q", strings.TrimSpace(s))
	case strings.Contains(s, "-"), strings.Contains(s, "/"):
		why = " alone"
	// Files name no files, and gateways and networks are few.
	case strings.HasPrefix(s, "@"):
		why = `; "@FILE" stands only in the aliases of a configuration`
	case strings.ContainsAny(s, `"'`):
		why = "; leave out the quotes"
	case strings.Contains(s, "*"):
		why = starHint(parts)
	case strings.ContainsFunc(s, unicode.IsLetter) && !strings.Contains(s, ":"):
		why = "; names are not looked up"
	case strings.Contains(s, ":") && len(parts) == 4:
		why = "; a port has no place here"
	// IPv6 with a slip of the pen: to say where would be to promise that it could stand here.
	case strings.Contains(s, ":"):
	case len(parts) != 4:
		why = fmt.Sprintf("; it has four numbers, not %d", len(parts))
	default:
		why = badPart(parts)
	}
	return netip.Addr{}, fmt.Sprintf("bad address: found %s, expected %s%s", quote(s), expectedAddr, why)
}

// starHint says how 10.0.*.* is written.
// Only where the stars are at the end: 10.*.0.1 is no prefix.
func starHint(parts []string) string {
	n := len(parts)
	if n != 4 {
		return ""
	}
	for n > 0 && parts[n-1] == "*" {
		n--
	}
	full := strings.Join(append(parts[:n:n], strings.Split("0.0.0.0", ".")[n:]...), ".")
	if _, err := netip.ParseAddr(full); err != nil {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", fmt.Sprintf("%s/%d", full, n*8))
}

// badPart finds the number of an address that is none.
func badPart(parts []string) string {
	for _, part := range parts {
		n, err := strconv.Atoi(part)
		switch {
		case part == "":
			return "; a number is missing between the dots"
		case isNumber(part) && (err != nil || n > 255):
			return fmt.Sprintf("; %s is larger than 255", part)
		// inet_aton(3) does; RFC 6943 3.1.1 has what became of that.
		case isNumber(part) && len(part) > 1 && part[0] == '0':
			return fmt.Sprintf("; %s has a leading zero, which some read as octal", part)
		}
	}
	return ""
}
