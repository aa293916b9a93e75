package store

import (
	"bytes"
	"errors"
	"log/slog"
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
		if _, err := Open(dir, s.log, func([]byte) error { return nil }, nil); !errors.Is(err, ErrLocked) {
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
		"a directory": {func(_ *testing.T, dir string) error {
			os.Remove(filepath.Join(dir, journalName))
			return os.Mkdir(filepath.Join(dir, journalName), 0o700)
		}, "can't be written anew"},
		"no lock, another daemon": {func(t *testing.T, dir string) error {
			os.Remove(filepath.Join(dir, lockName))
			open(t, dir)
			return nil
		}, "in use by process"},
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

// What others put in its place, or made of it, is kept, and what was committed, too.
func TestJournalReplaced(t *testing.T) {
	for what, c := range map[string]struct {
		do   func(journal string) error
		kept string
	}{
		"another file": {func(journal string) error {
			return errors.Join(os.WriteFile(journal+"~", []byte(magic), 0o600), os.Rename(journal+"~", journal))
		}, ".other-"},
		"another directory": {func(journal string) error {
			dir := filepath.Dir(journal)
			return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700), os.WriteFile(journal, []byte("what?"), 0o600))
		}, ".other-"},
		"emptied":  {func(journal string) error { return os.Truncate(journal, 0) }, ".damaged-"},
		"cut":      {func(journal string) error { return os.Truncate(journal, int64(len(magic)+20)) }, ".damaged-"},
		"added to": {func(journal string) error { return os.Truncate(journal, 1000) }, ".damaged-"},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		s, _, _ := open(t, dir)
		commit(t, s, three[:2]...)
		s.whole = only(three[:2]...)
		journal := filepath.Join(dir, journalName)
		if err := c.do(journal); err != nil {
			t.Fatal(err)
		}
		found, err := os.ReadFile(journal)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		s.log = slog.New(slog.NewTextHandler(&text, nil))
		commit(t, s, three[2], "fourth")
		aside, _ := filepath.Glob(journal + c.kept + "*")
		if len(aside) != 1 || strings.Count(text.String(), "written anew") != 1 || !strings.Contains(text.String(), aside[0]) {
			t.Fatalf("%s: set aside %q; logged %q", what, aside, text.String())
		}
		if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, found) {
			t.Errorf("%s: kept %q, %v; want %q", what, kept, err, found)
		}
		s.Close()
		if got, log := reopened(t, dir); !slices.Equal(got, append(three[:3:3], "fourth")) || log != "" {
			t.Errorf("%s: found %q, logged %q", what, got, log)
		}
	}
}

// Where not all can be written anew, since only the file had it, nothing is confirmed, nor is what is left
// of the file touched.
func TestJournalCutForGood(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	commit(t, s, three...)
	journal := filepath.Join(dir, journalName)
	left := int64(len(magic) + headerSize + len(three[0]))
	if err := os.Truncate(journal, left); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit([]byte("x"), func() error { t.Error("applied"); return nil }); err == nil || !strings.Contains(err.Error(), "it ends after") {
		t.Errorf("commit: %v", err)
	}
	if info, err := os.Stat(journal); err != nil || info.Size() != left {
		t.Errorf("the journal: %v, %v; want %d bytes", info, err, left)
	}
	if got, want := names(t, dir), []string{journalName, lockName}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}
