package capture

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A Recorder is a Handler that copies each frame on its way to another Handler, and
// each answer on its way back, to the Tapes that were put into it. Without one it costs a
// load a batch; with one it copies, and neither waits nor allocates.
//
// Each worker has a Recorder of its own, and there is one for what is sent without
// a Handler. It outlives the Port whose frames it sees.
type Recorder struct {
	h    Handler
	note func(i int) uint8
	gate *Gate

	tapes atomic.Pointer[[]*Tape] // nil: none
	mu    sync.Mutex              // of those who put in and take out
}

// NewRecorder makes a Recorder. After the Handler that it is put around has handled a
// batch, note is asked what became of the i-th frame. gate is the one that the
// answers will meet; it may be nil.
func NewRecorder(note func(i int) uint8, gate *Gate) *Recorder {
	if gate == nil {
		gate = new(Gate)
	}
	return &Recorder{note: note, gate: gate}
}

// Around puts the Recorder around h. No Port may be running it.
func (r *Recorder) Around(h Handler) Handler {
	r.h = h
	return r
}

// Handle implements Handler.
func (r *Recorder) Handle(b *Batch) {
	tapes := r.tapes.Load()
	if tapes == nil {
		r.h.Handle(b)
		return
	}
	for _, t := range *tapes {
		for i, frame := range b.Frames {
			t.put(b.Time, In, i, frame) // now: h answers in place
		}
	}
	r.h.Handle(b)
	for _, t := range *tapes {
		t.note(r.note)
		for _, answer := range b.Out {
			t.put(b.Time, r.direction(answer), 0, answer)
		}
		t.publish()
	}
}

// Sent copies a frame that somebody sends without a Handler, at time. It may be called
// from any goroutine, of a Recorder that is around nothing.
func (r *Recorder) Sent(time int64, frame []byte) {
	if r.tapes.Load() == nil {
		return
	}
	r.mu.Lock() // a tape has one writer
	defer r.mu.Unlock()
	if tapes := r.tapes.Load(); tapes != nil {
		for _, t := range *tapes {
			t.put(time, r.direction(frame), 0, frame)
			t.publish()
		}
	}
}

func (r *Recorder) direction(answer []byte) Direction {
	if r.gate.Passes(answer) {
		return Out
	}
	return Withheld
}

// Put has the recorder copy to t from the next batch on.
func (r *Recorder) Put(t *Tape) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var tapes []*Tape
	if old := r.tapes.Load(); old != nil {
		tapes = slices.Clone(*old)
	}
	tapes = append(tapes, t)
	r.tapes.Store(&tapes)
}

// Take ends the copying to t. A batch that is in hand may still come.
func (r *Recorder) Take(t *Tape) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.tapes.Load()
	if old == nil {
		return
	}
	tapes := slices.DeleteFunc(slices.Clone(*old), func(o *Tape) bool { return o == t })
	if len(tapes) == 0 {
		r.tapes.Store(nil)
		return
	}
	r.tapes.Store(&tapes)
}
