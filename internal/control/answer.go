package control

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// largeAnswer is from how many bytes on it shows what an answer took of memory: that of
// 200,000 labels is 34 MB, and of the daemon's memory 8 MB are unused after it.
const largeAnswer = 4 << 20

// answer writes an answer, or what err says. From here on the client counts as one that
// keeps us waiting. worked is called when only the client is left to wait for.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, answer any, err error, worked func()) {
	out := &outgoing{w: w, r: r, c: clientOf(r), status: http.StatusOK, worked: worked}
	defer out.c.class.out.leave(out.c)
	defer func() {
		if out.size >= largeAnswer {
			s.Backend.Settle()
		}
	}()
	if err != nil {
		answer, out.status = refusal(err)
	}
	if h, ok := answer.(*Health); ok && !h.OK {
		out.status = http.StatusServiceUnavailable
	}
	if long, ok := answer.(io.WriterTo); ok {
		if _, err := long.WriteTo(out); err != nil {
			return // nobody reads any more
		}
	} else if text := new(bytes.Buffer); encoder(text).Encode(answer) == nil {
		out.Write(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	} else { // nothing of ours cannot be written
		out.status = http.StatusInternalServerError
		io.WriteString(out, `{"error": "the answer can't be written"}`)
	}
	out.end()
}

// encoder writes JSON in which "a -> b" is as it was: it goes into no web page.
func encoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// An outgoing answer is sent a piece at a time. One that is no longer than a piece is sent
// as a whole, indented for somebody with curl: of 100,000 labels the spaces alone would be
// 30 MB.
type outgoing struct {
	w      http.ResponseWriter
	r      *http.Request
	c      *client
	status int
	worked func()

	text  []byte // what is still to be sent
	size  int    // bytes so far
	begun bool   // it is longer than a piece, and a part of it is sent
}

// Write takes more of the answer. An error says that the client is gone.
func (o *outgoing) Write(text []byte) (int, error) {
	o.size += len(text)
	for left := text; ; {
		n := min(piece-len(o.text), len(left))
		o.text, left = append(o.text, left[:n]...), left[n:]
		if len(left) == 0 {
			return len(text), nil
		}
		if !o.begun {
			o.c.work(false)
			if err := o.c.class.out.enter(o.r.Context(), o.c); err != nil {
				return 0, err
			}
			o.header()
		}
		if err := o.send(o.text); err != nil {
			return 0, err
		}
		o.text = o.text[:0]
	}
}

// header says what follows.
func (o *outgoing) header() {
	o.begun = true
	o.worked()
	o.w.Header().Set("Content-Type", "application/json")
	o.w.WriteHeader(o.status)
}

func (o *outgoing) send(text []byte) error {
	_, err := o.w.Write(text)
	o.c.class.out.took(o.c)
	return err
}

// end sends what is left.
func (o *outgoing) end() {
	if !o.begun {
		o.c.work(false)
		var indented bytes.Buffer
		if json.Indent(&indented, o.text, "", "  ") == nil {
			o.text = indented.Bytes()
		}
		o.w.Header().Set("Content-Length", strconv.Itoa(len(o.text)+1))
		o.header()
	}
	o.send(append(o.text, '\n')) // fails if nobody reads any more
}
