package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"unicode"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// maxLabel is the longest label that is taken at run time, in bytes.
const maxLabel = 256

// Edit implements control.Backend.
func (d *Daemon) Edit(_ context.Context, who control.Peer, e control.Edit) (*control.Result, error) {
	ranges, err := parse(e)
	if err != nil {
		return nil, err
	}
	<-d.ready
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.now.Load()
	i, err := old.find(e.Label)
	if err != nil {
		return nil, err
	}
	change, err := d.edit(e, fileRanges(i.Interface, e.Label), ranges)
	if err != nil {
		return nil, err
	}
	result := &control.Result{Changes: []string{}, Warnings: []string{}, Durable: d.store != nil}
	if change.Empty() {
		return result, nil
	}
	next, warnings, err := d.make(transition{
		change:    change,
		cfg:       old.cfg,
		unchanged: func(iface string) bool { return iface != i.Name },
		refuse:    func(next *state) error { return overlapping(next.view(i.Interface), e.Label, ranges) },
	})
	if err != nil {
		return nil, err
	}
	result.Changed, result.Changes = true, compare(old, next)
	for _, w := range warnings {
		if w.Label == e.Label {
			result.Warnings = append(result.Warnings, w.String())
		}
	}
	before, after := labels(i.view)[e.Label], labels(next.view(i.Interface))[e.Label]
	d.logChange(who, e.Do+" "+e.Label+" "+ranges.String(), slog.String("before", before.String()), slog.String("after", after.String()))
	return result, nil
}

// parse reads the addresses of an edit.
func parse(e control.Edit) (ranges responder.Ranges, err error) {
	if len(e.Addresses) == 0 {
		if e.Do == control.Delete {
			return ranges, nil
		}
		return ranges, control.Refuse(http.StatusBadRequest, "no address for %s", e.Label)
	}
	for _, a := range e.Addresses {
		if strings.HasPrefix(a, "@") { // whoever may talk to us may not read all that we may
			return ranges, control.Refuse(http.StatusBadRequest, "the daemon reads no address file for others: send what is in %s", a)
		}
	}
	cfg, err := config.FromFlags("run", e.Addresses)
	if err != nil {
		var wrong config.Errors
		if errors.As(err, &wrong) {
			for _, m := range wrong {
				m.File = strings.TrimPrefix(m.File, "-a ")
			}
		}
		return ranges, err
	}
	ranges = ranges.Grow(len(cfg.Interfaces[0].Aliases))
	for _, a := range cfg.Interfaces[0].Aliases {
		for _, r := range a.Ranges.All() { // Join would copy all of them for each
			ranges = ranges.Append(r)
		}
	}
	return ranges, nil
}

func (d *Daemon) edit(e control.Edit, file, ranges responder.Ranges) (overlay.Change, error) {
	switch e.Do {
	case control.Add:
		return d.changes.Add(e.Label, file, ranges), nil
	case control.Set:
		return d.changes.Set(e.Label, file, ranges), nil
	}
	change, err := d.changes.Delete(e.Label, file, ranges)
	if errors.As(err, new(*overlay.NotFoundError)) {
		err = control.Refuse(http.StatusNotFound, "%v", err)
	}
	return change, err
}

// find gives the interface that a label is for.
func (s *state) find(label string) (wanted, error) {
	iface, text, colon := strings.Cut(label, ":")
	if !colon || text == "" || len(label) > maxLabel || strings.ContainsFunc(label, unicode.IsControl) {
		return wanted{}, control.Refuse(http.StatusBadRequest, "bad label: found %q, expected an interface, a colon and a text on one line, such as eth0:0", label)
	}
	var names []string
	for w := range s.all() {
		if w.Name == iface {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return wanted{}, control.Refuse(http.StatusNotFound, "there is no interface %s for %s; those that are configured: %s", iface, label, strings.Join(names, ", "))
}

func fileRanges(i *config.Interface, label string) responder.Ranges {
	for n := range i.Aliases {
		if i.Aliases[n].Label == label {
			return i.Aliases[n].Ranges
		}
	}
	return responder.Ranges{}
}

// overlapping refuses what was just added and would be set aside: another label
// has it.
func overlapping(view *overlay.View, label string, asked responder.Ranges) error {
	for _, l := range view.Labels {
		for _, a := range l.SetAside {
			if l.Label == label && responder.RangesOf(a.Range).Without(responder.Ranges{}.Union(asked)).Len() == 0 {
				return control.Refuse(http.StatusConflict, "%s overlaps: %s; expected each address under one label", a.Range, a.Reason)
			}
			// What was added before must not suffer from what is added now.
			if l.Label != label && strings.HasPrefix(a.Reason, "it overlaps "+label+",") {
				return control.Refuse(http.StatusConflict, "%s has %s already; expected each address under one label", l.Label, a.Range)
			}
		}
	}
	return nil
}

// logChange tells of a change, once.
func (d *Daemon) logChange(who control.Peer, what string, attrs ...any) {
	d.deps.Log.Info("the table was changed", append([]any{"uid", who.UID, "pid", who.PID, "what", what}, attrs...)...)
}
