package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/internal/control"
)

// A journal that is taken away, cut or replaced under the daemon takes nothing with it that was
// confirmed, and gets nothing that was refused.
func TestJournalTakenFromTheDaemon(t *testing.T) {
	a, _ := lab(t)
	state := filepath.Join(t.TempDir(), "state")
	journal := filepath.Join(state, "changes.journal")
	cfg := file(t, howto)
	p := ipaliasd(t, a, "-c", cfg, "--state", state)
	table := "v0:0: 172.16.3.10 v0:1: 172.16.3.100"
	for n, take := range []func() error{
		func() error { return nil },
		func() error { return os.Remove(journal) },
		func() error { return os.Rename(state, state+".old") },
		func() error { return os.Truncate(journal, 40) },
		func() error {
			return errors.Join(os.Rename(journal, journal+"~"), os.WriteFile(journal, []byte("theirs"), 0o600))
		},
	} {
		if err := take(); err != nil {
			t.Fatal(err)
		}
		label, address := fmt.Sprintf("v0:n%d", n), fmt.Sprintf("172.16.3.%d", 20+n)
		p.edit(t, control.Add, label, address)
		table += fmt.Sprintf(" %s: %s+", label, address)
		p.wait(t, p.stderr, "written anew", n)
	}
	// Where there is no place for a new one, nothing is promised.
	if err := errors.Join(os.Rename(state, state+".gone"), os.WriteFile(state, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	var refused *control.Error
	if _, err := p.client().Edit(t.Context(), control.Edit{Do: control.Add, Label: "v0:2", Addresses: []string{"172.16.3.99"}}); !errors.As(err, &refused) || refused.Status != http.StatusInsufficientStorage {
		t.Errorf("a change without a directory: %v, want status %d", err, http.StatusInsufficientStorage)
	}
	if s, err := p.client().Stats(t.Context()); err != nil || !strings.Contains(s.Store.Error, "not a directory") {
		t.Errorf("stats: %+v, %v", s.Store, err)
	}
	if err := errors.Join(os.Remove(state), os.Rename(state+".gone", state)); err != nil {
		t.Fatal(err)
	}
	p.kill(t)
	p = ipaliasd(t, a, "-c", cfg, "--state", state)
	if got := p.table(t); got != table {
		t.Errorf("table %q, want %q", got, table)
	}
	if kept, _ := filepath.Glob(journal + ".*"); len(kept) != 2 {
		t.Errorf("kept %q, want what was cut and what was theirs", kept)
	}
}

// The configuration that replaced the file lies in the journal alone. It goes into a new one, and what
// replaces it does not before it is in force.
func TestReplacedJournalTakenAway(t *testing.T) {
	a, _ := lab(t)
	cfg, state := file(t, howto), t.TempDir()
	journal := filepath.Join(state, "changes.journal")
	p := ipaliasd(t, a, "-c", cfg, "--state", state)
	source := func(address string) control.Source {
		return control.Source{Name: "/b.toml", Text: "[interface.v0.aliases]\n\"v0:b\" = \"" + address + "\"\n"}
	}
	for n, address := range []string{"172.16.3.30", "172.16.3.31"} {
		if _, err := p.client().Replace(t.Context(), source(address)); err != nil {
			t.Fatal(err)
		}
		p.edit(t, control.Add, "v0:2", "172.16.3.11")
		if err := os.Remove(journal); err != nil {
			t.Fatal(err)
		}
		p.edit(t, control.Add, "v0:3", "172.16.3.12")
		p.wait(t, p.stderr, "written anew", 2*n+1)
		if err := os.Remove(journal); err != nil {
			t.Fatal(err)
		}
	}
	p.edit(t, control.Add, "v0:4", "172.16.3.13")
	p.kill(t)
	p = ipaliasd(t, a, "-c", cfg, "--state", state)
	if got, want := p.table(t), "v0:b: 172.16.3.31 v0:2: 172.16.3.11+ v0:3: 172.16.3.12+ v0:4: 172.16.3.13+"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
}
