package daemon

import (
	"context"
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

// Show implements control.Backend.
func (d *Daemon) Show(_ context.Context, label string) (*control.Show, error) {
	<-d.ready
	s := d.now.Load()
	show := &control.Show{Source: d.file, Durable: d.store != nil, Interfaces: []control.InterfaceShow{}, Strays: s.strays}
	d.statsMu.Lock()
	show.Frozen = d.kept.Frozen
	d.statsMu.Unlock()
	if s.source != nil {
		show.Source, show.Replaced = s.source.Name, true
	}
	for w := range s.all() {
		if label != "" && overlay.InterfaceOf(label) != w.Name {
			continue
		}
		c := s.cardOf(w.Card)
		i := control.InterfaceShow{Name: w.Name, Card: w.Card, VLANs: w.Tags, Mode: mode(c.table.observes(w)), Labels: []control.LabelShow{}}
		g := c.glance()
		i.State, i.Networks = g.state, g.networks(w.Name)
		i.Up, i.Carrier = g.facts.Up, g.facts.Carrier
		if p := g.resolved(w.Name); p != nil {
			i.MAC, i.MTU = net.HardwareAddr(p.MAC[:]).String(), p.MTU
		}
		r := c.table.responder
		i.Addresses, i.Counters = r.Size(w.Name), r.Total(w.Name)
		if label != "" {
			l, known := w.view.Label(label)
			if !known {
				return nil, control.Refuse(http.StatusNotFound, "there is no alias %s", label)
			}
			info, _ := r.Label(w.Name, label)
			i.Labels = append(i.Labels, showLabel(&l, &info, entriesOfOne))
		} else {
			i.Labels = showLabels(w.view, r.Labels(w.Name))
		}
		show.Interfaces = append(show.Interfaces, i)
	}
	if label != "" && len(show.Interfaces) == 0 {
		return nil, control.Refuse(http.StatusNotFound, "there is no alias %s", label)
	}
	return show, nil
}

func showLabels(v *overlay.View, infos []responder.LabelInfo) []control.LabelShow {
	list := make([]control.LabelShow, 0, v.Len())
	counted := make(map[string]*responder.LabelInfo, len(infos))
	for n := range infos {
		counted[infos[n].Label] = &infos[n]
	}
	for l := range v.Labels() {
		info := counted[l.Label]
		if info == nil {
			info = &responder.LabelInfo{} // it has no address, or none any more
		}
		list = append(list, showLabel(&l, info, entriesOfAll))
	}
	return list
}

// showLabel tells of a label, and of at most so many entries.
func showLabel(l *overlay.LabelView, info *responder.LabelInfo, most int) control.LabelShow {
	shown := control.LabelShow{
		Label: l.Label, Entries: []control.EntryShow{}, Addresses: info.Addresses,
		Counters: info.Counters, Uncounted: info.Uncounted, Faults: info.Faults,
	}
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
		locate(&match, w.view, a)
		show.Interfaces = append(show.Interfaces, match)
	}
	return show, nil
}

// locate tells where an address comes from, and why it is not answered for if
// that is a matter of run-time changes.
func locate(m *control.AddressMatch, v *overlay.View, a netip.Addr) {
	at := responder.RangesOf(responder.Range{First: a, Last: a})
	holds := func(list responder.Ranges) bool { return list.Shared(at).Len() > 0 }
	for l := range v.Labels() {
		switch {
		case holds(l.Added):
			m.From, m.Label = control.Added, l.Label
			return
		case holds(l.Kept()):
			m.From, m.Label = control.FromFile, l.Label
			return
		}
	}
	for l := range v.Labels() {
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
	saved := &control.Saved{Source: d.file}
	var text strings.Builder
	text.WriteString("# Written by ipalias save: what is answered for, with the changes made at run time.\n")
	for w := range s.all() {
		configtext.Interface(&text, w.Interface, w.view.Aliases())
	}
	saved.Text = text.String()
	return saved, nil
}
