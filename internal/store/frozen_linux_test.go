package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ipalias/ipalias/internal/netlab"
	"golang.org/x/sys/unix"
)

// readOnly mounts a file system of its own for a test, a small one, and gives its
// directory and what makes it read-only and back.
func readOnly(t *testing.T) (dir string, set func(on bool)) {
	t.Helper()
	netlab.Need(t)
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir, func(on bool) {
		t.Helper()
		flags := uintptr(unix.MS_REMOUNT)
		if on {
			flags |= unix.MS_RDONLY
		}
		if err := unix.Mount("", dir, "", flags, "size=64k"); err != nil {
			t.Fatal(err)
		}
	}
}

// A journal on a file system that can't be written to holds all the same; nothing is
// added until it can be.
func TestReadOnly(t *testing.T) {
	text, ends := written(t)
	for name, tc := range map[string]struct {
		journal []byte
		want    []string
		damage  string // "": none
		kept    string // the name of what is set aside at last
	}{
		"whole":   {text, three, "", ""},
		"cut":     {text[:ends[2]-5], three[:1], "unfinished change", ".cut-"},
		"damaged": {bytes.Replace(bytes.Clone(text), []byte("3.100"), []byte("3.101"), 1), []string{three[0], three[2]}, "a record's checksum is wrong", ".damaged-"},
	} {
		t.Run(name, func(t *testing.T) {
			mount, set := readOnly(t)
			dir := filepath.Join(mount, "state")
			s, _, _ := open(t, dir)
			s.Close()
			if err := os.WriteFile(filepath.Join(dir, journalName), tc.journal, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, lock := range []bool{true, false} {
				if !lock {
					os.Remove(filepath.Join(dir, lockName))
				}
				set(true)
				s, got, log := open(t, dir)
				if !slices.Equal(got, tc.want) || !errors.Is(s.Frozen(), syscall.EROFS) || !strings.Contains(log, "refused until they can be kept") {
					t.Errorf("found %q, want %q; frozen: %v; logged %q", got, tc.want, s.Frozen(), log)
				}
				if !strings.Contains(s.Damage(), tc.damage) || (s.Damage() == "") != (tc.damage == "") {
					t.Errorf("damage %q, want %q", s.Damage(), tc.damage)
				}
				applied := false
				if err := s.Commit([]byte("x"), func() error { applied = true; return nil }); !errors.Is(err, syscall.EROFS) || applied {
					t.Errorf("commit: %v, applied %v", err, applied)
				}
				if s.Due() {
					t.Error("to be compacted")
				}
				set(false)
				if lock {
					s.Close()
					continue
				}
				commit(t, s, "next")
				if s.Frozen() != nil || !strings.Contains(s.Damage(), tc.kept) {
					t.Errorf("frozen: %v, damage %q", s.Frozen(), s.Damage())
				}
				s.Close()
			}
			if got, log := reopened(t, dir); !slices.Equal(got, append(slices.Clone(tc.want), "next")) || log != "" {
				t.Errorf("at last: found %q, logged %q", got, log)
			}
		})
	}
}

// Where a journal came, or became another one, while it could not be locked, it is not written over.
func TestChangedWhileFrozen(t *testing.T) {
	text, ends := written(t)
	mount, set := readOnly(t)
	dir := filepath.Join(mount, "state")
	s, _, _ := open(t, dir)
	s.Close()
	for _, before := range [][]byte{nil, text[:ends[1]]} {
		os.Remove(filepath.Join(dir, journalName))
		if before != nil {
			if err := os.WriteFile(filepath.Join(dir, journalName), before, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		set(true)
		s, _, _ := open(t, dir)
		set(false)
		if err := os.WriteFile(filepath.Join(dir, journalName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit([]byte("x"), func() error { return nil }); err == nil || !strings.Contains(err.Error(), "not what was read at the start") {
			t.Errorf("commit: %v", err)
		}
		s.Close()
		if got, log := reopened(t, dir); !slices.Equal(got, three) || log != "" {
			t.Errorf("found %q, logged %q", got, log)
		}
	}
}

// A full disk keeps nobody from starting, whatever is to be put in order.
func TestNoRoomToPutInOrder(t *testing.T) {
	text, ends := written(t)
	for name, journal := range map[string][]byte{
		"nothing": nil,
		"empty":   {},
		"cut":     text[:ends[2]-5],
		"damaged": bytes.Replace(bytes.Clone(text), []byte("3.100"), []byte("3.101"), 1),
	} {
		mount, _ := readOnly(t)
		dir := filepath.Join(mount, "state")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if journal != nil {
			if err := os.WriteFile(filepath.Join(dir, journalName), journal, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		filler := filepath.Join(mount, "filler")
		if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
		s, got, _ := open(t, dir)
		if !errors.Is(s.Frozen(), syscall.ENOSPC) {
			t.Errorf("%s: frozen: %v", name, s.Frozen())
		}
		if err := s.Commit([]byte("x"), func() error { return nil }); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: commit: %v", name, err)
		}
		if now, _ := os.ReadFile(filepath.Join(dir, journalName)); !bytes.Equal(now, journal) {
			t.Errorf("%s: the journal is %q, want %q", name, now, journal)
		}
		os.Remove(filler)
		commit(t, s, "next")
		s.Close()
		if again, log := reopened(t, dir); !slices.Equal(again, append(got, "next")) || log != "" {
			t.Errorf("%s: found %q, logged %q", name, again, log)
		}
	}
}
