package daemon

import (
	"slices"

	"github.com/ipalias/ipalias/internal/control"
)

// An interface that observes is served like every other: its table is published,
// its frames are handled, counted and end in their verdicts. What differs is that
// the card's gate lets nothing of it out, whoever made it. So what is seen is what
// would be answered, and no code that makes frames has to know of it.

// observes tells whether an interface only watches.
func (t *table) observes(w wanted) bool { return t.observe || w.Observe }

func mode(observes bool) string {
	if observes {
		return control.Observe
	}
	return control.Answer
}

// withhold shuts the gate for what only watches in one of these configurations.
func (t *table) withhold(lists ...[]wanted) {
	var silent, speaking [][]uint16 // stacks of VLAN tags
	for _, w := range slices.Concat(lists...) {
		if t.observes(w) {
			silent = append(silent, w.Tags)
		} else {
			speaking = append(speaking, w.Tags)
		}
	}
	// With the lists of before and after a change at once, the same tags may be in both. The gate
	// errs towards silence for the moment between.
	speaking = slices.DeleteFunc(speaking, func(tags []uint16) bool {
		return slices.ContainsFunc(silent, func(s []uint16) bool { return slices.Equal(s, tags) })
	})
	switch {
	case len(silent) == 0:
		t.gate.Open()
	case len(speaking) == 0:
		t.gate.Shut() // whatever tags a frame has
	default:
		t.gate.Withhold(silent)
	}
}

// speaks tells whether an interface that only watches now will answer: then others
// have to learn where its aliases are.
func (t *table) speaks(configured []wanted) bool {
	// Its aliases are in the table already, so arrivals would have none of them.
	return slices.ContainsFunc(configured, func(next wanted) bool {
		return !t.observes(next) && slices.ContainsFunc(t.configured, func(now wanted) bool { return now.Name == next.Name && t.observes(now) })
	})
}

// sayModes logs which interfaces only watch from now on, or no longer do.
func (t *table) sayModes(configured []wanted) {
	// By name, since after a reload the same interface is another value.
	silent := map[string]bool{}
	for _, w := range configured {
		switch observes := t.observes(w); {
		case observes:
			silent[w.Name] = true
			if !t.silent[w.Name] {
				t.log.Warn("observing: frames are counted, nothing is sent", "interface", w.Name)
			}
		case t.silent[w.Name]:
			t.log.Info("answering, no longer observing", "interface", w.Name)
		}
	}
	t.silent = silent
}
