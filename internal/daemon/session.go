package daemon

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/announce"
	"github.com/ipalias/ipalias/responder"
)

// A session has two kinds of goroutines, its ports' and its announcers', and ends both: nothing
// of it runs when stop has returned.

// handler lets a worker of the responder answer what a port receives.
type handler struct {
	_      [64]byte // no other worker's on the same cache line
	worker *responder.Worker
	moves  atomic.Uint64 // how often it was called
	_      [64]byte
}

// Handle implements capture.Handler.
func (h *handler) Handle(b *capture.Batch) {
	b.Out, b.Wake = h.worker.Handle(b.Time, b.Frames, b.Flags, b.Out)
	// Once a batch and not once a frame: an atomic store is an XCHG on amd64, of some 7 ns.
	h.moves.Store(h.moves.Load() + 1)
}

// A session is the time from opening a card to its going down or away, or to
// the daemon's end. It belongs to the card's goroutine.
type session struct {
	// Of all its life.
	log   *slog.Logger
	index int             // the card's, at opening
	ports []*capture.Card // one for each worker
	look  *lookout

	// Of the ports' Run, once they were started.
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when all have returned
	errs   []error       // of each port; valid when done is closed
	// Of each port, in their order. A worker answers for no other one before Run has returned:
	// its scratch memory belongs to that goroutine.
	handlers []*handler
	prods    []prod // of each handler

	announcing     sync.WaitGroup
	announcers     atomic.Int32    // how many are under way
	announceCtx    context.Context // of all that is being announced
	stopAnnouncing context.CancelFunc
	// Shared by all announcers, so that two changes in a row are not twice the broadcasts a second.
	pace    announce.Pacer
	backlog backlog              // what is to be announced, too
	told    map[string]time.Time // when an interface's aliases were last announced all, see reannounce
}

// openSession opens the card. Frames collect from now on, and are answered from
// start on.
func openSession(log *slog.Logger, cfg capture.CardConfig, index int, look *lookout) (*session, error) {
	ports, err := capture.OpenCards(cfg)
	if err != nil {
		return nil, err
	}
	return &session{log: log, index: index, ports: ports, look: look, stopAnnouncing: func() {}, told: map[string]time.Time{}}, nil
}

func (s *session) started() bool { return s.done != nil }

// start has the card's frames answered by r's workers until stop is called or the card
// fails; done is closed then.
func (s *session) start(r *responder.Responder) {
	// Not a child of the daemon's context: the daemon ends a session by stop, which also says
	// what becomes of the ports.
	s.done = make(chan struct{})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.announceCtx, s.stopAnnouncing = context.WithCancel(s.ctx)
	s.errs = make([]error, len(s.ports))
	var running sync.WaitGroup
	for i, port := range s.ports {
		h := &handler{worker: r.Worker(i)}
		s.handlers, s.prods = append(s.handlers, h), append(s.prods, prod{})
		running.Go(func() {
			// Nothing that is announced or answered is true once the card has failed
			// for one of them.
			defer s.cancel()
			s.errs[i] = port.Run(s.ctx, s.look.around(i, h))
		})
	}
	go func() {
		defer close(s.done)
		running.Wait()
	}()
}

// setFilter replaces the filter of every worker's socket.
func (s *session) setFilter(filter []bpf.Instruction) (err error) {
	for _, port := range s.ports {
		err = errors.Join(err, port.SetFilter(filter))
	}
	return err
}

// stats is what all the ports counted.
func (s *session) stats() (sum capture.Stats) {
	for _, port := range s.ports {
		sum.Add(port.Stats())
	}
	return sum
}

// A prod is when a worker was asked to move, and what it had done by then.
type prod struct {
	at    time.Time // zero: it was not yet
	moves uint64
}

// prod asks each worker to move that has moved since it was asked last. It tells for how
// long one was asked in vain. A worker that nobody asks sleeps until a frame comes: waking
// it once a second, only to see that it would, was most of what the daemon did at rest.
func (s *session) prod(now time.Time) (inVain time.Duration) {
	for i, h := range s.handlers {
		p := &s.prods[i]
		if moves := h.moves.Load(); p.at.IsZero() || moves != p.moves {
			*p = prod{now, moves}
			s.ports[i].Nudge()
		}
		inVain = max(inVain, now.Sub(p.at))
	}
	return inVain
}

// announce announces targets from the first one on; what was being announced is
// given up.
func (s *session) announce(targets iter.Seq[announce.Target]) {
	// The wait is short: an announcer looks at its context between two frames, and Send does
	// not block.
	s.stopAnnouncing()
	s.announcing.Wait()
	s.announceCtx, s.stopAnnouncing = context.WithCancel(s.ctx)
	s.backlog = backlog{} // it is among the targets
	s.announceAlso(targets)
}

// announceAlso announces targets side by side with what is being announced.
func (s *session) announceAlso(targets iter.Seq[announce.Target]) {
	s.announceTimes(announce.Rounds, targets)
}

func (s *session) announceTimes(rounds int, targets iter.Seq[announce.Target]) {
	ctx := s.announceCtx
	s.announcers.Add(1)
	s.announcing.Go(func() {
		defer s.announcers.Add(-1)
		err := announce.Run(ctx, &s.pace, rounds, targets, func(frame []byte) error { return s.look.send(s.ports[0], frame) })
		if err != nil {
			s.log.Warn("announcing the aliases failed", "error", err)
		}
	})
}

// An ending is what becomes of a port that runs no more, which is a worker's.
type ending func(worker int, port *capture.Card) error

// giveBack closes the port, and returns when the card is as it was before.
func giveBack(_ int, port *capture.Card) error { return port.Close() }

// stop ends the session, and its ports by end. It tells what the card counted and, if it
// failed by itself, how.
func (s *session) stop(end ending) (capture.Stats, error) {
	if s.started() {
		s.cancel()
		<-s.done
	}
	// No port may be closed while somebody sends through it.
	s.announcing.Wait()
	// A port that was never run, of a card that was only prepared, has no error of its own.
	errs := append(make([]error, len(s.ports)), s.errs...)
	var closing sync.WaitGroup
	for i, port := range s.ports {
		// Side by side: the kernel has each wait until no processor uses its socket.
		closing.Go(func() { errs[i] = end(i, port) })
	}
	closing.Wait()
	return s.stats(), errors.Join(errs...)
}
