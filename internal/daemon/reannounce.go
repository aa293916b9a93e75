package daemon

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ipalias/ipalias/internal/announce"
)

// An alias is announced when it is new and when its card comes up. Who missed that, behind
// a switch that did not forward yet (30 s with spanning tree, IEEE 802.1D) or that polices
// ARP, goes on sending to whoever had the address before, a router for 20 minutes.
// To announce again now and then bounds that.

// reannounce announces the aliases again of those interfaces for which that is due. It
// waits until all else has been announced, and what was due before: a table that takes
// longer than its interval begins anew when it is through.
func (c *card) reannounce(now time.Time) {
	s := c.session
	if s == nil || !s.started() || !c.facts.Carrier {
		return
	}
	var due []string
	idle := s.announcers.Load() == 0
	for n := range c.table.published {
		w := c.table.configured[n]
		switch last, known := s.told[w.Name]; {
		case w.Reannounce == 0:
			delete(s.told, w.Name)
		case !known:
			s.told[w.Name] = now // the card came up just now, or the key was set
		case idle && now.Sub(last) > w.Reannounce-tickInterval/2: // ticks come a little early or late
			s.told[w.Name], due = now, append(due, w.Name)
		}
	}
	if len(due) > 0 {
		s.announceTimes(1, c.again(due))
	}
}

// again yields the aliases of some interfaces, but for those that other hosts were
// seen to claim: two who go on announcing an address have all others send now to the one,
// now to the other (RFC 5227 2.4 c), and it may have moved there on purpose.
func (c *card) again(due []string) iter.Seq[announce.Target] {
	contested := maps.Clone(c.conflicts.seen) // the iteration runs on another goroutine
	return c.table.targetsBut(func(iface string, addr netip.Addr) bool {
		return !slices.Contains(due, iface) || contested[claimed{iface, addr}]
	})
}
