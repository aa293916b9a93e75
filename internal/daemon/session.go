package daemon

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/announce"
	"github.com/ipalias/ipalias/responder"
)

// heartbeat is how often a worker shows that it moves, frames or not.
const heartbeat = time.Second

// handler lets a worker of the responder answer what a port receives.
type handler struct {
	worker *responder.Worker
	beat   *atomic.Int64 // when it was called last, in ns since the epoch
}

// Handle implements capture.Handler.
func (h handler) Handle(b *capture.Batch) {
	b.Out, b.Wake = h.worker.Handle(b.Time, b.Frames, b.Flags, b.Out)
	h.beat.Store(b.Time)
	if next := b.Time + int64(heartbeat); b.Wake == 0 || b.Wake > next {
		b.Wake = next
	}
}

// A session is the time from opening a card to its going down or away, or to
// the daemon's end. It belongs to the card's goroutine.
type session struct {
	log   *slog.Logger
	index int // the card's, at opening
	port  *capture.Card

	// Of the port's Run, once it was started.
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid when done is closed
	beat   atomic.Int64

	announcing     sync.WaitGroup
	announceCtx    context.Context // of all that is being announced
	stopAnnouncing context.CancelFunc
	pace           pacer
}

// A pacer keeps announcements apart, however many are under way side by side.
type pacer struct {
	mu   sync.Mutex
	next time.Time
}

// wait returns when a frame may be sent, or ctx ends.
func (p *pacer) wait(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-time.After(time.Until(p.next)):
	case <-ctx.Done():
	}
	p.next = time.Now().Add(announce.Pace)
}

// openSession opens the card. Frames collect from now on, and are answered from
// start on.
func openSession(log *slog.Logger, cfg capture.CardConfig, index int) (*session, error) {
	port, err := capture.OpenCard(cfg)
	if err != nil {
		return nil, err
	}
	return &session{log: log, index: index, port: port, stopAnnouncing: func() {}}, nil
}

func (s *session) started() bool { return s.done != nil }

// start has the card's frames answered by worker until ctx ends, stop is called
// or the card fails; done is closed then.
func (s *session) start(ctx context.Context, worker *responder.Worker) {
	s.done = make(chan struct{})
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.announceCtx, s.stopAnnouncing = context.WithCancel(s.ctx)
	go func() {
		defer close(s.done)
		// Nothing that is announced or answered is true once the card has failed.
		defer s.cancel()
		s.err = s.port.Run(s.ctx, handler{worker, &s.beat})
	}()
}

// announce announces targets from the first one on; what was being announced is
// given up.
func (s *session) announce(targets iter.Seq[announce.Target]) {
	s.stopAnnouncing()
	s.announcing.Wait()
	s.announceCtx, s.stopAnnouncing = context.WithCancel(s.ctx)
	s.announceAlso(targets)
}

// announceAlso announces targets side by side with what is being announced.
func (s *session) announceAlso(targets iter.Seq[announce.Target]) {
	ctx := s.announceCtx
	s.announcing.Go(func() {
		err := announce.Run(ctx, targets, func(frame []byte) error {
			if s.pace.wait(ctx); ctx.Err() != nil {
				return nil
			}
			return s.port.Send(frame)
		})
		if err != nil {
			s.log.Warn("announcing the aliases failed", "error", err)
		}
	})
}

// stop ends the session and gives the card back. It tells what the card counted
// and, if it failed by itself, how.
func (s *session) stop() (capture.Stats, error) {
	if s.started() {
		s.cancel()
		<-s.done
	}
	s.announcing.Wait()
	closeErr := s.port.Close()
	return s.port.Stats(), errors.Join(s.err, closeErr)
}
