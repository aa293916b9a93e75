package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/responder"
)

// A subject is the card of a configuration that frames of a capture are put to,
// with all its VLANs: a frame goes to one of them by its tags, and one that fits none
// is counted with the card, so that no interface of it can be left out.
//
// It is the responder that the daemon runs, with one worker, since a capture has one order.
// replay and explain both put frames to it, so they can't come to differ.
type subject struct {
	interfaces []*config.Interface
	responder  *responder.Responder
	worker     *responder.Worker
	frames     int    // handled so far; the number of the one in hand, from 1
	answers    uint64 // sent; set at the end
}

// newSubject makes a subject of the card or interface called name, or of the
// only card if name is "".
func newSubject(file, name string) (*subject, error) {
	cfg, err := loadConfig(file)
	if err != nil {
		return nil, err
	}
	interfaces, err := cardOf(cfg, name)
	if err != nil {
		return nil, err
	}
	s := &subject{interfaces: interfaces, responder: responder.New(responder.Config{Workers: 1})}
	var resolved []responder.Interface
	for _, i := range interfaces {
		// Without a host: what a capture is answered with is to be the same on every machine.
		r := i.Resolve(config.Host{})
		if r.Limits == responder.DefaultLimits {
			// A capture is looked at for what each frame deserves, not for what the
			// frames before it have used up. Limits that are written down as just the defaults
			// can't be told from none, and are lifted too.
			r.Limits = responder.Limits{}
		}
		resolved = append(resolved, r)
	}
	// All in one call: each call is the whole table, and one after the other would leave the last.
	if _, err := s.responder.Publish(resolved); err != nil {
		return nil, fmt.Errorf("publish aliases: %w", err)
	}
	s.worker = s.responder.Worker(0)
	return s, nil
}

// cardOf gives the interfaces that share a card with the one called name, which may be the
// card's own name, or "" where there is one card. With several it does not choose: a capture
// does not say where it was taken, and the wrong card answers nothing, which looks like a
// verdict on the configuration.
func cardOf(cfg *config.Config, name string) ([]*config.Interface, error) {
	on := map[string][]*config.Interface{}
	for n := range cfg.Interfaces {
		i := &cfg.Interfaces[n]
		on[i.Card] = append(on[i.Card], i)
	}
	card := name
	if n := slices.IndexFunc(cfg.Interfaces, func(i config.Interface) bool { return i.Name == name }); n >= 0 {
		card = cfg.Interfaces[n].Card
	} else if name == "" && len(on) == 1 {
		card = cfg.Interfaces[0].Card
	}
	if on[card] == nil {
		_, err := cfg.ForReplay(name) // says what is missing, and what there is
		return nil, err
	}
	// Mistakes of all VLANs at once, not a run for each.
	var wrong config.Errors
	for _, i := range on[card] {
		if _, err := cfg.ForReplay(i.Name); err != nil {
			wrong = append(wrong, config.AsErrors(err)...)
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return on[card], nil
}

// Handle implements capture.Handler. The answers may lie where the frames lay; nothing here
// looks at a frame afterwards.
func (s *subject) Handle(b *capture.Batch) {
	s.frames += len(b.Frames)
	b.Out, b.Wake = s.worker.Handle(b.Time, b.Frames, b.Flags, b.Out)
}

// A source is a capture file that is read from. Its owner closes it; standard input is left
// open, as it is not ours.
type source struct {
	name string // for messages
	io.Reader
	file *os.File // nil for standard input
}

// openSource opens the capture file path, "-" for standard input.
func openSource(e env, path string) (*source, error) {
	if path == "-" {
		return &source{name: "standard input", Reader: e.stdin}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open capture: %w", err)
	}
	// A directory can be opened, and would fail at the first read without its name.
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, fmt.Errorf("open capture: %s is a directory", path)
	}
	return &source{name: path, Reader: f, file: f}, nil
}

func (s *source) Close() {
	if s.file != nil {
		s.file.Close()
	}
}

// is tells whether path is the file that s reads. If in doubt it is not: what can't be looked
// at is refused with its own reason when it is created.
func (s *source) is(path string) bool {
	if s.file == nil {
		return false
	}
	a, err := s.file.Stat()
	// A terminal or a pipe can be both read and written.
	if err != nil || !a.Mode().IsRegular() {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// damage says in which file it is that err is about, if that is s. With --expect there are two
// captures, and an error names neither. Errors of writing answers pass as they are, and nil.
func (s *source) damage(err error) error {
	if errors.As(err, new(*capture.FileError)) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return err
}
