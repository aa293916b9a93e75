package main

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/ipalias/ipalias/internal/control"
)

// refused makes a change that has to be refused as a conflict, and tells why it was.
func (p *process) refused(t *testing.T, do, label string, addresses ...string) string {
	t.Helper()
	_, err := p.client().Edit(t.Context(), control.Edit{Do: do, Label: label, Addresses: addresses})
	var refusal *control.Error
	if !errors.As(err, &refusal) || refusal.Status != http.StatusConflict {
		t.Errorf("%s %s %v: %v, want a conflict", do, label, addresses, err)
		return ""
	}
	return refusal.Message
}

// What one label got may not be taken from it by what another one gets back or adds.
func TestChangesThatMeet(t *testing.T) {
	a, _ := lab(t)
	p := ipaliasd(t, a, "-c", file(t, "[interface.v0.aliases]\n\"v0:0\" = [\"10.0.0.0/30\", \"10.0.1.0/24\"]\n\"v0:1\" = \"10.9.0.1\"\n"))
	p.edit(t, control.Delete, "v0:0", "10.0.0.2")
	p.edit(t, control.Add, "v0:1", "10.0.0.2")
	before := p.table(t)
	for _, tc := range []struct{ label, address, want string }{
		{"v0:0", "10.0.0.2", "10.0.0.2 is taken: it overlaps v0:1, which was added too"}, // the file's own, back again
		{"v0:0", "10.9.0.1", "v0:1 of the configuration has 10.9.0.1"},
		{"v0:new", "10.0.1.7", "v0:0 of the configuration has 10.0.1.0/24"},
		{"v0:new", "10.0.0.2-10.0.0.9", "10.0.0.2-10.0.0.3 is taken"},
	} {
		if tc.label == "v0:new" && strings.Contains(tc.address, "-") {
			tc.want = "is taken" // of two overlaps the first is named
		}
		if got := p.refused(t, control.Add, tc.label, tc.address); !strings.Contains(got, tc.want) {
			t.Errorf("add %s %s: %q, want %q", tc.label, tc.address, got, tc.want)
		}
	}
	if got := p.table(t); got != before {
		t.Errorf("refused changes changed %q to %q", before, got)
	}
	p.edit(t, control.Delete, "v0:1", "10.0.0.2")
	p.edit(t, control.Add, "v0:0", "10.0.0.2")
	if got, want := p.table(t), "v0:0: 10.0.0.0/30 10.0.1.0/24 v0:1: 10.9.0.1"; got != want {
		t.Errorf("there and back: %q, want %q", got, want)
	}
	p.interrupt(t)
}

// An addition that the file's later word has set aside comes into force when that is taken
// back, at once; nobody else gets its address meanwhile.
func TestSetAsideComesBack(t *testing.T) {
	a, b := lab(t, "ping")
	cfg := file(t, howto)
	p := ipaliasd(t, a, "-c", cfg)
	p.edit(t, control.Add, "v0:2", "172.16.3.50-172.16.3.59")
	write(t, cfg, howto+"\"v0:5\" = [\"172.16.3.55\", \"172.16.3.80\"]\n")
	if _, err := p.client().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := p.table(t), "v0:0: 172.16.3.10 v0:1: 172.16.3.100 v0:5: 172.16.3.55 172.16.3.80 v0:2: 172.16.3.50-172.16.3.59?"; got != want {
		t.Errorf("after a reload: %q, want %q", got, want)
	}
	p.refused(t, control.Add, "v0:3", "172.16.3.51")
	p.edit(t, control.Delete, "v0:5", "172.16.3.80") // has nothing to do with it
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.55")
	p.edit(t, control.Delete, "v0:5", "172.16.3.55")
	if got, want := p.table(t), "v0:0: 172.16.3.10 v0:1: 172.16.3.100 v0:5: 172.16.3.55- 172.16.3.80- v0:2: 172.16.3.50-172.16.3.59+"; got != want {
		t.Errorf("what was in the way is gone: %q, want %q", got, want)
	}
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.51")
	p.interrupt(t)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A pipe in the place of the configuration, with nobody at its other end, keeps neither a
// reload waiting nor what is asked for after it, nor the end.
func TestReloadOfPipe(t *testing.T) {
	a, _ := lab(t)
	cfg := file(t, howto)
	p := ipaliasd(t, a, "-c", cfg)
	if err := os.Remove(cfg); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(cfg, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.client().Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "the configuration is wrong") {
		t.Errorf("reloading from a pipe: %v", err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.wait(t, p.stderr, "it is no regular file", 2)
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	p.interrupt(t)
}
