package daemon

import (
	"log/slog"
	"net"
	"net/netip"

	"github.com/ipalias/ipalias/responder"
)

// maxConflicts is how many addresses a conflict is logged for. Somebody who
// claims a whole /8 must cost neither memory nor a full disk; the verdicts
// still count each claim.
const maxConflicts = 1000

// A conflictLog writes down which aliases other hosts claim, each address once.
// It belongs to the card's goroutine.
type conflictLog struct {
	log  *slog.Logger
	seen map[claimed]bool
	full bool
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
		// Once for good: a conflict that goes and comes back is what the verdict's counter shows,
		// and the digest of claims (log.go).
		case c.seen[id] || c.full:
		case len(c.seen) == maxConflicts:
			c.full = true
			c.log.Warn("more conflicts are counted, not logged", "logged", maxConflicts)
		default:
			c.seen[id] = true
			c.log.Warn("another host claims this alias",
				"interface", conflict.Interface, "address", conflict.Addr,
				"theirs", net.HardwareAddr(conflict.MAC[:]).String(),
				"ours", net.HardwareAddr(conflict.Ours[:]).String())
		}
	}
}
