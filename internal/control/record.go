package control

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// recordedTrailer is where a recording's end is told: behind the file, as an HTTP
// trailer that holds a Recorded.
const recordedTrailer = "Ipalias-Recorded"

// record sends a capture file for as long as the client wants it: until it stops
// sending on its side of the connection, or closes it.
func (s *Server) record(w http.ResponseWriter, r *http.Request) {
	c := clientOf(r)
	defer c.work(false)
	body, err := s.admit(c, r)
	var o Recording
	if err == nil && len(body) > 0 {
		err = decode(body, &o)
	}
	if err != nil {
		s.answer(w, r, nil, err, func() {})
		return
	}
	c.work(true)
	// It ends with the daemon too, in good order.
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	defer context.AfterFunc(s.ctx, stop)()
	out := &stream{w: w, control: http.NewResponseController(w)}
	// Requests have little time to come in. This one has come, and the same limit would
	// end it: the server goes on reading, to notice when the client is gone.
	out.control.SetReadDeadline(time.Time{})
	begun := false
	// The backend asks for the writer once it has a tape: until then it may refuse, with a status.
	done, err := s.Backend.Record(ctx, c.who, o, func() io.Writer {
		begun = true
		w.Header().Set("Content-Type", "application/x-pcapng")
		w.Header().Set("Trailer", recordedTrailer)
		return out
	})
	if !begun {
		s.answer(w, r, nil, err, func() {})
		return
	}
	if err != nil {
		done.Error = err.Error()
	}
	// The status went out long ago, so how it ended can only be told behind the file.
	if text, err := json.Marshal(done); err == nil {
		w.Header().Set(recordedTrailer, string(text))
	}
}

// A stream sends on what is written to it, and gives up on a client that takes
// nothing for a minute.
type stream struct {
	w       io.Writer
	control *http.ResponseController
}

func (s *stream) Write(b []byte) (int, error) {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	n, err := s.w.Write(b)
	if err == nil {
		err = s.control.Flush()
	}
	return n, err
}
