package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/shield"
	"github.com/ipalias/ipalias/responder"
)

// interfaces is what a responder of ours answers for, to be asked for a.
// The same as the daemon makes of its configuration: networks and the card's own address cost
// a look of their own.
func (l *lab) interfaces(a aim) []responder.Interface {
	run := responder.PrefixRange(a.prefix)
	// Few are given one by one, as the kernel gets them; many as the prefix that they are.
	if a.targets <= 256 {
		list := a.addresses()
		run = responder.Range{First: list[0], Last: list[len(list)-1]}
	}
	return []responder.Interface{{
		Name:     l.dut.name,
		MAC:      [6]byte(l.dut.mac),
		Networks: []netip.Prefix{ownAddr.Masked()},
		Host:     []netip.Addr{ownAddr.Addr()},
		Aliases:  []responder.Alias{{Label: l.dut.name + ":0", Ranges: responder.RangesOf(run)}},
		Limits:   responder.DefaultLimits,
	}}
}

// worker gives a responder of ours that answers for a: always the same one, since
// the memory of its counters is not given back. Each address has been asked for
// once, as in a daemon that has run for a while.
func (l *lab) worker(a aim) (*responder.Worker, error) {
	if w := l.workers[a.base]; w != nil {
		return w, nil
	}
	r := responder.New(responder.Config{Workers: 1})
	if _, err := r.Publish(l.interfaces(a)); err != nil {
		return nil, err
	}
	w := r.Worker(0)
	ask := l.request(true, a.address(0), 0)
	frame := make([]byte, len(ask))
	var out [][]byte
	for i := range uint32(a.targets) {
		copy(frame, ask)
		binary.BigEndian.PutUint32(frame[arpTarget:], a.base+i)
		if out, _ = w.Handle(0, [][]byte{frame}, nil, out[:0]); len(out) != 1 {
			return nil, fmt.Errorf("%v is not answered for", a.address(i))
		}
	}
	l.workers[a.base] = w
	return w, nil
}

// A handler is the daemon's, but for what its watchdog asks.
type handler struct{ worker *responder.Worker }

func (h handler) Handle(b *capture.Batch) {
	b.Out, b.Wake = h.worker.Handle(b.Time, b.Frames, b.Flags, b.Out)
}

// openCard opens the responder's card as the daemon does.
// One worker with the default ring. The filter goes by the MAC address alone, never by the table.
func (l *lab) openCard() (card *capture.Card, err error) {
	err = l.dut.ns.Do(func() (err error) {
		card, err = capture.OpenCard(capture.CardConfig{
			Interface: l.dut.name,
			Filter:    capture.FilterFor([][6]byte{[6]byte(l.dut.mac)}),
		})
		return err
	})
	return card, err
}

// startOurs runs what the daemon runs: the responder on a card, on a thread of
// its own, which stays off the generator's core.
func startOurs(l *lab, a aim) (func() error, error) {
	w, err := l.worker(a)
	if err != nil {
		return nil, err
	}
	// Opened anew for each turn: it must not collect frames while others answer.
	card, err := l.openCard()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		// The first core is the generator's and the kernel's receiving half's.
		defer pin(responderCore)()
		done <- card.Run(ctx, handler{w})
	}()
	return func() error {
		cancel()
		return errors.Join(<-done, card.Close())
	}, nil
}

// raise has the kernel kept from frames for a, as shield = true does.
// It is waited for until it is loaded: what is measured is the shield, not its coming up.
func (l *lab) raise(a aim) (lower func() error, err error) {
	var s *shield.Shield
	err = l.dut.ns.Do(func() (err error) {
		s, err = shield.Raise(l.dut.name)
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(s.Update(l.interfaces(a)), s.Wait(ctx)); err != nil {
		return nil, errors.Join(err, s.Lower())
	}
	return s.Lower, nil
}

// behindShield starts a peer behind a shield.
// The shield is raised before anybody answers, and lowered when nobody does any more.
func behindShield(start func(*lab, aim) (func() error, error)) func(*lab, aim) (func() error, error) {
	return func(l *lab, a aim) (func() error, error) {
		lower, err := l.raise(a)
		if err != nil {
			return nil, err
		}
		stop, err := start(l, a)
		if err != nil {
			return nil, errors.Join(err, lower())
		}
		return func() error { return errors.Join(stop(), lower()) }, nil
	}
}

// A stepper sends the next burst whenever the one before has been answered, from
// within the handler: generator, kernel and responder take turns on one thread, and
// none waits for another.
// Run gives it all that the ring holds, up to a batch; a wake-up without frames is how it notices
// that something was lost.
type stepper struct {
	handler
	bursts *bursts
	left   int // bursts to be sent
	open   int // requests that are still to come
	end    context.CancelFunc
	err    error
}

// patience is how long a stepper waits for requests that do not come.
// A frame that was lost, to a stall of the machine say, ends no run: after this the next burst goes.
const patience = 100 * time.Millisecond

func (s *stepper) Handle(b *capture.Batch) {
	s.handler.Handle(b)
	s.open -= len(b.Frames)
	// The ring gave a part of the burst: the rest is on its way.
	if s.open > 0 && len(b.Frames) > 0 {
		b.Wake = b.Time + int64(patience)
		return
	}
	if s.left == 0 || s.err != nil {
		s.end()
		return
	}
	s.left--
	s.open = burstSize
	// From inside the handler: the answers to this batch have not gone yet when the next burst lies in
	// the ring. Everything is sent and answered in one thread's turn, and nothing ever waits.
	s.err = s.bursts.send(burstSize)
	b.Wake = b.Time + int64(patience)
}

// stepOurs runs what startOurs runs, on the calling thread.
func stepOurs(ctx context.Context, l *lab, q *question, n int) error {
	w, err := l.worker(q.a)
	if err != nil {
		return err
	}
	card, err := l.openCard()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// One burst to begin with: without it Run would wait.
	s := &stepper{handler: handler{w}, bursts: q.bursts, left: n - 1, open: burstSize, end: cancel}
	if err := q.bursts.send(burstSize); err != nil {
		return errors.Join(err, card.Close())
	}
	return errors.Join(card.Run(ctx, s), s.err, card.Close())
}

func stepShielded(ctx context.Context, l *lab, q *question, n int) error {
	lower, err := l.raise(q.a)
	if err != nil {
		return err
	}
	return errors.Join(stepOurs(ctx, l, q, n), lower())
}
