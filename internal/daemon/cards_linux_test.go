package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/internal/overlay"
)

// runs runs a daemon in a namespace for what the text of a configuration says; Reload reads
// what again gives. end ends it, and returns when it has.
func runs(t *testing.T, text string, again func() string) (d *Daemon, end func()) {
	t.Helper()
	host, _ := netlab.Pair(t)
	if out, err := host.Command("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read := func(text string) (*config.Config, error) { return config.Parse("ipalias.toml", []byte(text), "") }
	cfg, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	err = host.Do(func() (err error) {
		d, err = New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Out: io.Discard, Load: func() (*config.Config, error) { return read(again()) }})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	<-d.Ready()
	done := false
	end = func() {
		if cancel(); !done {
			<-ended
			done = true
		}
	}
	t.Cleanup(func() { end(); d.Close() })
	return d, end
}

const (
	oneCard  = "[interface.v0.aliases]\n\"v0:0\" = \"172.16.3.10\"\n"
	twoCards = oneCard + "[interface.d0.aliases]\n\"d0:0\" = \"172.16.4.10\"\n"
)

// A card that a reload takes away in the middle of a window counted nothing less than
// before.
func TestTopOfACardThatWent(t *testing.T) {
	netlab.Need(t, "ip")
	d, _ := runs(t, twoCards, func() string { return oneCard })
	s := d.now.Load()
	d0 := s.cardOf("d0")
	d0.do(func() error { d0.stats.Received += 7; return nil }) // in a session before
	before := countersOf(s)
	if n := before.cards[d0].stats.Received; n < 7 {
		t.Fatalf("%d frames before, want 7 or more", n)
	}
	if _, err := d.Reload(t.Context(), control.Peer{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range countersOf(s).since(before, s).Cards {
		if c.Received > 1000 {
			t.Errorf("%s: %d frames in a window in which next to none came", c.Name, c.Received)
		}
	}
}

// Who looks when the daemon ends is told so, and nobody goes on looking.
func TestTopAtTheEnd(t *testing.T) {
	netlab.Need(t, "ip")
	d, end := runs(t, oneCard, nil)
	if _, err := d.Top(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	end()
	if top, err := d.Top(t.Context(), 1); !errors.Is(err, errStopped) {
		t.Errorf("%+v, %v, want %v", top, err, errStopped)
	}
}

// A table that could not be made, for want of memory say, is made as soon as it can be: no
// change of the card has to come first.
func TestTableIsTriedAgain(t *testing.T) {
	netlab.Need(t)
	host, _ := netlab.Pair(t)
	cfg, err := config.Parse("ipalias.toml", []byte(oneCard), "")
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{deps: Deps{Log: slog.New(slog.DiscardHandler), Out: io.Discard}, changes: new(overlay.Overlay)}
	d.cpus = newProcessors()
	c := newCard("v0", config.Listening{}, d.cpus, d.deps)
	defer c.close()
	good := d.plan(cfg, nil, nil).wants["v0"]
	c.want(good)
	if err := host.Do(c.prepare); err != nil {
		t.Fatal(err)
	}
	c.table.configured = append(slices.Clone(good), good...) // twice the same is refused
	if c.follow(); c.retry == nil || c.session.started() {
		t.Fatalf("to be tried again: %v, answering: %v; want true, false", c.retry != nil, c.session.started())
	}
	<-c.retry
	c.table.configured, c.retry = good, nil
	if c.follow(); !c.session.started() {
		t.Error("not answering although the table can be made")
	}
}
