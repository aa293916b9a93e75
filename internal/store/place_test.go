package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A change that was confirmed is there at the next start, whatever became of the file
// before: one that was deleted takes writes as if nothing were.
func TestJournalTakenAway(t *testing.T) {
	for what, take := range map[string]func(dir string) error{
		"deleted":           func(dir string) error { return os.Remove(filepath.Join(dir, journalName)) },
		"moved away":        func(dir string) error { return os.Rename(filepath.Join(dir, journalName), dir+".old") },
		"directory deleted": os.RemoveAll,
		"directory moved":   func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		dir := filepath.Join(t.TempDir(), "state")
		s, _, _ := open(t, dir)
		commit(t, s, three[:2]...)
		if err := take(dir); err != nil {
			t.Fatal(err)
		}
		commit(t, s, three[2])
		if _, err := Open(dir, s.log, func([]byte) error { return nil }); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: a second store opened it: %v, want %v", what, err, ErrLocked)
		}
		s.Close()
		if got, log := reopened(t, dir); !slices.Equal(got, three) || log != "" {
			t.Errorf("%s: found %q, want %q; logged %q", what, got, three, log)
		}
	}
}

// Where it can't be written anew, or another one has its place, nothing is confirmed.
func TestJournalTakenOver(t *testing.T) {
	for what, c := range map[string]struct {
		take func(t *testing.T, dir string) error
		want string
	}{
		"another file": {func(_ *testing.T, dir string) error {
			os.Remove(filepath.Join(dir, journalName))
			return os.WriteFile(filepath.Join(dir, journalName), []byte(magic), 0o600)
		}, "another file was put in the place of"},
		"another daemon": {func(t *testing.T, dir string) error {
			os.RemoveAll(dir)
			open(t, dir)
			return os.Remove(filepath.Join(dir, journalName))
		}, "in use by process"},
		"no directory": {func(_ *testing.T, dir string) error {
			os.RemoveAll(dir)
			return os.WriteFile(dir, nil, 0o600)
		}, "not a directory"},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		s, _, _ := open(t, dir)
		commit(t, s, three[0])
		if err := c.take(t, dir); err != nil {
			t.Fatal(err)
		}
		applied := false
		err := s.Commit([]byte(three[1]), func() error { applied = true; return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) || applied {
			t.Errorf("%s: error %v, applied %v; want %q and not applied", what, err, applied, c.want)
		}
	}
}
