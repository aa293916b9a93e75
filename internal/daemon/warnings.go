package daemon

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/responder"
)

// Of a million aliases a million may be never answered for, a network's own addresses say.
// Each warning is logged once while it holds, few of one change at a time, and those
// beyond are counted. What is remembered is bounded, whatever is configured.

const (
	// maxWarnings is how many warnings of one change are logged one by one.
	maxWarnings = 20

	// maxHeld is how many warnings are remembered, so as to be given once. A
	// configuration can have a million addresses that are never answered for.
	maxHeld = 200
)

// A doubt is a warning, and the address that it is about, if it is about one.
type doubt struct {
	config.Warning
	about responder.Range
}

// say logs what is doubtful about the table that was published, found being what
// the responder says of it. It returns all of it, as far as it is remembered.
func (t *table) say(configured []wanted, hosts []config.Host, found []responder.Warning) (doubts []doubt) {
	// Doubts about the interface come first: they explain many of those about addresses.
	for n, c := range configured {
		for _, w := range c.Doubts(hosts[n]) {
			doubts = append(doubts, doubt{Warning: w})
		}
	}
	more := 0
	for _, w := range found {
		n := slices.IndexFunc(configured, func(c wanted) bool { return c.Name == w.Interface })
		if len(doubts) < maxHeld {
			doubts = append(doubts, configured[n].doubt(w))
		} else {
			more++
		}
	}
	before := t.warned
	t.warn(doubts, more)
	t.sayBack(configured, before)
	if more > 0 {
		doubts = append(doubts, doubt{Warning: config.Warning{Place: config.Place{File: configured[0].Card}, Msg: fmt.Sprintf("%d more aliases are not answered for", more)}})
	}
	return doubts
}

// sayBack logs which single addresses are answered for that a warning was about before: the
// host gave one up, say, or another gateway took over.
func (t *table) sayBack(configured []wanted, before map[string]responder.Range) {
	var back []netip.Addr
	for text, about := range before {
		if _, holds := t.warned[text]; holds || !about.Single() {
			continue
		}
		if slices.ContainsFunc(configured, func(c wanted) bool { return t.responder.Answers(c.Name, about.First) }) {
			back = append(back, about.First)
		}
	}
	slices.SortFunc(back, netip.Addr.Compare)
	for _, a := range back[:min(len(back), maxWarnings)] {
		t.log.Info("this alias is answered for now", "address", a)
	}
}

// told gives the warnings about a configuration, those of reading it and those of the cards
// that answer for it, each once and not too many.
func told(read []config.Warning, doubts []doubt) (list []string) {
	for _, d := range doubts {
		read = append(read, d.Warning)
	}
	said := map[string]bool{}
	for _, w := range read {
		if text := w.String(); !said[text] {
			said[text] = true
			list = append(list, text)
		}
	}
	return first(list, maxHeld)
}

// sayMore logs what is doubtful about additions to an interface, and returns it.
func (t *table) sayMore(w wanted, found []responder.Warning) (doubts []doubt) {
	held := t.warned
	for _, f := range found[:min(len(found), maxHeld)] {
		doubts = append(doubts, w.doubt(f))
	}
	// warn takes what holds for all that does. Here it is only what was added: the rest is put
	// back behind it.
	t.warn(doubts, t.untold+len(found)-len(doubts))
	// In no order: which ones are forgotten, if there are too many, is chance.
	for text, about := range held {
		if len(t.warned) < maxHeld {
			t.warned[text] = about
		}
	}
	return doubts
}

// doubt makes a warning of what the responder says of an address.
func (w wanted) doubt(f responder.Warning) doubt {
	place := config.Place{File: "added at run time"}
	if file := w.view.File(); !w.view.IsAdded(f.Label, f.Range) {
		// What was not added is the file's, and has a line and a column there.
		n := file.Index(f.Label)
		place = w.Place(responder.EntryRef{Alias: n, Range: w.Aliases[n].Ranges.Index(f.Range.First)})
	}
	return doubt{config.Warning{Place: place, Msg: f.String()}, f.Range}
}

// warn logs the warnings that did not hold before. untold is how many hold
// beside those.
func (t *table) warn(doubts []doubt, untold int) {
	// Fewer than before is no news.
	more := max(0, untold-t.untold)
	holding := make(map[string]responder.Range, len(doubts))
	for _, d := range doubts {
		text := d.String()
		_, known := t.warned[text]
		holding[text] = d.about
		switch {
		case known:
		case len(holding) > maxWarnings:
			more++
		default:
			t.log.Warn(text)
		}
	}
	if more > 0 {
		t.log.Warn("more aliases are not answered for", "number", more)
	}
	t.warned, t.untold = holding, untold
}

// retract forgets the warnings about addresses that are aliases no more.
func (t *table) retract(gone responder.Ranges) {
	sorted := gone.Sorted()
	for text, about := range t.warned {
		if responder.RangesOf(about).Shared(sorted).Len() > 0 {
			delete(t.warned, text)
		}
	}
}
