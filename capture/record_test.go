package capture

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
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

func TestRecorder(t *testing.T) {
	var file bytes.Buffer
	w := NewPcapngWriter(&file)
	m := &Memory{Frames: [][]byte{testFrame(60, 1), testFrame(61, 2), testFrame(62, 3)}, Batch: 2, Time: 1000, Step: 10, Collect: true}
	r := NewRecorder(inPlace, w, func(i int) string { return fmt.Sprintf("frame %d", i) })
	if err := m.Run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	// All is in the file without a Close: a crash must not take it along.
	want := []struct {
		time    int64
		data    []byte
		comment string
	}{
		{1000, m.Frames[0], "frame 0"},
		{1000, m.Frames[1], "frame 1"},
		{1000, m.Answers()[0], ""},
		{1000, m.Answers()[1], ""},
		{1010, m.Frames[2], "frame 0"},
		{1010, m.Answers()[2], ""},
	}
	var expect bytes.Buffer
	direct := NewPcapngWriter(&expect)
	for _, f := range want {
		direct.WriteFrame(f.time, f.data, f.comment)
	}
	direct.Close()
	if !bytes.Equal(file.Bytes(), expect.Bytes()) {
		t.Errorf("got  %x\nwant %x", file.Bytes(), expect.Bytes())
	}
}

func TestRecorderGoesOnAfterAWriteError(t *testing.T) {
	for room := range 600 {
		m := &Memory{Frames: [][]byte{testFrame(60, 1), testFrame(61, 2), testFrame(62, 3)}, Batch: 1, Collect: true}
		r := NewRecorder(inPlace, NewPcapngWriter(&brokenWriter{room}), nil)
		m.Run(context.Background(), r)
		if len(m.Answers()) != 3 {
			t.Errorf("%d answers with room for %d bytes, want 3", len(m.Answers()), room)
		}
		if r.Err() == nil {
			t.Errorf("no error with room for %d bytes", room)
		}
	}
}

func TestRecorderDoesNotAllocate(t *testing.T) {
	m := &Memory{Frames: [][]byte{testFrame(60, 0), testFrame(1514, 1)}, Rounds: 10}
	for _, w := range []FrameWriter{NewPcapWriter(io.Discard), NewPcapngWriter(io.Discard)} {
		r := NewRecorder(inPlace, w, func(int) string { return "arp-answered" })
		if n := testing.AllocsPerRun(10, func() { m.Run(context.Background(), r) }); n > 0 {
			t.Errorf("%T: recording 20 frames and their answers allocates %v times", w, n)
		}
	}
}
