// Package store keeps records on disk that survive a kill -9, a power cut and a
// full disk: an append-only journal with checksums.
//
// It is a journal, not a B+tree file such as bbolt, because all that is kept is
// a list of changes which is read once, at the start, and appended to, rarely.
// That takes one write and one fsync a change and 700 lines that can be read at
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
//
// A file that was cut exactly between two records, while no store had it open, looks whole. To
// tell it takes a number of records kept elsewhere, and a second fsync a change for that; but no
// crash cuts what an fsync confirmed, and who cuts a file by hand can as well cut two.
package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
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
	whole   func() (iter.Seq[[]byte], error)
	lock    *os.File // nil where there is no file to lock and none can be made
	journal *os.File // nil while it is frozen
	size    int64    // of the journal as far as it is good, in bytes
	base    int64    // size after the last compaction
	torn    bool     // what lies behind size could not be taken away yet
	frozen  error    // why nothing can be committed now
	damage  string

	// Of the journal as Open found it; what is wrong with it thaw puts in order.
	read     fs.FileInfo // nil: there was none
	found    findings
	kept     [][]byte // what could be read of a damaged one, until a new one holds it
	tailKept bool     // there is a copy of its unfinished end
}

// Open opens the journal in dir, both of which are made where they do not
// exist, and hands every payload to replay, in the order they were committed. A
// payload is valid until replay returns; one that replay refuses counts as damaged.
//
// Of what a power cut left of an unfinished record a copy is kept as
// changes.journal.cut-TIME, then it is dropped. A damaged file is set aside as
// changes.journal.damaged-TIME and a new one holds what was readable in it. Both are
// logged; Damage tells of them as long as the store is open.
//
// Whoever has replayed the payloads that whole gives is where it is who has replayed all
// that were committed. They are what a new journal begins with, when the old one is to be made
// shorter (Compact) or is found to be gone (Commit); whole may ask Each for those of the old one.
//
// A journal that can be read but not written to, or not put in order for want of
// room, is opened all the same: what was promised holds. Frozen tells why nothing can be
// added.
func Open(dir string, log *slog.Logger, replay func(payload []byte) error, whole func() (iter.Seq[[]byte], error)) (*Store, error) {
	s := &Store{dir: dir, log: log, whole: whole}
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf("open state directory %s: %w", dir, err)
	}
	if err := s.load(replay); err != nil {
		s.Close()
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := s.thaw(); err != nil {
		log.Error("run-time changes are refused until they can be kept", "error", err)
		if s.damage == "" {
			s.damage = s.describe("")
		}
		if s.damage != "" {
			log.Error("run-time changes may be missing: " + s.damage)
		}
	}
	return s, nil
}

// enter makes the directory and takes its lock.
func (s *Store) enter() error {
	err := os.MkdirAll(s.dir, 0o750)
	if err == nil {
		s.lock, err = acquire(filepath.Join(s.dir, lockName))
	}
	if err == nil || errors.Is(err, ErrLocked) {
		return err
	}
	if _, missing := os.Stat(s.path()); missing != nil {
		return fmt.Errorf("%w: %w", ErrNoPlace, err)
	}
	return nil // thaw tells what is wrong
}

func (s *Store) path() string { return filepath.Join(s.dir, journalName) }

// Damage tells what was wrong with the journal when the store was opened, what is missing
// and where the rest was put. It is "" if nothing was.
func (s *Store) Damage() string { return s.damage }

// Frozen tells why nothing can be committed, nil if something can. Each Commit tries
// again.
func (s *Store) Frozen() error { return s.frozen }

// load reads the journal. There may be none.
func (s *Store) load(replay func([]byte) error) error {
	f, err := os.Open(s.path())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if s.read, err = f.Stat(); err != nil {
		return err
	}
	var kept [][]byte
	s.found, err = scan(f, func(payload []byte) error {
		if err := replay(payload); err != nil {
			return err
		}
		kept = append(kept, payload)
		return nil
	})
	if s.found.damaged > 0 {
		s.kept = kept
	}
	return err
}

// Commit makes payload durable and then calls apply; it returns when both are
// done. If the one or the other fails neither has happened: the file is what it was. One that
// was taken away, replaced or cut since is written anew first, and what has its place kept.
func (s *Store) Commit(payload []byte, apply func() error) error {
	if len(payload) > MaxRecord {
		return fmt.Errorf("a change of %d bytes is too large to be kept, at most %d", len(payload), MaxRecord)
	}
	if s.frozen != nil && s.thaw() != nil {
		return s.frozen
	}
	if err := errors.Join(s.mend(), s.stay()); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	record := frame(payload)
	s.torn = true // until it is known to be whole
	_, err := s.journal.WriteAt(record, s.size)
	if err == nil {
		err = s.journal.Sync()
	}
	if err != nil {
		if e := (*fs.PathError)(nil); errors.As(err, &e) {
			e.Path = s.path() // not the name that it was made under
		}
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
func (s *Store) Due() bool { return s.frozen == nil && s.size > max(2*s.base, compactFloor) }

// Each hands every payload that was committed to f, which may keep it, until f fails.
func (s *Store) Each(f func(payload []byte) error) (err error) {
	found, failed := scan(io.NewSectionReader(s.journal, 0, s.size), func(payload []byte) error {
		if err == nil {
			err = f(payload)
		}
		return err
	})
	if err == nil && failed == nil && found.damaged > 0 {
		failed = errors.New(found.why)
	}
	if err == nil && failed == nil && found.good < s.size {
		failed = fmt.Errorf("it ends after %d bytes of %d", found.good, s.size)
	}
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	return nil
}

// Compact writes the journal anew, and shorter. After an error the old one goes on.
func (s *Store) Compact() error {
	if err := errors.Join(s.mend(), s.stay()); err != nil { // it may not be ours what is written over
		return fmt.Errorf("compact journal: %w", err)
	}
	if err := s.renew(""); err != nil {
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
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}
