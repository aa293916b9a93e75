package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// ErrLive is wrapped by what Listen returns where somebody listens already.
var ErrLive = errors.New("in use")

// A Listener is a control socket that has a path.
type Listener struct {
	*net.UnixListener
	path string
	self fs.FileInfo // of the socket that was made
	kept bool
}

// maxPath is the longest path that a socket can be connected to by, in bytes (unix(7):
// sun_path has 108, and the last is a zero).
const maxPath = 107

// tooLong tells that nobody can connect to a path, nil if somebody can.
func tooLong(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("found a path of %d bytes, expected at most %d", len(path), maxPath)
	}
	return nil
}

// Listen makes a socket with mode 0660, in a directory that is there: one that was made for a
// mistyped path would stay. A socket that nobody listens on any more is replaced.
func Listen(path string) (*Listener, error) {
	// The temporary name below may be short enough where the path is not.
	if err := tooLong(path); err != nil {
		return nil, fmt.Errorf("make socket %s: %w", path, err)
	}
	if err := vacant(path); err != nil {
		return nil, fmt.Errorf("make socket %s: %w", path, err)
	}
	// Under another name first: whoever finds the socket must find it with its
	// mode, and with somebody who listens.
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%d", os.Getpid())) // no longer than path: 107 bytes are the most
	os.Remove(temporary)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	made := &Listener{UnixListener: l, path: path}
	err = os.Chmod(temporary, 0o660)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err == nil {
		made.self, err = os.Lstat(path)
	}
	if err != nil {
		l.Close()
		os.Remove(temporary)
		return nil, fmt.Errorf("make socket %s: %w", path, err)
	}
	return made, nil
}

// vacant tells why no socket can be made at path.
func vacant(path string) error {
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no directory %s", filepath.Dir(path))
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file of that name that is no socket")
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil // its process is gone
	}
	if err != nil {
		return err
	}
	defer c.Close()
	owner, err := peerOf(c)
	if err != nil {
		return ErrLive
	}
	return fmt.Errorf("%w by process %d (%s)", ErrLive, owner.PID, nameOf(owner.PID))
}

// Close ends listening and takes the socket away, unless another one has taken
// its place, or it is kept.
func (l *Listener) Close() error {
	if l.kept {
		return l.UnixListener.Close()
	}
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.self) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}
