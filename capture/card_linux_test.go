package capture

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Frames of every size, more than the ring has slots, come back as they were.
func TestCardAnswersInPlace(t *testing.T) {
	l := newCardLab(t, CardConfig{Slots: 1})
	stop := l.run(t, swap)
	const frames = 1000
	for i := range frames {
		sent := labFrame(i, 18+i*(1514-18)/(frames-1), experimental...)
		l.send(t, sent)
		swapMACs(sent)
		if diff := frameDiff(l.receive(t), sent); diff != "" {
			t.Fatalf("frame %d:\n%s", i, diff)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got, want := l.card.Stats(), (Stats{Received: frames, Sent: frames}); got != want {
		t.Errorf("Stats %+v, want %+v", got, want)
	}
}

func TestCardTags(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	h, frames := collector()
	l.run(t, handlerFunc(func(b *Batch) { h.Handle(b); swap(b) }))
	for i, tc := range []struct {
		name   string
		fields []byte
		size   int
	}{
		{"untagged", []byte{0x88, 0xb5}, 60},
		{"802.1Q", []byte{0x81, 0x00, 0x00, 0x64, 0x88, 0xb5}, 64},
		{"802.1Q, priority 7, drop eligible", []byte{0x81, 0x00, 0xf0, 0x64, 0x88, 0xb5}, 64},
		{"priority tag", []byte{0x81, 0x00, 0xa0, 0x00, 0x88, 0xb5}, 64},
		{"802.1ad", []byte{0x88, 0xa8, 0x00, 0x64, 0x88, 0xb5}, 64},
		{"QinQ", []byte{0x88, 0xa8, 0x20, 0x64, 0x81, 0x00, 0x40, 0xc8, 0x88, 0xb5}, 68},
		{"802.1Q twice", []byte{0x81, 0x00, 0x20, 0x64, 0x81, 0x00, 0x40, 0xc8, 0x88, 0xb5}, 68},
		{"802.1Q, longest", []byte{0x81, 0x00, 0x00, 0x64, 0x88, 0xb5}, 1518},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sent := labFrame(i, tc.size, tc.fields...)
			l.send(t, sent)
			if diff := frameDiff(wait1(t, frames, "the frame").frame, sent); diff != "" {
				t.Errorf("the handler:\n%s", diff)
			}
			swapMACs(sent)
			if diff := frameDiff(l.receive(t), sent); diff != "" {
				t.Errorf("the answer:\n%s", diff)
			}
		})
	}
}

// The peer's kernel sends 60 KB as one frame (generic segmentation offload), its
// checksum unfinished: it is larger than any slot and arrives whole. The
// answer is too large for the card and stops nobody.
func TestCardLargeAndUnfinished(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	const alias = "172.16.3.10"
	var conn net.Conn
	err := l.b.Do(func() (err error) {
		link, err := netlink.LinkByName(netlab.CardB)
		if err != nil {
			return err
		}
		addr, _ := netlink.ParseAddr("172.16.3.200/24")
		err = errors.Join(netlink.AddrAdd(link, addr), netlink.NeighAdd(&netlink.Neigh{
			LinkIndex:    link.Attrs().Index,
			IP:           netip.MustParseAddr(alias).AsSlice(),
			HardwareAddr: netlab.MACA,
			State:        netlink.NUD_PERMANENT,
		}))
		if err != nil {
			return err
		}
		conn, err = net.Dial("udp4", alias+":9")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, _ := conn.(*net.UDPConn).SyscallConn()
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 1400) })
	if err != nil {
		t.Fatal(err)
	}

	const headers = 14 + 20 + 8
	h, frames := collector()
	stop := l.run(t, handlerFunc(func(b *Batch) { h.Handle(b); swap(b) }))
	// More large ones than there are buffers for in a batch, small ones between them.
	large, small := make([]byte, 42*1400), []byte("small")
	const rounds = 3 * copyBuffers
	for round := range rounds {
		for i := range large {
			large[i] = byte(i + i>>8 + round)
		}
		for _, payload := range [][]byte{large, small} {
			if _, err := conn.Write(payload); err != nil {
				t.Fatal(err)
			}
			got := wait1(t, frames, "the frame")
			if got.flags != ChecksumNotReady {
				t.Errorf("flags %#x, want ChecksumNotReady", got.flags)
			}
			if len(got.frame) != headers+len(payload) {
				t.Fatalf("%d bytes, want %d", len(got.frame), headers+len(payload))
			}
			if diff := frameDiff(got.frame[headers:], payload); diff != "" {
				t.Errorf("payload:\n%s", diff)
			}
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got, want := l.card.Stats(), (Stats{Received: 2 * rounds, Sent: rounds, SendErr: rounds}); got != want {
		t.Errorf("Stats %+v, want %+v", got, want)
	}
}

// Large frames that waited together: more than a batch has buffers, so they
// come in several, in order.
func TestCardLargeBacklog(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	setMTU(t, l, 9000)
	// Beyond the ring: the kernel's limit on a socket's buffer allows no more
	// where the test has not CAP_NET_ADMIN.
	const backlog = 2*copyBuffers + 1
	for i := range backlog {
		l.send(t, labFrame(i, 9014, experimental...))
		l.send(t, labFrame(i, 60, experimental...))
	}
	h, frames := collector()
	l.run(t, h)
	for i := range backlog {
		for _, size := range []int{9014, 60} {
			want := labFrame(i, size, experimental...)
			if diff := frameDiff(wait1(t, frames, "the frame").frame, want); diff != "" {
				t.Fatalf("frame %d:\n%s", i, diff)
			}
		}
	}
}

func setMTU(t *testing.T, l *cardLab, mtu int) {
	t.Helper()
	for n, name := range map[*netlab.Namespace]string{l.a: netlab.CardA, l.b: netlab.CardB} {
		err := n.Do(func() error {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(link, mtu)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The handler is called without frames when the time it asked for has come, and
// only then.
func TestCardWake(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	type call struct {
		frames     int
		time, wake int64
	}
	calls := make(chan call, 16)
	var wake int64
	l.run(t, handlerFunc(func(b *Batch) {
		c := call{len(b.Frames), b.Time, wake}
		if len(b.Frames) > 0 {
			wake = b.Time + int64(20*time.Millisecond)
			b.Wake = wake
		}
		calls <- c
	}))
	for i := range 3 {
		l.send(t, labFrame(i, 60, experimental...))
		if c := wait1(t, calls, "the frame"); c.frames != 1 {
			t.Fatalf("%+v, want the frame", c)
		}
		if c := wait1(t, calls, "the timer"); c.frames != 0 || c.time < c.wake {
			t.Errorf("%+v, want no frame, not before wake", c)
		}
	}
	// No wake asked for, none comes: the next call is the next frame's.
	l.send(t, labFrame(9, 60, experimental...))
	if c := wait1(t, calls, "the frame"); c.frames != 1 {
		t.Errorf("%+v, want the frame", c)
	}
}

// Whoever nudges has the handler called, before it waits or while, and once.
func TestCardNudge(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	calls := make(chan int, 16)
	l.card.Nudge()
	stop := l.run(t, handlerFunc(func(b *Batch) { calls <- len(b.Frames) }))
	for range 3 {
		if n := wait1(t, calls, "the nudge"); n != 0 {
			t.Errorf("%d frames, want none", n)
		}
		l.send(t, labFrame(1, 60, experimental...))
		if n := wait1(t, calls, "the frame"); n != 1 {
			t.Errorf("%d frames, want one", n)
		}
		l.card.Nudge()
	}
	wait1(t, calls, "the last nudge")
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(calls) != 0 {
		t.Errorf("%d calls more", len(calls))
	}
	if err := l.card.Close(); err != nil {
		t.Error(err)
	}
	l.card.Nudge() // does nothing
}

func TestCardCancel(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	for range 20 { // before, while and after Run starts to wait
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() { result <- l.card.Run(ctx, swap) }()
		cancel()
		if err := wait1(t, result, "Run to return"); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	// A wake-up left over would end every wait at once from now on.
	fds := []unix.PollFd{{Fd: int32(l.card.wake), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
		t.Errorf("poll: %d, %v; want no wake-up left", n, err)
	}
	// And it still runs.
	stop := l.run(t, swap)
	l.send(t, labFrame(1, 60, experimental...))
	l.receive(t)
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestCardAllocatesNothing(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	l.run(t, swap)
	frame, buf := labFrame(1, 60, experimental...), make([]byte, 2048)
	roundTrips := func(n int) {
		for range n {
			if _, err := unix.Write(l.peer, frame); err != nil {
				t.Fatal(err)
			}
			got, err := unix.Read(l.peer, buf)
			for err == unix.EINTR {
				got, err = unix.Read(l.peer, buf)
			}
			if err != nil || got != len(frame) {
				t.Fatalf("receive: %d, %v", got, err)
			}
		}
	}
	roundTrips(100)
	const n = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	roundTrips(n)
	runtime.ReadMemStats(&after)
	// The runtime itself may allocate a little beside.
	if got := after.Mallocs - before.Mallocs; got > n/20 {
		t.Errorf("%d allocations in %d batches", got, n)
	}
}

// Stats, Send and SetFilter may be called while Run runs: the race detector looks on.
func TestCardConcurrentUse(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	l.run(t, swap)
	const frames = 200
	finished := make(chan error, 1)
	go func() {
		var err error
		frame := labFrame(1, 60, experimental...)
		for range frames {
			err = errors.Join(err, l.card.Send(frame), l.card.SetFilter(nil))
			l.card.Stats()
		}
		finished <- err
	}()
	for i := range frames {
		l.send(t, labFrame(i, 60, experimental...))
	}
	if err := wait1(t, finished, "the other user"); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(patience)
	for l.card.Stats().Received < frames && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if got, want := l.card.Stats(), (Stats{Received: frames, Sent: 2 * frames}); got != want {
		t.Errorf("Stats %+v, want %+v", got, want)
	}
}
