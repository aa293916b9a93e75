package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/link"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/internal/shield"
	"github.com/ipalias/ipalias/responder"
)

// A shield is a help and not a condition: whatever becomes of it, frames are answered. So
// what fails here is said in the log, in stats and in /healthz, and is no error of a change.

// A guard keeps a shield before a card for those of its interfaces that ask for
// one. It works on a goroutine of its own, since loading a large shield takes a
// while: nobody who changes the table waits for it, and of several tables that were
// published meanwhile only the last is loaded.
type guard struct {
	card string
	log  *slog.Logger

	mu sync.Mutex
	// Written by the card's goroutine, read by run.
	wanted ward
	// Of the ward that is wanted now: what run finds out about an older one is not told.
	status string // for others: "" where no shield is wanted

	wake   chan struct{} // holds a value if wanted is new
	cancel context.CancelFunc
	ended  chan struct{}
}

// A ward is what a guard is to shield.
type ward struct {
	// These two tell wards apart; comparing what they shield would be a walk through the table.
	index      int // of the card: one that was made again has lost its shield
	generation int // of the table
	// Where aliases have another one, the kernel ignores their IP frames by itself: see scattered.
	mac        [6]byte               // the card's
	interfaces []responder.Interface // without their aliases; empty: no shield
	views      []*overlay.View       // of each, with its aliases
}

// whole gives the interfaces of w with their aliases.
func (w *ward) whole() []responder.Interface {
	list := slices.Clone(w.interfaces)
	for n := range list {
		// Here and not where the ward was made: with many labels that makes a list as long as the
		// table, and of wards that follow each other most are never loaded.
		list[n].Aliases = w.views[n].Aliases()
	}
	return list
}

func newGuard(card string, log *slog.Logger) *guard {
	g := &guard{card: card, log: log, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	var ctx context.Context
	// A guard outlives sessions: a card that goes down for a moment keeps its shield.
	ctx, g.cancel = context.WithCancel(context.Background())
	go g.run(ctx)
	return g
}

// stop lowers the shield. It may be called again.
func (g *guard) stop() {
	g.cancel()
	<-g.ended
}

// want has the guard shield w from some time on. It returns at once.
func (g *guard) want(w ward) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wanted.index == w.index && g.wanted.generation == w.generation {
		return
	}
	if g.wanted = w; len(w.interfaces) > 0 {
		g.status = control.ShieldLoading
	}
	select {
	case g.wake <- struct{}{}:
	default: // run has not looked yet, and will find the newest
	}
}

// state is control.ShieldUp, why there is no shield, or "" where none is wanted.
func (g *guard) state() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}

// A standing is the shield that run has raised.
type standing struct {
	*shield.Shield     // nil: none
	index          int // of the card
}

func (g *guard) run(ctx context.Context) {
	defer close(g.ended)
	var s standing
	// Before ended is closed: who waits for that may count on the kernel's having the frames.
	defer func() { g.lower(&s) }()
	// What the log was told last: a table that changes each minute is no news of its shield.
	var said string
	var again <-chan time.Time
	for {
		var fell <-chan struct{}
		if s.Shield != nil {
			fell = s.Done()
		}
		select {
		case <-ctx.Done():
			return
		case <-g.wake:
		case <-again:
		case <-fell: // somebody else's change of nftables was in the way, say
		}
		g.mu.Lock()
		w := g.wanted
		g.mu.Unlock()
		status, err := g.follow(ctx, &s, w)
		if ctx.Err() != nil {
			return
		}
		again = nil
		// A shield that can't be had is asked for again when the table changes: then it is another one.
		if err != nil && !hopeless(err) {
			again = time.After(retryDelay)
		}
		g.mu.Lock()
		// Otherwise something newer is wanted, and its status is "loading" already.
		if g.wanted.index == w.index && g.wanted.generation == w.generation {
			g.status = status
		}
		g.mu.Unlock()
		if status == said {
			continue
		}
		switch said = status; {
		case err != nil:
			g.log.Warn("no shield: the kernel works on frames for aliases too", "error", status)
		case status == control.ShieldUp:
			g.log.Info("the shield is up")
		default:
			g.log.Info("the shield is down")
		}
	}
}

// follow brings the shield in step with w, and tells how it stands.
func (g *guard) follow(ctx context.Context, s *standing, w ward) (status string, err error) {
	if s.Shield != nil {
		select {
		case <-s.Done():
			err := s.Err()
			g.lower(s)
			return fmt.Sprint(err), err
		default:
		}
		// The rules name a card that is gone: the kernel took them away with it.
		if len(w.interfaces) == 0 || s.index != w.index {
			g.lower(s)
		}
	}
	if len(w.interfaces) == 0 {
		return "", nil
	}
	// Raised and loaded in two steps: the first is what takes the privilege, and says so at once.
	if s.Shield == nil {
		raised, err := shield.Raise(g.card)
		if err != nil {
			return reason(err), err
		}
		s.Shield, s.index = raised, w.index
	}
	if err := s.Update(w.whole()); err != nil {
		return scattered(err, w), err
	}
	if err := s.Wait(ctx); err != nil {
		return fmt.Sprint(err), err
	}
	return control.ShieldUp, nil
}

// hopeless tells whether trying again changes nothing before the table does.
func hopeless(err error) bool {
	return errors.Is(err, shield.ErrPrivilege) || errors.Is(err, shield.ErrUnsupported) || errors.As(err, new(*shield.TooManyError))
}

// reason is what an operator reads in stats. The capability was dropped at the start, when no
// shield was configured, and can't be had back.
func reason(err error) string {
	text := err.Error()
	if errors.Is(err, shield.ErrPrivilege) {
		text += "; a daemon that is started with no shield configured gives it up: start it again"
	}
	return text
}

// scattered explains that aliases are too many for a shield. Where they have a MAC
// address of their own, little is lost.
func scattered(err error, w ward) string {
	many := new(shield.TooManyError)
	if !errors.As(err, &many) || slices.ContainsFunc(w.interfaces, func(i responder.Interface) bool { return i.MAC == w.mac }) {
		return err.Error()
	}
	return fmt.Sprintf("%d separate runs of addresses, at most %d can be shielded; the kernel ignores IP frames to the aliases' own MAC address "+
		"by itself, but sees ARP broadcasts for them", many.Intervals, shield.MaxIntervals)
}

func (g *guard) lower(s *standing) {
	if s.Shield == nil {
		return
	}
	if err := s.Lower(); err != nil {
		g.log.Warn(err.Error())
	}
	s.Shield = nil
}

// ward is what is to be shielded on a card: the interfaces that ask for it. One
// that only watches leaves the kernel alone, too.
func (t *table) ward(facts link.Facts) ward {
	w := ward{index: facts.Index, generation: t.generation, mac: [6]byte(facts.MAC)}
	// published and configured go in step: both are of the same publish.
	for n := range t.published {
		if c := t.configured[n]; c.Shield && !t.observes(c) {
			w.interfaces, w.views = append(w.interfaces, t.published[n]), append(w.views, c.view)
		}
	}
	return w
}
