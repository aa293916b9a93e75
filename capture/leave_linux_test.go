package capture

import (
	"bytes"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Sockets that were left have no descriptor in this process any more, and the kernel closes
// them. What they counted is told.
func TestCardLeave(t *testing.T) {
	l := newCardLab(t, CardConfig{Slots: 1})
	const lost = 7
	for i := range slotsPerBlock + lost {
		l.send(t, labFrame(i, 60, experimental...))
	}
	for deadline := time.Now().Add(patience); l.card.Stats().Dropped < lost && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if n := packetSockets(t, l); n != 2 {
		t.Fatalf("%d sockets, want the card's two", n)
	}
	fds := []int{l.card.fd, l.card.out.fd}
	if err := l.card.Leave(); err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if isOpen(fd) {
			t.Errorf("socket %d is open", fd)
		}
	}
	if s := l.card.Stats(); s.Dropped != lost {
		t.Errorf("Stats %+v, want %d dropped", s, lost)
	}
	if n := promiscuity(t, l.a); n != 0 {
		t.Errorf("promiscuity %d, want 0", n)
	}
	for deadline := time.Now().Add(patience); packetSockets(t, l) != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the kernel does not close what was left")
		}
	}
	if err := l.card.Leave(); err != nil {
		t.Error(err)
	}
}

// packetSockets counts those in the card's namespace.
func packetSockets(t *testing.T, l *cardLab) int {
	t.Helper()
	var list []byte
	err := l.a.Do(func() (err error) { list, err = os.ReadFile("/proc/thread-self/net/packet"); return err })
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(list, []byte("\n")) - 1 // the first line is a heading
}

// A socket that is left is closed also by a process that may hardly hold another descriptor.
func TestLeaveWithoutRoom(t *testing.T) {
	l := newCardLab(t, CardConfig{Slots: 1})
	if err := withoutRoom(t, l.card.Leave); err == nil {
		t.Error("no error without a descriptor to spare")
	}
	if isOpen(l.card.fd) || isOpen(l.card.out.fd) || promiscuity(t, l.a) != 0 {
		t.Error("the sockets were not closed")
	}
}

// Such a process keeps its receiving socket all the same.
func TestKeepWithoutRoom(t *testing.T) {
	l := newCardLab(t, CardConfig{Slots: 1})
	var kept Kept
	if err := withoutRoom(t, func() (err error) { kept, err = l.card.Keep(0); return err }); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(kept.FD)
	if !isOpen(kept.FD) || isOpen(l.card.out.fd) {
		t.Error("the receiving socket was not kept, or the other one not closed")
	}
}

// withoutRoom runs f where no descriptor can be made.
func withoutRoom(t *testing.T, f func() error) error {
	t.Helper()
	var had unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	full := unix.Rlimit{Cur: 3, Max: had.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &full); err != nil {
		t.Fatal(err)
	}
	err := f()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	return err
}
