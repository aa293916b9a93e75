package daemon

import (
	"context"
	"time"
)

// A respite bounds what following the kernel takes of a processor. Each look lists all
// addresses and routes of the host, and a change among them may publish a million aliases anew:
// a host that gets ten thousand addresses one by one would do so ten thousand times. So the next
// look comes no sooner than some times what the last one took, and stands for all
// changes meanwhile. One that comes alone is followed at once.
type respite struct{ until time.Time }

const (
	// respiteShare is how much longer the pause is than the look: looking takes at most a
	// tenth of a processor.
	respiteShare = 9

	// respiteMost is how late the last change may be followed at worst, unless looking
	// itself takes longer.
	respiteMost = time.Second
)

// looked says that a look is over that took so long.
func (r *respite) looked(took time.Duration) {
	r.until = time.Now().Add(min(respiteShare*took, respiteMost))
}

// over gives a channel that tells when the pause is over, nil if it is.
func (r *respite) over() <-chan time.Time {
	if left := time.Until(r.until); left > 0 {
		return time.After(left)
	}
	return nil
}

// await returns when there is something to follow.
func (c *card) await(ctx context.Context, ticks <-chan time.Time, changed <-chan struct{}) {
	var failed, soon <-chan struct{}
	if c.session != nil {
		failed = c.session.done
	}
	over := c.respite.over()
	if over == nil {
		soon = changed
	}
	for {
		select {
		case <-over:
			over, soon = nil, changed
			continue
		case now := <-ticks:
			c.tick(now)
			continue
		case fn := <-c.requests:
			fn()
			continue
		case <-soon:
		case <-c.retry:
			c.retry = nil
		case <-failed:
			if ctx.Err() != nil {
				return // it did not fail: it was stopped
			}
			c.endSession(giveBack)
			// What failed may be up again already, or fail again at once.
			c.retry = time.After(c.backoff.delay(time.Now()))
		case <-ctx.Done():
		}
		return
	}
}
