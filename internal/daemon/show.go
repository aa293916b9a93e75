package daemon

import (
	"context"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/internal/configtext"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

const (
	// entriesOfAll is how many entries of a label are shown among all labels,
	// entriesOfOne where it is asked for alone. More would be gigabytes for
	// somebody who may only look.
	entriesOfAll = 16
	entriesOfOne = 10_000
)

// cardOf finds the card of a name.
func (s *state) cardOf(name string) *card {
	n := slices.IndexFunc(s.cards, func(c *card) bool { return c.name == name })
	return s.cards[n] // every interface has its card
}

// Show implements control.Backend. As all that only reads it takes the state once, at the
// beginning, and tells of that, whatever is changed meanwhile; counters and a card's state are
// those of the moment when each is told.
func (d *Daemon) Show(_ context.Context, label, iface string) (*control.Show, error) {
	<-d.ready
	s := d.now.Load()
	show := &control.Show{Source: d.file, Durable: d.store != nil, Interfaces: []control.InterfaceShow{}, Strays: s.strays}
	d.statsMu.Lock()
	show.Frozen = d.kept.Frozen
	d.statsMu.Unlock()
	if s.source != nil {
		show.Source, show.Replaced = s.source.Name, true
	}
	if label != "" {
		iface = overlay.InterfaceOf(label)
	}
	for w := range s.all() {
		if iface != "" && iface != w.Name {
			continue
		}
		i := showInterface(s.cardOf(w.Card), w)
		r := s.cardOf(w.Card).table.responder
		if label != "" {
			l, known := w.view.Label(label)
			if !known {
				return nil, control.Refuse(http.StatusNotFound, "there is no alias %s", label)
			}
			// Nothing, where no card was there yet: then the label alone is told.
			info, _ := r.Label(w.Name, label)
			i.Counters = r.Total(w.Name)
			i.Labels = append(i.Labels, *showLabel(&control.LabelShow{}, &l, &info, entriesOfOne))
		} else if tally := r.Tally(w.Name); tally != nil {
			// One walk through the ledger for all labels; a walk for each would be quadratic.
			i.Counters = tally.Total()
			i.Each = showLabels(w.view, tally.Of)
		} else {
			i.Each = showLabels(w.view, func(string) (info responder.LabelInfo, known bool) { return info, false })
		}
		show.Interfaces = append(show.Interfaces, i)
	}
	if len(show.Interfaces) == 0 && label != "" {
		return nil, control.Refuse(http.StatusNotFound, "there is no alias %s", label)
	}
	if len(show.Interfaces) == 0 && iface != "" {
		return nil, control.Refuse(http.StatusNotFound, "there is no interface %s", iface)
	}
	return show, nil
}

// showInterface tells of an interface, but for its labels and counters.
func showInterface(c *card, w wanted) control.InterfaceShow {
	i := control.InterfaceShow{Name: w.Name, Card: w.Card, VLANs: w.Tags, Mode: mode(c.table.observes(w)), Labels: []control.LabelShow{}}
	g := c.glance()
	i.State, i.Networks = g.state, g.networks(w.Name)
	i.Up, i.Carrier = g.facts.Up, g.facts.Carrier
	if p := g.resolved(w.Name); p != nil {
		i.MAC, i.MTU = net.HardwareAddr(p.MAC[:]).String(), p.MTU
	}
	i.Addresses = c.table.responder.Size(w.Name)
	return i
}

// showLabels yields the labels of a view, with what of tells of each. All are told in one
// LabelShow: a million would be garbage that makes the collector go through the table.
func showLabels(v *overlay.View, of func(label string) (responder.LabelInfo, bool)) iter.Seq[*control.LabelShow] {
	return func(yield func(*control.LabelShow) bool) {
		var shown control.LabelShow
		for l := range v.Labels() {
			info, _ := of(l.Label) // nothing, where it has no address, or none any more
			if !yield(showLabel(&shown, &l, &info, entriesOfAll)) {
				return
			}
		}
	}
}

// showLabel tells of a label, and of at most so many entries, in shown.
func showLabel(shown *control.LabelShow, l *overlay.LabelView, info *responder.LabelInfo, most int) *control.LabelShow {
	// The same memory again for each label.
	entries := shown.Entries[:0]
	if entries == nil {
		entries = []control.EntryShow{} // JSON has it as such, not as null
	}
	*shown = control.LabelShow{
		Label: l.Label, Entries: entries, Addresses: info.Addresses,
		Counters: info.Counters, Uncounted: info.Uncounted, Faults: info.Faults,
	}
	// From is one word where all of a label comes from one place, as nearly always.
	note := func(from string) {
		if shown.From != "" && shown.From != from {
			from = control.Mixed
		}
		shown.From = from
	}
	add := func(r responder.Range, from, reason string) {
		note(from)
		if len(shown.Entries) == most {
			shown.More++
			return
		}
		shown.Entries = append(shown.Entries, control.EntryShow{Range: r.String(), From: from, Reason: reason})
	}
	// What is not as the file has it comes first: it must not be what is left out.
	for _, a := range l.SetAside {
		add(a.Range, control.SetAside, a.Reason)
	}
	for _, group := range []struct {
		list responder.Ranges
		from string
	}{{l.Removed, control.Removed}, {l.Added, control.Added}, {l.Kept(), control.FromFile}} {
		for n, r := range group.list.All() {
			if len(shown.Entries) == most {
				// The rest is counted, not walked through: it may be a million.
				shown.More += group.list.Len() - n
				note(group.from)
				break
			}
			add(r, group.from, "")
		}
	}
	if shown.From == "" {
		shown.From = control.Mixed // of a label without an entry
	}
	return shown
}

// Address implements control.Backend.
func (d *Daemon) Address(_ context.Context, address string) (*control.AddressShow, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(address))
	if err != nil {
		return nil, control.Refuse(http.StatusBadRequest, "bad address: found %q, expected one such as 172.16.3.10", address)
	}
	<-d.ready
	s := d.now.Load()
	show := &control.AddressShow{Address: a.String(), Interfaces: []control.AddressMatch{}}
	for w := range s.all() {
		c := s.cardOf(w.Card)
		r := c.table.responder
		m := r.Explain(w.Name, a)
		match := control.AddressMatch{Interface: w.Name, Mode: mode(c.table.observes(w)), Answered: m.Answered, Label: m.Label, Rule: m.Rule, Reason: m.Reason}
		if m.Answered {
			var own bool
			match.Counters, own = r.CountersOf(w.Name, a)
			match.WithLabel = !own
		}
		g := c.glance()
		for _, claim := range g.claims {
			if claim.Interface == w.Name && claim.Address == show.Address {
				match.ClaimedBy = claim.Theirs
			}
		}
		published := g.resolved(w.Name) != nil
		locate(&match, w.view, a, published)
		wanted := match.From == control.FromFile || match.From == control.Added
		if wanted && !g.up && (m.Answered || !published) {
			match.Answered, match.Reason = false, g.state // nobody hears who asks
		}
		show.Interfaces = append(show.Interfaces, match)
	}
	return show, nil
}

// locate tells where an address comes from, and why it is not answered for if
// that is a matter of run-time changes. Where the table is published it has said which label
// has the address, and of a million others only those that were changed are looked at.
func locate(m *control.AddressMatch, v *overlay.View, a netip.Addr, published bool) {
	at := responder.RangesOf(responder.Range{First: a, Last: a})
	holds := func(list responder.Ranges) bool { return list.Shared(at).Len() > 0 }
	in := func(l *overlay.LabelView) bool {
		switch {
		case holds(l.Added):
			m.From, m.Label = control.Added, l.Label
		case holds(l.Kept()):
			m.From, m.Label = control.FromFile, l.Label
		default:
			return false
		}
		return true
	}
	if !published {
		for l := range v.Labels() {
			if in(&l) {
				return
			}
		}
	} else if l, known := v.Label(m.Label); known && in(&l) {
		return
	}
	for l := range v.Changed() {
		if holds(l.Removed) {
			m.From, m.Label, m.Reason = control.Removed, l.Label, "removed from "+l.Label+" at run time"
		}
		for _, aside := range l.SetAside {
			if aside.Range.Contains(a) {
				m.From, m.Label, m.Reason = control.SetAside, l.Label, "set aside: "+aside.Reason
			}
		}
	}
}

// Save implements control.Backend.
func (d *Daemon) Save(context.Context) (*control.Saved, error) {
	<-d.ready
	s := d.now.Load()
	// Text and not a file: what the caller may write is the caller's privilege, not the daemon's.
	saved := &control.Saved{Source: d.file}
	var text strings.Builder
	text.WriteString("# Written by ipalias save: what is answered for, with the changes made at run time.\n")
	for w := range s.all() {
		// Additions that are set aside are not in it, since they are not in force.
		configtext.Interface(&text, w.Interface, w.view.Aliases())
	}
	saved.Text = text.String()
	return saved, nil
}
