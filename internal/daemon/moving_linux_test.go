package daemon

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/netlab"
)

// The watchdog is fed only while all workers move. Nothing but its asking moves those of a
// card on which nothing comes.
func TestMoving(t *testing.T) {
	netlab.Need(t)
	a, _ := netlab.Pair(t)
	c := newCard(netlab.CardA, config.Listening{Workers: 2}, newProcessors(), Deps{Log: slog.New(slog.DiscardHandler), Out: io.Discard})
	if err := a.Do(c.prepare); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.session.start(c.table.responder)
	go func() { // the supervisor
		defer close(c.ended)
		for fn := range c.requests {
			fn()
		}
	}()
	d := &Daemon{ready: make(chan struct{})}
	close(d.ready)
	d.now.Store(&state{cards: []*card{c}})
	// As if each had been asked long ago: who moved since is asked anew.
	later := func() {
		for i := range c.session.prods {
			c.session.prods[i].at = time.Now().Add(-stuck - time.Minute)
		}
	}
	for look := range 3 {
		if err := d.Moving(); err != nil {
			t.Fatal(err)
		}
		for i, h := range c.session.handlers {
			for deadline := time.Now().Add(10 * time.Second); h.moves.Load() == c.session.prods[i].moves; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("look %d: worker %d was asked to move and did not", look, i)
				}
			}
		}
		later()
	}
	c.session.cancel()
	<-c.session.done // from now on they do not move
	for range 2 {
		d.Moving()
		later()
	}
	if err := d.Moving(); err == nil || !strings.Contains(err.Error(), netlab.CardA) {
		t.Errorf("%v, want an error that names the card", err)
	}
	close(c.requests)
	<-c.ended
}
