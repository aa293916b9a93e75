// Package store keeps records on disk that survive a kill -9, a power cut and a
// full disk: an append-only journal with checksums.
//
// It is a journal, not a B+tree file such as bbolt, because all that is kept is
// a list of changes which is read once, at the start, and appended to, rarely.
// That takes one write and one fsync a change and 300 lines that can be read at
// a sitting; a page file would bring an index that nobody searches, map memory,
// and after a flipped bit give back less. What bbolt does better, random access
// to more than fits in memory, has no use here: the table lies in memory anyway.
//
// The file is a magic line and then records, each of
//
//	length    4 bytes, little endian: of the payload
//	header    4 bytes: CRC32C of length
//	checksum  4 bytes: CRC32C of the payload
//	payload   JSON
//
// The length has a checksum of its own so that a flipped bit in it is never
// taken for a record that was cut short: the one is damage, the other is what a
// power cut in the middle of an append leaves behind.
package store

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	journalName = "changes.journal"
	lockName    = "lock"

	magic = "ipalias journal 1\n"

	// MaxRecord bounds the payload of a record in bytes. A million addresses in
	// one change are a third of it.
	MaxRecord = 64 << 20

	// compactFloor is a size in bytes that is never worth compacting.
	compactFloor = 64 << 10
)

var (
	// ErrLocked is wrapped by what Open returns while another process has the store.
	ErrLocked = errors.New("in use")

	// ErrNoPlace is wrapped by what Open returns where the directory can't be made
	// or written to and, as far as can be seen, holds no journal.
	ErrNoPlace = errors.New("nowhere to keep run-time changes")
)

// A Store is an open journal. Its methods belong to one goroutine at a time.
type Store struct {
	dir     string
	log     *slog.Logger
	lock    *os.File
	journal *os.File
	size    int64 // of the journal as far as it is good, in bytes
	base    int64 // size after the last compaction
	torn    bool  // what lies behind size could not be taken away yet
	damage  string
}

// Open opens the journal in dir, both of which are made where they do not
// exist, and hands every payload to replay, in the order they were committed. A
// payload is valid until replay returns; one that replay refuses counts as damaged.
//
// What a power cut left of an unfinished record is dropped. A damaged file
// is set aside as changes.journal.damaged-TIME and a new one holds what was
// readable in it. Both are logged; Damage tells of the latter as long as the
// store is open.
func Open(dir string, log *slog.Logger, replay func(payload []byte) error) (*Store, error) {
	s := &Store{dir: dir, log: log}
	err := os.MkdirAll(dir, 0o750)
	if err == nil {
		s.lock, err = acquire(filepath.Join(dir, lockName))
	}
	if err != nil {
		if _, missing := os.Stat(s.path()); missing != nil && !errors.Is(err, ErrLocked) {
			err = fmt.Errorf("%w: %w", ErrNoPlace, err)
		}
		return nil, fmt.Errorf("open state directory %s: %w", dir, err)
	}
	if err := s.load(replay); err != nil {
		s.Close()
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return s, nil
}

func (s *Store) path() string { return filepath.Join(s.dir, journalName) }

// Damage tells where the damaged file was set aside that was found when the
// store was opened, and what is missing. It is "" if there was none.
func (s *Store) Damage() string { return s.damage }

// load reads the journal and opens it for appending.
func (s *Store) load(replay func([]byte) error) error {
	os.Remove(s.path() + ".new") // of a compaction that did not finish
	f, err := os.OpenFile(s.path(), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return s.rewrite(func(func([]byte) bool) {})
	}
	if err != nil {
		return err
	}
	var kept [][]byte
	found, err := scan(f, func(payload []byte) error {
		if err := replay(payload); err != nil {
			return err
		}
		kept = append(kept, payload)
		return nil
	})
	if err != nil {
		f.Close()
		return err
	}
	switch {
	case found.damaged > 0:
		f.Close()
		return s.setAside(found, kept)
	case found.tail > 0, found.good == 0:
		s.log.Warn("the journal ends in an unfinished change, which is dropped", "file", s.path(), "bytes", found.tail)
	}
	if found.good == 0 { // not even the magic is complete
		f.Close()
		return s.rewrite(func(func([]byte) bool) {})
	}
	s.journal, s.size, s.base, s.torn = f, found.good, found.good, found.tail > 0
	return s.mend()
}

// setAside keeps the damaged journal under another name, and what was readable
// in it as the journal.
func (s *Store) setAside(found findings, kept [][]byte) error {
	aside := s.path() + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	// A link first: at no time is there no file under the name of the journal.
	if err := os.Link(s.path(), aside); err != nil {
		return fmt.Errorf("set the damaged journal aside: %w", err)
	}
	err := s.rewrite(func(yield func([]byte) bool) {
		for _, payload := range kept {
			if !yield(payload) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	s.damage = fmt.Sprintf("the journal was damaged from byte %d on (%s); it was set aside as %s, %d changes of it could be read",
		found.damagedAt, found.why, aside, len(kept))
	s.log.Error("run-time changes may be missing: " + s.damage)
	return nil
}

// Commit makes payload durable and then calls apply; it returns when both are
// done. If the one or the other fails neither has happened: the file is what it was.
func (s *Store) Commit(payload []byte, apply func() error) error {
	if len(payload) > MaxRecord {
		return fmt.Errorf("a change of %d bytes is too large to be kept, at most %d", len(payload), MaxRecord)
	}
	if err := s.mend(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	record := frame(payload)
	s.torn = true // until it is known to be whole
	if _, err := s.journal.WriteAt(record, s.size); err != nil {
		return errors.Join(fmt.Errorf("write journal: %w", err), s.mend())
	}
	if err := s.journal.Sync(); err != nil {
		return errors.Join(fmt.Errorf("write journal: %w", err), s.mend())
	}
	if err := apply(); err != nil {
		return errors.Join(err, s.mend())
	}
	s.torn = false
	s.size += int64(len(record))
	return nil
}

// mend takes away what lies behind the last good record. It needs no room on
// the disk, so that it works where writing did not; where it does not work
// either, nothing more is committed before it does.
func (s *Store) mend() error {
	if !s.torn {
		return nil
	}
	if err := s.journal.Truncate(s.size); err != nil {
		return err
	}
	if err := s.journal.Sync(); err != nil {
		return err
	}
	s.torn = false
	return nil
}

// Due tells whether the journal has grown so much since it was last compacted
// that it is worth doing again.
func (s *Store) Due() bool { return s.size > max(2*s.base, compactFloor) }

// Compact replaces the journal by one that holds payloads alone: whoever has
// replayed them is where it is who has replayed the old one. After an error the
// old one goes on.
func (s *Store) Compact(payloads iter.Seq[[]byte]) error {
	if err := s.mend(); err != nil {
		return fmt.Errorf("compact journal: %w", err)
	}
	if err := s.rewrite(payloads); err != nil {
		return fmt.Errorf("compact journal: %w", err)
	}
	return nil
}

// rewrite writes a new journal and has it take the place of the old one.
func (s *Store) rewrite(payloads iter.Seq[[]byte]) error {
	name := s.path() + ".new"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	size, err := writeAll(f, payloads)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(name, s.path())
	}
	if err != nil {
		f.Close()
		os.Remove(name)
		return err
	}
	if s.journal != nil {
		s.journal.Close()
	}
	s.journal, s.size, s.base, s.torn = f, size, size, false
	// The file is whole under either name; only which of the two a power cut
	// would bring back depends on the directory.
	return syncDir(s.dir)
}

func writeAll(f io.Writer, payloads iter.Seq[[]byte]) (size int64, err error) {
	n, err := io.WriteString(f, magic)
	size = int64(n)
	for payload := range payloads {
		if err != nil {
			break
		}
		n, err = f.Write(frame(payload))
		size += int64(n)
	}
	return size, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Close gives the journal and the lock back.
func (s *Store) Close() error {
	var err error
	if s.journal != nil {
		err = s.journal.Close()
	}
	return errors.Join(err, s.lock.Close())
}
