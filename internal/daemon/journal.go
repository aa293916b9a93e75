package daemon

import (
	"bytes"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/overlay"
)

// What is changed at run time is written down before it holds, and read back at the next start.
// Who was told that a change was made finds it after a crash; who was told that it failed does
// not.

// commit makes a change durable and then has it come into force.
func (d *Daemon) commit(change overlay.Change, apply func() error) error {
	// A reload changes the table and not what was changed at run time: nothing to keep.
	if d.store == nil || change.Empty() {
		return apply()
	}
	payload, err := recordOf(change)
	if err != nil {
		return err
	}
	// Tells who failed: the disk, which is the operator's to mend, or the table, which is about
	// what was asked for.
	applying := false
	err = d.store.Commit(payload, func() error {
		applying = true
		return apply()
	})
	if err != nil && !applying {
		d.notKept(err)
		d.tryLater(len(payload))
		// 507, RFC 4918 11.5: the request was good, and the server has no room for it.
		return control.Refuse(http.StatusInsufficientStorage, "nothing was changed, since it could not be kept: %v", err)
	}
	if err == nil {
		d.written = *d.changes
		d.keptAgain()
	}
	return err
}

const (
	// keepDelay is how long a disk that took no change is left alone.
	keepDelay = 5 * time.Second

	// maxTrial is how many bytes are tried at most: more than most changes take.
	maxTrial = 64 << 10
)

// tryLater sees to it that the end of a trouble is noticed though nobody changes anything: else
// health and metrics would tell of a full disk long after it has room. There is a timer only
// while there is trouble. size is that of the change that was not kept. The caller holds mu.
func (d *Daemon) tryLater(size int) {
	d.trial = min(size, maxTrial)
	if d.trying {
		return
	}
	d.trying = true
	time.AfterFunc(keepDelay, d.tryNow)
}

// tryNow keeps a change of nothing, as long as the one that was not kept: a small one may find
// room in a block that the file has already.
func (d *Daemon) tryNow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trying = false
	if d.ended || !d.troubled() { // or somebody's change was kept meanwhile
		return
	}
	nothing := append([]byte("{}"), bytes.Repeat([]byte(" "), d.trial)...)
	if err := d.store.Commit(nothing, func() error { return nil }); err != nil {
		d.notKept(err)
		d.tryLater(d.trial)
		return
	}
	d.keptAgain()
	d.account() // what a journal that could be put in order now lacks
}

// troubled tells whether the last change could not be kept, or none can.
func (d *Daemon) troubled() bool {
	d.statsMu.Lock()
	defer d.statsMu.Unlock()
	return d.unkept()
}

// unkept is troubled for whoever holds statsMu.
func (d *Daemon) unkept() bool { return d.kept.Frozen != "" || d.kept.Error != "" }

// recordOf writes a change for the journal. A configuration is kept as it stands: '<' is
// one character, not six.
func recordOf(change overlay.Change) ([]byte, error) {
	var payload bytes.Buffer
	text := json.NewEncoder(&payload)
	text.SetEscapeHTML(false)
	err := text.Encode(change)
	return payload.Bytes(), err
}

// compact keeps the journal short.
func (d *Daemon) compact() {
	if d.store == nil || !d.store.Due() {
		return
	}
	if err := d.store.Compact(); err != nil {
		d.deps.Log.Warn("the journal goes on growing", "error", err)
	}
}

// records gives all that a new journal has to hold: not what is just being written to it,
// which may still be refused.
func (d *Daemon) records() (iter.Seq[[]byte], error) {
	source, err := d.sourceRecord()
	if err != nil {
		return nil, err
	}
	return func(yield func([]byte) bool) {
		if source != nil && !yield(source) {
			return
		}
		for change := range d.written.Snapshot() {
			payload, err := recordOf(change)
			if err == nil && !yield(payload) {
				return
			}
		}
	}, nil
}

// sourceRecord finds the record of the configuration that replaced the file, nil if none
// did. It is taken over as it is: what is in it lies on the disk alone, and places in it
// are those of the file that people know.
func (d *Daemon) sourceRecord() (record []byte, err error) {
	if d.written.Source() == nil {
		return nil, nil
	}
	err = d.store.Each(func(payload []byte) error {
		var c struct {
			Clear  bool            `json:"clear"`
			Source json.RawMessage `json:"source"`
		}
		if err := json.Unmarshal(payload, &c); err != nil {
			return err
		}
		if c.Clear || c.Source != nil {
			record = payload
		}
		return nil
	})
	return record, err
}

// account tells readers of the store what holds now.
func (d *Daemon) account() {
	kept := control.StoreStats{Durable: d.store != nil}
	counts := d.changes.Counts()
	kept.Added, kept.Removed = counts.Added, counts.Removed
	if d.store != nil {
		kept.Damage, kept.Frozen = d.store.Damage(), d.frozen()
	}
	// Not d.mu: who asks how the daemon is must not wait for a change under way.
	d.statsMu.Lock()
	defer d.statsMu.Unlock()
	// What commit found out stays until commit finds otherwise.
	kept.Error = d.kept.Error // a reload that writes nothing says nothing of the disk
	d.kept = kept
}

// frozen tells why no change can be kept, "" if one can.
func (d *Daemon) frozen() string {
	if err := d.store.Frozen(); err != nil {
		return err.Error()
	}
	return ""
}

// notKept tells them why the last change could not be kept. It counts nothing: the
// change is taken back only after this.
func (d *Daemon) notKept(err error) {
	d.statsMu.Lock()
	defer d.statsMu.Unlock()
	// The store has logged that itself.
	told := d.unkept()
	if d.kept.Frozen = d.frozen(); d.kept.Frozen != "" {
		return
	}
	if !told { // once: whoever goes on asking is told each time
		d.deps.Log.Error("a change could not be kept, and was refused", "error", err)
	}
	d.kept.Error = err.Error()
}

// keptAgain tells them that the last change was kept.
func (d *Daemon) keptAgain() {
	d.statsMu.Lock()
	defer d.statsMu.Unlock()
	if d.unkept() {
		d.deps.Log.Info("changes are kept again")
	}
	d.kept.Error, d.kept.Frozen = "", ""
}
