package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// handlerFunc is a Handler that is one function.
type handlerFunc func(*Batch)

func (f handlerFunc) Handle(b *Batch) { f(b) }

// fileOf makes a capture of frames with the given stamps, each marked with its
// number, from 0.
func fileOf(stamps ...int64) []byte {
	var b bytes.Buffer
	w := NewPcapngWriter(&b)
	for i, s := range stamps {
		if err := w.WriteFrame(s, testFrame(60, byte(i)), ""); err != nil {
			panic(err)
		}
	}
	w.Close()
	return b.Bytes()
}

// runFile runs h over the capture in and returns what it wrote.
func runFile(t *testing.T, in []byte, h Handler) ([]Frame, Stats, error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	f := NewFile(r, NewPcapWriter(&out))
	runErr := f.Run(context.Background(), h)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	answers, err := readAll(&out)
	if err != nil {
		t.Fatal(err)
	}
	return answers, f.Stats(), runErr
}

func TestFileAnswersWithTheTimeOfTheFrame(t *testing.T) {
	// The clock of this capture goes back once.
	stamps := []int64{100, 300, 200, 400}
	var times []int64
	echo := handlerFunc(func(b *Batch) {
		times = append(times, b.Time)
		if len(b.Frames) != 1 || len(b.Flags) != 1 || len(b.Out) != 0 {
			t.Errorf("batch has %d frames, %d flags, %d answers", len(b.Frames), len(b.Flags), len(b.Out))
		}
		f := b.Frames[0]
		if len(f) != cap(f) {
			t.Errorf("frame of %d bytes has room for %d", len(f), cap(f))
		}
		f[0] = 0x42 // in place
		b.Out = append(b.Out, f, []byte("a second answer"))
	})
	answers, stats, err := runFile(t, fileOf(stamps...), echo)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int64{100, 300, 300, 400}; !slices.Equal(times, want) {
		t.Errorf("handler's times: got %v, want %v", times, want)
	}
	if len(answers) != 8 {
		t.Fatalf("got %d answers, want 8", len(answers))
	}
	for i, a := range answers {
		if a.Time != stamps[i/2] {
			t.Errorf("answer %d: got time %d, want %d", i, a.Time, stamps[i/2])
		}
	}
	if answers[2].Data[0] != 0x42 || string(answers[3].Data) != "a second answer" {
		t.Errorf("got %x, %q", answers[2].Data, answers[3].Data)
	}
	if want := (Stats{Received: 4, Sent: 8}); stats != want {
		t.Errorf("got %+v, want %+v", stats, want)
	}
}

func TestFileTimers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stamps []int64
		wake   func(call int, now int64) int64 // what the Handler asks for after its call-th call
		want   string                          // time of each call, with a star for a timer
	}{
		{"none", []int64{10, 20}, func(int, int64) int64 { return 0 }, "10 20"},
		{"between two frames", []int64{10, 20}, func(call int, now int64) int64 {
			if call == 0 {
				return 15
			}
			return 0
		}, "10 *15 20"},
		{"with a frame", []int64{10, 20}, func(call int, now int64) int64 {
			if call == 0 {
				return 20
			}
			return 0
		}, "10 *20 20"},
		{"after a frame", []int64{10, 20}, func(int, int64) int64 { return 25 }, "10 20 *25"},
		{"a frame takes it back", []int64{10, 20}, func(call int, now int64) int64 {
			if call == 0 {
				return 25
			}
			return 0
		}, "10 20"},
		{"again and again", []int64{10, 20}, func(call int, now int64) int64 {
			if now < 25 {
				return now + 4
			}
			return 0
		}, "10 *14 *18 20 *24 *28"},
		{"always now", []int64{10, 20}, func(_ int, now int64) int64 { return now }, "10 *10 20 *20"},
		{"always past", []int64{10, 20}, func(int, int64) int64 { return 5 }, "10 *10 20 *20"},
		{"negative", []int64{10, 20}, func(int, int64) int64 { return -1 }, "10 *10 20 *20"},
		{"time that stands still", []int64{10, 10, 10}, func(int, int64) int64 { return 30 }, "10 10 10 *30"},
		{"time that goes back", []int64{50, 10, 60}, func(call int, now int64) int64 {
			if call < 2 {
				return 55
			}
			return 0
		}, "50 50 *55 60"},
		{"past, and time goes back", []int64{50, 10, 60}, func(call int, now int64) int64 {
			if call == 0 {
				return 45
			}
			return 0
		}, "50 *50 50 60"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			h := handlerFunc(func(b *Batch) {
				star := ""
				if len(b.Frames) == 0 {
					star = "*"
				}
				b.Wake = tt.wake(len(calls), b.Time)
				calls = append(calls, fmt.Sprintf("%s%d", star, b.Time))
				b.Out = append(b.Out, []byte(calls[len(calls)-1]))
			})
			answers, _, err := runFile(t, fileOf(tt.stamps...), h)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(calls, " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			for _, a := range answers {
				if at := fmt.Sprintf("*%d", a.Time); a.Data[0] == '*' && string(a.Data) != at {
					t.Errorf("answer to timer %s has time %d", a.Data, a.Time)
				}
			}
		})
	}
}

// TestFileAsksForWakeAnew shows that a wish for a timer ends with the call after it:
// a Handler that sets no Wake is not woken.
func TestFileAsksForWakeAnew(t *testing.T) {
	var times []int64
	_, _, err := runFile(t, fileOf(10, 20), handlerFunc(func(b *Batch) {
		times = append(times, b.Time)
		if b.Time == 10 {
			b.Wake = 30
		}
	}))
	if want := []int64{10, 20}; err != nil || !slices.Equal(times, want) {
		t.Errorf("called at %v with error %v, want %v", times, err, want)
	}
}

func TestFileDamaged(t *testing.T) {
	good := fileOf(10, 20)
	h := handlerFunc(func(b *Batch) {
		b.Out = append(b.Out, b.Frames...)
		b.Wake = 0
		if len(b.Frames) > 0 {
			b.Wake = 30
		} else {
			b.Out = append(b.Out, []byte("timer"))
		}
	})
	answers, stats, err := runFile(t, cat(good, []byte{1, 2, 3}), h)
	var fe *FileError
	if !errors.As(err, &fe) || fe.Offset != int64(len(good)) {
		t.Errorf("got error %v, want one at byte %d", err, len(good))
	}
	if len(answers) != 3 || answers[2].Time != 30 || string(answers[2].Data) != "timer" {
		t.Errorf("got %v, want both frames and the timer", answers)
	}
	if want := (Stats{Received: 2, Sent: 3}); stats != want {
		t.Errorf("got %+v, want %+v", stats, want)
	}
}

func TestFileWithoutWriter(t *testing.T) {
	r, err := NewReader(bytes.NewReader(fileOf(10, 20)))
	if err != nil {
		t.Fatal(err)
	}
	f := NewFile(r, nil)
	if err := f.Run(context.Background(), handlerFunc(func(b *Batch) { b.Out = append(b.Out, b.Frames...) })); err != nil {
		t.Error(err)
	}
	if err := f.Send(testFrame(60, 9)); err != nil {
		t.Error(err)
	}
	if got, want := f.Stats(), (Stats{Received: 2, Sent: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileSend(t *testing.T) {
	r, err := NewReader(bytes.NewReader(fileOf(10, 20)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	f := NewFile(r, NewPcapWriter(&out))
	// Run must hold no lock while the Handler works.
	err = f.Run(context.Background(), handlerFunc(func(b *Batch) {
		if err := f.Send([]byte("announcement")); err != nil {
			t.Error(err)
		}
		f.Stats()
	}))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	got, _ := readAll(&out)
	if len(got) != 2 || got[0].Time != 10 || got[1].Time != 20 || string(got[0].Data) != "announcement" {
		t.Errorf("got %v", got)
	}
}

func TestFileWriteError(t *testing.T) {
	r, err := NewReader(bytes.NewReader(fileOf(10, 20)))
	if err != nil {
		t.Fatal(err)
	}
	f := NewFile(r, NewPcapWriter(io.Discard))
	err = f.Run(context.Background(), handlerFunc(func(b *Batch) { b.Out = append(b.Out, make([]byte, maxFrame+1)) }))
	if err == nil || !strings.HasPrefix(err.Error(), "write capture file: frame has") {
		t.Errorf("got %v", err)
	}
	if got, want := f.Stats(), (Stats{Received: 1, SendErr: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFileStopsWithItsContext(t *testing.T) {
	r, err := NewReader(bytes.NewReader(fileOf(10, 20, 30)))
	if err != nil {
		t.Fatal(err)
	}
	f := NewFile(r, nil)
	ctx, cancel := context.WithCancel(context.Background())
	// A timer that is always set anew would go on for ever.
	err = f.Run(ctx, handlerFunc(func(b *Batch) {
		b.Wake = b.Time + 1
		if b.Time == 25 {
			cancel()
		}
	}))
	if got := f.Stats().Received; err != nil || got != 2 {
		t.Errorf("got %v after %d frames, want nil after 2", err, got)
	}
}
