package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Without the capability the error says what to do.
func TestOpenCardUnprivileged(t *testing.T) {
	a, _ := netlab.Pair(t)
	err := a.Do(func() error {
		return netlab.WithoutCapabilities(func() error {
			card, err := OpenCard(CardConfig{Interface: netlab.CardA})
			if err == nil {
				card.Close()
			}
			return err
		})
	})
	exe, exeErr := os.Executable()
	if exeErr != nil {
		t.Fatal(exeErr)
	}
	if !errors.Is(err, ErrPrivilege) || !strings.Contains(err.Error(), "CAP_NET_RAW") ||
		!strings.Contains(err.Error(), "setcap cap_net_raw+ep "+exe) {
		t.Errorf("%v; want ErrPrivilege, the capability and the setcap line", err)
	}
}

func promiscuity(t *testing.T, n *netlab.Namespace) int {
	t.Helper()
	var count int
	err := n.Do(func() error {
		link, err := netlink.LinkByName(netlab.CardA)
		if err == nil {
			count = link.Attrs().Promisc
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func TestCardPromiscuousWhileOpen(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	if n := promiscuity(t, l.a); n != 1 {
		t.Errorf("promiscuity %d while open, want 1", n)
	}
	h, frames := collector()
	stop := l.run(t, h)
	foreign := labFrame(1, 60, experimental...)
	copy(foreign, []byte{0x02, 0, 0, 0, 0xff, 0xff})
	l.send(t, foreign)
	if diff := frameDiff(wait1(t, frames, "the frame to another MAC").frame, foreign); diff != "" {
		t.Error(diff)
	}
	stop()
	if err := l.card.Close(); err != nil {
		t.Fatal(err)
	}
	if n := promiscuity(t, l.a); n != 0 {
		t.Errorf("promiscuity %d after Close, want 0", n)
	}
	if err := l.card.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if s := l.card.Stats(); s.Received != 1 {
		t.Errorf("Stats %+v after Close, want 1 received", s)
	}
	if err := l.card.Send(foreign); !errors.Is(err, unix.EBADF) {
		t.Errorf("Send after Close: %v, want EBADF", err)
	}
}

func TestCardGoesDownOrAway(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(netlink.Link) error
		want   error
	}{
		{"down", netlink.LinkSetDown, ErrCardDown},
		{"removed", netlink.LinkDel, ErrCardGone},
	} {
		for _, busy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, busy %v", tc.name, busy), func(t *testing.T) {
				l := newCardLab(t, CardConfig{})
				var noise Handler = swap
				if busy { // answers without end, each caused by a timer
					frame := labFrame(1, 60, experimental...)
					noise = handlerFunc(func(b *Batch) {
						b.Out = append(b.Out, frame)
						b.Wake = b.Time + int64(100*time.Microsecond)
					})
				}
				result := make(chan error, 1)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				go func() { result <- l.card.Run(ctx, noise) }()
				l.send(t, labFrame(1, 60, experimental...))
				l.receive(t)
				err := l.a.Do(func() error {
					link, err := netlink.LinkByName(netlab.CardA)
					if err != nil {
						return err
					}
					return tc.change(link)
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := wait1(t, result, "Run to return"); !errors.Is(err, tc.want) {
					t.Errorf("Run: %v, want %v", err, tc.want)
				}
			})
		}
	}
}

func TestOpenCardErrors(t *testing.T) {
	a, _ := netlab.Pair(t)
	err := a.Do(func() error {
		link, err := netlink.LinkByName(netlab.CardA)
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(link)
	})
	if err != nil {
		t.Fatal(err)
	}
	tunnel := a.Do(func() error { // fails where the kernel has no tunnels
		return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun9"}, Mode: netlink.TUNTAP_MODE_TUN})
	})
	for _, tc := range []struct {
		name string
		want error
		text string
	}{
		{"eth9", ErrNoCard, "open card eth9: no such card"},
		{"lo", ErrNotEthernet, "loopback"},
		{netlab.CardA, ErrCardDown, "open card v0: card is down"},
		{"tun9", ErrNotEthernet, "hardware type is 65534 (a tunnel without link layer)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "tun9" && tunnel != nil {
				netlab.Miss(t, "needs a tunnel: %v", tunnel)
			}
			err := a.Do(func() error {
				card, err := OpenCard(CardConfig{Interface: tc.name})
				if err == nil {
					card.Close()
				}
				return err
			})
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) {
				t.Errorf("%v; want %v and %q", err, tc.want, tc.text)
			}
		})
	}
	if n := promiscuity(t, a); n != 0 {
		t.Errorf("promiscuity %d after failing, want 0", n)
	}
}

func TestCardFilter(t *testing.T) {
	l := newCardLab(t, CardConfig{Filter: FilterFor([][6]byte{[6]byte(netlab.MACA)})})
	h, frames := collector()
	l.run(t, h)
	ip := []byte{0x08, 0x00}
	foreign, ours := labFrame(1, 60, ip...), labFrame(2, 60, ip...)
	copy(foreign, []byte{0x02, 0, 0, 0, 0xff, 0xff})
	l.send(t, foreign)
	l.send(t, labFrame(3, 60, experimental...))
	l.send(t, ours)
	if diff := frameDiff(wait1(t, frames, "the frame").frame, ours); diff != "" {
		t.Errorf("first frame to pass:\n%s", diff)
	}
	if err := l.card.SetFilter(FilterFor([][6]byte{[6]byte(foreign[:6])})); err != nil {
		t.Fatal(err)
	}
	l.send(t, ours)
	l.send(t, foreign)
	if diff := frameDiff(wait1(t, frames, "the frame").frame, foreign); diff != "" {
		t.Errorf("after SetFilter:\n%s", diff)
	}
	if err := l.card.SetFilter([]bpf.Instruction{bpf.Jump{Skip: 9}}); err == nil {
		t.Error("the kernel took a program without an end")
	}
}
