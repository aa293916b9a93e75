package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// thaw makes the store ready for a Commit: it takes the lock if Open could not, puts in
// order what Open found in the journal, and opens it for writing. After an error the
// store is frozen, and nothing is lost: the journal is what it was.
func (s *Store) thaw() error {
	s.frozen = s.prepare()
	if s.frozen != nil {
		s.frozen = fmt.Errorf("prepare journal: %w", s.frozen)
	}
	return s.frozen
}

func (s *Store) prepare() (err error) {
	if s.journal != nil {
		return nil
	}
	if s.lock == nil {
		if s.lock, err = acquire(filepath.Join(s.dir, lockName)); err != nil {
			return err
		}
	}
	if err := s.unchanged(); err != nil {
		return err
	}
	os.Remove(s.path() + ".new") // of a compaction that did not finish
	switch found := &s.found; {
	case s.read == nil:
		return s.rewrite(func(func([]byte) bool) {})
	case found.damaged > 0:
		return s.setAside()
	case found.tail > 0, found.good == 0:
		if err := s.keepTail(); err != nil {
			return err
		}
		if found.good == 0 { // not even the magic is complete
			return s.rewrite(func(func([]byte) bool) {})
		}
	}
	f, err := os.OpenFile(s.path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	s.journal, s.size, s.base, s.torn = f, s.found.good, s.found.good, s.found.tail > 0
	return s.mend()
}

// unchanged tells whether the journal is what Open read. While it could not be locked
// somebody else may have written to it, or put another one in its place.
func (s *Store) unchanged() error {
	now, err := os.Stat(s.path())
	switch {
	case s.read == nil && errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && s.read != nil && os.SameFile(now, s.read) && now.Size() == s.read.Size() && now.ModTime().Equal(s.read.ModTime()):
		return nil
	case err == nil:
		err = fmt.Errorf("%s is not what was read at the start: the daemon has to be started again", s.path())
	}
	return err
}

// aside names what is kept of a journal that is not in order.
func (s *Store) aside(what string) string {
	return s.path() + "." + what + "-" + time.Now().UTC().Format("20060102T150405.000000000Z")
}

// keepTail copies what lies behind the last whole record to a file of its own. Most
// likely nobody was promised that change; but where the file was cut later, by whatever
// did it, it is all that is left of one that somebody was.
func (s *Store) keepTail() error {
	if s.tailKept {
		return nil // one copy is enough, however often the rest fails
	}
	name := ""
	if s.found.tail > 0 {
		name = s.aside("cut")
		if err := s.copyTail(name); err != nil {
			return fmt.Errorf("keep the unfinished end of the journal: %w", err)
		}
	}
	s.tailKept = true
	s.damage = s.describe(name)
	s.log.Warn(s.damage)
	return nil
}

func (s *Store) copyTail(name string) error {
	from, err := os.Open(s.path())
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(from, s.found.good, s.found.tail))
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err == nil {
		err = syncDir(s.dir)
	}
	if err != nil {
		os.Remove(name)
	}
	return err
}

// setAside keeps the damaged journal under another name, and what was readable
// in it as the journal.
func (s *Store) setAside() error {
	name := s.aside("damaged")
	err := s.replace(name, slices.Values(s.kept))
	if s.journal == nil {
		return err
	}
	// The new one has its place, even if err says that nobody knows whether a power cut would
	// leave it there.
	s.damage = s.describe(name)
	s.kept = nil
	s.log.Error("run-time changes may be missing: " + s.damage)
	return err
}

// replace has a new journal that holds payloads take the place of what has its name. That
// is kept under the name aside; "" is for what need not be.
func (s *Store) replace(aside string, payloads iter.Seq[[]byte]) error {
	if aside == "" {
		return s.rewrite(payloads)
	}
	// A link first: at no time is there no file under the name of the journal.
	if err := os.Link(s.path(), aside); err != nil {
		return fmt.Errorf("set aside what is there: %w", err)
	}
	before := s.journal
	err := s.rewrite(payloads)
	if s.journal == before {
		os.Remove(aside) // it is there under its own name
	}
	return err
}

// describe tells what is wrong with the journal that was read, and where it was put: ""
// while it could not be put anywhere.
func (s *Store) describe(name string) string {
	put := "is to be set aside"
	if name != "" {
		put = "was set aside as " + name
	}
	switch found := &s.found; {
	case found.damaged > 0:
		return fmt.Sprintf("the journal was damaged from byte %d on (%s); it %s, %d changes of it could be read", found.damagedAt, found.why, put, found.whole)
	case found.tail > 0:
		return fmt.Sprintf("the journal ended in an unfinished change: what a crash interrupted before it was confirmed, or the file was cut; the last %d bytes are dropped, a copy %s", found.tail, put)
	case s.read != nil && found.good == 0:
		return "the journal was an empty file: what was in it is lost"
	}
	return ""
}
