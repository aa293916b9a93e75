package daemon

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/config"
)

// The watchdog is fed only while the workers move: all of them, and those that a frame
// has woken up once. One that never had a frame sleeps, and may.
func TestMoving(t *testing.T) {
	now := time.Now().UnixNano()
	long := now - int64(stuck+time.Minute)
	for _, tc := range []struct {
		name  string
		beats []int64
		stuck bool
	}{
		{"both move", []int64{now, now}, false},
		{"one had no frame yet", []int64{now, 0}, false},
		{"none had", []int64{0, 0}, false},
		{"one is stuck", []int64{now, long}, true},
		{"the only one that had a frame is stuck", []int64{0, long}, true},
	} {
		c := newCard("eth9", config.Listening{Workers: 2}, newProcessors(), Deps{Log: slog.New(slog.DiscardHandler), Out: io.Discard})
		c.session = &session{done: make(chan struct{})} // it runs
		for _, beat := range tc.beats {
			h := new(handler)
			h.beat.Store(beat)
			c.session.handlers = append(c.session.handlers, h)
		}
		go func() { // the supervisor
			defer close(c.ended)
			for fn := range c.requests {
				fn()
			}
		}()
		d := &Daemon{ready: make(chan struct{})}
		close(d.ready)
		d.now.Store(&state{cards: []*card{c}})
		err := d.Moving()
		if (err != nil) != tc.stuck || err != nil && !strings.Contains(err.Error(), "eth9") {
			t.Errorf("%s: %v, want an error that names the card: %v", tc.name, err, tc.stuck)
		}
		close(c.requests)
		<-c.ended
	}
}
