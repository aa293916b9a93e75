// Package configtext writes configurations as package config reads them.
// What it writes reads back as the same configuration: save overwrites a file with it, and a
// key that it forgot would be lost there. A test goes through all keys for that.
//
// It writes text by itself instead of by an encoder of TOML: what is left to the card is to
// stay left out, and a million addresses would be as many values first.
package configtext

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/responder"
)

// A Setting is one key with its value as TOML.
type Setting struct{ Key, Value string }

// Settings lists what an interface sets, but for its aliases. What it leaves to
// the card or to the default is not in it. A list that is nil is left out, an empty one set: it
// says that there are none.
func Settings(i *config.Interface) (list []Setting) {
	set := func(given bool, key, value string) {
		if given {
			list = append(list, Setting{key, value})
		}
	}
	set(i.MAC != [6]byte{}, "mac", quote(net.HardwareAddr(i.MAC[:]).String()))
	set(i.Networks != nil, "network", array(i.Networks))
	set(i.Gateways != nil, "gateway", array(i.Gateways))
	set(i.MTU != 0, "mtu", fmt.Sprint(i.MTU))
	set(len(i.Exclude) > 0, "exclude", array(i.Exclude))
	set(i.From != nil, "from", array(i.From))
	set(i.Closed != responder.Refuse, "closed", closed(i.Closed))
	set(i.Reply == responder.Routed, "reply", quote("routed"))
	set(i.Observe, "mode", quote("observe"))
	set(i.Reannounce != 0, "reannounce", fmt.Sprint(int(i.Reannounce.Seconds())))
	set(i.Wait, "wait", "true")
	set(i.Shield, "shield", "true")
	listening := &i.Listening
	set(listening.Workers != 0, "workers", fmt.Sprint(listening.Workers))
	set(listening.Fanout == capture.ByCPU, "fanout", quote("cpu"))
	set(listening.Ring != 0, "ring", fmt.Sprint(listening.Ring))
	// capture.NoSpin is negative, and 0 in a file.
	set(listening.Spin != 0, "spin", fmt.Sprint(max(0, listening.Spin.Microseconds())))
	set(listening.Qdisc, "qdisc", "true")
	set(listening.Counters != 0, "counters", fmt.Sprint(listening.Counters))
	// Limits have a default other than 0, which means that there is none: only what differs is set.
	l, d := i.Limits, responder.DefaultLimits
	set(l.ErrorRate != d.ErrorRate, "limit.error_rate", fmt.Sprint(l.ErrorRate))
	set(l.ErrorBurst != d.ErrorBurst, "limit.error_burst", fmt.Sprint(l.ErrorBurst))
	set(l.PeerRate != d.PeerRate, "limit.peer_rate", fmt.Sprint(l.PeerRate))
	set(l.PeerBurst != d.PeerBurst, "limit.peer_burst", fmt.Sprint(l.PeerBurst))
	set(l.EchoRate != d.EchoRate, "limit.echo_rate", fmt.Sprint(l.EchoRate))
	set(l.EchoBurst != d.EchoBurst, "limit.echo_burst", fmt.Sprint(l.EchoBurst))
	return list
}

// AliasSettings lists what a label sets, but for its addresses.
// Closed is told by a flag of its own: its zero value is a setting too, where the interface
// has another.
func AliasSettings(a *responder.Alias) (list []Setting) {
	if a.HasClosed {
		list = append(list, Setting{"closed", closed(a.Closed)})
	}
	if a.From != nil {
		list = append(list, Setting{"from", array(a.From)})
	}
	return list
}

// Differences tells how the settings of b differ from those of a: "mtu: 1500 -> 9000".
// It is what the log has of a reload.
func Differences(a, b []Setting) (list []string) {
	value := func(list []Setting, key string) string {
		n := slices.IndexFunc(list, func(s Setting) bool { return s.Key == key })
		if n < 0 {
			return "not set"
		}
		return list[n].Value
	}
	for _, s := range a {
		if now := value(b, s.Key); now != s.Value {
			list = append(list, fmt.Sprintf("%s: %s -> %s", s.Key, s.Value, now))
		}
	}
	for _, s := range b {
		if value(a, s.Key) == "not set" {
			list = append(list, fmt.Sprintf("%s: not set -> %s", s.Key, s.Value))
		}
	}
	return list
}

// Interface writes an interface that has these aliases, instead of its own.
// The daemon's are those at run time, which the configuration does not know.
func Interface(text *strings.Builder, i *config.Interface, aliases []responder.Alias) {
	fmt.Fprintf(text, "\n[interface.%s]\n", quote(i.Name))
	for _, s := range Settings(i) {
		fmt.Fprintf(text, "%s = %s\n", s.Key, s.Value)
	}
	if len(aliases) == 0 {
		return
	}
	fmt.Fprintf(text, "\n[interface.%s.aliases]\n", quote(i.Name))
	for n := range aliases {
		a := &aliases[n]
		value := addresses(a.Ranges)
		if settings := AliasSettings(a); len(settings) > 0 {
			// TOML 1.0 has no line break in braces, but in an array within them it has.
			value = "{ address = " + value
			for _, s := range settings {
				value += fmt.Sprintf(", %s = %s", s.Key, s.Value)
			}
			value += " }"
		}
		fmt.Fprintf(text, "%s = %s\n", quote(a.Label), value)
	}
}

// addresses writes one address as a string, a few on a line, many on a line each.
func addresses(list responder.Ranges) string {
	const few = 4
	if list.Len() == 1 {
		return quote(list.At(0).String())
	}
	if list.Len() <= few {
		words := make([]string, 0, few)
		for _, r := range list.All() {
			words = append(words, quote(r.String()))
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	var text strings.Builder
	text.WriteString("[\n")
	for _, r := range list.All() {
		text.WriteString(`    "` + r.String() + "\",\n")
	}
	text.WriteString("]")
	return text.String()
}

func closed(c responder.Closed) string {
	if c == responder.Drop {
		return quote("drop")
	}
	return quote("refuse")
}

func array[T netip.Prefix | netip.Addr | responder.Range](list []T) string {
	words := make([]string, len(list))
	for n, v := range list {
		words[n] = quote(fmt.Sprint(v))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// quote writes a TOML basic string. Its escapes are fewer than Go's.
// Go's \x and \a are none in TOML.
func quote(s string) string {
	var text strings.Builder
	text.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			text.WriteByte('\\')
			text.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&text, `\u%04x`, r)
		default:
			text.WriteRune(r)
		}
	}
	text.WriteByte('"')
	return text.String()
}
