package netlab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// New makes a namespace with its loopback up and IPv6 off: a kernel that
// announces itself by neighbour discovery is noise in every capture. It is an
// error if the name is taken.
func New(name string) (*Namespace, error) {
	if name == "" || strings.ContainsRune(name, '/') || name[0] == '.' {
		return nil, fmt.Errorf("make namespace %q: not a file name", name)
	}
	if err := onThread(func() error { return create(name) }); err != nil {
		return nil, fmt.Errorf("make namespace %s: %w", name, err)
	}
	n := &Namespace{name: name}
	if err := n.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("make namespace %s: %w", name, err), n.Close())
	}
	return n, nil
}

// create leaves the calling thread in the new namespace.
func create(name string) error {
	h, err := netns.NewNamed(name)
	if err != nil {
		// NewNamed leaves its mount point behind when mounting fails. Remove
		// does no harm to a namespace that exists: a mount point is busy.
		if !errors.Is(err, fs.ErrExist) {
			os.Remove(filepath.Join(dir, name))
		}
		return err
	}
	return h.Close()
}

func (n *Namespace) prepare() error {
	for _, which := range []string{"all", "default"} {
		err := n.SetSysctl("net/ipv6/conf/"+which+"/disable_ipv6", "1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6 makes no noise
			return err
		}
	}
	return n.up("lo")
}

// Do runs fn on an operating system thread that is inside the namespace. What
// fn opens there (sockets, netlink handles) stays there; goroutines that it
// starts do not run there. A test may call t.Fatal in fn.
func (n *Namespace) Do(fn func() error) error {
	target, err := netns.GetFromName(n.name)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", n.name, err)
	}
	defer target.Close()
	return onThread(func() error {
		if err := netns.Set(target); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.name, err)
		}
		return fn()
	})
}

// onThread runs fn on a thread that nothing else uses meanwhile and that is
// back in its own namespace afterwards. A thread that can't go back stays
// locked to its goroutine, and dies with it.
func onThread(fn func() error) error {
	var err error
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		home, homeErr := netns.Get()
		if homeErr != nil {
			err, returned = homeErr, true
			return
		}
		defer func() {
			if netns.Set(home) == nil {
				runtime.UnlockOSThread()
			}
			home.Close()
		}()
		err = fn()
		returned = true
	}()
	<-done
	if !returned {
		runtime.Goexit() // as fn did: t.Fatal ends the test, not just a goroutine
	}
	return err
}

// Command returns a command that will run inside the namespace, not started
// yet. The process started is the command itself, so signals reach it. Its
// /sys is that of the caller's namespace; /proc/net and /proc/sys/net are the
// new one's.
func (n *Namespace) Command(name string, args ...string) *exec.Cmd {
	// "ip netns exec" would do too, but it unshares and remounts the file system,
	// and iproute2 is more often missing than util-linux.
	enter := []string{"--net=" + filepath.Join(dir, n.name), "--", name}
	return exec.Command("nsenter", append(enter, args...)...)
}

// SetSysctl writes value to /proc/sys/key ("net/ipv4/ip_forward") as the
// namespace has it.
func (n *Namespace) SetSysctl(key, value string) error {
	return n.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0o644)
	})
}

// Close takes the name away. The namespace and its interfaces go as soon as no
// process and no socket is left in it.
func (n *Namespace) Close() error {
	if err := netns.DeleteNamed(n.name); err != nil {
		return fmt.Errorf("delete namespace %s: %w", n.name, err)
	}
	return nil
}

// Sweep deletes every namespace whose name starts with prefix, whoever made
// it, and returns their names.
func Sweep(prefix string) ([]string, error) {
	return sweep(prefix, func(string) bool { return true })
}

// sweepDead deletes what Unique named in processes that are gone.
func sweepDead() {
	sweep(testPrefix, func(name string) bool {
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, testPrefix), "-")
		n, err := strconv.Atoi(pid)
		return err == nil && unix.Kill(n, 0) == unix.ESRCH
	})
}

func sweep(prefix string, match func(name string) bool) (removed []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !match(e.Name()) {
			continue
		}
		if err := (&Namespace{name: e.Name()}).Close(); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, e.Name())
	}
	return removed, errors.Join(errs...)
}

// usable tells why no namespace can be made here.
func usable() error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network namespace: %w", err)
		}
		return nil
	})
}
