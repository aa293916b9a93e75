package capture

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
)

// A File is a Port whose frames come from a capture file and whose answers go to
// another. Each frame is a batch of its own. Time is the capture's: nothing waits,
// and a timer of the Handler runs when the capture's time comes to it.
//
// Stamps may run backwards in a capture (several cards, several queues, a clock that
// was set). The Handler's time does not: it is the latest stamp seen so far. The
// answer still carries the stamp of the frame that caused it.
type File struct {
	in    *Reader
	mu    sync.Mutex  // guards what Send and Stats share with Run
	out   FrameWriter // nil: answers are dropped
	clock int64       // the latest time that the Handler was given
	stats Stats
}

// NewFile makes a Port that reads in and writes answers to out, which it closes with
// itself; with a nil out, answers are counted and dropped.
func NewFile(in *Reader, out FrameWriter) *File { return &File{in: in, out: out} }

// Run gives h every frame of the capture, and at its end, or where it is damaged,
// lets run out what h still waits for, each at its own time. It returns nil at a
// clean end, a *FileError at a damaged one, the writer's error if an answer could
// not be written. It looks at ctx between two frames; a Handler that sets timers
// for ever is stopped by nothing else.
func (f *File) Run(ctx context.Context, h Handler) error {
	b := &Batch{Frames: make([][]byte, 0, 1), Flags: make([]uint8, 0, 1)}
	for ctx.Err() == nil {
		frame, damage := f.in.Next()
		if damage != nil {
			if damage == io.EOF {
				damage = nil
			}
			return errors.Join(f.timers(ctx, h, b, math.MaxInt64), damage)
		}
		if err := f.timers(ctx, h, b, max(f.clock, frame.Time)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		f.tick(frame.Time)
		b.Frames, b.Flags = append(b.Frames[:0], frame.Data), append(b.Flags[:0], 0)
		if err := f.handle(h, b, frame.Time); err != nil {
			return err
		}
	}
	return nil
}

// timers calls h for each of its Wakes up to the time until. The answer to a timer
// carries the time that the timer ran out.
func (f *File) timers(ctx context.Context, h Handler, b *Batch, until int64) error {
	b.Frames, b.Flags = b.Frames[:0], b.Flags[:0]
	for wake := b.Wake; wake != 0 && wake <= until && ctx.Err() == nil; {
		at := f.tick(wake)
		if err := f.handle(h, b, at); err != nil {
			return err
		}
		// A Handler that does not move on would be called for ever.
		if b.Wake <= wake {
			break
		}
		wake = b.Wake
	}
	return nil
}

// tick moves the clock forward to t, if that is forward, and tells its time.
func (f *File) tick(t int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock = max(f.clock, t)
	return f.clock
}

// handle calls h with b and writes its answers with the given stamp.
func (f *File) handle(h Handler, b *Batch, stamp int64) error {
	b.Time, b.Out, b.Wake = f.clock, b.Out[:0], 0
	received := len(b.Frames)
	h.Handle(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stats.Received += uint64(received)
	for _, answer := range b.Out {
		if err := f.write(stamp, answer); err != nil {
			return err
		}
	}
	return nil
}

// write needs mu.
func (f *File) write(stamp int64, frame []byte) error {
	if f.out != nil {
		if err := f.out.WriteFrame(stamp, frame, ""); err != nil {
			f.stats.SendErr++
			return err
		}
	}
	f.stats.Sent++
	return nil
}

// Send writes frame among the answers, with the time that the capture has come to.
func (f *File) Send(frame []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.write(f.clock, frame)
}

// Stats tells how many frames were read, and how many written or, without a writer,
// dropped.
func (f *File) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

// Close closes the writer, and reports what could not be written.
func (f *File) Close() error {
	if f.out == nil {
		return nil
	}
	return f.out.Close()
}
