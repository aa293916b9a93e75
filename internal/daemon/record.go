package daemon

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/responder"
)

// A recording is a file in the making, sent as it grows. Each worker copies what it handles onto a
// tape of its own, a ring that it never waits for; here the tapes are read, put in the order
// of time, and written as pcapng. So somebody who records slowly loses frames of his
// recording and none of the card's.

const (
	// maxRecordings is how many there are at a time, and recordingSize what one may
	// hold in memory of frames that its reader has not taken yet, in bytes.
	maxRecordings = 4
	recordingSize = 16 << 20

	// The tapes are looked at every so often: nobody in the path tells that there is
	// something, so that it need not know who listens.
	recordingPause = 5 * time.Millisecond

	// recordingPiece is how many frames are written before somebody looks whether the
	// recording is to end.
	recordingPiece = 4096
)

// A track is one tape of a recording.
type track struct {
	iface    int // its card, by its place in the file
	recorder *capture.Recorder
	tape     *capture.Tape
	out      string // the comment on what goes out
}

// A recording is what somebody wants to have of the frames of some cards.
type recording struct {
	cards  []string
	tracks []track
	frames []uint64 // written, by card
}

// Record implements control.Backend. It returns when ctx ends or what was asked for is
// there; the file that it writes is whole then, unless it could not be written.
func (d *Daemon) Record(ctx context.Context, who control.Peer, o control.Recording, begin func() io.Writer) (*control.Recorded, error) {
	<-d.ready
	// Those of now: a card that is configured later is not in a file whose header is written.
	cards := d.now.Load().cards
	if o.Card != "" {
		n := slices.IndexFunc(cards, func(c *card) bool { return c.name == o.Card })
		if n < 0 {
			var names []string
			for _, c := range cards {
				names = append(names, c.name)
			}
			return nil, control.Refuse(http.StatusNotFound, "there is no card %q; those that are listened on: %s", o.Card, strings.Join(names, ", "))
		}
		cards = cards[n : n+1]
	}
	// Counted first and taken back, so that two who ask at once don't both find the last place.
	if d.recordings.Add(1) > maxRecordings {
		d.recordings.Add(-1)
		return nil, control.Refuse(http.StatusTooManyRequests, "%d recordings are under way, and no more are made at a time: end one of them first", maxRecordings)
	}
	defer d.recordings.Add(-1)
	if o.Seconds > 0 {
		var stop context.CancelFunc
		// The clock runs from here and not from the first frame: a card may be silent.
		ctx, stop = context.WithTimeout(ctx, time.Duration(o.Seconds*float64(time.Second)))
		defer stop()
	}
	// Frames are not for everybody's eyes: who looked is worth a line.
	d.deps.Log.Info("recording", "uid", who.UID, "pid", who.PID, "card", o.Card)
	r := newRecording(cards)
	done, err := r.run(ctx, begin(), o.Frames)
	attrs := []any{"uid", who.UID, "pid", who.PID, "card", o.Card, "frames", done.Frames, "lost", done.Lost}
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	d.deps.Log.Info("recorded", attrs...)
	return done, err
}

// newRecording begins to record.
func newRecording(cards []*card) *recording {
	r := &recording{frames: make([]uint64, len(cards))}
	for iface, c := range cards {
		r.cards = append(r.cards, c.name)
		for _, rec := range c.lookout.recorders {
			r.tracks = append(r.tracks, track{iface: iface, recorder: rec, out: "answer"})
		}
		// Announcements come from no worker.
		r.tracks = append(r.tracks, track{iface: iface, recorder: c.lookout.sent, out: "announcement"})
	}
	for n := range r.tracks {
		t := &r.tracks[n]
		// A recording has its memory whatever the number of workers.
		t.tape = capture.NewTape(recordingSize / len(r.tracks))
		t.recorder.Put(t.tape)
	}
	return r
}

// run writes what comes to out, until ctx ends or there were limit frames, if it is
// not 0.
func (r *recording) run(ctx context.Context, out io.Writer, limit uint64) (*control.Recorded, error) {
	w := capture.NewPcapngWriter(out, r.cards...)
	ticker := time.NewTicker(recordingPause)
	defer ticker.Stop()
	// The header goes at once: tshark behind a pipe shows that it listens.
	more, full, err := false, false, w.Flush()
	for err == nil && !full && ctx.Err() == nil {
		if !more {
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
		more, full, err = r.drain(w, limit)
	}
	for n := range r.tracks {
		// First no more is put on the tapes, then they are emptied: otherwise a busy card would
		// never let the recording end.
		r.tracks[n].recorder.Take(r.tracks[n].tape)
	}
	for more = true; err == nil && !full && more; { // what had come when it ended
		more, full, err = r.drain(w, limit)
	}
	done := new(control.Recorded)
	now := time.Now().UnixNano()
	for iface, frames := range r.frames {
		lost := r.lost(iface)
		done.Frames += frames
		done.Lost += lost
		if err == nil {
			// pcapng's Interface Statistics Block: what a reader shows as dropped.
			err = w.WriteStatistics(iface, now, frames+lost, lost)
		}
	}
	if err == nil {
		err = w.Close()
	}
	return done, err
}

func (r *recording) lost(iface int) (n uint64) {
	for _, t := range r.tracks {
		if t.iface == iface {
			n += t.tape.Lost()
		}
	}
	return n
}

// drain writes some of the frames that are on the tapes, the earliest first. more
// tells that there may be others, full that there were enough.
func (r *recording) drain(w *capture.PcapngWriter, limit uint64) (more, full bool, err error) {
	total := uint64(0)
	for _, n := range r.frames {
		total += n
	}
	for range recordingPiece {
		if limit > 0 && total == limit {
			// Flushed also when there are few: somebody watches.
			return false, true, w.Flush()
		}
		t := r.earliest()
		if t == nil {
			return false, false, w.Flush()
		}
		frame, _ := t.tape.Next()
		if err := w.WriteRecorded(t.iface, frame, t.comment(frame)); err != nil {
			return false, false, fmt.Errorf("send recording: %w", err)
		}
		r.frames[t.iface]++
		total++
	}
	return true, false, w.Flush()
}

// earliest finds the tape whose next frame came first. Tapes are few, and each is in order by
// itself. Frames that a worker has not published yet may be older than what is written: a
// file's times go back by a batch at most.
func (r *recording) earliest() (first *track) {
	var at int64
	for n := range r.tracks {
		if time, ok := r.tracks[n].tape.Peek(); ok && (first == nil || time < at) {
			first, at = &r.tracks[n], time
		}
	}
	return first
}

// comment says what became of a frame that came, and what one is that went.
func (t *track) comment(r capture.Recorded) string {
	switch r.Direction {
	case capture.In:
		return responder.Verdict(r.Note).String()
	case capture.Withheld:
		return t.out + ", not sent: observing"
	}
	return t.out
}
