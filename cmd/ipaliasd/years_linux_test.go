package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
)

// TestYears: a script adds and deletes an alias, each time with a label of its own, and
// somebody talks to it: what the daemon holds, in memory, on the disk, of descriptors
// and threads, does not grow with the number of changes.
func TestYears(t *testing.T) {
	const (
		changes = 3000
		asked   = 10      // every so many is asked for
		memory  = 4 << 20 // bytes that an allocator and a collector may take more of one time than of another
		journal = 64 << 10
	)
	a, b := lab(t)
	state := t.TempDir()
	p := ipaliasd(t, a, "-c", file(t, howto), "--state", state)
	run := func(from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			label, address := fmt.Sprintf("v0:n%d", n), fmt.Sprintf("172.16.3.%d", 11+n%80)
			p.edit(t, control.Add, label, address)
			if n%asked == 0 {
				refused(t, b, address)
			}
			p.edit(t, control.Delete, label)
		}
	}
	run(0, changes/3)
	before, descriptors, threads := resident(t, p), entries(t, p, "fd"), entries(t, p, "task")
	run(changes/3, changes)
	for begin := time.Now(); resident(t, p)-before > memory; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("%d KiB more after %d changes more", (resident(t, p)-before)>>10, changes/3*2)
		}
	}
	for begin := time.Now(); entries(t, p, "fd") > descriptors; time.Sleep(10 * time.Millisecond) { // a connection may be about to be closed
		if time.Since(begin) > patience {
			t.Fatalf("%d descriptors, %d before", entries(t, p, "fd"), descriptors)
		}
	}
	if n := entries(t, p, "task"); n > threads+8 {
		t.Errorf("%d threads, %d before", n, threads)
	}
	files, err := filepath.Glob(filepath.Join(state, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no journal: %v", err)
	}
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Size() > journal {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if got, want := p.table(t), "v0:0: 172.16.3.10 v0:1: 172.16.3.100"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
}

// entries is how many entries a directory of a process has in /proc.
func entries(t *testing.T, p *process, dir string) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, dir))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// refused has an address of which nothing listens refuse a connection from n. Resets are not
// limited, as ICMP errors are.
func refused(t *testing.T, n *netlab.Namespace, address string) {
	t.Helper()
	err := n.Do(func() error {
		conn, err := net.DialTimeout("tcp4", address+":9", patience)
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			return fmt.Errorf("%s does not refuse: %v", address, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
