package daemon

import "time"

const (
	// retrySoon is how long a card that failed is left alone: a card that was switched off
	// and on again is up by then.
	retrySoon = 20 * time.Millisecond

	// retryDelay is how long one is left alone that fails again and again.
	retryDelay = time.Second
)

// A backoff says when a card that failed is tried again. The first time that is soon,
// since most often it was switched off and on again so quickly that the socket
// told of it and the kernel's word of its being up had come already: nothing more comes
// that would end the waiting.
type backoff struct {
	last time.Time // when it failed last
}

// delay tells how long after now a card that failed now is tried again.
func (b *backoff) delay(now time.Time) time.Duration {
	// Twice: a card that was left alone for retryDelay fails again a little later than that.
	again := now.Sub(b.last) < 2*retryDelay
	b.last = now
	if again {
		return retryDelay
	}
	return retrySoon
}
