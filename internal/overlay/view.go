package overlay

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/responder"
)

// A View is the aliases of one interface with the run-time changes made.
type View struct {
	Aliases []responder.Alias // what is answered for
	Labels  []LabelView       // every label, the removed ones too
}

// A LabelView tells where the addresses of a label come from. File and Added are
// what is in force.
type LabelView struct {
	Label    string
	File     responder.Ranges // from the configuration
	Added    responder.Ranges // at run time
	Removed  responder.Ranges // the configuration's, removed at run time
	SetAside []Aside          // additions that are not in force
}

// An Aside is an addition that is kept, but not in force.
type Aside struct {
	Range  responder.Range
	Reason string
}

// View makes the changes to the aliases of an interface. Slices of the result
// are shared with aliases and o. An addition that overlaps what the configuration
// has is set aside: the configuration is the later word of the two.
func (o *Overlay) View(iface string, aliases []responder.Alias) *View {
	v := &View{Labels: make([]LabelView, 0, len(aliases))}
	index := make(map[string]int, len(aliases))
	for n := range aliases {
		a := &aliases[n]
		l, lv := o.of(a.Label), LabelView{Label: a.Label}
		switch {
		case l.gone:
			lv.Removed = a.Ranges
		case l.removed.Len() > 0:
			lv.Removed = a.Ranges.Shared(l.removed.Sorted()).Sorted()
			lv.File = a.Ranges.Without(lv.Removed)
		default:
			lv.File = a.Ranges
		}
		index[a.Label] = len(v.Labels)
		v.Labels = append(v.Labels, lv)
	}
	for _, name := range o.order {
		if InterfaceOf(name) != iface {
			continue
		}
		if _, known := index[name]; !known {
			if o.labels[name].added.Len() == 0 {
				continue // removed from a configuration that has it no more
			}
			index[name] = len(v.Labels)
			v.Labels = append(v.Labels, LabelView{Label: name})
		}
		v.Labels[index[name]].Added = o.labels[name].added
	}
	v.setAside()
	v.assemble(aliases)
	return v
}

// InterfaceOf gives the interface that a label belongs to.
func InterfaceOf(label string) string {
	iface, _, _ := strings.Cut(label, ":")
	return iface
}

// An addition is one of a view while it is looked for in the configuration.
type addition struct {
	responder.Range
	label  int
	reason string // why it is set aside
}

// setAside takes out the additions that overlap.
func (v *View) setAside() {
	var all []addition
	for n := range v.Labels {
		for _, r := range v.Labels[n].Added.All() {
			all = append(all, addition{Range: r, label: n})
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b addition) int { return a.First.Compare(b.First) })
	// Edit makes no two that overlap, but a damaged journal may have lost what
	// came between them.
	reach := 0
	for n := 1; n < len(all); n++ {
		if all[n].First.Compare(all[reach].Last) <= 0 {
			all[n].reason = "it overlaps " + v.Labels[all[reach].label].Label + ", which was added too"
		} else {
			reach = n
		}
	}
	sound := slices.DeleteFunc(slices.Clone(all), func(a addition) bool { return a.reason != "" })
	lowest, highest := sound[0].First, sound[len(sound)-1].Last
	for n := range v.Labels {
		for _, f := range v.Labels[n].File.All() {
			if highest.Less(f.First) || f.Last.Less(lowest) {
				continue // nearly all of a million
			}
			i, _ := slices.BinarySearchFunc(sound, f.First, func(a addition, first netip.Addr) int { return a.Last.Compare(first) })
			for ; i < len(sound) && sound[i].First.Compare(f.Last) <= 0; i++ {
				sound[i].reason = fmt.Sprintf("%s of the configuration has %s", v.Labels[n].Label, f)
			}
		}
	}
	v.takeOut(append(sound, slices.DeleteFunc(all, func(a addition) bool { return a.reason == "" })...))
}

// takeOut moves those of all that have a reason from Added to SetAside.
func (v *View) takeOut(all []addition) {
	aside := map[int]map[responder.Range]string{}
	for _, a := range all {
		if a.reason == "" {
			continue
		}
		if aside[a.label] == nil {
			aside[a.label] = map[responder.Range]string{}
		}
		aside[a.label][a.Range] = a.reason
	}
	for n, reasons := range aside {
		l := &v.Labels[n]
		var kept responder.Ranges
		for _, r := range l.Added.All() {
			if reason, ok := reasons[r]; ok {
				l.SetAside = append(l.SetAside, Aside{r, reason})
			} else {
				kept = kept.Append(r)
			}
		}
		l.Added = kept
	}
}

// assemble makes Aliases, in the order of Labels.
func (v *View) assemble(aliases []responder.Alias) {
	for n := range v.Labels {
		l := &v.Labels[n]
		a := responder.Alias{Label: l.Label}
		if n < len(aliases) {
			a = aliases[n] // its options go for additions too
		}
		a.Ranges = l.File.Join(l.Added)
		if a.Ranges.Len() > 0 {
			v.Aliases = append(v.Aliases, a)
		}
	}
}

// IsAdded tells whether a range of a label is in force because it was added.
func (v *View) IsAdded(label string, r responder.Range) bool {
	for n := range v.Labels {
		if l := &v.Labels[n]; l.Label == label {
			return l.Added.Shared(responder.RangesOf(r)).Len() > 0
		}
	}
	return false
}

// Strays lists the labels that were changed of interfaces other than those named.
func (o *Overlay) Strays(known func(iface string) bool) (labels []string) {
	for _, name := range o.order {
		if !known(InterfaceOf(name)) {
			labels = append(labels, name)
		}
	}
	return labels
}
