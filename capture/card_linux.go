package capture

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// batchSize is how many frames are handed over and sent at a time. 64 spread
// the cost of a system call thin, and one batch's first cache lines fit the
// first-level cache.
const batchSize = 64

// Card is a Port on a network card: one AF_PACKET socket with a ring for what
// comes and another for what goes out. The card is in promiscuous mode as long
// as it is open. A Card is one worker's: OpenCards opens one for each.
//
// What the worker writes for every batch and what others write for every look at
// the counters are on cache lines of their own, also those of two Cards that the
// allocator put side by side; a test looks.
type Card struct {
	name  string
	index int
	fd    int           // receives
	wake  int           // an eventfd that ends a wait
	cpu   int           // to run on; -1: any
	most  time.Duration // that a wait spins; 0: it never does
	ring  *ring
	out   *sender
	gate  *Gate // before out, whoever sends

	_        cacheLine
	batch    Batch
	spin     time.Duration // how long the next wait spins, see wait
	received atomic.Uint64
	lost     atomic.Uint64 // by us, see ring.lost
	withheld atomic.Uint64
	_        cacheLine

	mu      sync.Mutex // over what follows, and the descriptors outside of Run
	closed  bool
	dropped uint64 // by the kernel, accumulated: PACKET_STATISTICS is reset by reading
	_       cacheLine
}

// cacheLine keeps apart what stands before and behind it: two lines, since they are
// fetched in pairs.
type cacheLine [128]byte

// OpenCard opens a card for one worker: from its return on frames collect in the
// ring. The error is (errors.Is) one of the Err values where somebody might act on it.
func OpenCard(cfg CardConfig) (*Card, error) {
	cfg.Workers = 1
	cards, err := OpenCards(cfg)
	if err != nil {
		return nil, err
	}
	return cards[0], nil
}

// OpenCards opens a card for several workers, who share its frames, as OpenCard
// does for one. Each is run, and closed, by itself.
func OpenCards(cfg CardConfig) ([]*Card, error) {
	cards, err := openCards(cfg)
	if err != nil {
		return nil, fmt.Errorf("open card %s: %w", cfg.Interface, err)
	}
	return cards, nil
}

// Run implements Port. It returns ErrCardDown or ErrCardGone when the card goes:
// then the Card can only be closed. After ctx ended it may be called again.
func (c *Card) Run(ctx context.Context, h Handler) error {
	if c.cpu >= 0 {
		defer pin(c.cpu)()
	}
	var stop atomic.Bool
	woken := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		stop.Store(true)
		c.interrupt()
		close(woken)
	})
	defer func() {
		if !cancel() {
			<-woken
			c.uninterrupt()
		}
	}()

	b := &c.batch
	for !stop.Load() {
		b.Frames, b.Flags, b.Out = b.Frames[:0], b.Flags[:0], b.Out[:0]
		c.ring.take(b, batchSize)
		if len(b.Frames) == 0 {
			c.giveBack(0)
			due, err := c.wait(&stop, b.Wake)
			if err != nil {
				return fmt.Errorf("run card %s: %w", c.name, err)
			}
			if !due {
				continue
			}
		}
		frames := len(b.Frames)
		b.Time, b.Wake = time.Now().UnixNano(), 0
		h.Handle(b)
		c.out.batch(c.admit(b.Out))
		// Only now: what was sent lay in the slots.
		c.giveBack(frames)
	}
	return nil
}

// admit gives those of an answered batch's frames that may leave.
func (c *Card) admit(frames [][]byte) [][]byte {
	kept := c.gate.filter(frames)
	if n := len(frames) - len(kept); n > 0 {
		c.withheld.Add(uint64(n))
	}
	return kept
}

// giveBack ends a batch of which frames were handed over.
func (c *Card) giveBack(frames int) {
	c.ring.release()
	if frames > 0 {
		c.received.Add(uint64(frames))
	}
	if c.ring.lost > 0 {
		c.lost.Add(c.ring.lost)
		c.ring.lost = 0
	}
}

// Send implements Port. A frame that the gate withholds is no error.
func (c *Card) Send(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("send on card %s: %w", c.name, unix.EBADF)
	}
	if !c.gate.Passes(frame) {
		c.withheld.Add(1)
		return nil
	}
	if err := c.out.one(frame); err != nil {
		return fmt.Errorf("send on card %s: %w", c.name, err)
	}
	return nil
}

// SetFilter replaces the filter, between two frames. It may be called while Run
// runs. nil lets all through.
func (c *Card) SetFilter(filter []bpf.Instruction) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("set filter of card %s: %w", c.name, unix.EBADF)
	}
	if err := attachFilter(c.fd, filter); err != nil {
		return fmt.Errorf("set filter of card %s: %w", c.name, err)
	}
	return nil
}

// Stats implements Port. Dropped counts what found the ring full and what was
// too large for the socket's buffer.
func (c *Card) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.collect()
	}
	return Stats{
		Received: c.received.Load(),
		Sent:     c.out.sent.Load(),
		Dropped:  c.dropped + c.lost.Load(),
		SendErr:  c.out.failed.Load(),
		Withheld: c.withheld.Load(),
	}
}

// collect adds what the kernel counted since the last time.
func (c *Card) collect() {
	if s, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		c.dropped += uint64(s.Drops)
	}
}

// Close implements Port. Promiscuous mode ends with it, unless somebody else
// wants it too. Stats goes on telling the last figures.
func (c *Card) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.collect()
	c.closed = true
	// Side by side: each takes its time, see leave.
	sending := make(chan error, 1)
	go func() { sending <- unix.Close(c.out.fd) }()
	err := errors.Join(c.ring.close(), unix.Close(c.fd), unix.Close(c.wake), <-sending)
	if err != nil {
		return fmt.Errorf("close card %s: %w", c.name, err)
	}
	return nil
}
