package capture

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inPlace answers every frame by overwriting it.
var inPlace = handlerFunc(func(b *Batch) {
	for _, f := range b.Frames {
		for i := range f {
			f[i] = ^f[i]
		}
	}
	b.Out = append(b.Out, b.Frames...)
})

func number(i int) uint8 { return uint8(i + 1) }

// all takes everything off a tape.
func all(t *Tape) (list []Recorded) {
	for {
		r, ok := t.Next()
		if !ok {
			return list
		}
		r.Data = slices.Clone(r.Data)
		list = append(list, r)
	}
}

func TestRecorder(t *testing.T) {
	m := &Memory{Frames: [][]byte{testFrame(60, 1), testFrame(61, 2), testFrame(62, 3)}, Batch: 2, Time: 1000, Step: 10, Collect: true}
	var gate Gate
	r := NewRecorder(number, &gate)
	run := func() {
		t.Helper()
		if err := m.Run(context.Background(), r.Around(inPlace)); err != nil {
			t.Fatal(err)
		}
	}
	run() // nobody records
	first, second := NewTape(0), NewTape(0)
	r.Put(first)
	run()
	r.Put(second)
	gate.Shut()
	run()
	r.Take(first)
	r.Take(first) // twice does no harm
	run()
	r.Take(second)
	run()

	answers := m.Answers()[:3]
	want := func(d Direction) []Recorded {
		return []Recorded{
			{1000, In, 1, m.Frames[0]},
			{1000, In, 2, m.Frames[1]},
			{1000, d, 0, answers[0]},
			{1000, d, 0, answers[1]},
			{1010, In, 1, m.Frames[2]},
			{1010, d, 0, answers[2]},
		}
	}
	if diff := cmp.Diff(slices.Concat(want(Out), want(Withheld)), all(first)); diff != "" {
		t.Errorf("first tape (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(slices.Concat(want(Withheld), want(Withheld)), all(second)); diff != "" {
		t.Errorf("second tape (-want +got):\n%s", diff)
	}
	if len(m.Answers()) != 15 {
		t.Errorf("%d answers, want 15: recording must not stand in the way", len(m.Answers()))
	}
}

// What is sent without a handler comes from several goroutines.
func TestRecorderOfSent(t *testing.T) {
	r := NewRecorder(nil, nil)
	r.Sent(1, testFrame(60, 1)) // nobody records
	tape := NewTape(1 << 20)
	r.Put(tape)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for i := range 100 {
				r.Sent(int64(i), testFrame(60, byte(i)))
			}
		})
	}
	senders.Wait()
	got := all(tape)
	if len(got) != 400 {
		t.Errorf("%d frames, want 400", len(got))
	}
	for _, f := range got {
		if f.Direction != Out || !bytes.Equal(f.Data, testFrame(60, byte(f.Time))) {
			t.Fatalf("got %+v", f)
		}
	}
}

// Where there is no room frames are lost and counted, and what is read is whole.
func TestTapeOverflows(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tape := NewTape(0)
	var kept [][]byte
	lost := uint64(0)
	for round := range 2000 {
		frame := testFrame(random.IntN(3000), byte(round))
		before := tape.Lost()
		tape.put(int64(round), In, round, frame)
		tape.publish()
		if tape.Lost() == before {
			kept = append(kept, frame)
		} else {
			lost++
		}
		if random.IntN(3) > 0 {
			continue
		}
		if at, ok := tape.Peek(); ok {
			got, _ := tape.Next()
			if !bytes.Equal(got.Data, kept[0]) || got.Time != at {
				t.Fatalf("round %d: got %x at %d and %d, want %x", round, got.Data, at, got.Time, kept[0])
			}
			kept = kept[1:]
		}
	}
	for _, got := range all(tape) {
		if !bytes.Equal(got.Data, kept[0]) {
			t.Fatalf("got %x, want %x", got.Data, kept[0])
		}
		kept = kept[1:]
	}
	if lost == 0 || tape.Lost() != lost || len(kept) > 0 {
		t.Errorf("%d lost, %d counted, %d never came; want some, as many, none", lost, tape.Lost(), len(kept))
	}
	if _, ok := tape.Peek(); ok {
		t.Error("an empty tape has a next frame")
	}
}

// A reader at the same time sees each frame that was not lost, in order and whole.
func TestTapeIsReadWhileWritten(t *testing.T) {
	const frames = 20000
	tape := NewTape(0)
	var reader sync.WaitGroup
	stop := make(chan struct{})
	seen, last := uint64(0), int64(-1)
	reader.Go(func() {
		for ending := false; ; {
			r, ok := tape.Next()
			switch {
			case ok:
				if r.Time <= last || !bytes.Equal(r.Data, testFrame(len(r.Data), byte(r.Time))) || r.Note != number(int(r.Time)) {
					t.Errorf("frame %d after %d is %x, note %d", r.Time, last, r.Data, r.Note)
					return
				}
				seen, last = seen+1, r.Time
			case ending:
				return
			default:
				select {
				case <-stop:
					ending = true
				default:
				}
			}
		}
	})
	for i := range frames {
		tape.put(int64(i), In, i, testFrame(40+i%300, byte(i)))
		tape.note(number)
		tape.publish()
	}
	close(stop)
	reader.Wait()
	if seen+tape.Lost() != frames || seen == 0 {
		t.Errorf("%d read and %d lost, want %d together", seen, tape.Lost(), frames)
	}
}

func TestRecorderDoesNotAllocate(t *testing.T) {
	m := &Memory{Frames: [][]byte{testFrame(60, 0), testFrame(1514, 1)}, Rounds: 10}
	r := NewRecorder(number, nil)
	h := r.Around(inPlace)
	for _, tape := range []*Tape{nil, NewTape(1 << 20)} { // the second one fills up
		if tape != nil {
			r.Put(tape)
		}
		if n := testing.AllocsPerRun(100, func() { m.Run(context.Background(), h) }); n > 0 {
			t.Errorf("recording %v: 20 frames and their answers allocate %v times", tape != nil, n)
		}
	}
}

func BenchmarkRecorder(b *testing.B) {
	frames := make([][]byte, 64)
	for i := range frames {
		frames[i] = testFrame(64, byte(i))
	}
	batch := &Batch{Frames: frames, Flags: make([]uint8, len(frames)), Out: make([][]byte, 0, 64)}
	answer := handlerFunc(func(b *Batch) { b.Out = append(b.Out[:0], b.Frames...) })
	for _, on := range []bool{false, true} {
		b.Run(map[bool]string{false: "nobody", true: "recording"}[on], func(b *testing.B) {
			r := NewRecorder(number, nil)
			h := r.Around(answer)
			tape := NewTape(4 << 20)
			if on {
				r.Put(tape)
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				h.Handle(batch)
				if n%128 == 0 {
					tape.read.Store(tape.written.Load())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)), "ns/frame")
		})
	}
}
