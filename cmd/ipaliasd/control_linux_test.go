package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
)

// client asks a daemon.
func (p *process) client() *control.Client { return control.NewClient(p.socket) }

func (p *process) edit(t *testing.T, do, label string, addresses ...string) *control.Result {
	t.Helper()
	result, err := p.client().Edit(t.Context(), control.Edit{Do: do, Label: label, Addresses: addresses})
	if err != nil {
		t.Fatalf("%s %s %v: %v", do, label, addresses, err)
	}
	return result
}

// table writes what the daemon answers for as "label: entry+ entry-", where the
// sign says where an entry comes from.
func (p *process) table(t *testing.T) string {
	t.Helper()
	show, err := p.client().Show(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	sign := map[string]string{control.FromFile: "", control.Added: "+", control.Removed: "-", control.SetAside: "?"}
	var words []string
	for _, i := range show.Interfaces {
		for _, l := range i.Labels {
			words = append(words, l.Label+":")
			for _, e := range l.Entries {
				words = append(words, e.Range+sign[e.From])
			}
		}
	}
	return strings.Join(words, " ")
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	p.cmd.Process.Kill()
	p.status(t)
}

func TestAddAndDelete(t *testing.T) {
	a, b := lab(t, "ping", "arping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	conn := socket(t, b)
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	answered(t, b, "172.16.3.11")
	awaitAnnouncements(t, conn, "172.16.3.11")
	// To delete none of its addresses is not to delete the label.
	var refused *control.Error
	if _, err := p.client().Edit(t.Context(), control.Edit{Do: control.Delete, Label: "v0:2", Addresses: []string{}}); !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		t.Errorf("deleting an empty list: %v, want status %d", err, http.StatusBadRequest)
	}
	for label, want := range map[string]string{":0": "bad label", "v0": "bad label", "v0:": "bad label", "v0:a\nb": "bad label", "v0:\u202e0": "bad label", "v0:\xff": "bad label",
		"v0:" + strings.Repeat("x", 300): "found 303 bytes"} {
		if _, err := p.client().Edit(t.Context(), control.Edit{Do: control.Add, Label: label, Addresses: []string{"10.0.0.1"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("adding %.20q: %v, want %q", label, err, want)
		}
	}
	answered(t, b, "172.16.3.11")
	p.edit(t, control.Delete, "v0:2")
	p.edit(t, control.Delete, "v0:0")
	for _, address := range []string{"172.16.3.11", "172.16.3.10"} {
		if out, ok := client(b, "arping", "-I", netlab.CardB, "-c", "1", "-w", "1", address); ok {
			t.Errorf("%s is answered for after it was deleted:\n%s", address, out)
		}
	}
	if got, want := p.table(t), "v0:0: 172.16.3.10- v0:1: 172.16.3.100"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
	p.interrupt(t)
	// Who did it, what it was and what it is, once a change.
	log := p.stderr.String()
	for _, want := range []string{
		fmt.Sprintf("uid=0 pid=%d", os.Getpid()), `what="add v0:2 172.16.3.11"`, `before=172.16.3.10 after=""`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log", want)
		}
	}
	if got := strings.Count(log, "the table was changed"); got != 3 {
		t.Errorf("%d changes in the log, want 3", got)
	}
}

// Two clients change the table against each other, a third one reads it, the
// configuration is read again and again: nobody who asks another alias notices.
func TestNoReplyIsMissing(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.100") // no ARP from here on

	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	var changes [2]int
	repeat := func(do func() error) {
		others.Go(func() {
			for ctx.Err() == nil {
				if err := do(); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range changes {
		repeat(func() error {
			changes[n]++
			// Both labels want the same address: one of them is refused.
			own := control.Edit{Do: control.Add, Label: fmt.Sprintf("v0:c%d", n), Addresses: []string{"172.16.3.77", fmt.Sprintf("172.16.3.%d", 80+n)}}
			_, err := p.client().Edit(ctx, own)
			var refused *control.Error
			if err == nil {
				_, err = p.client().Edit(ctx, control.Edit{Do: control.Delete, Label: own.Label})
			} else if errors.As(err, &refused) && strings.Contains(refused.Message, "172.16.3.77") {
				err = nil
			}
			return err
		})
	}
	repeat(func() error { _, err := p.client().Reload(ctx); return err })
	repeat(func() error { _, err := p.client().Show(ctx, ""); return err })

	out := must(t, b, "ping", "-f", "-q", "-c", "30000", "172.16.3.100")
	stop()
	others.Wait()
	if !strings.Contains(out, "30000 packets transmitted, 30000 received") || strings.Contains(out, "duplicates") {
		t.Errorf("want an answer to each request\n%s", out)
	}
	if changes[0] < 3 || changes[1] < 3 {
		t.Errorf("%v attempts to change the table meanwhile: too few to tell anything", changes)
	}
	p.interrupt(t)
}

// What was acknowledged is there again, whenever the daemon was killed.
func TestKilledDuringChanges(t *testing.T) {
	a, _ := lab(t)
	state, cfg := t.TempDir(), file(t, howto)
	want := map[string]bool{} // as acknowledged
	address := netip.MustParseAddr("10.0.0.0")
	for round := range 8 {
		p := ipaliasd(t, a, "-c", cfg, "--state", state)
		check := p.table(t)
		for label, there := range want {
			if strings.Contains(check, label+":") != there {
				t.Fatalf("round %d: %s is there: %v, want %v\n%s", round, label, !there, there, check)
			}
		}
		enough := make(chan struct{})
		var clients sync.WaitGroup
		clients.Go(func() {
			defer func() {
				select {
				case <-enough:
				default:
					close(enough)
				}
			}()
			for n := 0; ; n++ {
				if n == 5+7*round {
					close(enough)
				}
				address = address.Next()
				label := fmt.Sprintf("v0:%s", address)
				if _, err := p.client().Edit(t.Context(), control.Edit{Do: control.Add, Label: label, Addresses: []string{address.String()}}); err != nil {
					return // killed: this one may be there or not
				}
				want[label] = true
				if n%3 != 0 {
					continue
				}
				// From now on it may be gone, and must be once that is acknowledged.
				delete(want, label)
				if _, err := p.client().Edit(t.Context(), control.Edit{Do: control.Delete, Label: label}); err != nil {
					return
				}
				want[label] = false
			}
		})
		<-enough
		p.kill(t)
		clients.Wait()
		if strings.Contains(p.stderr.String(), "level=ERROR") {
			t.Errorf("round %d: damaged", round)
		}
	}
}

func TestRunTimeChangesLast(t *testing.T) {
	a, b := lab(t, "ping")
	state, cfg := t.TempDir(), file(t, howto)
	p := ipaliasd(t, a, "-c", cfg, "--state", state)
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	p.edit(t, control.Delete, "v0:0")
	p.kill(t)

	p = ipaliasd(t, a, "-c", cfg, "--state", state)
	want := "v0:0: 172.16.3.10- v0:1: 172.16.3.100 v0:2: 172.16.3.11+"
	if got := p.table(t); got != want {
		t.Errorf("after a restart: %q, want %q", got, want)
	}
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.11")
	// Another one at the same time would write to the same journal.
	other := start(t, a.Command(binary, "-c", cfg, "--state", state))
	if other.status(t) != failed || !strings.Contains(other.stderr.String(), fmt.Sprintf("in use by process %d", p.cmd.Process.Pid)) {
		t.Errorf("a second daemon: %s", other.stderr)
	}
	source := control.Source{Name: "b.toml", Text: "[interface.v0.aliases]\n\"v0:9\" = \"172.16.3.99\"\n"}
	if _, err := p.client().Replace(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	p.edit(t, control.Add, "v0:2", "172.16.3.12")
	p.kill(t)

	p = ipaliasd(t, a, "-c", cfg, "--state", state)
	if got, want := p.table(t), "v0:9: 172.16.3.99 v0:2: 172.16.3.12+"; got != want {
		t.Errorf("after a replacement and a restart: %q, want %q", got, want)
	}
	if r, err := p.client().Reload(t.Context()); err != nil || r.Changes[0] != "~ goes by "+cfg+" again" {
		t.Errorf("back to the file: %+v, %v", r, err)
	}
	if got, want := p.table(t), "v0:0: 172.16.3.10 v0:1: 172.16.3.100 v0:2: 172.16.3.12+"; got != want {
		t.Errorf("back to the file: %q, want %q", got, want)
	}
	p.interrupt(t)

	p = ipaliasd(t, a, "-c", cfg, "--state", state, "--ephemeral")
	p.edit(t, control.Add, "v0:3", "172.16.3.13")
	p.interrupt(t)
	p = ipaliasd(t, a, "-c", cfg, "--ephemeral")
	if got, want := p.table(t), "v0:0: 172.16.3.10 v0:1: 172.16.3.100"; got != want {
		t.Errorf("nothing kept: %q, want %q", got, want)
	}
}

// A damaged journal costs what is damaged, says so, and is not thrown away.
func TestDamagedState(t *testing.T) {
	a, _ := lab(t)
	state, cfg := t.TempDir(), file(t, howto)
	p := ipaliasd(t, a, "-c", cfg, "--state", state)
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	p.edit(t, control.Add, "v0:3", "172.16.3.12")
	p.kill(t)
	journal := filepath.Join(state, "changes.journal")
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	text[bytes.Index(text, []byte("172.16.3.11"))] = 'x'
	if err := os.WriteFile(journal, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p = ipaliasd(t, a, "-c", cfg, "--state", state)
	p.wait(t, p.stderr, "level=ERROR", 1)
	if got, want := p.table(t), "v0:0: 172.16.3.10 v0:1: 172.16.3.100 v0:3: 172.16.3.12+"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
	aside, err := filepath.Glob(journal + ".damaged-*")
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %q, %v", aside, err)
	}
	if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, text) {
		t.Errorf("what was set aside is not the damaged file (%v)", err)
	}
	stats, err := p.client().Stats(t.Context())
	if err != nil || !strings.Contains(stats.Store.Damage, aside[0]) {
		t.Errorf("stats do not name it: %v, %v", stats, err)
	}
}

func TestReload(t *testing.T) {
	a, b := lab(t, "ping", "arping")
	cfg := file(t, howto)
	p := ipaliasd(t, a, "-c", cfg)
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	// Lists that are empty are lists for whoever walks through the JSON, too.
	if r, err := p.client().Reload(t.Context()); err != nil || r.Changes == nil || r.Warnings == nil {
		t.Errorf("a reload without change: %+v, %v; want lists", r, err)
	}
	if d, err := p.client().Diff(t.Context(), nil); err != nil || d.Changes == nil || d.Warnings == nil {
		t.Errorf("a diff without difference: %+v, %v; want lists", d, err)
	}
	hangup := func(text, wait string, times int) {
		t.Helper()
		if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.wait(t, p.stderr, wait, times)
	}
	// Wrong in one place of two: nothing of it counts.
	hangup("[interface.v0.aliases]\n\"v0:5\" = \"172.16.3.50\"\n\"v0:6\" = \"172.16.3.600\"\n", "the old one goes on", 1)
	if got, want := p.table(t), "v0:0: 172.16.3.10 v0:1: 172.16.3.100 v0:2: 172.16.3.11+"; got != want {
		t.Errorf("after a wrong file: %q, want %q", got, want)
	}
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	// A card that is not there: the same.
	hangup("[interface.v0.aliases]\n\"v0:5\" = \"172.16.3.50\"\n[interface.v7.aliases]\n\"v7:0\" = \"172.16.4.1\"\n", "the old one goes on", 2)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")

	conn := socket(t, b)
	hangup("[interface.v0]\nmac = \"02:00:00:00:00:77\"\n[interface.v0.aliases]\n\"v0:5\" = [\"172.16.3.50\", \"172.16.3.11\"]\n", "what=reload", 2)
	if got, want := p.table(t), "v0:5: 172.16.3.50 172.16.3.11 v0:2: 172.16.3.11?"; got != want {
		t.Errorf("after a reload: %q, want %q", got, want)
	}
	conn.Close()
	must(t, b, "ip", "neigh", "flush", "all")
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.50")
	if got := must(t, b, "ip", "neigh", "show", "172.16.3.50"); !strings.Contains(got, "02:00:00:00:00:77") {
		t.Errorf("neighbour %s, want the new MAC address", got)
	}
	if out, ok := client(b, "arping", "-I", netlab.CardB, "-c", "1", "-w", "1", "172.16.3.10"); ok {
		t.Errorf("172.16.3.10 is answered for without being in the file:\n%s", out)
	}
	p.interrupt(t)
}

// Cards come and go with the file.
func TestReloadAnotherCard(t *testing.T) {
	a, b := lab(t, "arping")
	if err := netlab.Veth(netlab.End{Namespace: a, Name: "v2"}, netlab.End{Namespace: b, Name: "v3"}); err != nil {
		t.Fatal(err)
	}
	cfg := file(t, howto)
	p := ipaliasd(t, a, "-c", cfg)
	for step, tc := range []struct {
		text string
		on   map[string]bool // by card of the asker
	}{
		{howto + "[interface.v2.aliases]\n\"v2:0\" = \"172.16.3.10\"\n", map[string]bool{netlab.CardB: true, "v3": true}},
		{"[interface.v2.aliases]\n\"v2:0\" = \"172.16.3.10\"\n", map[string]bool{netlab.CardB: false, "v3": true}},
		{howto, map[string]bool{netlab.CardB: true, "v3": false}},
	} {
		if err := os.WriteFile(cfg, []byte(tc.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := p.client().Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		for card, want := range tc.on {
			// -D asks as 0.0.0.0, and so needs no address on the card; it fails where somebody answers.
			out, silent := client(b, "arping", "-D", "-I", card, "-c", "1", "-w", "1", "172.16.3.10")
			if silent == want {
				t.Errorf("step %d: answered on %s: %v, want %v\n%s", step, card, !silent, want, out)
			}
		}
	}
	p.interrupt(t)
}

// The default socket and state directory are done without where they can't be
// made; what was named is not.
func TestUnusablePlaces(t *testing.T) {
	a, _ := lab(t)
	none := filepath.Join(file(t, ""), "below-a-file")
	for _, flag := range []string{"--socket", "--state"} {
		p := start(t, a.Command(binary, "-i", netlab.CardA, flag, none))
		if p.status(t) != failed || !strings.Contains(p.stderr.String(), none) || p.stdout.String() != "" {
			t.Errorf("%s: status %d, %q, %q", flag, p.status(t), p.stderr, p.stdout)
		}
	}
	// A path that was mistyped leaves no directory behind.
	dir := filepath.Join(open(t), "mistyped") // also for nobody
	for _, args := range [][]string{
		{"--socket", filepath.Join(dir, "s")},
		{"--socket", filepath.Join(dir, "s"), "--user", "nobody"},
		{"--metrics", "unix:" + filepath.Join(dir, "m"), "--socket", dir + ".sock"},
	} {
		p := start(t, a.Command(binary, append(args, "-i", netlab.CardA, "--ephemeral")...))
		if p.status(t) != failed || !strings.Contains(p.stderr.String(), "there is no directory "+dir) {
			t.Errorf("%q: status %d, %q", args, p.status(t), p.stderr)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %s: %v, want none", args, dir, err)
		}
	}
}
