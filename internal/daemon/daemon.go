// Package daemon runs ipaliasd: a supervisor for each card, which waits for the
// card, listens on it, announces its aliases and keeps the table in step with
// what the kernel knows.
package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/ipalias/ipalias/internal/config"
)

// Deps is what the daemon takes from its surroundings.
type Deps struct {
	Log *slog.Logger // changes of state
	Out io.Writer    // what is answered for, at the start; the totals, at the end
}

// Run answers for what cfg says until ctx ends; then it returns nil. Whatever
// keeps a card from being served at the start is an error, unless it is what
// cfg says to wait for; what happens to a card later is logged and waited for.
func Run(ctx context.Context, cfg *config.Config, deps Deps) error {
	deps.Out = &lines{w: deps.Out}
	cards := group(cfg, deps)
	said := map[string]bool{}
	for _, w := range cfg.Warnings {
		said[w.String()] = true
		deps.Log.Warn(w.String())
	}
	for _, c := range cards {
		c.table.warned = said
	}
	// All are tried before the first one answers: a daemon that starts in part
	// and then fails has moved addresses for nothing.
	var errs []error
	for _, c := range cards {
		errs = append(errs, c.prepare())
		defer c.close()
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}

	var running sync.WaitGroup
	for _, c := range cards {
		running.Go(func() { c.run(ctx) })
	}
	running.Wait()
	for _, c := range cards {
		printTotals(deps.Out, c.name, c.stats, c.table.responder, c.table.published)
	}
	return nil
}

// group makes a supervisor for each card of cfg: an interface and the VLANs on
// it share one.
func group(cfg *config.Config, deps Deps) []*card {
	var cards []*card
	byName := map[string]*card{}
	for i := range cfg.Interfaces {
		iface := &cfg.Interfaces[i]
		c := byName[iface.Card]
		if c == nil {
			c = newCard(iface.Card, deps)
			byName[iface.Card] = c
			cards = append(cards, c)
		}
		c.add(iface)
	}
	return cards
}

// lines lets several cards write to one place.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
