package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// succeed opens a card in n that goes on with what was kept.
func succeed(t testing.TB, n *netlab.Namespace, cfg CardConfig, kept ...Kept) *Card {
	t.Helper()
	cfg.Inheritance = Inherit(kept)
	card := openLabCard(t, n, cfg)
	cfg.Inheritance.Close()
	return card
}

func keep(t testing.TB, c *Card) Kept {
	t.Helper()
	k, err := c.Keep(0)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// isOpen tells whether fd is a packet socket still. The runtime may use the number
// for something else again, but not for one of those.
func isOpen(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_PACKET
}

// One Card after the other goes on where the one before left off: each frame is
// seen once and in order, also those that came while there was no Card, those beyond
// the end of the ring, and those too large for a slot.
func TestKeep(t *testing.T) {
	const slots = 2 * slotsPerBlock
	l := newCardLab(t, CardConfig{Slots: slots})
	setMTU(t, l, 4000)
	first := l.card.fd
	sent, seen := 0, 0
	send := func(n, size int) {
		for range n {
			l.send(t, labFrame(sent, size, experimental...))
			sent++
		}
	}
	for round := range 12 {
		h, arrivals := collector()
		stop := l.run(t, h)
		send(5, 60)
		await := func() {
			t.Helper()
			for ; seen < sent; seen++ {
				a := wait1(t, arrivals, fmt.Sprintf("frame %d", seen))
				if got := int(binary.BigEndian.Uint32(a.frame[14:])); got != seen {
					t.Fatalf("round %d: frame %d, want %d", round, got, seen)
				}
			}
		}
		await()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		kept := keep(t, l.card)
		// Nobody listens now. In some rounds the ring is full to the last slot.
		send(slots-round%3-2, 60)
		send(2, 3000)
		l.card = succeed(t, l.a, CardConfig{Slots: slots}, kept)
		h, arrivals = collector()
		stop = l.run(t, h)
		await()
		stop()
	}
	if l.card.fd != first {
		t.Errorf("socket %d, want the first one, %d, all the way", l.card.fd, first)
	}
	if s := l.card.Stats(); s.Dropped != 0 {
		t.Errorf("%d frames dropped", s.Dropped)
	}
}

// What does not fit is given up, and the card opened as if there were nothing.
func TestKeptMisfit(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cfg    CardConfig
		change func(t *testing.T, l *cardLab, k *Kept)
	}{
		{"another size", CardConfig{Slots: 4 * slotsPerBlock}, nil},
		{"another layout", CardConfig{}, func(t *testing.T, l *cardLab, k *Kept) { k.Name = "ring.0.0.16400x2048.65536" }},
		{"a place beyond its end", CardConfig{}, func(t *testing.T, l *cardLab, k *Kept) {
			k.Name = place{0, wholeBlocks(0), wholeBlocks(0)}.String()
		}},
		{"no name", CardConfig{}, func(t *testing.T, l *cardLab, k *Kept) { k.Name = "" }},
		{"another worker's", CardConfig{}, func(t *testing.T, l *cardLab, k *Kept) { k.Name = place{1, 0, wholeBlocks(0)}.String() }},
		{"another card's", CardConfig{}, func(t *testing.T, l *cardLab, k *Kept) {
			err := l.a.Do(func() error {
				lo, err := netlink.LinkByName("lo")
				if err != nil {
					return err
				}
				return unix.Bind(k.FD, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: lo.Attrs().Index})
			})
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"no packet socket", CardConfig{}, func(t *testing.T, l *cardLab, k *Kept) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if err := unix.Dup2(fd, k.FD); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newCardLab(t, CardConfig{})
			kept := keep(t, l.card)
			if tc.change != nil {
				tc.change(t, l, &kept)
			}
			l.card = succeed(t, l.a, tc.cfg, kept)
			if l.card.fd != kept.FD && isOpen(kept.FD) {
				t.Error("the old socket is still open")
			}
			if got := promiscuity(t, l.a); got != 1 {
				t.Errorf("promiscuity %d, want 1: the new socket's alone", got)
			}
			l.run(t, swap)
			l.send(t, labFrame(7, 60, experimental...))
			if got := binary.BigEndian.Uint32(l.receive(t)[14:]); got != 7 {
				t.Errorf("answer %d, want 7", got)
			}
		})
	}
}

// The number of a card means another one elsewhere.
func TestKeptInAnotherNamespace(t *testing.T) {
	l, other := newCardLab(t, CardConfig{}), newCardLab(t, CardConfig{})
	if l.card.index != other.card.index {
		t.Fatalf("cards %d and %d, want the same number", l.card.index, other.card.index)
	}
	kept := keep(t, l.card)
	card := succeed(t, other.a, CardConfig{}, kept)
	if got := promiscuity(t, l.a); got != 0 {
		t.Errorf("promiscuity %d where it was kept, want 0: given up", got)
	}
	if got := promiscuity(t, other.a); got != 2 {
		t.Errorf("promiscuity %d where the card was opened, want 2", got)
	}
	runCard(t, card, swap)
}

// A card that went down meanwhile is as one that is down when it is opened.
func TestKeptOfCardThatWentDown(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	kept := keep(t, l.card)
	err := l.a.Do(func() error {
		link, err := netlink.LinkByName(netlab.CardA)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetDown(link); err != nil {
			return err
		}
		_, err = OpenCard(CardConfig{Interface: netlab.CardA, Inheritance: Inherit([]Kept{kept})})
		return err
	})
	if !errors.Is(err, ErrCardDown) || isOpen(kept.FD) {
		t.Errorf("error %v, the socket is open: %v", err, isOpen(kept.FD))
	}
}
