package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/ipalias/ipalias/responder"
)

// topKeys are the keys at the top.
// The lists of keys are what there is to be configured: decoding, hints for mistyped ones and
// the tests of manual page and reference configuration all go by them.
var topKeys = []field[Config]{
	{"interface", (*decoder).interfaces},
}

// interfaceKeys are the keys of [interface.CARD].
var interfaceKeys []field[Interface]

// The list is filled here because a decoder that it names looks into it, to say
// where a key belongs.
func init() {
	interfaceKeys = []field[Interface]{
		{"mac", (*decoder).mac},
		{"network", (*decoder).networks},
		{"gateway", (*decoder).gateways},
		{"mtu", func(d *decoder, v *value, i *Interface) {
			i.MTU, i.mtuAt = d.integer(v, 68, 65535), d.mark(v.at) // RFC 791: 68 is what every link must carry
		}},
		{"exclude", func(d *decoder, v *value, i *Interface) { i.Exclude = d.ranges(v) }},
		{"from", func(d *decoder, v *value, i *Interface) { i.From = d.from(v) }},
		{"closed", func(d *decoder, v *value, i *Interface) { i.Closed = d.closed(v) }},
		{"reply", func(d *decoder, v *value, i *Interface) {
			i.Reply = choice(d, v, []string{"reflect", "routed"}, []responder.Reply{responder.Reflect, responder.Routed})
		}},
		{"mode", func(d *decoder, v *value, i *Interface) {
			i.Observe = choice(d, v, []string{"answer", "observe"}, []bool{false, true})
		}},
		{"reannounce", func(d *decoder, v *value, i *Interface) {
			i.Reannounce = time.Duration(d.integer(v, 0, maxPause)) * time.Second
		}},
		{"wait", func(d *decoder, v *value, i *Interface) { i.Wait = d.boolean(v) }},
		{"shield", func(d *decoder, v *value, i *Interface) { i.Shield = d.boolean(v) }},
		{"limit", (*decoder).limits},
		{"aliases", (*decoder).aliases},
	}
	interfaceKeys = append(interfaceKeys, listeningKeys()...)
}

// limitKeys are the keys of [interface.CARD.limit].
var limitKeys = []field[responder.Limits]{
	// A rate of 0 is no limit, a burst of 0 would be no answer.
	{"error_rate", func(d *decoder, v *value, l *responder.Limits) { l.ErrorRate = d.integer(v, 0, maxRate) }},
	{"error_burst", func(d *decoder, v *value, l *responder.Limits) { l.ErrorBurst = d.integer(v, 1, maxRate) }},
	{"peer_rate", func(d *decoder, v *value, l *responder.Limits) { l.PeerRate = d.integer(v, 0, maxRate) }},
	{"peer_burst", func(d *decoder, v *value, l *responder.Limits) { l.PeerBurst = d.integer(v, 1, maxRate) }},
	{"echo_rate", func(d *decoder, v *value, l *responder.Limits) { l.EchoRate = d.integer(v, 0, maxRate) }},
	{"echo_burst", func(d *decoder, v *value, l *responder.Limits) { l.EchoBurst = d.integer(v, 1, maxRate) }},
}

// maxRate bounds rates and bursts, so that the responder's nanoseconds neither
// round to nothing nor overflow. More than a million answers a second is no limit.
const maxRate = 1_000_000

// maxPause bounds a number of seconds: after a day every cache has forgotten.
const maxPause = 86400

// aliasKeys are the keys of a label's { ... }.
var aliasKeys = []field[alias]{
	{"address", (*decoder).address},
	{"closed", func(d *decoder, v *value, a *alias) { a.Closed, a.HasClosed = d.closed(v), true }},
	{"from", func(d *decoder, v *value, a *alias) { a.From = d.from(v) }},
}

// nowhere is the hint for an unknown key where there is none to give.
func nowhere(string) string { return "" }

// config decodes the whole document.
func (d *decoder) config(root *table) *Config {
	c := new(Config)
	fields(d, root, "", topKeys, c, func(key string) string {
		switch {
		case findField(interfaceKeys, key) != nil:
			return "it belongs in [interface.CARD]"
		case looksLikeCard(root.index[key].value):
			return fmt.Sprintf("did you mean [interface.%s]?", quoteKey(key))
		case nearest(key, keysOf(topKeys)) == "":
			return "expected [interface.CARD]"
		}
		return ""
	})
	if len(root.entries) == 0 && !d.broken {
		d.fail(0, "no interface: found nothing to answer for, expected [interface.CARD], where CARD is for example eth0")
	}
	return c
}

// looksLikeCard tells whether v has the keys of an interface.
// Its name can't tell: any word may be a card's.
func looksLikeCard(v *value) bool {
	if v.kind != unstable.Table {
		return false
	}
	for _, e := range v.table.entries {
		if findField(interfaceKeys, e.key) != nil {
			return true
		}
	}
	return false
}

// interfaces decodes [interface].
func (d *decoder) interfaces(v *value, c *Config) {
	if !d.isTable(v, "a table for each card: [interface.eth0]") {
		return
	}
	if len(v.table.entries) == 0 && !d.broken {
		d.fail(v.at, "no interface: found an empty table, expected [interface.CARD], where CARD is for example eth0")
	}
	for _, e := range v.table.entries {
		if d.enough() {
			return
		}
		if e.value.kind != unstable.Table && findField(interfaceKeys, e.key) != nil {
			d.fail(e.at, "%s belongs to one card: found it in [interface], expected it in [interface.CARD]", e.key)
			continue
		}
		if i, ok := d.iface(e); ok && !e.repeat {
			c.Interfaces = append(c.Interfaces, i)
		}
	}
}

// iface decodes [interface.CARD]; ok says that its name is one.
func (d *decoder) iface(e *entry) (i Interface, ok bool) {
	i = Interface{Name: e.key, Limits: responder.DefaultLimits, at: d.mark(e.at)}
	var wrong string
	if i.Card, i.Tags, wrong = parseName(e.key); wrong != "" {
		d.fail(e.at, "%s", wrong)
	}
	name := "[interface." + quoteKey(e.key) + "]"
	if !d.isTable(e.value, "a table "+name) {
		return i, false
	}
	fields(d, e.value.table, name, interfaceKeys, &i, func(key string) string {
		switch {
		case strings.Contains(key, ":"):
			return fmt.Sprintf("a label belongs in [interface.%s.aliases]", quoteKey(e.key))
		// Without quotes the dot of [interface.eth0.100] is TOML's, and 100 a table of eth0.
		case isNumber(key) && e.value.table.index[key].value.kind == unstable.Table:
			return fmt.Sprintf("a VLAN is written with quotes: [interface.%q]", e.key+"."+key)
		case findField(limitKeys, key) != nil:
			return fmt.Sprintf("it belongs in [interface.%s.limit]", quoteKey(e.key))
		case key == "address":
			return fmt.Sprintf(`addresses stand in [interface.%s.aliases]: %q = "172.16.3.10"`, quoteKey(e.key), e.key+":0")
		}
		return ""
	})
	// No mistake: a table that is filled at run time alone begins like this.
	if len(i.Aliases) == 0 && wrong == "" && !d.broken && e.value.table.index["aliases"] == nil {
		d.warn(i.at, "%s has no aliases: nothing is answered for until one is added", name)
	}
	return i, wrong == ""
}

// burst is how many echo replies may go out at once where only their rate is
// given: as many as the kernel's of errors.
const burst = 50

func (d *decoder) limits(v *value, i *Interface) {
	if !d.isTable(v, "a table with "+oneOf(keysOf(limitKeys))) {
		return
	}
	fields(d, v.table, "limit", limitKeys, &i.Limits, nowhere)
	// Only echoes have no burst by default, having no rate; without one none would go out.
	if i.Limits.EchoRate > 0 && i.Limits.EchoBurst == 0 {
		i.Limits.EchoBurst = burst
	}
}
