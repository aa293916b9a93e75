package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/link"
	"github.com/ipalias/ipalias/internal/version"
	"github.com/ipalias/ipalias/responder"
)

// A glance is what others may know of a card at one moment.
type glance struct {
	state     string
	up        bool
	facts     link.Facts
	stats     capture.Stats
	published []responder.Interface
	claims    []control.Claim
}

// glance looks at the card from another goroutine. Of one that was stopped it tells what it
// came to: a reader with an older state must not see its counters fall.
func (c *card) glance() (g glance) {
	look := func() error {
		g = glance{state: c.state, facts: c.facts, stats: c.stats, published: c.table.published, claims: c.conflicts.claims}
		g.up = c.session != nil && c.session.started()
		if c.session != nil {
			g.stats.Add(c.session.stats())
		}
		return nil
	}
	if c.do(look) != nil {
		look() // its goroutine is over, and nobody writes any more what was that one's
		g.state = "it is not listened on any more"
	}
	return g
}

// resolved gives an interface as it was published last, nil if it never was.
func (g *glance) resolved(name string) *responder.Interface {
	for n := range g.published {
		if g.published[n].Name == name {
			return &g.published[n]
		}
	}
	return nil
}

// networks lists what is on link on an interface.
func (g *glance) networks(name string) []string {
	list := []string{}
	if p := g.resolved(name); p != nil {
		for _, network := range p.Networks {
			list = append(list, network.Masked().String())
		}
	}
	return list
}

// Stats implements control.Backend.
func (d *Daemon) Stats(context.Context) (*control.Stats, error) {
	<-d.ready
	s := d.now.Load()
	stats := &control.Stats{
		Version: version.String(), Started: d.started.UTC().Format(time.RFC3339), Seconds: time.Since(d.started).Seconds(),
		Cards: []control.CardStats{}, Interfaces: []control.InterfaceStats{},
	}
	// One for all interfaces of a card: each takes a turn of its goroutine.
	glances := map[string]glance{}
	for _, c := range s.cards {
		g := c.glance()
		glances[c.name] = g
		const noInterface = "" // whose frames these are
		stats.Cards = append(stats.Cards, control.CardStats{Name: c.name, Workers: c.how.Workers, State: g.state, Up: g.up, Stats: g.stats,
			Verdicts: occurred(c.table.responder.VerdictCounts(noInterface)), Conflicts: uint64(len(g.claims)), Claims: append([]control.Claim{}, g.claims...), Shield: c.guard.state()})
	}
	for w := range s.all() {
		c, g := s.cardOf(w.Card), glances[w.Card]
		r := c.table.responder
		stats.Interfaces = append(stats.Interfaces, control.InterfaceStats{Name: w.Name, Card: w.Card, Mode: mode(c.table.observes(w)), Networks: g.networks(w.Name), Addresses: r.Size(w.Name),
			Labels: w.view.Len(), Counters: r.Total(w.Name), Verdicts: occurred(r.VerdictCounts(w.Name))})
	}
	d.statsMu.Lock()
	defer d.statsMu.Unlock()
	stats.Store, stats.Reload = d.kept, d.reload
	return stats, nil
}

// occurred leaves out what never was: of all the verdicts most cards see a handful.
func occurred(counts [responder.NumVerdicts]uint64) map[string]uint64 {
	m := map[string]uint64{}
	for v, n := range counts {
		if n > 0 {
			m[responder.Verdict(v).String()] = n
		}
	}
	return m
}

// Health implements control.Backend.
func (d *Daemon) Health(context.Context) *control.Health {
	<-d.ready
	h := &control.Health{Why: []string{}}
	for _, c := range d.now.Load().cards {
		// A card that is down on purpose is no health either: whoever asked for its aliases gets none.
		if g := c.glance(); !g.up {
			h.Why = append(h.Why, c.name+": "+g.state)
		}
		if s := c.guard.state(); s != "" && s != control.ShieldUp && s != control.ShieldLoading {
			h.Why = append(h.Why, c.name+": no shield: "+s)
		}
	}
	d.statsMu.Lock()
	defer d.statsMu.Unlock()
	h.Why = append(h.Why, control.Troubles(d.kept, d.reload)...)
	h.OK = len(h.Why) == 0
	return h
}

// Status says in a line how the daemon is.
func (d *Daemon) Status(ctx context.Context) string {
	if h := d.Health(ctx); !h.OK {
		return strings.Join(strings.Fields(strings.Join(h.Why, "; ")), " ") // errors may have several lines
	}
	addresses := uint64(0)
	s := d.now.Load()
	for w := range s.all() {
		addresses += s.cardOf(w.Card).table.responder.Size(w.Name)
	}
	return fmt.Sprintf("answering for %s on %s", count(addresses, "address", "addresses"), strings.Join(cardNames(s.cfg), ", "))
}

// stuck is how long a worker may be asked to move in vain.
const stuck = 10 * time.Second

// Moving asks all workers to move, and tells which card's one has not since it was asked
// before. It does not return where a supervisor is stuck: that, too, is a sign.
func (d *Daemon) Moving() error {
	<-d.ready
	for _, c := range d.now.Load().cards {
		quiet := time.Duration(0)
		c.do(func() error {
			if c.session != nil && c.session.started() {
				quiet = c.session.prod(time.Now())
			}
			return nil
		})
		if quiet > stuck {
			return fmt.Errorf("card %s: a worker has not moved for %v", c.name, quiet.Round(time.Second))
		}
	}
	return nil
}

var _ control.Backend = (*Daemon)(nil)
