package capture

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
)

func TestMemoryBatches(t *testing.T) {
	frames := [][]byte{testFrame(60, 0), testFrame(0, 1), testFrame(1514, 2), testFrame(60, 3), testFrame(61, 4)}
	original := make([][]byte, len(frames))
	for i, f := range frames {
		original[i] = slices.Clone(f)
	}
	m := &Memory{Frames: frames, Flags: []uint8{0, 1, 0, 1, 1}, Batch: 2, Rounds: 2, Time: 100, Step: 10, Collect: true}
	var calls []string
	seen := 0
	h := handlerFunc(func(b *Batch) {
		calls = append(calls, fmt.Sprintf("%d:%d", b.Time, len(b.Frames)))
		for i, f := range b.Frames {
			n := seen % len(frames)
			if !bytes.Equal(f, original[n]) || b.Flags[i] != m.Flags[n] || len(f) != cap(f) {
				t.Errorf("frame %d is not the %d. one with its flags", seen, n)
			}
			clear(f) // as answering in place does
			seen++
		}
		b.Out = append(b.Out, b.Frames...)
	})
	if err := m.Run(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	if want := []string{"100:2", "110:2", "120:1", "130:2", "140:2", "150:1"}; !slices.Equal(calls, want) {
		t.Errorf("got %v, want %v", calls, want)
	}
	answers := m.Answers()
	if len(answers) != 10 || len(answers[2]) != 1514 || !bytes.Equal(answers[2], make([]byte, 1514)) {
		t.Errorf("got %d answers, want 10 of zeros", len(answers))
	}
	if got, want := m.Stats(), (Stats{Received: 10, Sent: 10}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMemoryTimers(t *testing.T) {
	m := &Memory{Frames: [][]byte{testFrame(60, 0)}, Time: 100}
	var calls []string
	m.Run(context.Background(), handlerFunc(func(b *Batch) {
		calls = append(calls, fmt.Sprintf("%d:%d", b.Time, len(b.Frames)))
		if b.Time < 120 {
			b.Wake = b.Time + 10
		} else {
			b.Wake = 120 // does not move on: must end it
		}
	}))
	if want := []string{"100:1", "110:0", "120:0"}; !slices.Equal(calls, want) {
		t.Errorf("got %v, want %v", calls, want)
	}
}

func TestMemorySend(t *testing.T) {
	m := &Memory{Collect: true}
	frame := testFrame(60, 1)
	if err := m.Send(frame); err != nil {
		t.Fatal(err)
	}
	clear(frame)
	if got := m.Answers(); len(got) != 1 || !bytes.Equal(got[0], testFrame(60, 1)) {
		t.Errorf("got %x", got)
	}
}

func TestMemoryDoesNotAllocate(t *testing.T) {
	m := &Memory{Frames: [][]byte{testFrame(60, 0), testFrame(1514, 1), testFrame(60, 2)}, Batch: 2, Rounds: 100}
	var h Handler = handlerFunc(func(b *Batch) { b.Out = append(b.Out, b.Frames...) })
	ctx := context.Background()
	if n := testing.AllocsPerRun(10, func() { m.Run(ctx, h) }); n != 0 {
		t.Errorf("a run of 300 frames allocates %v times", n)
	}
}
