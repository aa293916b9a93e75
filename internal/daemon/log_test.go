package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/ipalias/ipalias/capture"
)

// Whatever happens each second is told when it begins and then once a minute, and
// nothing is left out.
func TestSummary(t *testing.T) {
	log, text := logger()
	s := summary{log: log}
	now := time.Unix(1_000_000, 0)
	var dropped uint64
	second := func(drops uint64) {
		dropped += drops
		now = now.Add(time.Second)
		s.report(now, capture.Stats{Dropped: dropped}, 0)
	}
	told := func(want ...string) {
		t.Helper()
		lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
		text.Reset()
		if len(want) == 0 && lines[0] == "" {
			return
		}
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d: %q", len(lines), len(want), lines)
		}
		for i, line := range lines {
			if !strings.HasSuffix(line, want[i]) || !strings.Contains(line, "the ring was full") {
				t.Errorf("%q, want %q", line, want[i])
			}
		}
	}
	dropped = 7 // before the daemon looked for the first time: told elsewhere
	second(0)
	for range 100 {
		second(0)
	}
	told()
	second(3)
	told("frames=3 seconds=1")
	for range 59 {
		second(2)
	}
	told()
	second(2)
	told("frames=120 seconds=60")
	second(5) // the last for now
	for range 58 {
		second(0)
	}
	told()
	second(0)
	told("frames=5 seconds=60")
	for range 1000 {
		second(0)
	}
	told()
	second(1)
	told("frames=1 seconds=1")
}

// Each kind has its own minute.
func TestSummaryOfEach(t *testing.T) {
	log, text := logger()
	s := summary{log: log}
	now := time.Unix(1_000_000, 0)
	s.report(now, capture.Stats{}, 0)
	s.report(now.Add(1*time.Second), capture.Stats{Dropped: 1}, 0)
	s.report(now.Add(2*time.Second), capture.Stats{Dropped: 2, SendErr: 3}, 4)
	for _, want := range []string{"dropped, the ring was full", "could not be sent", "claim aliases", "frames=1 ", "frames=3 ", "frames=4 "} {
		if strings.Count(text.String(), want) != 1 {
			t.Errorf("want %q once in\n%s", want, text)
		}
	}
}
