package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/link"
	"github.com/ipalias/ipalias/responder"
)

// tickInterval is how often it is looked for what the workers noted and counted
// that belongs in the log.
const tickInterval = time.Second

// A card supervises one network card and the interfaces on it.
type card struct {
	name string
	wait bool               // for the card to be made, at the start
	how  capture.CardConfig // to listen, but for the filter; only its Rings go
	log  *slog.Logger
	out  io.Writer

	kernel    *link.Kernel
	table     table
	lookout   *lookout
	conflicts conflictLog
	summary   summary
	guard     *guard

	facts     link.Facts // as followed last
	away      bool       // it was left since
	session   *session   // nil unless the card is open
	stats     capture.Stats
	state     string // as logged last
	announced bool   // what is answered for was printed
	backoff   backoff
	respite   respite
	retry     <-chan time.Time // when it is to be tried again; nil: at any change

	// Of run, once start was called.
	requests chan func() // done between two events, on the card's goroutine
	cancel   context.CancelFunc
	end      ending // valid when the context has ended
	ended    chan struct{}
}

func newCard(name string, l config.Listening, cpus *processors, deps Deps) *card {
	how := listen(name, l, cpus)
	log := deps.Log.With("card", name)
	c := &card{
		name:      name,
		how:       how,
		log:       log,
		out:       deps.Out,
		state:     stateUp,
		requests:  make(chan func()),
		cancel:    func() {},
		ended:     make(chan struct{}),
		table:     table{log: log, responder: responder.New(responder.Config{Workers: how.Workers, MaxCounted: l.Counters}), observe: deps.Observe},
		conflicts: conflictLog{log: log},
		summary:   summary{log: log},
		guard:     newGuard(name, log),
	}
	// The kernel makes the rings while the rest of a start is done. Where they can't be
	// made now prepare says why.
	if c.how.Inheritance = deps.Inheritance; c.how.Inheritance.Empty() {
		c.how.Rings, _ = capture.MakeRings(name, how.Workers, how.Slots)
	}
	c.lookout = newLookout(c.table.responder, how.Workers, &c.table.gate)
	c.table.gate.Shut() // until it is known who may be answered
	return c
}

// stateUp is worth a word only where it was not so before.
const stateUp = "the card is up"

// want says what the card is to answer for, before it is prepared.
func (c *card) want(configured []wanted) {
	c.table.configured = configured
	c.wait = slices.ContainsFunc(configured, func(w wanted) bool { return w.Wait })
}

// prepare does all that can fail at the start, and answers nothing yet.
func (c *card) prepare() error {
	defer c.dropRings() // they are open's, or of no use
	var err error
	if c.kernel, err = link.Open(); err != nil {
		return err
	}
	c.table.kernel = c.kernel
	facts, err := c.kernel.Read(c.name)
	switch {
	case errors.Is(err, link.ErrNotFound) && c.wait:
		return nil
	case errors.Is(err, link.ErrNotFound):
		return c.missing()
	case err != nil:
		return err
	}
	if why := facts.Taken(); why != "" {
		return fmt.Errorf("card %s is %s", c.name, why)
	}
	if err := c.adopt(facts); err != nil {
		return err
	}
	// Also a card that is down, to know about the privilege now.
	err = c.open()
	if errors.Is(err, capture.ErrCardDown) || errors.Is(err, capture.ErrNoCard) {
		return nil
	}
	return err
}

func (c *card) dropRings() {
	c.how.Rings.Close()
	c.how.Rings = nil
}

// missing is the error for a card that does not exist, with those that do.
func (c *card) missing() error {
	names, err := c.kernel.Names()
	if err != nil {
		return fmt.Errorf("%w %q", link.ErrNotFound, c.name)
	}
	if len(names) == 0 {
		return fmt.Errorf("%w %q, and no other", link.ErrNotFound, c.name)
	}
	return fmt.Errorf("%w %q; those that exist: %s", link.ErrNotFound, c.name, strings.Join(names, ", "))
}

// close gives everything back. It may be called after a prepare that failed.
func (c *card) close() {
	c.dropRings()
	c.endSession(giveBack)
	c.guard.stop()
	if c.kernel != nil {
		c.kernel.Close()
	}
}

// start serves the card until stop is called. The end of the daemon's context is no end of
// it: all cards are stopped side by side then, each with what becomes of its ports.
func (c *card) start() {
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(c.ended)
		c.run(ctx)
	}()
}

// stop ends what start began, and waits for it. end is what becomes of the card's ports.
func (c *card) stop(end ending) {
	c.end = end
	c.cancel()
	<-c.ended
}

// errStopped is what a card is asked in vain for.
var errStopped = errors.New("the daemon is about to end")

// do has fn done on the card's goroutine and waits for it.
func (c *card) do(fn func() error) error {
	result := make(chan error, 1)
	select {
	case c.requests <- func() { result <- fn() }:
		return <-result
	case <-c.ended:
		return errStopped
	}
}

// change has the card answer for configured from now on, and announces what is
// new. It is for do.
func (c *card) change(configured []wanted) ([]doubt, error) {
	fresh, oldMACs, speaks := c.table.fresh(configured), c.table.macs(), c.table.speaks(configured)
	warnings, err := c.table.change(configured, c.facts)
	c.shield()
	if err != nil || c.session == nil || !c.session.started() {
		return warnings, err
	}
	if slices.Equal(oldMACs, c.table.macs()) && !speaks {
		switch {
		case len(fresh) == 0 || !c.facts.Carrier:
		case c.table.mostly(fresh):
			c.session.announce(c.table.targets())
		default:
			c.session.announceAlso(c.table.announcements(fresh))
		}
		return warnings, nil
	}
	c.refilter()
	if c.facts.Carrier {
		c.session.announce(c.table.targets())
	}
	return warnings, nil
}

// refilter lets the card through what goes to the MAC addresses of now.
func (c *card) refilter() {
	if err := c.session.setFilter(capture.FilterFor(c.table.macs())); err != nil {
		c.log.Error(err.Error())
	}
}

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

// follow brings what is running in step with what the kernel knows now.
func (c *card) follow() {
	facts, err := c.kernel.Read(c.name)
	c.log.Debug("looked at the card", "up", facts.Up, "carrier", facts.Carrier, "error", err)
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
	newMACs := !slices.Equal(oldMACs, c.table.macs())
	fresh := c.serve(newMACs)
	switch {
	case c.session == nil:
	case !facts.Carrier:
		c.say(slog.LevelWarn, "the card has no carrier")
	default:
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
		if c.retry != nil {
			return false
		}
		if err := c.open(); err != nil {
			c.retry = time.After(c.backoff.delay(time.Now()))
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
	stats, err := c.session.stop(end)
	c.session = nil
	c.stats.Add(stats)
	if err != nil && !errors.Is(err, capture.ErrCardDown) && !errors.Is(err, capture.ErrCardGone) {
		c.log.Error("listening on the card failed", "error", err)
	}
}
