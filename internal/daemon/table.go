package daemon

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/announce"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/link"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// maxWarnings is how many warnings of one change are logged one by one.
const maxWarnings = 20

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

	hosts      []config.Host         // what configured was resolved against last
	published  []responder.Interface // as resolved last; replaced, never changed
	generation int                   // how often that was
	said       []config.Warning      // by the check of configured against hosts
	warned     map[string]bool       // the warnings that hold now
}

// update has the table follow what the kernel knows now. After an error it is
// what it was.
func (t *table) update(facts link.Facts) error {
	hosts, err := t.resolve(t.configured, facts)
	if err != nil {
		return err
	}
	if reflect.DeepEqual(hosts, t.hosts) {
		return nil
	}
	_, err = t.publish(t.configured, hosts)
	return err
}

// change has the table follow what is wanted now. It returns the warnings about
// what was added at run time. After an error it is what it was.
func (t *table) change(configured []wanted, facts link.Facts) ([]responder.Warning, error) {
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

// publish replaces the table, between two frames.
func (t *table) publish(configured []wanted, hosts []config.Host) ([]responder.Warning, error) {
	resolved := make([]responder.Interface, len(configured))
	for n, c := range configured {
		resolved[n] = c.Resolve(hosts[n])
		resolved[n].Aliases = c.view.Aliases
	}
	said, err := t.check(configured, hosts)
	if err != nil {
		return nil, err
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
	t.configured, t.hosts, t.published, t.said = configured, hosts, resolved, said
	t.generation++
	// What Publish warns of in the configuration check has said already, with the place.
	var added []responder.Warning
	warnings := slices.Clone(said)
	for _, w := range found {
		if n := slices.IndexFunc(configured, func(c wanted) bool { return c.Name == w.Interface }); configured[n].view.IsAdded(w.Label, w.Range) {
			added = append(added, w)
			warnings = append(warnings, config.Warning{Place: config.Place{File: "added at run time"}, Msg: w.String()})
		}
	}
	t.warn(warnings)
	return added, nil
}

// check tells what is wrong with the configuration. It is the slow part of a
// change, and left out where only run-time changes are new.
func (t *table) check(configured []wanted, hosts []config.Host) ([]config.Warning, error) {
	same := slices.EqualFunc(configured, t.configured, func(a, b wanted) bool { return a.Interface == b.Interface })
	if same && reflect.DeepEqual(hosts, t.hosts) {
		return t.said, nil
	}
	var warnings []config.Warning
	for n, c := range configured {
		more, errs := c.Check(hosts[n])
		if len(errs) > 0 {
			return nil, errs
		}
		warnings = append(warnings, more...)
	}
	return warnings, nil
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
	vlan, err := t.kernel.Read(c.Name)
	if err != nil && !errors.Is(err, link.ErrNotFound) {
		return h, err
	}
	h.Networks, h.Gateways = vlan.Networks, vlan.Gateways
	return h, nil
}

// warn logs the warnings that did not hold before.
func (t *table) warn(warnings []config.Warning) {
	holding := make(map[string]bool, len(warnings))
	more := 0
	for _, w := range warnings {
		text := w.String()
		holding[text] = true
		switch {
		case t.warned[text]:
		case len(holding) > maxWarnings:
			more++
		default:
			t.log.Warn(text)
		}
	}
	if more > 0 {
		t.log.Warn("more aliases are not answered for", "number", more)
	}
	t.warned = holding
}

// A single is an alias of one address.
type single struct {
	addr  netip.Addr
	label string
}

// singles yields the single-address aliases of an interface, in the order of
// the configuration.
func singles(i *responder.Interface) iter.Seq[single] {
	return func(yield func(single) bool) {
		for _, alias := range i.Aliases {
			for _, r := range alias.Ranges.All() {
				if r.Single() && !yield(single{r.First, alias.Label}) {
					return
				}
			}
		}
	}
}

// targets yields what is to be announced: the single addresses of the table as
// it was published last, as far as they are still answered for when their turn comes.
func (t *table) targets() iter.Seq[announce.Target] {
	published, configured := t.published, t.configured // the iteration runs on another goroutine
	return func(yield func(announce.Target) bool) {
		for n := range published {
			i := &published[n]
			if t.observes(configured[n]) {
				continue
			}
			for s := range singles(i) {
				if !s.addr.Is4() || !t.responder.Explain(i.Name, s.addr).Answered {
					continue
				}
				if !yield(announce.Target{Addr: s.addr, MAC: i.MAC, Tags: i.Tags}) {
					return
				}
			}
		}
	}
}

// fresh lists the single addresses that configured has and that are not answered
// for now: what is to be announced once it is published.
func (t *table) fresh(configured []wanted) []single {
	before := map[string]*overlay.LabelView{}
	for _, c := range t.configured {
		for n := range c.view.Labels {
			l := &c.view.Labels[n]
			before[l.Label] = l
		}
	}
	var found []single
	for _, c := range configured {
		for n := range c.view.Labels {
			l := &c.view.Labels[n]
			old := before[l.Label]
			if old != nil && old.File.Same(l.File) && old.Added.Same(l.Added) {
				continue
			}
			for _, list := range []responder.Ranges{l.File, l.Added} {
				for _, r := range list.All() {
					if r.Single() && !t.responder.Explain(c.Name, r.First).Answered {
						found = append(found, single{r.First, l.Label})
					}
				}
			}
		}
	}
	return found
}

// announcements yields the targets for some of the single addresses, as far as
// they are answered for when their turn comes.
func (t *table) announcements(of []single) iter.Seq[announce.Target] {
	published, configured := t.published, t.configured // the iteration runs on another goroutine
	return func(yield func(announce.Target) bool) {
		for _, s := range of {
			n := slices.IndexFunc(published, func(i responder.Interface) bool { return i.Name == overlay.InterfaceOf(s.label) })
			if n < 0 || t.observes(configured[n]) || !s.addr.Is4() || !t.responder.Explain(published[n].Name, s.addr).Answered {
				continue
			}
			if !yield(announce.Target{Addr: s.addr, MAC: published[n].MAC, Tags: published[n].Tags}) {
				return
			}
		}
	}
}

// macs lists the MAC addresses that are answered with, each once.
func (t *table) macs() [][6]byte {
	var macs [][6]byte
	seen := map[[6]byte]bool{}
	for _, i := range t.published {
		if !seen[i.MAC] {
			seen[i.MAC] = true
			macs = append(macs, i.MAC)
		}
	}
	return macs
}
