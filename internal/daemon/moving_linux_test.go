package daemon

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
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

// A change of the table reaches the workers of a card on which nothing comes, by each of the
// ways to change it.
func TestChangesReachIdleWorkers(t *testing.T) {
	netlab.Need(t, "ip")
	text := func(alias string) string {
		return "[interface.v0]\nworkers = 2\n[interface.v0.aliases]\n\"v0:0\" = \"" + alias + "\"\n"
	}
	d, _ := runs(t, text("172.16.3.10"), func() string { return text("172.16.3.12") })
	edit := func(do string) {
		t.Helper()
		if _, err := d.Edit(t.Context(), control.Peer{}, control.Edit{Do: do, Label: "v0:1", Addresses: []string{"172.16.3.11"}}); err != nil {
			t.Fatal(err)
		}
	}
	var handlers []*handler
	c := d.now.Load().cards[0]
	if err := c.do(func() error { handlers = c.session.handlers; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"add", func() { edit(control.Add) }},
		{"del", func() { edit(control.Delete) }},
		{"reload", func() {
			if _, err := d.Reload(t.Context(), control.Peer{}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		var before []uint64
		for _, h := range handlers {
			before = append(before, h.moves.Load())
		}
		change.do()
		for i, h := range handlers {
			for deadline := time.Now().Add(10 * time.Second); h.moves.Load() == before[i]; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s: worker %d did not look at the table", change.name, i)
				}
			}
		}
	}
}
