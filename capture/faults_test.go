package capture

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"
	"time"
)

// seen is a Handler that notes what comes through, and answers in place so that
// shared buffers would show.
type seen struct {
	lines  []string
	frames [][]byte
	room   int // bytes that could be reached behind the frames
}

func (s *seen) Handle(b *Batch) {
	for i, f := range b.Frames {
		s.lines = append(s.lines, fmt.Sprintf("%d %d %x", b.Time, b.Flags[i], f))
		s.frames = append(s.frames, slices.Clone(f))
		s.room += cap(f) - len(f)
		clear(f)
		b.Out = append(b.Out, f)
	}
}

// faulty sends n different frames through Faults.
func faulty(t *testing.T, c FaultConfig, n, batch int) *seen {
	t.Helper()
	m := &Memory{Batch: batch, Time: 1000, Step: int64(batch) * 10}
	for i := range n {
		m.Frames = append(m.Frames, testFrame(60, byte(i)))
		m.Flags = append(m.Flags, uint8(i&1))
	}
	s := &seen{}
	f, err := NewFaults(s, c)
	if err != nil {
		t.Fatal(err)
	}
	m.Run(context.Background(), f)
	return s
}

func TestFaultsNone(t *testing.T) {
	s := faulty(t, FaultConfig{Seed: 1}, 100, 7)
	for i, f := range s.frames {
		if !bytes.Equal(f, testFrame(60, byte(i))) {
			t.Errorf("frame %d has changed", i)
		}
	}
	if len(s.frames) != 100 {
		t.Errorf("got %d frames, want 100", len(s.frames))
	}
}

func TestFaultsRepeat(t *testing.T) {
	all := FaultConfig{Seed: 7, Drop: 0.1, Flip: 0.2, Truncate: 0.2, Duplicate: 0.2, Delay: 0.2, MaxDelay: 500}
	first, again := faulty(t, all, 200, 1), faulty(t, all, 200, 1)
	if !slices.Equal(first.lines, again.lines) {
		t.Error("the same seed did different things")
	}
	other := all
	other.Seed++
	if slices.Equal(first.lines, faulty(t, other, 200, 1).lines) {
		t.Error("another seed did the same things")
	}
	// Time goes with the batch, so that delay differs; what happens to which frame must not.
	all.Delay = 0
	if a, b := faulty(t, all, 200, 1), faulty(t, all, 200, 16); !slices.EqualFunc(a.frames, b.frames, bytes.Equal) {
		t.Error("other batches, other faults")
	}
}

func TestFaultsEach(t *testing.T) {
	const n = 400
	t.Run("drop", func(t *testing.T) {
		if got := len(faulty(t, FaultConfig{Drop: 1}, n, 8).frames); got != 0 {
			t.Errorf("%d frames came through", got)
		}
		if got := len(faulty(t, FaultConfig{Drop: 0.5}, n, 8).frames); got < n/3 || got > n*2/3 {
			t.Errorf("%d of %d came through, want about half", got, n)
		}
	})
	t.Run("flip", func(t *testing.T) {
		for i, f := range faulty(t, FaultConfig{Flip: 1}, n, 8).frames {
			differ := 0
			for j, b := range testFrame(60, byte(i)) {
				differ += bits.OnesCount8(b ^ f[j])
			}
			if differ != 1 {
				t.Errorf("frame %d differs in %d bits, want 1", i, differ)
			}
		}
	})
	t.Run("truncate", func(t *testing.T) {
		s := faulty(t, FaultConfig{Truncate: 1}, n, 8)
		if s.room > 0 {
			t.Error("what was cut off can still be reached")
		}
		for i, f := range s.frames {
			if len(f) >= 60 || !bytes.HasPrefix(testFrame(60, byte(i)), f) {
				t.Errorf("frame %d is not the beginning of what was sent", i)
			}
		}
	})
	t.Run("duplicate", func(t *testing.T) {
		s := faulty(t, FaultConfig{Duplicate: 1}, n, 8)
		if len(s.frames) != 2*n {
			t.Fatalf("got %d frames, want %d", len(s.frames), 2*n)
		}
		for i, f := range s.frames {
			if !bytes.Equal(f, testFrame(60, byte(i/2))) {
				t.Errorf("frame %d is not the copy it should be", i)
			}
		}
	})
	t.Run("delay", func(t *testing.T) {
		s := faulty(t, FaultConfig{Delay: 0.5, Duplicate: 0.1, MaxDelay: 200}, n, 1)
		again := faulty(t, FaultConfig{Duplicate: 0.1}, n, 1)
		if len(s.lines) != len(again.lines) || slices.EqualFunc(s.frames, again.frames, bytes.Equal) {
			t.Fatalf("got %d frames, want the %d sent, in another order", len(s.lines), len(again.lines))
		}
		for i, f := range s.frames {
			var at int64
			fmt.Sscan(s.lines[i], &at)
			// Frame number k of 256 was sent at 1000+10k; the mark is k modulo 256.
			late := (at - 1000 - 10*int64(f[14])) % 2560
			if late < 0 || late > 200+9 {
				t.Errorf("frame %d came %d ns late, want at most 200 and the time to the next batch", i, late)
			}
		}
		if !slices.IsSortedFunc(s.lines, func(a, b string) int {
			var x, y int64
			fmt.Sscan(a, &x)
			fmt.Sscan(b, &y)
			return int(x - y)
		}) {
			t.Error("time ran backwards")
		}
	})
}

// TestFaultsDelayWakes shows the wish of both for a timer: the earlier one counts.
func TestFaultsDelayWakes(t *testing.T) {
	inner := int64(0)
	f, err := NewFaults(handlerFunc(func(b *Batch) { b.Wake = inner }), FaultConfig{Delay: 1, MaxDelay: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ inner, want int64 }{{0, 101}, {500, 101}, {50, 50}} {
		inner = tt.inner
		f.held = nil
		b := &Batch{Time: 100, Frames: [][]byte{testFrame(60, 1)}, Flags: []uint8{1}}
		f.Handle(b)
		if b.Wake != tt.want || len(b.Frames) != 1 {
			t.Errorf("wake with %d inside: got %d, want %d", tt.inner, b.Wake, tt.want)
		}
	}
}

func TestFaultsHoldIsBounded(t *testing.T) {
	s := &seen{}
	f, err := NewFaults(s, FaultConfig{Delay: 1, MaxDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for range maxHeld + 10 {
		f.Handle(&Batch{Time: 1, Frames: [][]byte{{1}}, Flags: []uint8{0}})
	}
	if len(s.frames) != 10 || len(f.held) != maxHeld {
		t.Errorf("%d came through and %d are held, want 10 and %d", len(s.frames), len(f.held), maxHeld)
	}
}

func TestFaultsRefuse(t *testing.T) {
	for want, c := range map[string]FaultConfig{
		"configure faults: probability of drop is 1.5, expected 0 to 1":      {Drop: 1.5},
		"configure faults: probability of flip is -1, expected 0 to 1":       {Flip: -1},
		"configure faults: probability of duplicate is NaN, expected 0 to 1": {Duplicate: math.NaN()},
		"configure faults: longest delay is 0s, expected more than 0":        {Delay: 0.1},
		"configure faults: longest delay is -1ns, expected more than 0":      {MaxDelay: -1},
		"configure faults: probability of truncate is +Inf, expected 0 to 1": {Truncate: math.Inf(1)},
		"configure faults: probability of delay is 1.0001, expected 0 to 1":  {Delay: 1.0001, MaxDelay: 1},
	} {
		if _, err := NewFaults(inPlace, c); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
