package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/control"
)

// A state directory that can't be written to is no reason to fall silent, nor to forget:
// what the journal says holds, changes are refused, and whoever looks is told.
func TestReadOnlyState(t *testing.T) {
	a, b := lab(t, "ping")
	state, cfg := t.TempDir(), file(t, howto)
	if err := unix.Mount("tmpfs", state, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(state, unix.MNT_DETACH) })
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", state, "", unix.MS_REMOUNT|flags, "size=1m"); err != nil {
			t.Fatal(err)
		}
	}
	p := ipaliasd(t, a, "-c", cfg, "--state", state)
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	p.edit(t, control.Delete, "v0:0")
	p.interrupt(t)
	remount(unix.MS_RDONLY)

	const table = "v0:0: 172.16.3.10- v0:1: 172.16.3.100 v0:2: 172.16.3.11+"
	p = ipaliasd(t, a, "-c", cfg, "--state", state)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.11")
	for range 2 {
		var refused *control.Error
		_, err := p.client().Edit(t.Context(), control.Edit{Do: control.Add, Label: "v0:3", Addresses: []string{"172.16.3.12"}})
		if !errors.As(err, &refused) || refused.Status != http.StatusInsufficientStorage || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "read-only file system") {
			t.Errorf("a change: %v, want status %d", err, http.StatusInsufficientStorage)
		}
		if got := p.table(t); got != table {
			t.Errorf("table %q, want %q", got, table)
		}
		show, err := p.client().Show(t.Context(), "")
		if err != nil || !strings.Contains(show.Frozen, "read-only file system") {
			t.Errorf("show: %q, %v", show.Frozen, err)
		}
		stats, err := p.client().Stats(t.Context())
		if err != nil || stats.Store.Frozen != show.Frozen || stats.Store.Error != "" {
			t.Errorf("stats: %+v, %v", stats.Store, err)
		}
	}
	// What changes nothing that would have to be kept goes on.
	if _, err := p.client().Reload(t.Context()); err != nil {
		t.Error(err)
	}
	p.wait(t, p.stderr, "run-time changes are refused until they can be kept", 1)
	remount(0)
	p.wait(t, p.stderr, "changes are kept again", 1) // though nobody changes anything
	if stats, err := p.client().Stats(t.Context()); err != nil || stats.Store.Frozen != "" {
		t.Errorf("stats: %+v, %v", stats.Store, err)
	}
	p.edit(t, control.Add, "v0:3", "172.16.3.12")
	p.kill(t)
	p = ipaliasd(t, a, "-c", cfg, "--state", state)
	if got, want := p.table(t), table+" v0:3: 172.16.3.12+"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
}

// What is refused has not been on the disk: a crash a moment later leaves nothing of it.
func TestRefusedIsNotWritten(t *testing.T) {
	a, _ := lab(t)
	state := t.TempDir()
	p := ipaliasd(t, a, "-c", file(t, howto+"\"v0:n\" = \"10.0.0.0/16\"\n"), "--state", state)
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	before, err := os.Stat(filepath.Join(state, "changes.journal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{"172.16.3.10", "172.16.3.11", "10.0.3.7", "172.16.3.8-172.16.3.12", "10.0.255.0-10.1.0.9"} {
		var refused *control.Error
		if _, err := p.client().Edit(t.Context(), control.Edit{Do: control.Add, Label: "v0:3", Addresses: []string{"10.9.0.1", taken}}); !errors.As(err, &refused) || refused.Status != http.StatusConflict || !strings.Contains(err.Error(), "is taken") {
			t.Errorf("adding %s: %v", taken, err)
		}
	}
	after, err := os.Stat(filepath.Join(state, "changes.journal"))
	if err != nil || !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() {
		t.Errorf("the journal was written to: %v, %v before (%v)", after, before, err)
	}
}

// What the daemon says of a configuration that was sent is about its lines as people see
// them, over a compaction of the journal and a restart, too.
func TestReplacedLines(t *testing.T) {
	a, _ := lab(t)
	cfg, state := file(t, howto), t.TempDir()
	source := control.Source{
		Name:  "/home/alice/b.toml",
		Text:  "# Alice's.\n\n[interface.v0.aliases]\n# the host's own\n\"v0:own\" = [\"172.16.3.12\",\n  \"172.16.3.1\"]\n\"v0:list\" = \"@list.txt\"\n",
		Files: map[string]string{"list.txt": "# of the network\n172.16.3.255\n"},
	}
	own, list := "/home/alice/b.toml:6:3: ", "/home/alice/list.txt:2:1: "
	p := ipaliasd(t, a, "-c", cfg, "--state", state)
	result, err := p.client().Replace(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(result.Warnings, "\n"); !strings.Contains(w, own) || !strings.Contains(w, list) {
		t.Errorf("warnings %q, want ones at %s and %s", w, own, list)
	}
	p.wait(t, p.stderr, own, 1)
	p.wait(t, p.stderr, list, 1)
	wrong := source
	wrong.Files = map[string]string{"list.txt": "\n\n10.0.0.0/33\n"}
	if _, err := p.client().Replace(t.Context(), wrong); err == nil || !strings.Contains(fmt.Sprint(err.(*control.Error).Errors), "/home/alice/list.txt:3:1: ") {
		t.Errorf("a wrong list: %v", err)
	}
	// Until it is compacted.
	var many []string
	for n := range 3000 {
		many = append(many, fmt.Sprintf("10.1.%d.%d", n>>7, n&127*2))
	}
	journal := func() int64 {
		info, err := os.Stat(filepath.Join(state, "changes.journal"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	p.edit(t, control.Set, "v0:m", many...)
	large := journal()
	p.edit(t, control.Set, "v0:m", "172.16.3.77")
	if now := journal(); now >= large {
		t.Fatalf("the journal has %d bytes after %d: it was not compacted", now, large)
	}
	p.kill(t)
	p = ipaliasd(t, a, "-c", cfg, "--state", state)
	if got, want := p.table(t), "v0:own: 172.16.3.12 172.16.3.1 v0:list: 172.16.3.255 v0:m: 172.16.3.77+"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
	p.wait(t, p.stderr, own, 1) // also after a compaction and a restart
	p.wait(t, p.stderr, list, 1)
	// A reload tells what is doubtful about the file, each time it is asked.
	if err := os.WriteFile(cfg, []byte(howto+"\"v0:own\" = \"172.16.3.1\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		result, err := p.client().Reload(t.Context())
		if err != nil || len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], cfg+":5:12: ") {
			t.Errorf("a reload: %+v, %v; want a warning at %s:5:12", result, err, cfg)
		}
	}
}

// To go by another configuration is told also where it says what held before.
func TestReplaceBySame(t *testing.T) {
	a, _ := lab(t)
	cfg := file(t, howto)
	p := ipaliasd(t, a, "-c", cfg)
	told := func(r *control.Result, err error, want ...string) {
		t.Helper()
		if err != nil || r.Changed != (len(want) > 0) || !slices.Equal(r.Changes, want) {
			t.Errorf("%+v, %v; want %q", r, err, want)
		}
	}
	r, err := p.client().Replace(t.Context(), control.Source{Name: "b.toml", Text: howto})
	told(r, err, "~ goes by b.toml as it is now, until a reload")
	r, err = p.client().Reload(t.Context())
	told(r, err, "~ goes by "+cfg+" again")
	r, err = p.client().Reload(t.Context())
	told(r, err)
	p.interrupt(t)
}
