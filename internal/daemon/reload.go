package daemon

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// Reload implements control.Backend. After an error all goes on as before.
func (d *Daemon) Reload(_ context.Context, who control.Peer) (*control.Result, error) {
	<-d.ready
	d.mu.Lock()
	defer d.mu.Unlock()
	defer settle() // whatever becomes of what is read
	// Under the lock, so that of two reloads the one that read later also holds in the end.
	cfg, err := d.deps.Load()
	var result *control.Result
	if err == nil {
		result, err = d.switchTo(who, "reload", cfg, d.changes.ReturnToFile(), func(string) bool { return false })
	}
	d.statsMu.Lock()
	defer d.statsMu.Unlock()
	if err != nil {
		d.reload.Failed++
		d.reload.Error = err.Error()
		d.deps.Log.Error("reading the configuration again failed, the old one goes on", "uid", who.UID, "pid", who.PID, "error", err)
		return nil, err
	}
	d.reload.Done++
	d.reload.Error = ""
	return result, nil
}

// Replace implements control.Backend.
func (d *Daemon) Replace(_ context.Context, who control.Peer, s control.Source) (*control.Result, error) {
	defer settle() // likewise
	cfg, err := parseSource(&s)
	if err != nil {
		return nil, err
	}
	<-d.ready
	d.mu.Lock()
	defer d.mu.Unlock()
	// What was changed at run time was about another configuration, and is forgotten.
	change := overlay.Reset(&overlay.Source{Name: s.Name, Text: s.Text, Files: s.Files})
	return d.switchTo(who, "replace "+s.Name, cfg, change, func(string) bool { return false })
}

// switchTo goes by another configuration. The caller holds mu.
func (d *Daemon) switchTo(who control.Peer, what string, cfg *config.Config, change overlay.Change, unchanged func(string) bool) (*control.Result, error) {
	old := d.now.Load()
	// Before views are made of it, which keep the lists.
	share(old.cfg, cfg)
	made, err := d.make(transition{change: change, cfg: cfg, unchanged: unchanged})
	if err != nil {
		return nil, err
	}
	next := made.state
	result := &control.Result{Changes: made.changes, Warnings: next.asides(), Durable: d.store != nil}
	// To go by another source is a change also where both say the same: a restart and
	// the next reload go by it.
	if !change.Empty() {
		result.Changes = append([]string{d.goesBy(next)}, result.Changes...)
	}
	result.Changed = len(result.Changes) > 0
	for _, w := range result.Warnings {
		d.deps.Log.Warn(w)
	}
	result.Warnings = append(result.Warnings, told(cfg.Warnings, made.warnings)...)
	if !result.Changed {
		d.deps.Log.Info("the configuration was read, and nothing changed", "uid", who.UID, "pid", who.PID, "what", what)
		return result, nil
	}
	d.logChange(who, what, "before", old.summary(), "after", next.summary(), "changes", strings.Join(first(result.Changes, maxWarnings), "; "))
	return result, nil
}

// goesBy says which configuration holds from now on.
func (d *Daemon) goesBy(s *state) string {
	switch {
	case s.source != nil:
		return "~ goes by " + s.source.Name + " as it is now, until a reload"
	case d.file == "":
		return "~ goes by the command line again"
	}
	return "~ goes by " + d.file + " again"
}

// share lets cfg have the lists of old where they are equal: a list is kept once, and what
// is the same is seen to be so at a glance.
func share(old, cfg *config.Config) {
	for n := range cfg.Interfaces {
		i := &cfg.Interfaces[n]
		o := slices.IndexFunc(old.Interfaces, func(o config.Interface) bool { return o.Name == i.Name })
		if o < 0 {
			continue
		}
		before := make(map[string]responder.Ranges, len(old.Interfaces[o].Aliases))
		for _, a := range old.Interfaces[o].Aliases {
			before[a.Label] = a.Ranges
		}
		for k := range i.Aliases {
			// Equal looks at all of both once; everything after that only has to compare pointers.
			if a := &i.Aliases[k]; a.Ranges.Equal(before[a.Label]) {
				a.Ranges = before[a.Label]
			}
		}
	}
}

// maxPath is the longest name of a file that is taken, in bytes (PATH_MAX). Each mistake in it repeats it.
const maxPath = 4096

// parseSource reads a configuration that somebody else sent.
func parseSource(s *control.Source) (*config.Config, error) {
	if strings.TrimSpace(s.Name) == "" || strings.TrimSpace(s.Text) == "" {
		return nil, control.Refuse(http.StatusBadRequest, `expected {"name": FILE, "text": what is in it}`)
	}
	for name := range s.Files {
		if len(name) > maxPath {
			return nil, control.Refuse(http.StatusBadRequest, "bad name of a file: found %d bytes, expected at most %d", len(name), maxPath)
		}
	}
	if len(s.Name) > maxPath {
		return nil, control.Refuse(http.StatusBadRequest, "bad name: found %d bytes, expected at most %d", len(s.Name), maxPath)
	}
	return config.ParseSent(s.Name, s.Text, s.Files)
}

// Diff implements control.Backend.
func (d *Daemon) Diff(_ context.Context, s *control.Source) (*control.Diff, error) {
	defer settle() // likewise
	load := d.deps.Load
	if s != nil {
		load = func() (*config.Config, error) { return parseSource(s) }
	}
	cfg, err := load()
	if err != nil {
		return nil, err
	}
	<-d.ready
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.plan(cfg, nil, nil)
	// Nothing is kept of next: plan has no effect, and its views share the changes of now.
	diff := &control.Diff{Changes: compare(d.now.Load(), next), Warnings: next.asides()}
	diff.Warnings = append(diff.Warnings, told(cfg.Warnings, nil)...)
	diff.Same = len(diff.Changes) == 0
	return diff, nil
}

// summary counts, for the log.
func (s *state) summary() string {
	interfaces, labels, entries := 0, 0, 0
	for w := range s.all() {
		interfaces++
		for l := range w.view.Labels() {
			if n := l.Ranges().Len(); n > 0 {
				labels, entries = labels+1, entries+n
			}
		}
	}
	return fmt.Sprintf("%s, %s, %s", count(uint64(interfaces), "interface", "interfaces"),
		count(uint64(labels), "label", "labels"), count(uint64(entries), "entry", "entries"))
}

// first gives the first n of list, and how many more there are.
func first(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(list[:n:n], fmt.Sprintf("and %d more", len(list)-n))
}
