package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// What people ask to be changed, label by label. Each request is checked by itself, without
// the lock; then against the state; and nothing has happened until all of it was found good.

// maxAddress is longer than what one address, range or prefix can be, in bytes.
const maxAddress = 256

// errEnding refuses a change that came too late.
var errEnding = control.Refuse(http.StatusServiceUnavailable, "nothing was changed: the daemon is about to end")

// Edit implements control.Backend.
func (d *Daemon) Edit(_ context.Context, who control.Peer, e control.Edit) (*control.Result, error) {
	if err := goodLabel(e.Label); err != nil {
		return nil, err
	}
	ranges, err := parse(e)
	if err != nil {
		return nil, err
	}
	// Nothing can be changed before the cards run; the control socket is there a moment earlier.
	<-d.ready
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.now.Load()
	w, err := old.find(e.Label)
	if err != nil {
		return nil, err
	}
	// What the file has of the label, nothing if it has no such label.
	file, _ := w.view.File().Alias(e.Label)
	change, err := d.edit(e, file.Ranges, ranges)
	if err != nil {
		return nil, err
	}
	result := &control.Result{Changes: []string{}, Warnings: []string{}, Durable: d.store != nil}
	// To ask for what is so already succeeds: a script may be run twice.
	if change.Empty() {
		return result, nil
	}
	// The short way first; what it can't do it says before anything happened.
	made, err := d.amend(w, change)
	if errors.Is(err, errWhole) {
		defer settle()
		made, err = d.make(transition{
			change: change,
			cfg:    old.cfg,
			// The other interfaces' views, and with them their lists of a million, are taken over.
			unchanged: func(iface string) bool { return iface != w.Name },
			// The whole way finds overlaps by looking for additions that it had to set aside.
			refuse: func(next *state) error { return overlapping(w.view, next.view(w.Interface), e.Label) },
		})
	}
	if err != nil {
		return nil, err
	}
	result.Changed, result.Changes = true, made.changes
	// The whole way gives all warnings that hold for the interface. Of the others nobody asked.
	for _, w := range made.warnings {
		if responder.RangesOf(w.about).Shared(ranges.Sorted()).Len() > 0 {
			// Without its place: whoever asked knows where it stands.
			result.Warnings = append(result.Warnings, w.Msg)
		}
	}
	d.logChange(who, e.Do+" "+e.Label+" "+ranges.String(),
		slog.String("before", w.view.Describe(e.Label)), slog.String("after", made.state.view(w.Interface).Describe(e.Label)))
	return result, nil
}

// parse reads the addresses of an edit.
func parse(e control.Edit) (ranges responder.Ranges, err error) {
	if len(e.Addresses) == 0 {
		// A script whose list is empty does not mean the label as a whole.
		if e.Do == control.Delete && e.Addresses == nil {
			return ranges, nil
		}
		return ranges, control.Refuse(http.StatusBadRequest, "no address for %s", e.Label)
	}
	for _, a := range e.Addresses {
		// Before the parser has it: what it says of a bad address repeats it.
		if len(a) > maxAddress {
			return ranges, control.Refuse(http.StatusBadRequest, "bad address: found %d bytes, expected an address such as 172.16.3.11", len(a))
		}
		if strings.HasPrefix(a, "@") { // whoever may talk to us may not read all that we may
			return ranges, control.Refuse(http.StatusBadRequest, "the daemon reads no address file for others: send what is in %s", a)
		}
	}
	return config.Addresses(e.Label, e.Addresses)
}

func (d *Daemon) edit(e control.Edit, file, ranges responder.Ranges) (overlay.Change, error) {
	switch e.Do {
	case control.Add:
		return d.changes.Add(e.Label, file, ranges), nil
	case control.Set:
		return d.changes.Set(e.Label, file, ranges), nil
	}
	change, err := d.changes.Delete(e.Label, file, ranges)
	// 404 and not 500: ipalias del says then that there was nothing, not that we failed.
	if errors.As(err, new(*overlay.NotFoundError)) {
		err = control.Refuse(http.StatusNotFound, "%v", err)
	}
	return change, err
}

// goodLabel tells what is wrong with a label by itself.
func goodLabel(label string) error {
	if len(label) > config.MaxLabel {
		return control.Refuse(http.StatusBadRequest, "bad label: found %d bytes, expected at most %d", len(label), config.MaxLabel)
	}
	// The rest is config's rule for a label in the file. One with a line break or an escape
	// sequence would be told again in logs and on screens.
	iface, text, colon := strings.Cut(label, ":")
	if !colon || iface == "" || text == "" || !config.Plain(label) {
		return control.Refuse(http.StatusBadRequest, "bad label: found %q, expected an interface, a colon and a text on one line, such as eth0:0", label)
	}
	return nil
}

// find gives the interface that a label is for.
func (s *state) find(label string) (wanted, error) {
	iface := overlay.InterfaceOf(label)
	var names []string
	for w := range s.all() {
		if w.Name == iface {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return wanted{}, control.Refuse(http.StatusNotFound, "there is no interface %s for %s; those that are configured: %s", iface, label, strings.Join(names, ", "))
}

// overlapping refuses a change of a label after which an addition is set aside that
// was not so before: one that was just added, which another label has, or one
// that was there before and must not suffer from what is added now.
func overlapping(old, next *overlay.View, label string) error {
	for l := range next.Labels() {
		for _, a := range l.SetAside {
			was, _ := old.Label(l.Label)
			if slices.ContainsFunc(was.SetAside, func(b overlay.Aside) bool { return a.Range == b.Range }) {
				continue
			}
			if l.Label == label {
				return control.Refuse(http.StatusConflict, "%s is taken: %s; expected each address under one label", a.Range, a.Reason)
			}
			return control.Refuse(http.StatusConflict, "%s has %s already; expected each address under one label", l.Label, a.Range)
		}
	}
	return nil
}

// logChange tells of a change, once. Uid and pid are the kernel's word (SO_PEERCRED), not
// the client's.
func (d *Daemon) logChange(who control.Peer, what string, attrs ...any) {
	d.deps.Log.Info("the table was changed", append([]any{"uid", who.UID, "pid", who.PID, "what", strings.TrimSpace(what)}, attrs...)...)
}
