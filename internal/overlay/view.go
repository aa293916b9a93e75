package overlay

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/responder"
)

// A File is the aliases that the configuration has for one interface, to be found
// by their labels.
type File struct {
	aliases []responder.Alias
	index   map[string]int
	filled  int // labels that have an address: an address file may be empty
}

// NewFile makes a File. It shares aliases.
func NewFile(aliases []responder.Alias) *File {
	f := &File{aliases: aliases, index: make(map[string]int, len(aliases))}
	for n := range aliases {
		f.index[aliases[n].Label] = n
		if aliases[n].Ranges.Len() > 0 {
			f.filled++
		}
	}
	return f
}

// Index gives the number of a label, -1 if there is none.
func (f *File) Index(label string) int {
	if n, ok := f.index[label]; ok {
		return n
	}
	return -1
}

// Alias gives the alias of a label, one without addresses and options if there
// is none.
func (f *File) Alias(label string) (a responder.Alias, known bool) {
	if n := f.Index(label); n >= 0 {
		return f.aliases[n], true
	}
	return responder.Alias{Label: label}, false
}

// A View is the aliases of one interface with the run-time changes made. It is
// immutable, and holds nothing but what was changed: what is asked about a label
// is worked out when it is asked.
type View struct {
	file    *File
	iface   string
	changes Overlay
	asides  map[string][]Aside // by label; nearly always none
	aside   responder.Ranges   // the ranges of all asides, sorted, without overlaps
}

// An Aside is an addition that is kept, but not in force.
type Aside struct {
	Range  responder.Range
	Reason string
}

// A LabelView tells where the addresses of a label come from.
type LabelView struct {
	Label    string
	File     responder.Ranges // from the configuration, whether removed or not
	Removed  responder.Ranges // the part of File that was removed at run time; sorted unless it is all
	Added    responder.Ranges // at run time, and in force
	SetAside []Aside          // added, but not in force
}

// Kept is what is in force of File.
func (l *LabelView) Kept() responder.Ranges {
	if l.Removed.Same(l.File) {
		return responder.Ranges{}
	}
	return l.File.Without(l.Removed)
}

// Ranges is what is in force of the label.
func (l *LabelView) Ranges() responder.Ranges { return l.Kept().Join(l.Added) }

// View makes the changes to the aliases of an interface. An addition that overlaps
// what the configuration has is set aside: the configuration is the later word of
// the two.
func (o *Overlay) View(iface string, file *File) *View {
	v := &View{file: file, iface: iface, changes: *o}
	v.setAside()
	return v
}

// Next gives the view after a change of one label that touches nothing which is
// set aside: Touches tells.
func (v *View) Next(o *Overlay) *View {
	next := *v
	next.changes = *o
	return &next
}

// Touches tells whether one of the lists has addresses of an addition that is set
// aside, which may come into force thereby, or be no more.
func (v *View) Touches(lists ...responder.Ranges) bool {
	return slices.ContainsFunc(lists, func(l responder.Ranges) bool { return l.Shared(v.aside).Len() > 0 })
}

// File gives the aliases of the configuration that v is over.
func (v *View) File() *File { return v.file }

// InterfaceOf gives the interface that a label belongs to.
func InterfaceOf(label string) string {
	iface, _, _ := strings.Cut(label, ":")
	return iface
}

// Label tells of one label; known is false if there is none.
func (v *View) Label(name string) (l LabelView, known bool) {
	a, known := v.file.Alias(name)
	c := v.changes.of(name)
	// What was removed from a configuration that has it no more is no label.
	return v.look(a, c), known || c.added.len() > 0
}

func (v *View) look(a responder.Alias, c *label) LabelView {
	l := LabelView{Label: a.Label, File: a.Ranges, Added: c.added.list(), SetAside: v.asides[a.Label]}
	switch {
	case c.gone:
		l.Removed = a.Ranges
	case c.removed.len() > 0:
		l.Removed = a.Ranges.Shared(c.removed.list()).Sorted()
	}
	if len(l.SetAside) > 0 {
		var aside responder.Ranges
		for _, s := range l.SetAside {
			aside = aside.Append(s.Range)
		}
		l.Added = l.Added.Without(aside.Sorted())
	}
	return l
}

// Labels yields every label, the removed ones too: those of the configuration in
// its order, then the others in the order of their first change.
func (v *View) Labels() iter.Seq[LabelView] {
	return func(yield func(LabelView) bool) {
		changed := v.changes.all(v.iface)
		if len(changed) == 0 {
			for _, a := range v.file.aliases {
				if !yield(LabelView{Label: a.Label, File: a.Ranges}) {
					return
				}
			}
			return
		}
		of := make(map[string]*label, len(changed))
		for _, c := range changed {
			of[c.name] = c
		}
		for _, a := range v.file.aliases {
			l := LabelView{Label: a.Label, File: a.Ranges}
			if c := of[a.Label]; c != nil {
				l = v.look(a, c)
			}
			if !yield(l) {
				return
			}
		}
		for _, c := range changed {
			if _, known := v.file.index[c.name]; !known && c.added.len() > 0 && !yield(v.look(responder.Alias{Label: c.name}, c)) {
				return
			}
		}
	}
}

// Changed yields the labels that something was changed about, in the order of their first
// change.
func (v *View) Changed() iter.Seq[LabelView] {
	return func(yield func(LabelView) bool) {
		for _, c := range v.changes.all(v.iface) {
			a, _ := v.file.Alias(c.name)
			if !yield(v.look(a, c)) {
				return
			}
		}
	}
}

// Aliases lists what is in force, in the order of Labels. Options of the
// configuration go for additions too. Lists of addresses are those of the
// configuration, where nothing of them was changed; so is the list of labels if nothing was
// at all, and nobody may write to it: a million labels are to be there once.
func (v *View) Aliases() []responder.Alias {
	if v.file.filled == len(v.file.aliases) && len(v.changes.all(v.iface)) == 0 {
		return slices.Clip(v.file.aliases)
	}
	list := make([]responder.Alias, 0, v.Len())
	for l := range v.Labels() {
		a, _ := v.file.Alias(l.Label)
		if a.Ranges = l.Ranges(); a.Ranges.Len() > 0 {
			list = append(list, a)
		}
	}
	return list
}

// Len is how many labels have an address in force.
func (v *View) Len() int {
	n := v.file.filled
	for _, c := range v.changes.all(v.iface) {
		a, _ := v.file.Alias(c.name)
		if a.Ranges.Len() > 0 {
			n--
		}
		if l := v.look(a, c); l.Added.Len() > 0 || l.Kept().Len() > 0 {
			n++
		}
	}
	return n
}

// An addition is one of a view while it is looked for in the configuration.
type addition struct {
	responder.Range
	label  string
	reason string // why it is set aside
}

// Effect tells what a change of one label, after which the changes are those of o,
// takes from what is in force and what it adds. It holds unless Touches says
// that additions which are set aside have to do with it.
func (v *View) Effect(o *Overlay, c LabelChange) (lose, gain responder.Alias) {
	a, _ := v.file.Alias(c.Label)
	before, after := v.changes.of(c.Label), o.of(c.Label)
	lose, gain = a, a
	lose.Ranges = after.added.lacks(before.added.has(c.Drop))
	gain.Ranges = before.added.lacks(c.Add)
	switch {
	case before.gone != after.gone:
		was, is := v.look(a, before), v.look(a, after)
		lose.Ranges, gain.Ranges = lose.Ranges.Join(was.Kept()), gain.Ranges.Join(is.Kept())
	case !after.gone:
		lose.Ranges = lose.Ranges.Join(a.Ranges.Shared(before.removed.lacks(c.Remove).Sorted()))
		gain.Ranges = gain.Ranges.Join(a.Ranges.Shared(after.removed.lacks(before.removed.has(c.Restore)).Sorted()))
	}
	return lose, gain
}

// Holder says in words how a label comes to have an address.
func (v *View) Holder(name string, shared responder.Range) string {
	l, _ := v.Label(name)
	if n := l.File.Index(shared.First); n >= 0 {
		return fmt.Sprintf("%s of the configuration has %s", name, l.File.At(n))
	}
	return "it overlaps " + name + ", which was added too"
}

// Describe writes what a label has in force, for the log: its ranges if they are
// few, else how many addresses they are.
func (v *View) Describe(name string) string {
	const few = 8
	a, _ := v.file.Alias(name)
	c := v.changes.of(name)
	if entries := a.Ranges.Len() + c.added.len(); entries <= few || len(v.asides[name]) > 0 || c.gone {
		l := v.look(a, c)
		return l.Ranges().String()
	}
	n := a.Ranges.Addresses() - a.Ranges.Shared(c.removed.list()).Addresses() + c.added.addresses
	return fmt.Sprintf("%d addresses", n)
}

// setAside finds the additions that overlap.
func (v *View) setAside() {
	var all []addition
	for _, c := range v.changes.all(v.iface) {
		for _, r := range c.added.list().All() {
			all = append(all, addition{Range: r, label: c.name})
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b addition) int { return a.First.Compare(b.First) })
	// Edit makes no two that overlap, but a damaged journal may have lost what
	// came between them.
	reach := 0
	var sound []*addition
	var runs responder.Ranges // of sound
	for n := range all {
		if n > 0 && all[n].First.Compare(all[reach].Last) <= 0 {
			all[n].reason = "it overlaps " + all[reach].label + ", which was added too"
			continue
		}
		reach = n
		sound, runs = append(sound, &all[n]), runs.Append(all[n].Range)
	}
	for _, a := range v.file.aliases {
		l := v.look(a, v.changes.of(a.Label))
		for _, f := range l.Kept().Touching(runs).All() {
			i, _ := slices.BinarySearchFunc(sound, f, func(a *addition, f responder.Range) int { return a.Last.Compare(f.First) })
			for ; i < len(sound) && sound[i].First.Compare(f.Last) <= 0; i++ {
				sound[i].reason = fmt.Sprintf("%s of the configuration has %s", a.Label, f)
			}
		}
	}
	for _, a := range all {
		if a.reason == "" {
			continue
		}
		if v.asides == nil {
			v.asides = map[string][]Aside{}
		}
		v.asides[a.label] = append(v.asides[a.label], Aside{a.Range, a.reason})
		v.aside = v.aside.Append(a.Range)
	}
	v.aside = v.aside.Union(responder.Ranges{})
}

// IsAdded tells whether an address of a label is in force because it was added.
func (v *View) IsAdded(label string, r responder.Range) bool {
	l := responder.RangesOf(r)
	return v.changes.of(label).added.has(l).Len() > 0 && !v.Touches(l)
}

// Strays lists the labels that were changed of interfaces other than those named.
func (o *Overlay) Strays(known func(iface string) bool) (labels []string) {
	for _, l := range o.all("") {
		if !known(InterfaceOf(l.name)) {
			labels = append(labels, l.name)
		}
	}
	return labels
}
