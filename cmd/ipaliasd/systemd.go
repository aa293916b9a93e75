package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/control"
)

// A manager is who started the daemon and wants to know how it is: systemd, or
// somebody who speaks as it does (sd_notify(3)). Where nobody does, telling does nothing.
type manager struct {
	log     *slog.Logger
	address string // "" for nobody
}

// managerTime is how long the manager may take to hear us.
const managerTime = 5 * time.Second

func newManager(log *slog.Logger) *manager {
	return &manager{log, os.Getenv("NOTIFY_SOCKET")}
}

func (m *manager) there() bool { return m.address != "" }

// tell sends a message, with descriptors that the manager gets copies of.
func (m *manager) tell(state string, fds ...int) {
	if !m.there() {
		return
	}
	if err := m.send(state, fds); err != nil {
		m.log.Warn("telling systemd failed", "state", state, "error", err)
	}
}

// send is sd_notify(3) with descriptors.
func (m *manager) send(state string, fds []int) error {
	// Package net sends no descriptors over a connected datagram socket.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// One that hangs must not keep us from ending.
	patience := unix.NsecToTimeval(int64(managerTime))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience); err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for {
		// A socket with a timeout is not gone on with after a signal (signal(7)), and the runtime
		// sends some of its own: a READY would be lost, or a ring.
		err := unix.Sendmsg(fd, []byte(state), rights, &unix.SockaddrUnix{Name: m.address}, unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// reloading is what Type=notify-reload wants to hear first: with the time, so
// that it can tell this reload's READY from an older one.
func reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return daemon.SdNotifyReloading
	}
	return fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000)
}

// watchdogLooks is how often it is looked whether all is well within the time that the manager
// waits for a word. Twice would do on a machine that has time for us. On one that has
// none, a worker that waits for its turn looks like one that is stuck: a single look
// that comes at such a moment must not end the daemon, nor one at which the clock was
// just set.
const watchdogLooks = 10

// watchdog tells the manager that we live as long as moving says so.
func (m *manager) watchdog(ctx context.Context, moving func() error) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	// A look wakes every worker, which is why it is not done more often than that.
	ticker := time.NewTicker(interval / watchdogLooks)
	defer ticker.Stop()
	for well := true; ; {
		select {
		case <-ticker.C:
			err := moving()
			switch {
			case err == nil:
				m.tell(daemon.SdNotifyWatchdog)
			// Once, not at each look: the manager ends us soon, and then it is the last that is logged.
			case well:
				m.log.Error("not telling systemd that all is well", "error", err)
			}
			well = err == nil
		case <-ctx.Done():
			return
		}
	}
}

// keep has the manager keep a descriptor for the next process. It is the manager's
// from now on.
//
// This is done at the end, not when a card is opened: a frame that made the daemon
// crash would wait in the ring for the next one. FDPOLL=0: a card that goes down leaves an
// error on its socket, for which the manager would close it.
func (m *manager) keep(fd int, name string) {
	m.tell("FDSTORE=1\nFDPOLL=0\nFDNAME="+name, fd)
	unix.Close(fd)
}

// barrier waits until the manager has read all that it was told: what it does not
// know of yet when the process ends it may never take.
func (m *manager) barrier() {
	if !m.there() {
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	defer r.Close()
	// sd_notify(3): with exactly one descriptor.
	m.tell("BARRIER=1", int(w.Fd()))
	w.Close()
	// It closes its copy when the message's turn has come.
	r.SetReadDeadline(time.Now().Add(managerTime))
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		m.log.Warn("systemd did not say that it keeps the sockets")
	}
}

// An inheritance is what the process before this one had the manager keep.
type inheritance struct {
	cards   *capture.Inheritance
	control *os.File // nil: none
}

// inherit takes over what was kept. The manager forgets it, or it would keep
// listening on a card when this process has closed it long since.
func (m *manager) inherit() (in inheritance, err error) {
	var cards []capture.Kept
	for _, f := range activation.Files(true) {
		name := f.Name()
		// What means nothing here as well: it would be handed on at each start.
		if m.there() {
			m.tell("FDSTOREREMOVE=1\nFDNAME=" + name)
		}
		switch {
		case strings.HasPrefix(name, capture.KeptPrefix):
			fd, dupErr := duplicate(f)
			if err = errors.Join(err, dupErr); dupErr == nil {
				cards = append(cards, capture.Kept{FD: fd, Name: name})
			}
			f.Close()
		case strings.HasPrefix(name, control.KeptPrefix):
			in.control = f
		default:
			m.log.Warn("systemd handed on a socket that means nothing here", "name", name)
			f.Close()
		}
	}
	in.cards = capture.Inherit(cards)
	return in, err
}

// duplicate gives a descriptor that is not in the runtime's poller, as f's is:
// each frame would wake a thread there.
func duplicate(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) })
	return fd, errors.Join(err, dupErr)
}

// Close gives back what nobody took over.
func (in inheritance) Close() {
	in.cards.Close()
	if in.control != nil {
		in.control.Close()
	}
}
