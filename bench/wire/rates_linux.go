package wire

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	roundTime = 300 * time.Millisecond

	// The loss-free rate is looked for by bisection, to within one in a hundred,
	// with short tries, and then has to hold for longer.
	steps   = 7
	tryTime = 300 * time.Millisecond
)

// backOffs are the shares of what bisection found that have to hold, the first
// that does.
var backOffs = []float64{1, 0.95, 0.85}

// highest measures the rate of replies while the generator does its utmost.
// Beyond what is answered frames are lost, at the ring, at the socket or in the kernel's backlog.
// What counts is how many replies come while that is so.
func (l *lab) highest(ctx context.Context, row *Row, q *question) error {
	t, err := l.send(ctx, q, 0, roundTime)
	if err != nil {
		return err
	}
	// A peer that answers twice would win.
	if t.replies > t.sent {
		return fmt.Errorf("%d replies to %d requests", t.replies, t.sent)
	}
	// Otherwise all that was counted may have been wrong.
	if t.replies > 2*sampleEvery && t.checked == 0 {
		return errors.New("no reply of the sample arrived")
	}
	row.Offered = append(row.Offered, t.offered())
	row.Replies = append(row.Replies, t.answered())
	row.Checked += t.checked
	return nil
}

// lossFree looks for the highest rate at which every request is answered, but for
// LossBound, between a third of the highest rate of replies and a bit above it.
func (l *lab) lossFree(ctx context.Context, row *Row, q *question) error {
	lossless := func(rate float64, d time.Duration) (float64, error) {
		t, err := l.send(ctx, q, rate, d)
		row.Checked += t.checked
		if err != nil || t.lost() > LossBound {
			return 0, err
		}
		return t.offered(), nil
	}
	// The highest rate was measured under an overload that a responder may be slower in: so the search
	// goes a bit above it.
	low, high := row.Median()/3, 1.1*row.Median()
	for range steps {
		try := (low + high) / 2
		got, err := lossless(try, tryTime)
		if err == nil && got == 0 {
			got, err = lossless(try, tryTime) // a stall of the machine is not the responder's fault; twice it is
		}
		if err != nil {
			return err
		}
		if got > 0 {
			low = try
		} else {
			high = try
		}
	}
	for _, share := range backOffs {
		got, err := lossless(share*low, holdTime)
		if err != nil {
			return err
		}
		if got > 0 {
			row.LossFree = got
			return nil
		}
	}
	return nil
}
