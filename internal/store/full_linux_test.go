package store

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// full is set in the process that writes against a limit: the limit is one of
// a whole process, and stays.
const full = "STORE_TEST_FULL"

// With RLIMIT_FSIZE a write beyond it is cut short and then fails, as on a full
// disk; truncating goes on working, as there.
func TestFullDisk(t *testing.T) {
	if os.Getenv(full) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), full+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	commit(t, s, three[0])
	before := s.size

	limit := unix.Rlimit{Cur: uint64(before) + 20, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	applied := false
	for range 2 { // nor does it work at the second attempt
		err := s.Commit([]byte(strings.Repeat("x", 1000)), func() error { applied = true; return nil })
		if !errors.Is(err, syscall.EFBIG) || applied || !strings.Contains(err.Error(), s.path()+":") {
			t.Errorf("error %v, applied %v; want %v of %s and not applied", err, applied, syscall.EFBIG, s.path())
		}
		if info, err := os.Stat(s.path()); err != nil || info.Size() != before {
			t.Errorf("the journal has %d bytes, want %d (%v)", info.Size(), before, err)
		}
	}
	// A compaction that finds no room leaves the journal alone.
	s.whole = only(strings.Repeat("x", 1000))
	if err := s.Compact(); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("compact: %v, want %v", err, syscall.EFBIG)
	}
	limit.Cur = unix.RLIM_INFINITY
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	commit(t, s, three[1]) // there is room again
	s.Close()
	if got, log := reopened(t, dir); !slices.Equal(got, three[:2]) || log != "" {
		t.Errorf("found %q, want %q; logged %q", got, three[:2], log)
	}
}
