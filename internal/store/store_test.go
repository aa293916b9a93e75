package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// open opens a store and gives the payloads in it and what was logged. What it is to begin a
// new journal with is what is in the old one.
func open(t *testing.T, dir string) (s *Store, payloads []string, log string) {
	t.Helper()
	var text bytes.Buffer
	s, err := Open(dir, slog.New(slog.NewTextHandler(&text, nil)), func(p []byte) error {
		payloads = append(payloads, string(p))
		return nil
	}, func() (iter.Seq[[]byte], error) {
		var all [][]byte
		err := s.Each(func(p []byte) error { all = append(all, p); return nil })
		return slices.Values(all), err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, payloads, text.String()
}

func commit(t *testing.T, s *Store, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := s.Commit([]byte(p), func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

// only has a new journal begin with given payloads.
func only(payloads ...string) func() (iter.Seq[[]byte], error) {
	return func() (iter.Seq[[]byte], error) {
		return func(yield func([]byte) bool) {
			for _, p := range payloads {
				if !yield([]byte(p)) {
					return
				}
			}
		}, nil
	}
}

// reopened gives what a store in dir holds now.
func reopened(t *testing.T, dir string) ([]string, string) {
	t.Helper()
	s, payloads, log := open(t, dir)
	s.Close()
	return payloads, log
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

var three = []string{`{"add":"172.16.3.10"}`, `{"add":"172.16.3.100"}`, `{"remove":"172.16.3.10"}`}

// written is the text of a journal with three records, and where each of them ends.
func written(t *testing.T) (text []byte, ends []int) {
	t.Helper()
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	ends = []int{int(s.size)}
	for _, p := range three {
		commit(t, s, p)
		ends = append(ends, int(s.size))
	}
	s.Close()
	text, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	return text, ends
}

func TestWhatIsCommittedIsThereAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b") // made on the way
	s, got, _ := open(t, dir)
	if len(got) != 0 {
		t.Errorf("a new store holds %q", got)
	}
	commit(t, s, three[:2]...)
	s.Close()
	s, got, log := open(t, dir)
	if !slices.Equal(got, three[:2]) || log != "" {
		t.Errorf("found %q, want %q; logged %q", got, three[:2], log)
	}
	commit(t, s, three[2])
	s.Close()
	if got, _ := reopened(t, dir); !slices.Equal(got, three) {
		t.Errorf("found %q, want %q", got, three)
	}
	if got, want := names(t, dir), []string{journalName, lockName}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// kill -9 and a power cut leave a beginning of what was written, of any length.
func TestCutAtEveryByte(t *testing.T) {
	text, ends := written(t)
	for cut := range text {
		for _, zeros := range []int{0, 30} { // that a file system filled the rest with
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, journalName), append(text[:cut:cut], make([]byte, zeros)...), 0o600); err != nil {
				t.Fatal(err)
			}
			whole := 0
			for whole+1 < len(ends) && ends[whole+1] <= cut {
				whole++
			}
			s, got, log := open(t, dir)
			if zeros > 0 && cut != ends[whole] {
				// Zeros inside of a record may look like damage: then it is said, and the file kept.
				if !slices.Equal(got, three[:whole]) || log == "" {
					t.Fatalf("cut at %d and filled: found %q, want the first %d; logged %q", cut, got, whole, log)
				}
				s.Close()
				continue
			}
			if !slices.Equal(got, three[:whole]) {
				t.Fatalf("cut at %d: found %q, want the first %d", cut, got, whole)
			}
			end := ends[whole] // of what is in order
			if cut < len(magic) {
				end = 0
			}
			inside := cut != end || zeros > 0 || cut == 0
			if s.Damage() != "" != inside || strings.Contains(log, "level=WARN") != inside || !strings.Contains(log, s.Damage()) {
				t.Errorf("cut at %d: damage %q, logged %q", cut, s.Damage(), log)
			}
			// What was cut in two is kept beside the journal, which then goes on without it.
			tail := append(text[end:cut:cut], make([]byte, zeros)...)
			switch kept, err := filepath.Glob(filepath.Join(dir, journalName+".cut-*")); {
			case err != nil || len(kept) != min(len(tail), 1):
				t.Fatalf("cut at %d: copies %q of %d bytes, %v", cut, kept, len(tail), err)
			case len(kept) == 1:
				if got, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(got, tail) || !strings.Contains(s.Damage(), kept[0]) {
					t.Errorf("cut at %d: a copy of %q, want %q (%v); %s", cut, got, tail, err, s.Damage())
				}
			}
			commit(t, s, "next")
			s.Close()
			if got, log := reopened(t, dir); !slices.Equal(got, append(three[:whole:whole], "next")) || log != "" {
				t.Fatalf("cut at %d and continued: found %q, logged %q", cut, got, log)
			}
		}
	}
}

func TestFlipEveryByte(t *testing.T) {
	text, ends := written(t)
	for at := range text {
		dir := t.TempDir()
		damaged := bytes.Clone(text)
		damaged[at] ^= 0x10
		if err := os.WriteFile(filepath.Join(dir, journalName), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, got, log := open(t, dir)
		if !strings.Contains(log, "level=ERROR") || s.Damage() == "" {
			t.Fatalf("byte %d: no error in the log: %q", at, log)
		}
		// The record that was hit is missing; those behind it only if its header was.
		hit := 0
		for hit < len(three) && ends[hit+1] <= at {
			hit++
		}
		var want []string
		switch {
		case at < len(magic):
			want = three
		case at-ends[hit] < 8:
			want = three[:hit]
		default:
			want = append(slices.Clone(three[:hit]), three[hit+1:]...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("byte %d: found %q, want %q", at, got, want)
		}
		s.Close()
		asides, err := filepath.Glob(filepath.Join(dir, journalName+".damaged-*"))
		if err != nil || len(asides) != 1 {
			t.Fatalf("byte %d: set aside %q, want one file", at, asides)
		}
		if aside, err := os.ReadFile(asides[0]); err != nil || !bytes.Equal(aside, damaged) {
			t.Errorf("byte %d: the file that was set aside is not the damaged one (%v)", at, err)
		}
		if got, log := reopened(t, dir); !slices.Equal(got, want) || log != "" {
			t.Errorf("byte %d: at the next start %q, logged %q", at, got, log)
		}
	}
}

// A payload that its reader refuses is damage as well.
func TestRefusedPayload(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	commit(t, s, three...)
	s.Close()
	s, err := Open(dir, slog.New(slog.DiscardHandler), func(p []byte) error {
		if string(p) == three[1] {
			return errors.New("no address")
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.Damage(), "no address") {
		t.Errorf("damage %q", s.Damage())
	}
	s.Close()
	if got, _ := reopened(t, dir); !slices.Equal(got, []string{three[0], three[2]}) {
		t.Errorf("found %q", got)
	}
}

// What cannot be applied is not kept.
func TestApplyFails(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	commit(t, s, three[0])
	before := s.size
	refusal := errors.New("refused")
	if err := s.Commit([]byte(three[1]), func() error { return refusal }); !errors.Is(err, refusal) {
		t.Errorf("error %v, want %v", err, refusal)
	}
	if info, err := os.Stat(s.path()); err != nil || info.Size() != before {
		t.Errorf("the journal has %d bytes, want %d (%v)", info.Size(), before, err)
	}
	commit(t, s, three[2])
	s.Close()
	if got, _ := reopened(t, dir); !slices.Equal(got, []string{three[0], three[2]}) {
		t.Errorf("found %q", got)
	}
}

func TestCompact(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	for n := 0; !s.Due(); n++ {
		commit(t, s, fmt.Sprintf(`{"add":"label %d"}`, n))
		if n > 10_000 {
			t.Fatal("never worth compacting")
		}
	}
	s.whole = only("all of it")
	if err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	if s.Due() {
		t.Error("due again at once")
	}
	commit(t, s, "and one more")
	s.Close()
	if got, _ := reopened(t, dir); !slices.Equal(got, []string{"all of it", "and one more"}) {
		t.Errorf("found %q", got)
	}
	// A compaction that was killed leaves a file that nobody asked for.
	if err := os.WriteFile(filepath.Join(dir, journalName+".new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	reopened(t, dir)
	if got, want := names(t, dir), []string{journalName, lockName}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	_, err := Open(dir, slog.New(slog.DiscardHandler), nil, nil)
	if !errors.Is(err, ErrLocked) || errors.Is(err, ErrNoPlace) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("error %v, want one that names this process", err)
	}
	s.Close()
	reopened(t, dir)
}

func TestNoPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "dir"), slog.New(slog.DiscardHandler), nil, nil); !errors.Is(err, ErrNoPlace) {
		t.Errorf("error %v, want %v", err, ErrNoPlace)
	}
	// A journal that is there but can't be opened is another matter.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, journalName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, slog.New(slog.DiscardHandler), nil, nil); err == nil || errors.Is(err, ErrNoPlace) {
		t.Errorf("error %v, want one about the journal", err)
	}
}

// Each gives what was committed, and nothing of what was not.
func TestEach(t *testing.T) {
	s, _, _ := open(t, t.TempDir())
	commit(t, s, three...)
	s.Commit([]byte("refused"), func() error { return errors.New("no") })
	var got []string
	if err := s.Each(func(p []byte) error { got = append(got, string(p)); return nil }); err != nil || !slices.Equal(got, three) {
		t.Errorf("found %q, want %q; %v", got, three, err)
	}
	refusal := errors.New("no")
	if err := s.Each(func(p []byte) error { return refusal }); !errors.Is(err, refusal) {
		t.Errorf("error %v, want %v", err, refusal)
	}
}
