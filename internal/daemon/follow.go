package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/link"
)

// A card is not told by the kernel what changed, only that something may have. It reads all
// that matters anew and brings table, shield and session in step with it. So it makes no
// difference how many notifications were lost or came together, and there is one way from
// any state to the right one.

// run serves the card until ctx ends.
func (c *card) run(ctx context.Context) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		begin := time.Now()
		c.follow()
		c.respite.looked(time.Since(begin))
		c.await(ctx, ticker.C, c.kernel.Changed())
	}
	c.endSession(c.end)
	c.conflicts.report(c.table.responder.Conflicts())
}

// await returns when there is something to follow.
func (c *card) await(ctx context.Context, ticks <-chan time.Time, changed <-chan struct{}) {
	var failed, soon <-chan struct{}
	if c.session != nil {
		failed = c.session.done
	}
	over := c.respite.over()
	if over == nil {
		soon = changed
	}
	for {
		select {
		case <-over:
			over, soon = nil, changed
			continue
		// Requests and ticks do not cost a look at the kernel: `ipalias show` in a loop must not
		// have its routes listed each time.
		case now := <-ticks:
			c.tick(now)
			continue
		case fn := <-c.requests:
			fn()
			continue
		case <-soon:
		case <-c.retry:
			c.retry = nil
		case <-failed:
			if ctx.Err() != nil {
				return // it did not fail: it was stopped
			}
			c.endSession(giveBack)
			// What failed may be up again already, or fail again at once.
			c.retry = time.After(c.backoff.delay(time.Now()))
		// The loop in run ends now.
		case <-ctx.Done():
		}
		return
	}
}

// follow brings what is running in step with what the kernel knows now.
func (c *card) follow() {
	facts, err := c.kernel.Read(c.name)
	looked := []any{"up", facts.Up, "carrier", facts.Carrier}
	if err != nil { // else JSON would have an error that is null
		looked = append(looked, "error", err)
	}
	c.log.Debug("looked at the card", looked...)
	switch {
	case errors.Is(err, link.ErrNotFound):
		c.leave(c.whereabouts())
		return
	case err != nil:
		c.say(slog.LevelError, err.Error())
		c.retry = time.After(c.backoff.delay(time.Now()))
		return
	}
	if why := facts.Taken(); why != "" {
		c.leave("the card is " + why + "; nothing is answered here until it is released")
		return
	}
	if facts.Nameless() {
		c.leave("the card has no MAC address, waiting for one")
		return
	}
	// A card that was made again under the same name has another index, and the sockets are still
	// those of the old one. They go before the table follows, since what is answered from now
	// on is not theirs.
	old, oldMACs := c.facts, c.table.macs()
	if !facts.Up || c.session != nil && c.session.index != facts.Index {
		c.endSession(giveBack)
	}
	if err := c.adopt(facts); err != nil {
		c.say(slog.LevelError, err.Error())
		if !errors.Is(err, capture.ErrNotEthernet) { // a card of another kind stays one
			c.retry = time.After(c.backoff.delay(time.Now()))
		}
		return
	}
	if !facts.Up {
		c.retry = nil // nothing to try before the next change
		c.say(slog.LevelWarn, "the card is down, waiting for it to come up")
		return
	}
	// The kernel drops what the filter does not know before it reaches the ring: a card that has
	// another MAC address needs another filter, and everybody who knew the old one a word.
	newMACs := !slices.Equal(oldMACs, c.table.macs())
	fresh := c.serve(newMACs)
	switch {
	case c.session == nil:
	case !facts.Carrier:
		c.say(slog.LevelWarn, "the card has no carrier")
	default:
		// Carrier that comes back may mean another switch behind the cable, whose tables are
		// empty: that is announced as a start is.
		c.say(slog.LevelInfo, stateUp)
		if fresh || newMACs || !old.Carrier {
			c.session.announce(c.table.targets())
		}
	}
}

// leave lets go of a card that is not there any more, or is not ours to answer on.
func (c *card) leave(why string) {
	c.endSession(giveBack)
	c.guard.want(ward{}) // what is for aliases is the kernel's again, or a bridge's
	c.away, c.facts.Up, c.facts.Carrier = true, false, false
	c.say(slog.LevelWarn, why)
}

// whereabouts says what became of a card that is not there. The configuration goes
// by names: a card that has another one now is another card.
func (c *card) whereabouts() string {
	if c.facts.Index != 0 {
		if name := c.kernel.NameOf(c.facts.Index); name != "" {
			return "the card is called " + name + " now, waiting for one called " + c.name
		}
	}
	return "the card does not exist, waiting for it"
}

// adopt takes facts for what holds from now on, and has the table follow.
func (c *card) adopt(facts link.Facts) error {
	if facts.Encap != link.Ethernet || len(facts.MAC) != 6 {
		return fmt.Errorf("card %s: %w but %s", c.name, capture.ErrNotEthernet, facts.Encap)
	}
	err := c.table.update(facts) // first, so that who reads what is said can rely on it
	if c.facts.Index != 0 {
		known := c.facts
		known.Up, known.Carrier = facts.Up, facts.Carrier // follow says these
		if changes := facts.Changes(known); len(changes) > 0 {
			c.log.Info("the card changed", "changes", strings.Join(changes, ", "))
		}
	}
	if err == nil {
		c.facts, c.away = facts, false
		c.shield()
		c.stir()
	}
	return err
}

// shield has the guard follow what is answered for.
func (c *card) shield() {
	if c.facts.Index != 0 && !c.away {
		c.guard.want(c.table.ward(c.facts))
	}
}

// serve sees to it that the card is open and its frames are answered, as far as
// it can be. It tells whether they were not before.
func (c *card) serve(newMACs bool) (fresh bool) {
	if c.session == nil {
		// Somebody else's change of the host is no reason to try before the time: opening a card
		// that fails makes rings of megabytes each time.
		if c.retry != nil {
			return false
		}
		if err := c.open(); err != nil {
			c.retry = time.After(c.backoff.delay(time.Now()))
			// These two say that the card changed since the facts were read. That has a notification
			// of its own, which says more.
			if !errors.Is(err, capture.ErrCardDown) && !errors.Is(err, capture.ErrNoCard) {
				c.say(slog.LevelError, err.Error())
			}
			return false
		}
	}
	if c.session.started() {
		if newMACs {
			c.refilter()
		}
		return false
	}
	c.session.start(c.table.responder)
	if !c.announced {
		c.announced = true
		for i := range c.table.published {
			fmt.Fprintf(c.out, "ipaliasd: %s\n", describe(c.table.responder, &c.table.published[i], c.table.configured[i].view, c.table.observes(c.table.configured[i])))
		}
	}
	return true
}

func (c *card) open() error {
	cfg := c.how
	cfg.Filter, cfg.Gate = capture.FilterFor(c.table.macs()), &c.table.gate
	s, err := openSession(c.log, cfg, c.facts.Index, c.lookout)
	if err != nil {
		return err
	}
	c.session = s
	return nil
}

// endSession ends listening on the card, if it is open, and its ports by end.
func (c *card) endSession(end ending) {
	if c.session == nil {
		return
	}
	// The next session's ports count from zero; what this one's had counted is kept here, so
	// that nobody's counters fall.
	stats, err := c.session.stop(end)
	c.session = nil
	c.stats.Add(stats)
	if err != nil && !errors.Is(err, capture.ErrCardDown) && !errors.Is(err, capture.ErrCardGone) {
		c.log.Error("listening on the card failed", "error", err)
	}
}
