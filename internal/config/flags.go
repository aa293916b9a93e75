package config

import (
	"fmt"

	"github.com/ipalias/ipalias/responder"
)

// FromFlags makes the configuration of "-i iface -a addrs[0] -a addrs[1]": each
// value becomes a label, eth0:0, eth0:1 and so on. Address files are relative to the
// working directory. The error is an Errors.
func FromFlags(iface string, addrs []string) (*Config, error) {
	d := &decoder{open: beside(".")}
	// Before all addresses in the order of mistakes.
	i := Interface{Name: iface, Limits: responder.DefaultLimits, at: mark{Place{File: "-i " + iface}, -1}}
	var wrong string
	if i.Card, i.Tags, wrong = parseName(iface); wrong != "" {
		d.failAt(i.at, "%s", wrong)
	}
	for n, text := range addrs {
		at := mark{Place{File: "-a " + clip(text)}, n}
		a := alias{Alias: responder.Alias{Label: fmt.Sprintf("%s:%d", iface, n)}, labels: labels{at: at}}
		d.addresses(text, at, &a)
		i.Aliases, i.origins = append(i.Aliases, a.Alias), append(i.origins, a.labels)
	}
	warnings, errs := i.Check(Host{})
	d.errs = append(d.errs, errs...)
	if err := d.errs.err(); err != nil {
		return nil, err
	}
	return &Config{Interfaces: []Interface{i}, Warnings: append(d.warnings, warnings...)}, nil
}

// Addresses reads addresses, ranges, prefixes and "@FILE" for a label, as they
// stand on a command line. The error is an Errors that names each by its text.
func Addresses(label string, values []string) (responder.Ranges, error) {
	d := &decoder{open: beside(".")}
	a := alias{Alias: responder.Alias{Label: label, Ranges: responder.Ranges{}.Grow(len(values))}}
	for n, text := range values {
		if d.enough() {
			break
		}
		place := clip(text)
		if text == "" {
			place = `""` // else the line began with a colon
		}
		d.addresses(text, mark{Place{File: place}, n}, &a)
	}
	// Never to be seen: an interface for Check to find overlaps among the values in.
	i := Interface{Name: "run", Aliases: []responder.Alias{a.Alias}, origins: []labels{a.labels}}
	_, errs := i.Check(Host{})
	if err := append(d.errs, errs...).err(); err != nil {
		return responder.Ranges{}, err
	}
	return a.Ranges, nil
}
