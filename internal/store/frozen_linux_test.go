package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
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

// However often a change is tried, one copy is kept of what was cut off.
func TestOneCopyOfTheUnfinishedEnd(t *testing.T) {
	netlab.Need(t)
	text, ends := written(t)
	dir := t.TempDir()
	journal := filepath.Join(dir, journalName)
	if err := os.WriteFile(journal, text[:ends[2]-5], 0o600); err != nil {
		t.Fatal(err)
	}
	// The directory can be written to, the journal can't.
	if err := unix.Mount(journal, journal, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	unmount := func() { unix.Unmount(journal, unix.MNT_DETACH) }
	t.Cleanup(unmount)
	if err := unix.Mount("", journal, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	s, _, _ := open(t, dir)
	for range 3 {
		if err := s.Commit([]byte("x"), func() error { return nil }); !errors.Is(err, syscall.EROFS) {
			t.Errorf("commit: %v", err)
		}
	}
	unmount()
	commit(t, s, "next")
	if copies, _ := filepath.Glob(journal + ".cut-*"); len(copies) != 1 || !strings.Contains(s.Damage(), copies[0]) {
		t.Errorf("copies %q, damage %q", copies, s.Damage())
	}
}

// What was damaged is not lost where a new journal has its place already and only the
// directory can't be made to last.
func TestDamagedIsKeptWhateverTheDirectory(t *testing.T) {
	netlab.Need(t)
	text, _ := written(t)
	dir := t.TempDir()
	damaged := bytes.Replace(text, []byte("3.100"), []byte("3.101"), 1)
	const nobody = 65534
	journal := filepath.Join(dir, journalName)
	if err := errors.Join(os.WriteFile(journal, damaged, 0o600), os.Chown(journal, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	// Files can be made in it, but it can't be opened, which syncing it takes.
	if err := errors.Join(os.Chown(dir, nobody, nobody), os.Chmod(dir, 0o300), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := errors.Join(unix.Setfsgid(nobody), unix.Setfsuid(nobody)); err != nil {
		t.Fatal(err)
	}
	s, got, log := open(t, dir)
	if want := []string{three[0], three[2]}; !slices.Equal(got, want) || s.Frozen() == nil {
		t.Errorf("found %q, want %q; frozen: %v; logged %q", got, want, s.Frozen(), log)
	}
	commit(t, s, "next")
	if err := unix.Setfsuid(0); err != nil {
		t.Fatal(err)
	}
	aside, _ := filepath.Glob(journal + ".damaged-*")
	if len(aside) != 1 || !strings.Contains(s.Damage(), aside[0]) {
		t.Fatalf("set aside %q, damage %q", aside, s.Damage())
	}
	if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, damaged) {
		t.Errorf("%q, %v", kept, err)
	}
}
