// Package overlay holds what was changed at run time on top of the aliases of a
// configuration: addresses that were added, addresses and whole labels of
// the configuration that were removed.
//
// It keeps the changes and not the resulting table, so that the configuration
// can be edited and read again under them. It is pure: who publishes the table and who
// keeps the changes on disk is not known here.
package overlay

import (
	"iter"
	"slices"

	"github.com/google/btree"

	"github.com/ipalias/ipalias/responder"
)

// An Overlay is the run-time changes that hold. The zero value has none. A copy
// of it stays what it is, whatever happens to the original: that is how a change is
// taken back, and how a View goes on being true for who looks at it.
type Overlay struct {
	labels *btree.BTreeG[*label] // by name; replaced, never changed; nil: none
	next   int                   // number of the next label
	source *Source
	counts Counts
}

// A label is what was changed about one label. It is immutable.
type label struct {
	name    string
	number  int // labels are told of in the order of their first change
	added   set
	removed set  // of the configuration's
	gone    bool // the configuration's label as a whole, whatever it has
}

func (l *label) empty() bool { return !l.gone && l.added.len()+l.removed.len() == 0 }

// Counts tells how much was changed.
type Counts struct {
	Added   int // ranges
	Removed int // ranges, and labels as a whole
}

func (c *Counts) count(l *label, sign int) {
	c.Added += sign * l.added.len()
	c.Removed += sign * l.removed.len()
	if l.gone {
		c.Removed += sign
	}
}

// A Source is a configuration that takes the place of the daemon's file.
type Source struct {
	Name  string            `json:"name"`            // of the file that it came from, for messages
	Text  string            `json:"text"`            // TOML
	Files map[string]string `json:"files,omitempty"` // what is in each "@FILE" that it names
}

// Source names the configuration that replaced the daemon's, nil if none did. What
// is in it is not kept here: that is as long as the table is large.
func (o *Overlay) Source() *Source { return o.source }

// Counts tells how much is changed in all.
func (o *Overlay) Counts() Counts { return o.counts }

// of gives what was changed about a label, which may be nothing.
func (o *Overlay) of(name string) *label {
	if o.labels != nil {
		if l, ok := o.labels.Get(&label{name: name}); ok {
			return l
		}
	}
	return &label{name: name}
}

// all lists what was changed, in the order of the labels' first changes, of one
// interface or, if iface is "", of all.
func (o *Overlay) all(iface string) (list []*label) {
	if o.labels == nil {
		return nil
	}
	collect := func(l *label) bool {
		list = append(list, l)
		return true
	}
	if iface == "" {
		o.labels.Ascend(collect)
	} else {
		o.labels.AscendRange(&label{name: iface + ":"}, &label{name: iface + ";"}, collect) // ';' follows ':'
	}
	slices.SortFunc(list, func(a, b *label) int { return a.number - b.number })
	return list
}

// A Change is one step from one overlay to the next, as it is kept on disk.
type Change struct {
	Clear  bool          `json:"clear,omitempty"`  // forget all before, the source too
	Source *Source       `json:"source,omitempty"` // from now on this configuration
	Labels []LabelChange `json:"labels,omitempty"`
}

// A LabelChange is the part of a Change about one label. What is taken away comes
// before what is added.
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
	switch {
	case c.Clear || o.labels == nil:
		*o = Overlay{labels: btree.NewG(32, func(a, b *label) bool { return a.name < b.name })}
	case len(c.Labels) > 0:
		o.labels = o.labels.Clone()
	}
	if c.Source != nil {
		o.source = &Source{Name: c.Source.Name}
	}
	for _, l := range c.Labels {
		o.change(l)
	}
	return func() { *o = before }
}

func (o *Overlay) change(c LabelChange) {
	old := o.of(c.Label)
	l := *old
	l.added = l.added.without(c.Drop).with(c.Add)
	l.removed = l.removed.without(c.Restore).with(c.Remove)
	if c.Gone != nil {
		l.gone = *c.Gone
	}
	if old.empty() {
		o.next++
		l.number = o.next
	}
	o.counts.count(old, -1)
	o.counts.count(&l, +1)
	if l.empty() {
		o.labels.Delete(&l)
		return
	}
	o.labels.ReplaceOrInsert(&l)
}

// Snapshot yields changes that lead from nothing, but for the source, to o.
func (o *Overlay) Snapshot() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for _, l := range o.all("") {
			c := LabelChange{Label: l.name, Add: l.added.list(), Remove: l.removed.list()}
			if l.gone {
				c.Gone = &l.gone
			}
			if !yield(Change{Labels: []LabelChange{c}}) {
				return
			}
		}
	}
}
