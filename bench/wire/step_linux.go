package wire

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stepBursts is how many bursts of a peer are timed at once: some tenths of a second.
const stepBursts = 2000

// oneCore measures what a request costs from its sending to its reply's arrival
// where one core does everything in turn: generator, kernel, responder, kernel.
// The calling thread is pinned.
// It compares what an answer costs, whoever's core that would be on: the rates on two cores leave out
// what the kernel spends on the generator's.
func (l *lab) oneCore(ctx context.Context, p *peer, row *Row, q *question) error {
	n := stepBursts
	// A loop that is ten times slower is measured for as long.
	if p.slow {
		n /= 10
	}
	step := p.step
	if step == nil {
		stop, err := p.start(l, q.a)
		if err != nil {
			return err
		}
		defer stop()
		step = sendAll
	}
	if err := step(ctx, l, q, 20); err != nil { // what is slow the first time, is now
		return err
	}
	before, _, err := l.counted()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := step(ctx, l, q, n); err != nil {
		return err
	}
	took := time.Since(start)
	after, _, err := l.counted()
	if err != nil {
		return err
	}
	sent := uint64(n) * burstSize
	// In step nothing may be lost: a request without a reply would be a cheap one.
	if replies := after - before; p.name != nobody && replies != sent {
		return fmt.Errorf("in step on one core: %d replies to %d requests", replies, sent)
	}
	row.OneCore = append(row.OneCore, float64(took)/float64(sent))
	return nil
}

// sendAll is the step of who answers while a burst is sent.
func sendAll(ctx context.Context, l *lab, q *question, n int) error {
	for range n {
		if err := errors.Join(ctx.Err(), q.bursts.send(burstSize)); err != nil {
			return err
		}
	}
	return nil
}
