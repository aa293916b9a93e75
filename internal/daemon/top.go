package daemon

import (
	"cmp"
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ipalias/ipalias/internal/busiest"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/responder"
)

// To find the busiest by the differences of all counters would be a walk through a ledger of
// millions each second. So workers count parties in sketches of fixed size (internal/busiest),
// but only from when the first one looks until a while after the last one did.

const (
	// topWindow is what rates are told of.
	topWindow = time.Second

	// topPatience is how long the workers go on counting parties after the last one
	// who wanted to know: nobody is told apart from somebody who is slow.
	topPatience = 3 * topWindow

	// maxTop is how many aliases and askers are told.
	maxTop = 100
)

// A watch counts who asks and who is asked, a window after the other, as long as
// somebody looks. All who look see the same windows.
type watch struct {
	mu    sync.Mutex
	until time.Time // when to stop, unless somebody looks again
	// next is closed when the window in hand is over; nil: nobody looks. Another one takes its
	// place at once, so that who comes between two windows waits for the one that has just begun.
	next chan struct{}
	last *control.Top // the window before
}

// Top implements control.Backend: it tells of the window that ends next, at most one
// window from now.
func (d *Daemon) Top(ctx context.Context, most int) (*control.Top, error) {
	<-d.ready
	d.watch.mu.Lock()
	d.watch.until = time.Now().Add(topPatience)
	if d.watch.next == nil {
		d.watch.next = make(chan struct{})
		// It ends by itself, by topPatience or with the daemon.
		go d.look()
	}
	next := d.watch.next
	d.watch.mu.Unlock()
	select {
	case <-next:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.ctx.Done():
		return nil, errStopped
	}
	// A copy of the window, since all who look get the same one. Cutting its lists short touches
	// only ours.
	d.watch.mu.Lock()
	top := *d.watch.last
	d.watch.mu.Unlock()
	top.Aliases = top.Aliases[:min(most, len(top.Aliases))]
	top.Askers = top.Askers[:min(most, len(top.Askers))]
	return &top, nil
}

// look has the workers count until nobody looks any more.
func (d *Daemon) look() {
	s := d.now.Load()
	// The first window begins here: what came before nobody wanted to know.
	watched(nil, s.cards)
	began, before := time.Now(), countersOf(s)
	ticker := time.NewTicker(topWindow)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-d.ctx.Done():
			return
		}
		now, counts := time.Now(), countersOf(s)
		top := counts.since(before, s)
		top.Seconds = now.Sub(began).Seconds()
		s.parties(top)

		d.watch.mu.Lock()
		d.watch.last = top
		close(d.watch.next)
		d.watch.next = make(chan struct{})
		// Looked at under the lock: whoever comes after this finds nobody looking, and begins anew.
		if now.After(d.watch.until) {
			d.watch.next = nil
			watched(s.cards, nil)
			d.watch.mu.Unlock()
			return
		}
		d.watch.mu.Unlock()

		began, before = now, counts
		// The window just told was of the old state. Its counters are of no use to the new one, in
		// which an interface may have another card.
		if next := d.now.Load(); next != s { // cards come and go
			watched(s.cards, next.cards)
			s, before = next, countersOf(next)
		}
	}
}

// watched has the parties of now's cards counted, and no longer those of before's.
func watched(before, now []*card) {
	for _, c := range before {
		if !slices.Contains(now, c) {
			c.lookout.watch(false)
		}
	}
	for _, c := range now {
		if !slices.Contains(before, c) {
			c.lookout.watch(true)
		}
	}
}

// counters are what cards and interfaces had counted at one moment.
type counters struct {
	cards      map[*card]glance
	strays     map[*card][responder.NumVerdicts]uint64 // frames that belong to no interface
	interfaces map[string][responder.NumVerdicts]uint64
}

func countersOf(s *state) *counters {
	n := &counters{map[*card]glance{}, map[*card][responder.NumVerdicts]uint64{}, map[string][responder.NumVerdicts]uint64{}}
	for _, c := range s.cards {
		n.cards[c] = c.glance()
		n.strays[c] = c.table.responder.VerdictCounts("")
	}
	for w := range s.all() {
		n.interfaces[w.Name] = s.cardOf(w.Card).table.responder.VerdictCounts(w.Name)
	}
	return n
}

// since tells what happened after before.
func (n *counters) since(before *counters, s *state) *control.Top {
	top := &control.Top{Cards: []control.TopCard{}, Interfaces: []control.TopInterface{}}
	for _, c := range s.cards {
		g := n.cards[c]
		stats, old := g.stats, before.cards[c].stats
		stats.Received -= old.Received
		stats.Sent -= old.Sent
		stats.Dropped -= old.Dropped
		stats.SendErr -= old.SendErr
		stats.Withheld -= old.Withheld
		top.Cards = append(top.Cards, control.TopCard{Name: c.name, State: g.state, Stats: stats, Verdicts: occurred(minus(n.strays[c], before.strays[c]))})
	}
	for w := range s.all() {
		top.Interfaces = append(top.Interfaces, control.TopInterface{Name: w.Name, Mode: mode(s.cardOf(w.Card).table.observes(w)),
			Verdicts: occurred(minus(n.interfaces[w.Name], before.interfaces[w.Name]))})
	}
	return top
}

func minus(a, b [responder.NumVerdicts]uint64) [responder.NumVerdicts]uint64 {
	for v := range a {
		a[v] -= b[v]
	}
	return a
}

// parties tells who asked and who was asked in the window that ends now.
func (s *state) parties(top *control.Top) {
	top.Aliases, top.Askers = []control.TopEntry{}, []control.TopEntry{}
	for _, c := range s.cards {
		sum := c.lookout.turn()
		// A worker that finds its sketch being read does not wait for that, and leaves the batch
		// uncounted.
		top.Uncounted += sum.Missed
		for _, e := range busiest.Largest(sum.Aliases, maxTop) {
			// What was taken out of the table meanwhile is no alias any more.
			if entry := s.entry(c, e); entry.Interface != "" {
				if m := c.table.responder.Explain(entry.Interface, netip.MustParseAddr(entry.Address)); m.Answered {
					entry.Label = m.Label
					top.Aliases = append(top.Aliases, entry)
				}
			}
		}
		for _, e := range busiest.Largest(sum.Askers, maxTop) {
			if entry := s.entry(c, e); entry.Interface != "" {
				top.Askers = append(top.Askers, entry)
			}
		}
	}
	for _, list := range []*[]control.TopEntry{&top.Aliases, &top.Askers} {
		slices.SortStableFunc(*list, func(a, b control.TopEntry) int { return cmp.Compare(b.Frames, a.Frames) })
		// Each card gave its own largest: of all of them again only so many.
		*list = (*list)[:min(len(*list), maxTop)]
	}
}

// entry tells of one party on a card.
func (s *state) entry(c *card, e busiest.Entry) control.TopEntry {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], e.Key.Address())
	entry := control.TopEntry{Address: netip.AddrFrom4(a).String(), Frames: e.Frames, AtMost: e.AtMost, Answered: e.Answered}
	for _, w := range s.wants[c.name] {
		if slices.Equal(w.Tags, e.Key.Tags()) {
			entry.Interface = w.Name
		}
	}
	return entry
}
