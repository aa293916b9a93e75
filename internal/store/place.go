package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// stay makes sure that the journal still is the file of its name, as long as it was left,
// and the lock that of its. A file that was deleted or moved away takes every write and every
// fsync, and the next start finds nothing; one that was cut gets a hole that no reader passes.
// So what is missing is written anew, before a change is confirmed that would go with it.
//
// A file that was written over in place, to the very same length, is not noticed: that would
// take reading it at each change.
func (s *Store) stay() error {
	if err := s.hold(); err != nil {
		return err
	}
	now, err := os.Stat(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.renew(""); err != nil {
			return err
		}
		s.log.Warn("the journal was deleted or moved away, and was written anew", "file", s.path())
		return nil
	}
	if err != nil {
		return err
	}
	was, err := s.journal.Stat()
	if err != nil {
		return err
	}
	what, said := "", ""
	switch {
	case !os.SameFile(was, now):
		what, said = "other", "another file was put in the place of the journal, which was written anew"
	case now.Size() != s.size:
		what, said = "damaged", "the journal was cut or added to by somebody else, and was written anew"
	default:
		return nil
	}
	name := s.aside(what)
	if err := s.renew(name); err != nil {
		return fmt.Errorf("%s is not what was written to it, and can't be written anew: %w", s.path(), err)
	}
	s.log.Warn(said, "file", s.path(), "found", name)
	return nil
}

// hold makes sure that the lock is the one that the next daemon would ask for. Its directory may
// be gone as well.
func (s *Store) hold() error {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	name := filepath.Join(s.dir, lockName)
	now, err := os.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		was, err := s.lock.Stat()
		if err != nil || os.SameFile(was, now) {
			return err
		}
	}
	lock, err := acquire(name) // somebody may have begun a store there meanwhile
	if err != nil {
		return err
	}
	s.lock.Close()
	s.lock = lock
	return nil
}

// renew writes everything to a new journal. What has its name now is kept under the name
// that is given, "" if there is nothing.
func (s *Store) renew(aside string) error {
	payloads, err := s.whole()
	if err != nil {
		return err
	}
	return s.replace(aside, payloads)
}
