package capture

import (
	"errors"
	"testing"

	"github.com/ipalias/ipalias/internal/netlab"
)

// Cards opened on rings that were begun before answer as others do, and a card that has
// the name of the one that they were begun for does not get them.
func TestRings(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	if err := l.card.Close(); err != nil {
		t.Fatal(err)
	}
	begin := func(workers int) (r *Rings) {
		t.Helper()
		if err := l.a.Do(func() (err error) { r, err = MakeRings(netlab.CardA, workers, 1); return err }); err != nil {
			t.Fatal(err)
		}
		return r
	}
	open := func(cfg CardConfig) (cards []*Card, err error) {
		cfg.Interface, cfg.Slots = netlab.CardA, 1
		l.a.Do(func() error { cards, err = OpenCards(cfg); return nil })
		return cards, err
	}
	cards, err := open(CardConfig{Workers: 2, Rings: begin(2)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cards {
		runCard(t, c, swap)
		defer c.Close()
	}
	frame := labFrame(1, 60, experimental...)
	l.send(t, frame)
	swapMACs(frame)
	if diff := frameDiff(l.receive(t), frame); diff != "" {
		t.Error(diff)
	}

	rings := begin(1)
	must(t, l.a.Command("ip", "link", "del", netlab.CardA).Run())
	must(t, netlab.Veth(netlab.End{Namespace: l.a, Name: netlab.CardA}, netlab.End{Namespace: l.b, Name: netlab.CardB}))
	if _, err := open(CardConfig{Rings: rings}); !errors.Is(err, ErrNoCard) {
		t.Errorf("on a new card of the same name: %v, want ErrNoCard", err)
	}
	begin(1).Close()
	if n := promiscuity(t, l.a); n != 0 {
		t.Errorf("promiscuity %d, want 0: nobody has a card open", n)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
