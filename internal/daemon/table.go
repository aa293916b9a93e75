package daemon

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"reflect"

	"github.com/ipalias/ipalias/internal/announce"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/link"
	"github.com/ipalias/ipalias/responder"
)

// maxWarnings is how many warnings of one change are logged one by one.
const maxWarnings = 20

// A table is what is answered for on one card: the configuration, resolved
// against what the kernel knows. All that changes it goes through update. It
// belongs to the card's goroutine.
type table struct {
	log        *slog.Logger
	kernel     *link.Kernel
	configured []*config.Interface
	responder  *responder.Responder

	hosts     []config.Host         // what configured was resolved against last
	published []responder.Interface // as resolved last; replaced, never changed
	warned    map[string]bool       // the warnings that hold now
}

// update has the table follow what the kernel knows now. After an error it is
// what it was.
func (t *table) update(facts link.Facts) error {
	hosts := make([]config.Host, len(t.configured))
	for n, c := range t.configured {
		var err error
		if hosts[n], err = t.host(c, facts); err != nil {
			return err
		}
	}
	if reflect.DeepEqual(hosts, t.hosts) {
		return nil
	}
	resolved := make([]responder.Interface, len(hosts))
	var warnings []config.Warning
	for n, c := range t.configured {
		more, errs := c.Check(hosts[n])
		if len(errs) > 0 {
			return errs
		}
		warnings = append(warnings, more...)
		resolved[n] = c.Resolve(hosts[n])
	}
	// What Publish warns of Check has said already, with the place.
	if _, err := t.responder.Publish(resolved); err != nil {
		return fmt.Errorf("publish aliases: %w", err)
	}
	t.hosts, t.published = hosts, resolved
	t.warn(warnings)
	return nil
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
			for _, r := range alias.Ranges {
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
	published := t.published // the iteration runs on another goroutine
	return func(yield func(announce.Target) bool) {
		for n := range published {
			i := &published[n]
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
