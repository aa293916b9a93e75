package dissect

import (
	"fmt"
	"net/netip"
	"strings"
)

func addr16(b []byte) string { return netip.AddrFrom16([16]byte(b)).String() }

// optionsWalk goes through IPv4 or TCP options: both have a byte of kind, and but
// for kinds 0 (the end) and 1 (padding) one of length that counts all. describe
// gets an option that is there as a whole.
func optionsWalk(b []byte, describe func(kind byte, option []byte) string) string {
	var all []string
	for len(b) > 0 {
		kind := b[0]
		if kind == 0 {
			all = append(all, "eol")
			break
		}
		if kind == 1 {
			all = append(all, "nop")
			b = b[1:]
			continue
		}
		// Where the next option would be is not known: the rest is not guessed at.
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			length := "none"
			if len(b) >= 2 {
				length = fmt.Sprint(b[1])
			}
			all = append(all, fmt.Sprintf("option %d with bad length %s", kind, length))
			break
		}
		all = append(all, describe(kind, b[:b[1]]))
		b = b[b[1]:]
	}
	return strings.Join(all, ", ")
}

// RFC 791 3.1, with those of RFC 1108 (130), RFC 2113 (148) and CIPSO (134). Pointers count from 1,
// at the kind.
func optionsLine(b []byte) string {
	names := map[byte]string{7: "RR", 68: "TS", 131: "LSRR", 137: "SSRR", 130: "security", 134: "CIPSO", 136: "stream id", 148: "router alert"}
	return optionsWalk(b, func(kind byte, o []byte) string {
		name, known := names[kind]
		switch {
		case !known:
			return fmt.Sprintf("option %d, %d bytes", kind, len(o))
		case kind == 148 || kind == 136 || kind == 130 || kind == 134 || len(o) < 3:
			return name
		case kind == 68 && len(o) >= 4:
			return fmt.Sprintf("%s flag %d overflow %d pointer %d of %d", name, o[3]&15, o[3]>>4, o[2], len(o))
		}
		line := fmt.Sprintf("%s pointer %d of %d", name, o[2], len(o))
		for at := 3; at+4 <= len(o); at += 4 {
			line += " " + addr4(o[at:])
		}
		return line
	})
}

// RFC 9293 3.2, 7323, 2018, 2385 (19), 5925 (29) and 7413 (34), as tcpdump calls them or nearly.
func tcpOptionsLine(b []byte) string {
	return optionsWalk(b, func(kind byte, o []byte) string {
		switch {
		case kind == 2 && len(o) == 4:
			return fmt.Sprintf("mss %d", be.Uint16(o[2:]))
		case kind == 3 && len(o) == 3:
			return fmt.Sprintf("wscale %d", o[2])
		case kind == 4:
			return "sackOK"
		case kind == 5:
			return "sack"
		case kind == 8 && len(o) == 10:
			return fmt.Sprintf("TS val %d ecr %d", be.Uint32(o[2:]), be.Uint32(o[6:]))
		case kind == 19:
			return "md5"
		case kind == 29:
			return "authentication"
		case kind == 34:
			return "fast open"
		}
		return fmt.Sprintf("option %d, %d bytes", kind, len(o))
	})
}
