package daemon

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/responder"
)

// maxConflicts is how many addresses a conflict is logged for. Somebody who
// claims a whole /8 must cost neither memory nor a full disk; the verdicts
// still count each claim.
const maxConflicts = 1000

// A conflictLog writes down which aliases other hosts claim, each address once.
// It belongs to the card's goroutine.
type conflictLog struct {
	log    *slog.Logger
	seen   map[claimed]bool
	claims []control.Claim // the same, in the order in which they were seen; appended to or replaced, never changed
	full   bool            // and this was said
	table  int             // the generation that all of seen are aliases of
}

type claimed struct {
	iface string
	addr  netip.Addr
}

func (c *conflictLog) report(conflicts []responder.Conflict) {
	if c.seen == nil {
		c.seen = map[claimed]bool{}
	}
	for _, conflict := range conflicts {
		id := claimed{conflict.Interface, conflict.Addr}
		switch {
		// Once as long as it is an alias: that the claims go on the verdict's counter shows, and
		// the digest of them (log.go).
		case c.seen[id] || c.full:
		case len(c.seen) == maxConflicts:
			c.full = true
			c.log.Warn("more conflicts are counted, not logged", "logged", maxConflicts)
		default:
			c.seen[id] = true
			theirs := net.HardwareAddr(conflict.MAC[:]).String()
			c.claims = append(c.claims, control.Claim{Interface: id.iface, Address: id.addr.String(), Theirs: theirs})
			c.log.Warn("another host claims this alias",
				"interface", conflict.Interface, "address", conflict.Addr,
				"theirs", theirs,
				"ours", net.HardwareAddr(conflict.Ours[:]).String())
		}
	}
}

// forget ends the conflicts about what is answered for no more, once for each
// generation of the table: an operator who took an alias out has ended its conflict.
func (c *conflictLog) forget(generation int, answers func(iface string, addr netip.Addr) bool) {
	if c.table == generation {
		return
	}
	c.table = generation
	for id := range c.seen {
		if !answers(id.iface, id.addr) {
			delete(c.seen, id)
			c.full = false
		}
	}
	if len(c.seen) < len(c.claims) {
		c.claims = slices.DeleteFunc(slices.Clone(c.claims), func(claim control.Claim) bool {
			return !c.seen[claimed{claim.Interface, netip.MustParseAddr(claim.Address)}]
		})
	}
}
