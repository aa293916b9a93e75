package wire

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ipalias/ipalias/internal/netlab"
)

// inHost runs fn in a namespace that stands for a host with two cards, "a" and "b",
// that a cable joins.
func inHost(t *testing.T, fn func() error) {
	t.Helper()
	netlab.Need(t)
	host := netlab.Make(t, "host")
	err := host.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "a"
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "b"}); err != nil {
			return err
		}
		return fn()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Cards are taken, measured, and given back as they were, up or down.
func TestTakesCards(t *testing.T) {
	inHost(t, func() error {
		card, err := netlink.LinkByName("a")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(card); err != nil {
			return err
		}
		l, err := newLab("a", "b")
		if err != nil {
			return err
		}
		err = l.gen.ns.Do(func() error {
			q, err := l.question(false, few)
			if err != nil {
				return err
			}
			kernel := peer{name: kernel, start: startKernel}
			l.testPeer(t, &kernel, q)
			return q.close()
		})
		if err := errors.Join(err, l.close()); err != nil {
			return err
		}
		for name, up := range map[string]bool{"a": true, "b": false} {
			card, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			addresses, err := netlink.AddrList(card, netlink.FAMILY_V4)
			if err != nil {
				return err
			}
			if got := card.Attrs().Flags&1 != 0; got != up || len(addresses) != 0 {
				t.Errorf("card %s came back up: %v, want %v; addresses %v", name, got, up, addresses)
			}
		}
		return nil
	})
}

func TestRefusesCardsInUse(t *testing.T) {
	inHost(t, func() error {
		b, err := netlink.LinkByName("b")
		if err != nil {
			return err
		}
		address := netip.MustParsePrefix("192.0.2.1/24")
		if err := netlink.AddrAdd(b, &netlink.Addr{IPNet: ipNet(address)}); err != nil {
			return err
		}
		for _, c := range []struct{ card, peer, want string }{
			{"a", "b", "card b is in use: it has the address 192.0.2.1/24"},
			{"lo", "a", "card lo is in use: it has the address 127.0.0.1/8"},
			{"a", "c", "find card c"},
		} {
			l, err := newLab(c.card, c.peer)
			if err == nil {
				l.close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s and %s: %v, want %q", c.card, c.peer, err, c.want)
			}
			if _, err := netlink.LinkByName("a"); err != nil {
				t.Errorf("card a did not come back: %v", err)
			}
		}
		return nil
	})
}

// What is interrupted ends soon and takes everything away.
func TestInterrupted(t *testing.T) {
	netlab.Need(t)
	before := namespaces(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := Run(ctx, Options{Rounds: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("ended after %v", took)
	}
	if after := namespaces(t); after > before {
		t.Errorf("%d namespaces are left", after-before)
	}
}

// namespaces counts those that this process made.
func namespaces(t *testing.T) int {
	t.Helper()
	list, err := filepath.Glob(fmt.Sprintf("/run/netns/*-%d-*", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
