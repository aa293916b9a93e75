// Package overlay holds what was changed at run time on top of the aliases of a
// configuration: addresses that were added, addresses and whole labels of
// the configuration that were removed.
//
// It keeps the changes and not the resulting table, so that the configuration
// can be edited and read again under them. It is pure: who publishes the table and who
// keeps the changes on disk is not known here.
package overlay

import (
	"slices"

	"github.com/ipalias/ipalias/responder"
)

// An Overlay is the run-time changes that hold. The zero value has none.
type Overlay struct {
	labels map[string]*label
	order  []string // labels in the order of their first change
	source *Source
}

// A label is what was changed about one label. It is immutable: a change
// replaces it, so that it can be taken back.
type label struct {
	added   responder.Ranges
	removed responder.Ranges // of the configuration's
	gone    bool             // the configuration's label as a whole, whatever it has
}

func (l *label) empty() bool { return !l.gone && l.added.Len()+l.removed.Len() == 0 }

// A Source is a configuration that takes the place of the daemon's file.
type Source struct {
	Name string `json:"name"` // of the file that it came from, for messages
	Text string `json:"text"` // TOML, complete: it names no other file
}

// Source is the configuration that replaced the daemon's, nil if none did.
func (o *Overlay) Source() *Source { return o.source }

// of gives what was changed about a label, which may be nothing.
func (o *Overlay) of(name string) *label {
	if l := o.labels[name]; l != nil {
		return l
	}
	return new(label)
}

// A Change is one step from one overlay to the next, as it is kept on disk.
type Change struct {
	Clear  bool          `json:"clear,omitempty"`  // forget all before, the source too
	Source *Source       `json:"source,omitempty"` // from now on this configuration
	Labels []LabelChange `json:"labels,omitempty"`
}

// A LabelChange is the part of a Change about one label. Ranges that are to be
// taken away are those that were given, not parts of them.
type LabelChange struct {
	Label   string           `json:"label"`
	Gone    *bool            `json:"gone,omitempty"`   // remove all that the configuration has, or no more
	Drop    responder.Ranges `json:"drop,omitzero"`    // additions that hold no more
	Add     responder.Ranges `json:"add,omitzero"`     // additions
	Restore responder.Ranges `json:"restore,omitzero"` // removals that hold no more
	Remove  responder.Ranges `json:"remove,omitzero"`  // removals
}

// Empty tells whether c changes nothing.
func (c Change) Empty() bool { return !c.Clear && c.Source == nil && len(c.Labels) == 0 }

// Apply makes a change. undo brings back what was before, as long as nothing
// else was applied.
func (o *Overlay) Apply(c Change) (undo func()) {
	before := *o
	if c.Clear || o.labels == nil {
		*o = Overlay{labels: map[string]*label{}}
	}
	if c.Source != nil {
		o.source = c.Source
	}
	now, old := o.labels, map[string]*label{}
	for _, l := range c.Labels {
		if _, known := old[l.Label]; !known {
			old[l.Label] = now[l.Label]
		}
		o.change(l)
	}
	return func() {
		for name, l := range old {
			if now[name] = l; l == nil {
				delete(now, name)
			}
		}
		*o = before
	}
}

func (o *Overlay) change(c LabelChange) {
	l := *o.of(c.Label)
	l.added = less(l.added, c.Drop).Join(c.Add)
	l.removed = less(l.removed, c.Restore).Join(c.Remove)
	if c.Gone != nil {
		l.gone = *c.Gone
	}
	_, known := o.labels[c.Label]
	switch {
	case l.empty():
		delete(o.labels, c.Label)
		// A copy, since undo goes back to the old one.
		o.order = slices.DeleteFunc(slices.Clone(o.order), func(name string) bool { return name == c.Label })
		return
	case !known:
		o.order = append(o.order, c.Label)
	}
	o.labels[c.Label] = &l
}

// less gives list without the members of drop.
func less(list, drop responder.Ranges) responder.Ranges {
	if drop.Len() == 0 {
		return list
	}
	gone := make(map[responder.Range]bool, drop.Len())
	for _, r := range drop.All() {
		gone[r] = true
	}
	var kept responder.Ranges
	for _, r := range list.All() {
		if !gone[r] {
			kept = kept.Append(r)
		}
	}
	return kept
}

// Snapshot yields changes that lead from nothing to o.
func (o *Overlay) Snapshot(yield func(Change) bool) {
	if o.source != nil && !yield(Change{Source: o.source}) {
		return
	}
	for _, name := range o.order {
		l := o.labels[name]
		c := LabelChange{Label: name, Add: l.added, Remove: l.removed}
		if l.gone {
			c.Gone = &l.gone
		}
		if !yield(Change{Labels: []LabelChange{c}}) {
			return
		}
	}
}

// Counts tells how many ranges were added, and how many ranges and whole labels
// removed.
func (o *Overlay) Counts() (added, removed int) {
	for _, l := range o.labels {
		added += l.added.Len()
		removed += l.removed.Len()
		if l.gone {
			removed++
		}
	}
	return added, removed
}
