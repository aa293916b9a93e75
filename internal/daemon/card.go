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
// A card is driven from outside through do alone: whoever wants to know or to change
// something has a function called on the card's own goroutine, between two events. So nothing
// of a card needs a lock, and no reader sees half a change. How the card follows the kernel
// is in follow.go, what it answers for in table.go, and its ports are a session's.
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

	// What run knows. Before start it belongs to whoever prepares the card, and once ended is
	// closed nobody writes it any more.
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

// newCard makes a card that answers nothing and listens to nothing yet; close gives it back. It
// takes workers, ring and processors from l for as long as the card lives: another layout would
// take new sockets, and those a gap without answers.
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
	if facts.Nameless() {
		return nil // it is waited for, as one that is down is
	}
	if err := c.adopt(facts); err != nil {
		return err
	}
	// It is opened and not yet answered on: frames collect in the ring from here, so that the
	// first answer does not wait for the last card.
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
	// Room for one, since whoever runs fn must not wait for us.
	result := make(chan error, 1)
	select {
	case c.requests <- func() { result <- fn() }:
		return <-result
	// A card that is being stopped no longer takes requests, and would never answer one.
	case <-c.ended:
		return errStopped
	}
}

// change has the card answer for configured from now on, and announces what is
// new. It is for do.
func (c *card) change(configured []wanted) ([]doubt, error) {
	// All three look at the table of before: afterwards what is new is answered for already.
	fresh, oldMACs, speaks := c.table.fresh(configured), c.table.macs(), c.table.speaks(configured)
	warnings, err := c.table.change(configured, c.facts)
	c.shield()
	c.stir()
	if err != nil || c.session == nil || !c.session.started() {
		return warnings, err
	}
	if slices.Equal(oldMACs, c.table.macs()) && !speaks {
		// A card without carrier is announced on as a whole when it gets one: see follow.
		switch {
		case len(fresh) == 0 || !c.facts.Carrier:
		case c.table.mostly(fresh):
			c.session.announce(c.table.targets())
		default:
			c.announceFresh(fresh)
		}
		return warnings, nil
	}
	// Aliases that moved to another MAC address, or were silent until now, are news to every
	// neighbour, not only those that were added: all are announced.
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

// stir has the workers look at the table of now: what they counted for aliases that are gone is
// forgotten, and its memory free for others, also on a card on which nothing comes.
func (c *card) stir() {
	if c.session == nil || !c.session.started() {
		return
	}
	for _, port := range c.session.ports {
		port.Nudge()
	}
}
