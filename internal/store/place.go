package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// stay makes sure that the journal still is the file of its name. One that was deleted
// or moved away takes every write and every fsync, and the next start finds nothing: so
// what is missing is written anew, before a change is confirmed that would go with it.
func (s *Store) stay() error {
	same, err := sameFile(s.journal, s.path())
	switch {
	case err != nil:
		return err
	case same:
		return nil
	}
	if _, err := os.Stat(s.path()); err == nil {
		// Whose it is nobody knows: writing over it could lose another's changes.
		return fmt.Errorf("another file was put in the place of %s: the daemon has to be started again", s.path())
	}
	return s.restore()
}

// restore writes a journal that is gone from its name anew, out of the file that is still
// open. Its directory, and with that the lock, may be gone as well.
func (s *Store) restore() error {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	name := filepath.Join(s.dir, lockName)
	locked, err := sameFile(s.lock, name)
	if err == nil && !locked {
		lock, failed := acquire(name) // nobody may have begun a store there meanwhile
		if err = failed; err == nil {
			s.lock.Close()
			s.lock = lock
		}
	}
	if err != nil {
		return err
	}
	var kept [][]byte
	if err := s.Each(func(payload []byte) error {
		kept = append(kept, payload)
		return nil
	}); err != nil {
		return err
	}
	if err := s.rewrite(slices.Values(kept)); err != nil {
		return err
	}
	s.log.Warn("the journal was deleted or moved away, and was written anew", "file", s.path())
	return nil
}

// sameFile tells whether f is what has the name now; not if nothing has.
func sameFile(f *os.File, name string) (bool, error) {
	has, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	is, err := f.Stat()
	return err == nil && os.SameFile(is, has), err
}
