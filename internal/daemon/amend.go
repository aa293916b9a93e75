package daemon

import (
	"errors"
	"net/http"
	"slices"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// There are two ways from one state to the next. make (transition.go) works the whole of it
// out, and costs as much as the table is long. amend takes one label's difference, and costs as
// much as that: with a million addresses milliseconds where loading them takes the
// better part of a second. Both lead to the same state, as the tests hold one against the other.

// made is what a transition led to.
type made struct {
	state    *state
	changes  []string // a line each
	warnings []doubt  // about what the cards that changed answer for
}

// errWhole says that a change can't be made by a difference.
var errWhole = errors.New("the table must be made anew")

// amend makes a change of one label, and costs as much as the change: nothing is
// made anew that it does not touch. Like make it is durable and in force when it
// returns, or nothing has happened. The caller holds mu.
//
// It refuses with errWhole where more than the label may change: an addition that
// was set aside may come into force when what is in its way goes; and where
// there is no table yet, since its card was never there.
func (d *Daemon) amend(w wanted, change overlay.Change) (*made, error) {
	if d.ended {
		return nil, errEnding
	}
	old := d.now.Load()
	c := old.cardOf(w.Card)
	// The glance goes by the card's goroutine; it can't become stale, since a table that was
	// published once is replaced and never withdrawn.
	if g := c.glance(); g.resolved(w.Name) == nil {
		return nil, errWhole
	}
	// Applied first, for the view to be asked what that comes to. Views in force do not see it:
	// each has trees of its own, which share what is the same.
	undo := d.changes.Apply(change)
	step := change.Labels[0]
	lose, gain := w.view.Effect(d.changes, step)
	if w.view.Touches(lose.Ranges, gain.Ranges, step.Drop, step.Add) {
		undo()
		return nil, errWhole
	}
	// Before anything is written down: a crash between that and a refusal would leave a
	// change that nobody was promised.
	if shared, by, held := c.table.responder.Held(w.Name, gain.Label, gain.Ranges); held {
		undo()
		return nil, control.Refuse(http.StatusConflict, "%s is taken: %s; expected each address under one label", shared, w.view.Holder(by, shared))
	}
	next := old.with(wanted{w.Interface, w.view.Next(d.changes)})
	m := &made{state: next, changes: []string{}}
	// From here on what fails is the disk or the memory for the table.
	err := d.commit(change, func() error {
		return c.do(func() (err error) {
			m.warnings, err = c.amend(next.wants[c.name], w.Name, lose, gain)
			return err
		})
	})
	if err != nil {
		undo()
		return nil, err
	}
	d.now.Store(next)
	d.compact()
	d.account()
	m.changes = appendChange(m.changes, "-", lose.Label, lose.Ranges)
	m.changes = appendChange(m.changes, "+", gain.Label, gain.Ranges)
	return m, nil
}

// with gives s with another view of an interface.
func (s *state) with(w wanted) *state {
	next := *s
	next.wants = make(map[string][]wanted, len(s.wants))
	for card, list := range s.wants {
		if card == w.Card {
			// Readers hold the old state without a lock: nothing of it is written to.
			list = slices.Clone(list)
			n := slices.IndexFunc(list, func(o wanted) bool { return o.Interface == w.Interface })
			list[n] = w
		}
		next.wants[card] = list
	}
	return &next
}

// amend has the card answer for next from now on, which is what it answers for but
// for a label that loses some addresses and gains others. It is for do.
func (c *card) amend(next []wanted, iface string, lose, gain responder.Alias) ([]doubt, error) {
	// Before the change: afterwards all of them are answered for.
	fresh := arrivals{}
	fresh.add(c.table.responder, iface, gain.Ranges)
	warnings, err := c.table.amend(next, iface, lose, gain)
	c.shield()
	c.stir()
	if err == nil && len(fresh) > 0 && c.facts.Carrier && c.session != nil && c.session.started() {
		c.announceFresh(fresh)
	}
	return warnings, err
}
