package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/link"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// A wanted is an interface as configured, with the run-time changes made.
type wanted struct {
	*config.Interface
	view *overlay.View
}

// A table is what is answered for on one card: the configuration, resolved
// against what the kernel knows. All that changes it goes through publish. It
// belongs to the card's goroutine.
type table struct {
	log        *slog.Logger
	kernel     *link.Kernel
	configured []wanted // replaced, never changed
	responder  *responder.Responder
	gate       capture.Gate    // all that the card sends passes it
	observe    bool            // on all interfaces, whatever they say
	silent     map[string]bool // the interfaces that only watch, as logged last

	hosts      []config.Host              // what configured was resolved against last
	published  []responder.Interface      // as resolved last, without aliases: those are configured's; replaced, never changed
	generation int                        // how often they were replaced
	warned     map[string]responder.Range // the warnings that hold now, and the addresses that they are about
	untold     int                        // warnings that hold and are not in warned
}

// update has the table follow what the kernel knows now. After an error it is
// what it was.
func (t *table) update(facts link.Facts) error {
	hosts, err := t.resolve(t.configured, facts)
	if err != nil {
		return err
	}
	// Most of what the kernel tells changes nothing here, and publishing a million costs most
	// of a second.
	if reflect.DeepEqual(hosts, t.hosts) {
		return nil
	}
	_, err = t.publish(t.configured, hosts)
	return err
}

// change has the table follow what is wanted now. It returns the warnings that hold.
// After an error it is what it was.
func (t *table) change(configured []wanted, facts link.Facts) ([]doubt, error) {
	if facts.Index == 0 { // the card was never there: update publishes as soon as it is
		t.configured = configured
		return nil, nil
	}
	hosts, err := t.resolve(configured, facts)
	if err != nil {
		return nil, err
	}
	return t.publish(configured, hosts)
}

func (t *table) resolve(configured []wanted, facts link.Facts) ([]config.Host, error) {
	hosts := make([]config.Host, len(configured))
	for n, c := range configured {
		var err error
		if hosts[n], err = t.host(c.Interface, facts); err != nil {
			return nil, err
		}
	}
	return hosts, nil
}

// publish replaces the table, between two frames. It does so as a whole or not at all: the
// responder checks before it stores, and what others see changes only after that.
func (t *table) publish(configured []wanted, hosts []config.Host) ([]doubt, error) {
	resolved := make([]responder.Interface, len(configured))
	for n, c := range configured {
		resolved[n] = c.Resolve(hosts[n])
		// The configuration's own list, or after changes one with the same ranges: nobody writes to it.
		resolved[n].Aliases = c.view.Aliases()
	}
	// The gate is shut before what only watches comes into force, and opened after
	// what only watched is out of force.
	t.withhold(t.configured, configured)
	found, err := t.responder.Publish(resolved)
	if err != nil {
		t.withhold(t.configured)
		return nil, fmt.Errorf("publish aliases: %w", err)
	}
	t.withhold(configured)
	t.sayModes(configured)
	for n := range resolved {
		resolved[n].Aliases = nil // a label with additions has a list of its own here
	}
	t.configured, t.hosts, t.published = configured, hosts, resolved
	t.generation++
	return t.say(configured, hosts, found), nil
}

// amend has the table follow a change of one label on an interface of next, which
// is configured but for that: its label loses some addresses and gains others. It
// costs as much as they are, and nothing for all the others. After an error it
// is what it was.
func (t *table) amend(next []wanted, iface string, lose, gain responder.Alias) ([]doubt, error) {
	var lost, gained []responder.Alias
	if lose.Ranges.Len() > 0 {
		lost = []responder.Alias{lose}
	}
	if gain.Ranges.Len() > 0 {
		gained = []responder.Alias{gain}
	}
	// The gate needs no hand here: an amendment changes no mode.
	found, err := t.responder.Amend(iface, lost, gained)
	if err != nil {
		return nil, err
	}
	t.configured = next
	t.generation++
	// An address that comes back with the same trouble is warned of again.
	t.retract(lose.Ranges)
	n := slices.IndexFunc(next, func(w wanted) bool { return w.Name == iface })
	return t.sayMore(next[n], found), nil
}

// host is what one interface takes from the kernel: the card's facts, and for
// a VLAN the networks of the kernel's own device for it, where there is one.
func (t *table) host(c *config.Interface, facts link.Facts) (config.Host, error) {
	h := config.Host{
		MAC:       [6]byte(facts.MAC),
		MTU:       facts.MTU,
		Networks:  facts.Networks,
		Gateways:  facts.Gateways,
		Addresses: facts.Host,
	}
	if len(c.Tags) == 0 {
		return h, nil
	}
	// The frames of a VLAN are the card's to receive, but its networks are those of the kernel's
	// eth0.100, whose MAC address and MTU are nothing to us: answers leave by the card.
	vlan, err := t.kernel.Read(c.Name)
	if err != nil && !errors.Is(err, link.ErrNotFound) {
		return h, err
	}
	h.Networks, h.Gateways = vlan.Networks, vlan.Gateways
	return h, nil
}
