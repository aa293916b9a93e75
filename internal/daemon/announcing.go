package daemon

import (
	"iter"
	"net/netip"

	"github.com/ipalias/ipalias/internal/announce"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// Only single addresses are announced. A range is a /16 as easily as a pair, and a broadcast
// for each address of it would take hours and fill every neighbour's ARP cache with hosts that
// it never talks to.

// A single is an alias of one address.
type single struct {
	addr  netip.Addr
	label string
}

// singles yields the single addresses of a view, in its order, those that were
// removed too.
func singles(v *overlay.View) iter.Seq[single] {
	return func(yield func(single) bool) {
		for l := range v.Labels() {
			for _, list := range []responder.Ranges{l.File, l.Added} {
				for _, r := range list.All() {
					if r.Single() && !yield(single{r.First, l.Label}) {
						return
					}
				}
			}
		}
	}
}

// targets yields what is to be announced: the single addresses of the table as
// it was published last, as far as they are still answered for when their turn comes.
func (t *table) targets() iter.Seq[announce.Target] {
	return t.targetsBut(func(string, netip.Addr) bool { return false })
}

// targetsBut yields those of targets that skip does not name.
func (t *table) targetsBut(skip func(iface string, addr netip.Addr) bool) iter.Seq[announce.Target] {
	// What is iterated over is what was in force when the announcing began: the slices are
	// replaced, never written to. Whether an address is still answered for is asked of the
	// responder, which may be asked from anywhere.
	configured, published := t.configured, t.published // the iteration runs on another goroutine
	return func(yield func(announce.Target) bool) {
		for n := range published {
			i := &published[n]
			for s := range singles(configured[n].view) {
				if !skip(i.Name, s.addr) && t.responder.Answers(i.Name, s.addr) && !yield(announce.Target{Addr: s.addr, MAC: i.MAC, Tags: i.Tags}) {
					return
				}
			}
		}
	}
}

// arrivals are the single addresses that are to be announced, by interface.
type arrivals map[string]responder.Ranges

// fresh lists the single addresses that configured has and that are not answered
// for now: what is to be announced once it is published.
func (t *table) fresh(configured []wanted) arrivals {
	found := arrivals{}
	// Cheap for what stays as it was: a label whose list is the file's, shared since share, is
	// passed over as a whole.
	for _, c := range configured {
		for l := range c.view.Labels() {
			if !t.sameFile(c.Name, &l) {
				found.add(t.responder, c.Name, l.File)
			}
			found.add(t.responder, c.Name, l.Added)
		}
	}
	return found
}

// sameFile tells whether a label has the very addresses of the configuration that it
// had before: nothing among a million of them can be new.
func (t *table) sameFile(iface string, l *overlay.LabelView) bool {
	for _, c := range t.configured {
		if c.Name == iface {
			// Restored addresses are additions as good as any: so the removals are compared, too.
			old, _ := c.view.Label(l.Label)
			return old.File.Same(l.File) && old.Removed.Equal(l.Removed)
		}
	}
	return false
}

// add takes the single addresses of a list that are not answered for.
func (a arrivals) add(r *responder.Responder, iface string, list responder.Ranges) {
	for _, one := range list.All() {
		if one.Single() && !r.Answers(iface, one.First) {
			a[iface] = a[iface].Append(one)
		}
	}
}

// mostly tells whether what is to be announced is the greater part of the table. Then
// all of it is as well, which takes no list: to announce a million takes hours, and
// the lists of the table before are not kept for as long.
func (t *table) mostly(fresh arrivals) bool {
	some, all := uint64(0), uint64(0)
	for n := range t.published {
		name := t.published[n].Name
		some, all = some+uint64(fresh[name].Len()), all+t.responder.Size(name)
	}
	return 2*some > all
}

// announcements yields the targets for some of the single addresses, as far as
// they are answered for when their turn comes.
func (t *table) announcements(of arrivals) iter.Seq[announce.Target] {
	published := t.published // the iteration runs on another goroutine
	return func(yield func(announce.Target) bool) {
		for n := range published {
			i := &published[n]
			for _, r := range of[i.Name].All() {
				if t.responder.Answers(i.Name, r.First) && !yield(announce.Target{Addr: r.First, MAC: i.MAC, Tags: i.Tags}) {
					return
				}
			}
		}
	}
}

// macs lists the MAC addresses that are answered with, each once.
func (t *table) macs() [][6]byte {
	var macs [][6]byte
	seen := map[[6]byte]bool{}
	for _, i := range t.published {
		if !seen[i.MAC] {
			seen[i.MAC] = true
			macs = append(macs, i.MAC)
		}
	}
	return macs
}
