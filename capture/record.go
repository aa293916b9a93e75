package capture

import "sync/atomic"

// A Recorder is a Handler that writes each frame on its way to another Handler, and
// each answer on its way back, to a capture file. Recording never stands in the way
// of answering: after the first write that fails it only hands on.
//
// Each worker has a Recorder of its own; they may share one FrameWriter.
type Recorder struct {
	h       Handler
	w       FrameWriter
	comment func(i int) string
	copy    []byte // what arrived, before h answers it in place
	ends    []int  // where in copy each frame ends
	err     atomic.Pointer[error]
}

// NewRecorder makes a Recorder around h. After h has handled a batch, comment is
// asked for the comment on its i-th frame: what h thought of it. It may be nil. The
// Recorder flushes w after each batch, so that a crash does not take along what led
// to it, and does not close it.
func NewRecorder(h Handler, w FrameWriter, comment func(i int) string) *Recorder {
	return &Recorder{h: h, w: w, comment: comment}
}

// Handle implements Handler.
func (r *Recorder) Handle(b *Batch) {
	if r.err.Load() != nil {
		r.h.Handle(b)
		return
	}
	r.copy, r.ends = r.copy[:0], r.ends[:0]
	for _, f := range b.Frames {
		r.copy = append(r.copy, f...)
		r.ends = append(r.ends, len(r.copy))
	}
	r.h.Handle(b)
	if len(r.ends) == 0 && len(b.Out) == 0 {
		return
	}
	if err := r.record(b); err != nil {
		failed := err // of its own: only a failure may allocate
		r.err.Store(&failed)
	}
}

func (r *Recorder) record(b *Batch) error {
	start := 0
	for i, end := range r.ends {
		comment := ""
		if r.comment != nil {
			comment = r.comment(i)
		}
		if err := r.w.WriteFrame(b.Time, r.copy[start:end], comment); err != nil {
			return err
		}
		start = end
	}
	for _, answer := range b.Out {
		if err := r.w.WriteFrame(b.Time, answer, ""); err != nil {
			return err
		}
	}
	return r.w.Flush()
}

// Err is the error that ended the recording, nil while it goes on. It may be called
// from any goroutine.
func (r *Recorder) Err() error {
	if err := r.err.Load(); err != nil {
		return *err
	}
	return nil
}
