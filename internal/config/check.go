package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipalias/ipalias/responder"
)

// Check tells what is wrong with i on a certain host: overlaps are mistakes,
// what is never answered for or hardly meant is a warning.
// The daemon calls it again with what it found out of the card, where the same configuration
// may have more to it: an alias that is the host's own, a gateway on no network.
func (i *Interface) Check(h Host) ([]Warning, Errors) {
	r := i.Resolve(h)
	found, err := responder.Check(&r)
	var overlap *responder.OverlapError
	switch {
	case errors.As(err, &overlap):
		return nil, i.overlaps(overlap)
	// Nothing that gets here should fail otherwise; if it does, the interface is all that we can point at.
	// Without a table there are no warnings either: they are what its compiler finds.
	case err != nil:
		return nil, Errors{newError(i.at, "interface %s: %v", i.Name, err)}
	}
	var warnings []Warning
	for _, w := range found {
		warnings = append(warnings, Warning{i.Place(w.EntryRef), w.String()})
	}
	return append(warnings, i.Doubts(h)...), nil
}

// Doubts tells what about i, but for its aliases, is hardly meant on a certain host.
func (i *Interface) Doubts(h Host) []Warning {
	r := i.Resolve(h)
	warnings := i.strayGateways(r.Networks)
	if i.MTU > h.MTU && h.MTU > 0 {
		warnings = append(warnings, Warning{i.mtuAt.Place, fmt.Sprintf("the mtu %d is larger than the card's %d: large answers cannot be sent", i.MTU, h.MTU)})
	}
	return warnings
}

// Place tells where an entry of Aliases stands; for one that was added after
// the configuration was read, where the interface does.
func (i *Interface) Place(ref responder.EntryRef) Place { return i.mark(ref).Place }

func (i *Interface) mark(ref responder.EntryRef) mark {
	if ref.Alias >= len(i.origins) {
		return i.at
	}
	return i.origins[ref.Alias].mark(ref.Range)
}

// overlaps makes mistakes of addresses that stand twice, at the second place.
func (i *Interface) overlaps(o *responder.OverlapError) Errors {
	var errs Errors
	for _, o := range o.Overlaps {
		a, b := i.mark(o.A), i.mark(o.B)
		if o.LabelA == o.LabelB {
			errs = append(errs, newError(b, "overlap: found %s in %s twice, first at %s, expected each address once", o.Shared, quote(o.LabelB), a))
			continue
		}
		errs = append(errs, newError(b, "overlap: found %s in %s and in %s at %s, expected each address under one label", o.Shared, quote(o.LabelB), quote(o.LabelA), a))
	}
	if more := o.Total - len(o.Overlaps); more > 0 {
		last := o.Overlaps[len(o.Overlaps)-1]
		errs = append(errs, moreErrors(i.mark(last.B), more))
	}
	return errs
}

// strayGateways warns of gateways that no network holds, as far as the networks
// are known.
// It is no mistake: a route of its own may say that a next hop is on link all the same
// ("onlink" of ip-route(8)), and networks that are not known yet hold nothing.
func (i *Interface) strayGateways(networks []netip.Prefix) []Warning {
	var warnings []Warning
	for n, m := range i.gatewayAt {
		g := i.Gateways[n]
		if len(networks) > 0 && !slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(g) }) {
			warnings = append(warnings, Warning{m.Place, fmt.Sprintf("the gateway %s is on none of the networks %v", g, networks)})
		}
	}
	return warnings
}

// Unchecked lists what depends on the machine that c is used on.
// It is what a check on another machine can't promise: without it "no mistakes" would say too much.
func (c *Config) Unchecked() []string {
	var list []string
	for n := range c.Interfaces {
		i := &c.Interfaces[n]
		card := fmt.Sprintf("%s: whether the card %s exists", i.Name, i.Card)
		if i.Wait {
			card += " (it is waited for)"
		}
		list = append(list, card)
		note := func(given bool, what string) {
			if !given {
				list = append(list, i.Name+": "+what)
			}
		}
		note(i.MAC != [6]byte{}, "mac is not given: the card's own is answered with")
		note(i.Networks != nil, "network is not given: the card's own are on link")
		note(i.Gateways != nil, "gateway is not given: those of the kernel's default routes are never answered for")
		note(i.MTU != 0, "mtu is not given: the card's is used")
		// No key gives these: always there.
		note(false, "which aliases are addresses of the host itself, and so never answered for")
	}
	return list
}

// ForReplay picks the interface to replay for: the one called name, or the only
// one if name is "". Its mac must be given, for no card is looked at. The
// error is an Errors.
func (c *Config) ForReplay(name string) (*Interface, error) {
	names := make([]string, len(c.Interfaces))
	for n := range c.Interfaces {
		names[n] = c.Interfaces[n].Name
	}
	var i *Interface
	switch n := slices.Index(names, name); {
	case n >= 0:
		i = &c.Interfaces[n]
	case name != "":
		msg := fmt.Sprintf("no such interface: %s has %s", c.Path, oneOf(names))
		if near := nearest(name, names); near != "" {
			msg += fmt.Sprintf("; did you mean %s?", near)
		}
		return nil, Errors{{Place: Place{File: "-i " + name}, Msg: msg}}
	case len(names) == 1:
		i = &c.Interfaces[0]
	default:
		return nil, Errors{{Place: Place{File: c.Path}, Msg: fmt.Sprintf("several interfaces: found %s, expected one of them with -i", oneOf(names))}}
	}
	if i.MAC == [6]byte{} {
		return nil, Errors{newError(i.at, `no mac: [interface.%s] leaves it to the card, and here no card is looked at; expected mac = "00:8e:b8:83:19:20" in it`, quoteKey(i.Name))}
	}
	return i, nil
}
