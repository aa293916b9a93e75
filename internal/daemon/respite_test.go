package daemon

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// awaits has a card await changes for a while, and look at each for so long. It tells how
// often it looked, and which change it saw last.
func awaits(ctx context.Context, changed <-chan struct{}, state *atomic.Int64, look time.Duration) (looks int, seen int64) {
	c := &card{log: slog.New(slog.NewTextHandler(io.Discard, nil)), requests: make(chan func())}
	for {
		if c.await(ctx, nil, changed); ctx.Err() != nil {
			return looks, seen
		}
		begin := time.Now()
		looks, seen = looks+1, state.Load()
		time.Sleep(look)
		c.respite.looked(time.Since(begin))
	}
}

// However often the kernel says that something changed, looking takes a tenth of the time;
// the last change is seen all the same, and some that come together at once.
func TestRespite(t *testing.T) {
	for _, tc := range []struct {
		look, every, within time.Duration
		changes             int64
		most, least         int // looks
	}{
		{look: 20 * time.Millisecond, every: time.Millisecond, changes: 10_000, most: 63, least: 55, within: 300 * time.Millisecond},
		{look: time.Second, every: time.Millisecond, changes: 10_000, most: 7, least: 5, within: 4 * time.Second},
		{look: 20 * time.Millisecond, every: time.Second, changes: 10, most: 10, least: 10, within: 20 * time.Millisecond},
		{look: 20 * time.Millisecond, every: 25 * time.Millisecond, changes: 10, most: 10, least: 10, within: 20 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			changed, state := make(chan struct{}, 1), new(atomic.Int64)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(tc.changes)*tc.every+tc.within)
			defer cancel()
			go func() {
				for range tc.changes {
					time.Sleep(tc.every)
					state.Add(1)
					select {
					case changed <- struct{}{}:
					default:
					}
				}
			}()
			looks, seen := awaits(ctx, changed, state, tc.look)
			if looks > tc.most || looks < tc.least || seen != tc.changes {
				t.Errorf("%d changes, %v apart, looks of %v: %d looks, want %d to %d; the last one saw change %d",
					tc.changes, tc.every, tc.look, looks, tc.least, tc.most, seen)
			}
		})
	}
}
