package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/responder"
)

// Trouble that lasts must not fill a disk with its log, and must not be missed by who reads
// the log either. So a state is logged when it changes, and what is counted as a digest.

// digestPause is the least time between two lines about the same thing.
const digestPause = time.Minute

// A digest tells of what happens too often for a line each: when it begins, and then,
// as long as it goes on, how often it happened since, once a minute.
type digest struct {
	told  uint64    // the count when it was told last
	at    time.Time // when that was
	quiet time.Time // when it was last seen to be still the same
}

// due takes the count of now. It tells how much is new and over which time, if that
// is to be told.
func (d *digest) due(now time.Time, count uint64) (fresh uint64, over time.Duration, ok bool) {
	if count == d.told || d.quiet.IsZero() {
		d.told, d.quiet = count, now
		return 0, 0, false
	}
	if now.Sub(d.at) < digestPause {
		return 0, 0, false
	}
	// It reaches back to when the count was last seen to stand still, so that the first line of a
	// burst tells of the whole of it.
	fresh, over = count-d.told, now.Sub(d.quiet)
	d.told, d.at, d.quiet = count, now, now
	return fresh, over, true
}

// A summary is the digests of a card.
type summary struct {
	log                        *slog.Logger
	dropped, unsent, conflicts digest
}

// report logs what is due.
func (s *summary) report(now time.Time, stats capture.Stats, claims uint64) {
	for _, d := range []struct {
		*digest
		count uint64
		text  string
	}{
		{&s.dropped, stats.Dropped, "frames were dropped, the ring was full: more come than are answered in time"},
		{&s.unsent, stats.SendErr, "frames could not be sent: the card's queue was full, or the card refused them"},
		{&s.conflicts, claims, "frames of other hosts claim aliases"},
	} {
		if fresh, over, ok := d.due(now, d.count); ok {
			s.log.Warn(d.text, "frames", fresh, "seconds", max(1, int(over.Round(time.Second).Seconds())))
		}
	}
}

// say logs a state that the card is in, once.
func (c *card) say(level slog.Level, state string) {
	// A card that flaps says each of its states again, but none twice in a row.
	if c.state == state {
		return
	}
	c.state = state
	c.log.Log(context.Background(), level, state)
}

// tick does what is due once a second.
func (c *card) tick(now time.Time) {
	c.conflicts.report(c.table.responder.Conflicts())
	c.conflicts.forget(c.table.generation, c.table.responder.Answers)
	// Those of the sessions before are in it: a card that was opened anew does not
	// begin from nothing, which would look like a burst.
	stats := c.stats
	if c.session != nil {
		stats.Add(c.session.stats())
	}
	claims := uint64(0)
	for n := range c.table.published {
		claims += c.table.responder.VerdictCounts(c.table.published[n].Name)[responder.ARPConflict]
	}
	c.summary.report(now, stats, claims)
	c.catchUp()
	c.reannounce(now)
}
