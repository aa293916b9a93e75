// Package daemon runs ipaliasd: a supervisor for each card, which waits for the
// card, listens on it, announces its aliases and keeps the table in step with
// what the kernel knows; above them the Daemon, which is asked for changes.
package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/internal/store"
	"github.com/ipalias/ipalias/responder"
)

// Deps is what the daemon takes from its surroundings.
type Deps struct {
	// What is nil here is not asked for: a daemon without Load can't be told to reload, and
	// one that no test looks at has Keep nil.
	Log   *slog.Logger   // changes of state, and summaries
	Level *slog.LevelVar // of Log
	Out   io.Writer      // what is answered for, at the start; the totals, at the end

	Load func() (*config.Config, error) // reads the configuration again

	Observe bool // nothing is ever sent, whatever a configuration says

	// Inheritance holds what the process before this one kept of its cards; New leaves
	// in it what no card takes. Keep is handed what this process leaves, at the end, by
	// several goroutines; nil: nothing is left.
	Inheritance *capture.Inheritance
	Keep        func(capture.Kept)

	// State is the directory that keeps run-time changes; "" keeps none. If it is
	// Optional, one that can't be made is a warning.
	State    string
	Optional bool
}

// A Daemon answers for what its configuration says and for what was changed
// since. Its methods implement control.Backend.
type Daemon struct {
	deps    Deps
	cpus    *processors
	started time.Time
	ready   chan struct{} // closed when the cards run
	// Readers of these need no lock: New writes them, Run closes ready after, and nobody
	// looks before.
	file  string   // as an absolute path; "" for the command line
	notes []string // warnings of New: said when it is known that the daemon will run

	recordings atomic.Int32 // under way
	watch      watch

	// Replaced by who holds mu. Whoever asks waits for no change, however long one takes, and
	// sees one state as a whole.
	now atomic.Pointer[state] // what holds; readers look nowhere else

	mu sync.Mutex // held by whoever changes what follows
	// Run's, set before ready is closed: what looks by itself, such as watch, ends with it.
	ctx context.Context
	// Run is about to stop the cards, and a change would come too late.
	ended   bool
	changes *overlay.Overlay
	store   *store.Store // nil: nothing is kept
	// What the journal holds. While a change is made changes are ahead of it.
	written overlay.Overlay
	trying  bool // a timer will look whether changes can be kept again
	trial   int  // with how many bytes
	reload  control.ReloadStats
	kept    control.StoreStats // what readers are told of store and changes
	statsMu sync.Mutex         // of reload and kept
}

// A state is the configuration and the cards that serve it. It is immutable.
type state struct {
	cfg *config.Config
	// A card that serves two states in a row is the same one: its counters go on.
	cards  []*card
	wants  map[string][]wanted // by card
	source *overlay.Source     // where cfg is from; nil: the file
	strays []string            // labels that were changed of interfaces that cfg does not have
}

// New prepares to answer for what cfg says. Whatever keeps a card from being
// served at the start is an error, unless it is what cfg says to wait for. Nothing
// is answered before Run.
func New(cfg *config.Config, deps Deps) (*Daemon, error) {
	deps.Out = &lines{w: deps.Out}
	d := &Daemon{deps: deps, started: time.Now(), ready: make(chan struct{}), changes: new(overlay.Overlay)}
	if cfg.Path != "" {
		// Whoever asks works in another directory.
		path, err := filepath.Abs(cfg.Path)
		if err != nil {
			return nil, fmt.Errorf("find the directory of %s: %w", cfg.Path, err)
		}
		d.file = path
	}
	// First what takes longest, and goes on meanwhile.
	d.now.Store(&state{cfg: cfg, cards: d.begin(cfg)})
	// It may say that another configuration had replaced the file: then the cards that were
	// begun are the wrong ones.
	source, err := d.openStore()
	if err != nil {
		d.Close()
		return nil, err
	}
	if s := source; s != nil {
		// A new version of the program may be stricter than the one that took it. Falling back to the
		// file would silently answer for other addresses than yesterday: somebody has to choose.
		if cfg, err = config.ParseSent(s.Name, s.Text, s.Files); err != nil {
			d.Close()
			return nil, fmt.Errorf("the configuration that replaced the file is wrong now; without changes.journal in %s the daemon starts from the file again, and without what was changed at run time:\n%v", deps.State, err)
		}
		for _, c := range d.now.Load().cards {
			c.close()
		}
		d.now.Store(&state{cfg: cfg, cards: d.begin(cfg)})
		d.notes = append(d.notes, "answering for "+s.Name+" as of when it replaced the file; ipalias reload returns to the file")
	}
	said := map[string]responder.Range{}
	for _, w := range cfg.Warnings {
		said[w.String()] = responder.Range{}
		deps.Log.Warn(w.String())
	}
	s := d.plan(cfg, nil, nil)
	s.cards = d.now.Load().cards
	d.now.Store(s)
	// All are tried before the first one answers: a daemon that starts in part
	// and then fails has moved addresses for nothing.
	var errs []error
	for _, c := range s.cards {
		c.want(s.wants[c.name])
		// All cards begin with the same map. They only read it: a table that warns makes its own.
		c.table.warned = said
		errs = append(errs, c.prepare())
	}
	if err := errors.Join(errs...); err != nil {
		d.Close()
		return nil, err
	}
	for _, note := range append(d.notes, s.asides()...) {
		deps.Log.Warn(note)
	}
	d.account()
	return d, nil
}

// begin makes the cards of cfg, which are not prepared yet.
func (d *Daemon) begin(cfg *config.Config) (cards []*card) {
	d.cpus = newProcessors()
	for _, name := range cardNames(cfg) {
		cards = append(cards, newCard(name, cfg.Listening(name), d.cpus, d.deps))
	}
	return cards
}

// openStore reads back what was changed at run time. It returns the configuration
// that replaced the file, nil if none did.
func (d *Daemon) openStore() (source *overlay.Source, err error) {
	if d.deps.State == "" {
		return nil, nil
	}
	s, err := store.Open(d.deps.State, d.deps.Log, func(payload []byte) error {
		var c overlay.Change
		if err := json.Unmarshal(payload, &c); err != nil {
			return err
		}
		d.changes.Apply(c)
		// A clear without a source is the return to the file.
		if c.Clear || c.Source != nil {
			source = c.Source
		}
		return nil
	}, d.records)
	if errors.Is(err, store.ErrNoPlace) && d.deps.Optional {
		d.notes = append(d.notes, fmt.Sprintf("what is changed at run time will be lost at the end: %v", err))
		return nil, nil
	}
	// Somebody's changes are there and can't be read. To answer without them could be wrong,
	// but whoever tries it with setcap is to know how.
	if errors.Is(err, fs.ErrPermission) && d.deps.Optional {
		err = fmt.Errorf("%w; another user's daemon keeps its changes there: name a directory with --state, or keep none with --ephemeral", err)
	}
	d.store, d.written = s, *d.changes
	return source, err
}

// Close gives everything back. Run must have returned, or never been called.
func (d *Daemon) Close() error {
	if s := d.now.Load(); s != nil {
		for _, c := range s.cards {
			c.close()
		}
	}
	if d.store == nil {
		return nil
	}
	return d.store.Close()
}

// Ready is closed when Run has begun to answer.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }

// Shields tells whether a shield is wanted, which takes CAP_NET_ADMIN at each change.
func (d *Daemon) Shields() bool {
	return slices.ContainsFunc(d.now.Load().cfg.Interfaces, func(i config.Interface) bool { return i.Shield })
}

// Run answers until ctx ends; then it returns nil. What happens to a card is
// logged and waited for.
func (d *Daemon) Run(ctx context.Context) error {
	d.ctx = ctx
	for _, c := range d.now.Load().cards {
		c.start()
	}
	// Not earlier: until a card runs, nobody takes what do asks of it.
	close(d.ready)
	d.mu.Lock()
	if d.troubled() { // from the start on
		d.tryLater(0)
	}
	d.mu.Unlock()
	settle()
	<-ctx.Done()

	d.mu.Lock() // whoever changes something now ends first
	d.ended = true
	d.mu.Unlock()
	// Nobody makes another state from here on, so these are all.
	cards := d.now.Load().cards
	var stopping sync.WaitGroup
	for _, c := range cards {
		// Side by side: each waits for its workers, and until the next process runs its aliases are
		// answered by nobody.
		stopping.Go(func() { c.stop(d.leave) })
	}
	stopping.Wait()
	for _, c := range cards {
		c.printTotals()
	}
	return nil
}

// leave ends a port at the daemon's end: who asks its aliases now waits for the next process.
func (d *Daemon) leave(worker int, port *capture.Card) error {
	// Nobody would take the ring over. Its socket is still not closed here, since that waits for
	// two RCU grace periods while the next process waits for us.
	if d.deps.Keep == nil {
		return port.Leave()
	}
	kept, err := port.Keep(worker)
	if err == nil {
		d.deps.Keep(kept)
	}
	return err
}

// printTotals writes them in one piece: cell by cell they are sixty system calls, and who
// starts the next daemon waits for this one's end.
func (c *card) printTotals() {
	var text bytes.Buffer
	printTotals(&text, c.name, c.stats, c.table.responder, c.table.published)
	c.out.Write(text.Bytes())
}

// settle gives back to the system, a moment later, what reading a configuration, loading a
// table or telling all of it left. It was several times the table, and Go would keep it for
// minutes, and a part of it for ever. It does so once for all who call it meanwhile: to
// collect takes a processor some time.
func settle() {
	if settling.Swap(true) {
		return
	}
	time.AfterFunc(time.Second, func() {
		settling.Store(false)
		debug.FreeOSMemory()
	})
}

var settling atomic.Bool // settle was called, and has not done it yet

// Settle implements control.Backend.
func (d *Daemon) Settle() { settle() }

// cardNames lists the cards of cfg, each once: an interface and the VLANs on it
// share one.
func cardNames(cfg *config.Config) (names []string) {
	for i := range cfg.Interfaces {
		if name := cfg.Interfaces[i].Card; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// plan makes the state of a configuration with the run-time changes made, but for
// its cards. Where unchanged says that the changes of an interface are those of
// old, old's view is taken.
func (d *Daemon) plan(cfg *config.Config, old *state, unchanged func(iface string) bool) *state {
	s := &state{cfg: cfg, wants: map[string][]wanted{}, source: d.changes.Source()}
	names := map[string]bool{}
	for n := range cfg.Interfaces {
		i := &cfg.Interfaces[n]
		names[i.Name] = true
		w := wanted{Interface: i}
		if old != nil {
			w.view = old.view(i)
		}
		switch {
		case w.view == nil:
			w.view = d.changes.View(i.Name, overlay.NewFile(i.Aliases))
		// The file's part is kept: only the changes over it are others.
		case !unchanged(i.Name):
			w.view = d.changes.View(i.Name, w.view.File())
		}
		s.wants[i.Card] = append(s.wants[i.Card], w)
	}
	s.strays = d.changes.Strays(func(iface string) bool { return names[iface] })
	return s
}

// view finds the view of an interface, nil if there is none.
func (s *state) view(i *config.Interface) *overlay.View {
	for _, w := range s.wants[i.Card] {
		if w.Interface == i {
			return w.view
		}
	}
	return nil
}

// lines lets several cards write to one place.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
