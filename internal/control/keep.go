//go:build unix

// It is the daemon's; the tool runs where there is no dup, too.

package control

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// KeptPrefix is what the names of all Kept begin with.
const KeptPrefix = "control."

// A Kept is a control socket that outlives its Listener: whoever connects meanwhile
// waits for the next one.
type Kept struct {
	FD   int
	Name string // "": there is none
}

// Keep gives the socket for the next process. From then on Close leaves the path
// alone. It is the caller's.
func (l *Listener) Keep() Kept {
	raw, err := l.SyscallConn()
	if err != nil {
		return Kept{} // the next one makes its own
	}
	fd, dupErr := -1, error(nil)
	// Not by File and Fd: they would have Accept block.
	err = raw.Control(func(old uintptr) { fd, dupErr = syscall.Dup(int(old)) })
	if err != nil || dupErr != nil {
		return Kept{}
	}
	syscall.CloseOnExec(fd)
	l.kept = true
	return Kept{fd, keptName(l.self)}
}

// Adopt makes a Listener of a socket that was kept. It gives nil if f is none, or if
// another one is at path by now: those who connect there would wait in vain.
func Adopt(path string, f *os.File) *Listener {
	if f == nil {
		return nil
	}
	self, err := os.Lstat(path)
	if err != nil || keptName(self) != f.Name() {
		return nil
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil
	}
	listener.SetUnlinkOnClose(false)
	return &Listener{UnixListener: listener, path: path, self: self}
}

// keptName names a socket by its file. What the socket itself knows is under which
// name it was made, and it has another one since.
func keptName(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s%d.%d", KeptPrefix, stat.Dev, stat.Ino)
}
