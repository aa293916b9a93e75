package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/control"
)

// What finds no room on the disk has not happened: not in the table, nor in what
// is counted. The limit on a file's size stands for the full disk.
func TestFullDisk(t *testing.T) {
	a, _ := lab(t)
	state := t.TempDir()
	p := ipaliasd(t, a, "-c", file(t, howto), "--state", state)
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	journal, err := os.Stat(filepath.Join(state, "changes.journal"))
	if err != nil {
		t.Fatal(err)
	}
	limit := func(size uint64) {
		if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	limit(uint64(journal.Size()) + 20)
	const table = "v0:0: 172.16.3.10 v0:1: 172.16.3.100 v0:2: 172.16.3.11+"
	for _, e := range []control.Edit{
		{Do: control.Add, Label: "v0:3", Addresses: []string{"10.1.0.1", "10.1.0.3", "10.1.0.5"}},
		{Do: control.Delete, Label: "v0:0"},
	} {
		var refused *control.Error
		if _, err := p.client().Edit(t.Context(), e); !errors.As(err, &refused) || refused.Status != http.StatusInsufficientStorage {
			t.Errorf("%s on a full disk: %v, want status %d", e.Do, err, http.StatusInsufficientStorage)
		}
		if got := p.table(t); got != table {
			t.Errorf("table %q, want %q", got, table)
		}
		if _, err := p.client().Reload(t.Context()); err != nil { // which writes nothing
			t.Error(err)
		}
		stats, err := p.client().Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s := stats.Store; s.Added != 1 || s.Removed != 0 || !strings.Contains(s.Error, unix.EFBIG.Error()) {
			t.Errorf("after %s: %d added, %d removed, error %q; want 1, 0 and %q", e.Do, s.Added, s.Removed, s.Error, unix.EFBIG.Error())
		}
	}
	limit(unix.RLIM_INFINITY)
	p.wait(t, p.stderr, "changes are kept again", 1) // though nobody changes anything
	if s, err := p.client().Stats(t.Context()); err != nil || s.Store.Error != "" {
		t.Errorf("with room again, before a change: %+v, %v", s.Store, err)
	}
	p.edit(t, control.Delete, "v0:0")
	stats, err := p.client().Stats(t.Context())
	if err != nil || stats.Store.Removed != 1 || stats.Store.Error != "" {
		t.Errorf("with room again: %+v, %v", stats.Store, err)
	}
	p.interrupt(t)
	for _, once := range []string{"a change could not be kept, and was refused", "changes are kept again"} {
		if log := p.stderr.String(); strings.Count(log, once) != 1 {
			t.Errorf("the log has not %q once:\n%s", once, log)
		}
	}
}
