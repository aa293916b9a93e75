package daemon

import (
	"testing"
	"time"
)

// A card that fails once is tried again soon, whenever that is; one that goes on failing
// is tried once a second.
func TestBackoff(t *testing.T) {
	var b backoff
	now := time.Unix(1e9, 0)
	for n, want := range []time.Duration{retrySoon, retryDelay, retryDelay, retryDelay} {
		got := b.delay(now)
		if got != want {
			t.Errorf("failure %d in a row: tried again after %v, want %v", n, got, want)
		}
		now = now.Add(got)
	}
	if got := b.delay(now.Add(time.Minute)); got != retrySoon {
		t.Errorf("a minute later: tried again after %v, want %v", got, retrySoon)
	}
}
