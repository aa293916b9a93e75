package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/netlab"
)

// A serviceManager does what systemd does with a service that notifies: it reads what
// it is told, keeps descriptors, and hands them to the process that it starts next.
type serviceManager struct {
	t       *testing.T
	address string
	conn    *net.UnixConn

	mu   sync.Mutex
	told []string // and not expected yet
	more chan struct{}
	kept []*os.File
}

func manage(t *testing.T) *serviceManager {
	t.Helper()
	m := &serviceManager{t: t, address: filepath.Join(open(t), "notify"), more: make(chan struct{})}
	var err error
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.address, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	os.Chmod(m.address, 0o777) // for daemons that are not root's
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for m.read() == nil {
		}
	}()
	t.Cleanup(func() {
		m.conn.Close()
		<-ended
		for _, f := range m.kept {
			f.Close()
		}
	})
	return m
}

// read takes one message.
func (m *serviceManager) read() error {
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*16))
	n, oobn, _, _, err := m.conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return err
	}
	var fds []int
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return err
	}
	for _, c := range messages {
		some, err := unix.ParseUnixRights(&c)
		if err != nil {
			return err
		}
		fds = append(fds, some...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	text := string(buf[:n])
	_, name, _ := strings.Cut(text, "FDNAME=")
	switch {
	case strings.HasPrefix(text, "FDSTORE=1\n"):
		for _, fd := range fds {
			m.kept = append(m.kept, os.NewFile(uintptr(fd), name))
		}
		return nil
	case strings.HasPrefix(text, "FDSTOREREMOVE=1\n"):
		m.kept = slices.DeleteFunc(m.kept, func(f *os.File) bool {
			if f.Name() != name {
				return false
			}
			f.Close()
			return true
		})
		return nil
	case text == "BARRIER=1":
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil
	}
	m.told = append(m.told, text)
	close(m.more)
	m.more = make(chan struct{})
	return nil
}

// expect waits until it was told something that begins with want. What comes before
// must be of the watchdog.
func (m *serviceManager) expect(want string) {
	m.t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		told, more := m.told, m.more
		m.told = nil
		for i, text := range told {
			if strings.HasPrefix(text, want) {
				m.told = told[i+1:]
				m.mu.Unlock()
				return
			}
			if text != "WATCHDOG=1" {
				m.mu.Unlock()
				m.t.Fatalf("told %q, want %q", text, want)
			}
		}
		m.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			m.t.Fatalf("not told %q within %v", want, patience)
		}
	}
}

// names lists what is kept.
func (m *serviceManager) names() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.kept {
		names = append(names, f.Name())
	}
	return names
}

// start starts the daemon in n, with a variable of its environment ("" for none) and
// what is kept. It does not wait for anything.
func (m *serviceManager) start(t *testing.T, n *netlab.Namespace, variable string, args ...string) *process {
	t.Helper()
	inner := n.Command(binary, args...)
	// LISTEN_PID says whom the descriptors are for. All of these commands become the next one.
	cmd := exec.Command("sh", append([]string{"-c", `export LISTEN_PID=$$; exec "$@"`, "sh"}, inner.Args...)...)
	names := strings.Join(m.names(), ":")
	m.mu.Lock()
	cmd.ExtraFiles = slices.Clone(m.kept)
	m.mu.Unlock()
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.address, "LISTEN_FDNAMES="+names, fmt.Sprintf("LISTEN_FDS=%d", len(cmd.ExtraFiles)))
	if variable != "" {
		cmd.Env = append(cmd.Env, variable)
	}
	return start(t, cmd)
}
