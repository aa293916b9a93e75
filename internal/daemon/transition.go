package daemon

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/configtext"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// The whole way from one state to the next. The order is what keeps its promise: look at all
// that may be refused, open what is new, write it down, have the cards follow, and only then
// let readers see it and give back what is old. Until the writing nothing has happened; from
// it on either all has, or the record is taken back.

// A transition leads from one state to the next.
type transition struct {
	change overlay.Change
	cfg    *config.Config // of the next state
	// unchanged tells of an interface of both states whether its run-time changes stay what they are.
	unchanged func(iface string) bool

	// refuse looks at the next state before anything has happened; nil: nothing is
	// wrong with it.
	refuse func(next *state) error
}

// make does a transition: it is durable and in force when it returns, or
// nothing has happened. The caller holds mu.
func (d *Daemon) make(t transition) (*made, error) {
	if d.ended {
		return nil, errEnding
	}
	old := d.now.Load()
	// Taken back on every way out of here but the last.
	undo := d.changes.Apply(t.change)
	next := d.plan(t.cfg, old, t.unchanged)
	var warnings []doubt
	var err error
	if t.refuse != nil {
		err = t.refuse(next)
	}
	var fresh []*card
	// Rings are made and sockets bound here, before the journal is touched: it is what fails most.
	if err == nil {
		fresh, err = d.cards(old, next)
	}
	if err == nil {
		err = d.commit(t.change, func() error {
			warnings, err = install(old, next)
			return err
		})
	}
	if err != nil {
		undo()
		for _, c := range fresh {
			c.close()
		}
		return nil, err
	}
	// Their frames have collected since they were prepared.
	for _, c := range fresh {
		c.start()
	}
	d.now.Store(next)
	for _, c := range next.cards {
		if !slices.Contains(fresh, c) && old.cfg.Listening(c.name) != next.cfg.Listening(c.name) {
			c.log.Warn("how the card is listened on changes at the next start: workers, fanout, ring, spin, qdisc, counters")
		}
	}
	// Last of all, and after the others answer: ending a card takes the kernel's grace periods.
	for _, c := range old.cards {
		if !slices.Contains(next.cards, c) {
			c.stop(giveBack)
			c.printTotals()
			c.close()
		}
	}
	// Neither can fail the change, which is made.
	d.compact()
	d.account()
	return &made{next, compare(old, next), warnings}, nil
}

// cards finds the cards of next among those of old, and prepares the others.
func (d *Daemon) cards(old, next *state) (fresh []*card, err error) {
	for _, name := range cardNames(next.cfg) {
		// By name: a card keeps its sockets and counters whatever changes on it. How it is listened on
		// does not change with that: see the warning in make.
		n := slices.IndexFunc(old.cards, func(c *card) bool { return c.name == name })
		if n >= 0 {
			next.cards = append(next.cards, old.cards[n])
			continue
		}
		c := newCard(name, next.cfg.Listening(name), d.cpus, d.deps)
		c.want(next.wants[name])
		fresh = append(fresh, c)
		next.cards = append(next.cards, c)
		if err := c.prepare(); err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// install has the cards that stay answer for next. If one can't, those before it
// go back to old.
func install(old, next *state) (warnings []doubt, err error) {
	var done []*card
	for _, c := range next.cards {
		// Fresh ones were prepared for next already; and views that are the same pointer hold the same.
		if !slices.Contains(old.cards, c) || slices.Equal(old.wants[c.name], next.wants[c.name]) {
			continue
		}
		err := c.do(func() error {
			more, err := c.change(next.wants[c.name])
			warnings = append(warnings, more...)
			return err
		})
		if err != nil {
			// They could follow old before, so they can again, unless memory has run out. Both errors are
			// told then: the daemon is between two states.
			for _, c := range done {
				err = errors.Join(err, c.do(func() error {
					_, err := c.change(old.wants[c.name])
					return err
				}))
			}
			return nil, err
		}
		done = append(done, c)
	}
	return warnings, nil
}

// asides tells of the additions that are kept but not in force.
func (s *state) asides() []string {
	list := []string{} // JSON has it as such, not as null
	for w := range s.all() {
		for l := range w.view.Labels() {
			for _, a := range l.SetAside {
				list = append(list, fmt.Sprintf("%s %s was added at run time and is set aside: %s", l.Label, a.Range, a.Reason))
			}
		}
	}
	for _, label := range s.strays {
		list = append(list, fmt.Sprintf("%s was changed at run time, which is set aside: there is no interface %s", label, overlay.InterfaceOf(label)))
	}
	if more := len(list) - maxWarnings; more > 0 {
		list = append(list[:maxWarnings], fmt.Sprintf("and %d more are set aside", more))
	}
	return list
}

// all yields every interface of s, in the order of the configuration.
func (s *state) all() iter.Seq[wanted] {
	return func(yield func(wanted) bool) {
		for n := range s.cfg.Interfaces {
			i := &s.cfg.Interfaces[n]
			if !yield(wanted{i, s.view(i)}) {
				return
			}
		}
	}
}

// compare tells how s differs from old, a line for each difference.
func compare(old, s *state) []string {
	lines := []string{}
	// What is left in it at the end is not in s.
	before := map[string]wanted{}
	for w := range old.all() {
		before[w.Name] = w
	}
	for w := range s.all() {
		o, known := before[w.Name]
		delete(before, w.Name)
		if !known {
			lines = append(lines, "+ interface "+w.Name)
			// Its settings are not listed as differences: all of them are new.
			o = wanted{w.Interface, new(overlay.Overlay).View(w.Name, overlay.NewFile(nil))}
		}
		// The same pointers: of a million labels that did not change nothing is looked at.
		if o.view == w.view && o.Interface == w.Interface {
			continue
		}
		for _, option := range configtext.Differences(configtext.Settings(o.Interface), configtext.Settings(w.Interface)) {
			lines = append(lines, fmt.Sprintf("~ %s %s", w.Name, option))
		}
		lines = append(lines, compareAliases(o.view, w.view)...)
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		lines = append(lines, "- interface "+name)
	}
	return lines
}

func compareAliases(old, now *overlay.View) (lines []string) {
	for l := range old.Labels() {
		after, _ := now.Label(l.Label)
		lines = appendChange(lines, "-", l.Label, difference(&l, &after))
	}
	for l := range now.Labels() {
		before, _ := old.Label(l.Label)
		lines = appendChange(lines, "+", l.Label, difference(&l, &before))
		a, known := now.File().Alias(l.Label)
		b, knew := old.File().Alias(l.Label)
		// Options are the file's alone: at run time only addresses change.
		if known && knew && (b.Closed != a.Closed || b.HasClosed != a.HasClosed || !slices.Equal(b.From, a.From)) {
			lines = append(lines, fmt.Sprintf("~ %s other options", l.Label))
		}
	}
	return lines
}

// difference gives what is in force of a and not of b, sorted.
func difference(a, b *overlay.LabelView) responder.Ranges {
	if a.File.Equal(b.File) && a.Removed.Equal(b.Removed) && a.Added.Equal(b.Added) {
		return responder.Ranges{}
	}
	return a.Ranges().Sorted().Without(b.Ranges().Union(responder.Ranges{}))
}

// appendChange appends a line about the ranges that a label gets or gets rid of, if
// there are any.
func appendChange(lines []string, sign, label string, ranges responder.Ranges) []string {
	if ranges.Len() == 0 {
		return lines
	}
	return append(lines, fmt.Sprintf("%s %s %s", sign, label, ranges))
}
