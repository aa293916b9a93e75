package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/dissect"
)

// expectReport is the result of --expect. Of the differences it tells the first: after an
// answer too many or too few all that follow differ, and none of that would mean anything.
type expectReport struct {
	File     string       `json:"file"`
	Same     bool         `json:"same"`
	Compared int          `json:"compared"`           // answers that were found to be the same
	Answer   int          `json:"answer,omitempty"`   // the number of the first that differs, from 1
	Frame    int          `json:"frame,omitempty"`    // of the input that caused it, from 1
	Expected *frameReport `json:"expected,omitempty"` // none: there should be no answer
	Got      *frameReport `json:"got,omitempty"`      // none: the answer is missing
	Fields   []fieldPair  `json:"fields,omitempty"`   // of both, if there are both
}

// A frameReport is all of a frame: whoever reads a failed comparison of some CI has nothing but
// its output.
type frameReport struct {
	Time string `json:"time"`
	What string `json:"what"`
	Hex  string `json:"hex"`

	clock string
}

// A fieldPair is one field of both frames. Those that agree are listed, too: a difference is
// understood by what is around it.
type fieldPair struct {
	Name     string `json:"name"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Differ   bool   `json:"differ"`
}

func newFrameReport(time int64, frame []byte) *frameReport {
	return &frameReport{stamp(time), dissect.Line(frame), hex.EncodeToString(frame), clock(time)}
}

// A comparison is a capture.FrameWriter that holds the answers against a golden
// capture on their way to another writer. So a replay is the same with and without it, and
// -w writes all answers whatever differs: they may be the next golden capture. Nothing of
// either is kept in memory but the pair in hand. Close closes out; golden is the caller's.
type comparison struct {
	out     capture.FrameWriter // nil: nowhere
	golden  *source
	reader  *capture.Reader
	subject *subject
	idents  idents // of the pair before, as pieces of a datagram share theirs
	report  expectReport
	err     error // of the golden capture; a write's error is returned as any
}

func newComparison(out capture.FrameWriter, golden *source, s *subject) *comparison {
	c := &comparison{out: out, golden: golden, subject: s, report: expectReport{File: golden.name, Same: true}}
	// No error is returned: the replay goes on and its answers are written all the same.
	if c.reader, c.err = capture.NewReader(golden); c.err != nil {
		c.fail(c.err)
	}
	return c
}

// fail ends the comparison. Same is false then without an Answer, by which print tells damage
// from a difference.
func (c *comparison) fail(err error) {
	c.err, c.report.Same = c.golden.damage(err), false
}

// WriteFrame implements capture.FrameWriter. A difference is no error here, which would end the
// replay.
func (c *comparison) WriteFrame(time int64, data []byte, comment string) error {
	if c.report.Same {
		c.compare(time, data)
	}
	if c.out == nil {
		return nil
	}
	return c.out.WriteFrame(time, data, comment)
}

func (c *comparison) compare(time int64, got []byte) {
	// The frame that the subject has in hand is the cause: answers are written before the next
	// frame is read. want is the reader's until then; what outlives it is copied as text.
	want, err := c.reader.Next()
	switch {
	// An answer too many.
	case err == io.EOF:
		c.differ(c.subject.frames, nil, newFrameReport(time, got))
	case err != nil:
		c.fail(err)
	case c.idents.same(want.Data, got):
		c.report.Compared++
	default:
		c.differ(c.subject.frames, newFrameReport(want.Time, want.Data), newFrameReport(time, got))
		for _, p := range dissect.Compare(want.Data, got) {
			c.report.Fields = append(c.report.Fields, fieldPair{p.Name, p.A, p.B, p.Differ})
		}
	}
}

// differ notes the first difference. It is called once: after it Same is false and nothing is
// compared. frame is 0 where no frame is to blame; want or got is nil where there is none.
func (c *comparison) differ(frame int, want, got *frameReport) {
	r := &c.report
	r.Same, r.Answer, r.Frame, r.Expected, r.Got = false, r.Compared+1, frame, want, got
}

// Flush implements capture.FrameWriter.
func (c *comparison) Flush() error {
	if c.out == nil {
		return nil
	}
	return c.out.Flush()
}

// Close implements capture.FrameWriter. It looks for answers that should have
// come.
func (c *comparison) Close() error {
	if c.report.Same {
		switch want, err := c.reader.Next(); {
		case err == nil:
			// No frame is named: which one ought to have caused it is not known.
			c.differ(0, newFrameReport(want.Time, want.Data), nil)
		// The end here too is how it should be: as many answers as expected.
		case !errors.Is(err, io.EOF):
			c.fail(err)
		}
	}
	if c.out == nil {
		return nil
	}
	return c.out.Close()
}

// print shows the result; of a difference both frames, field by field.
func (r *expectReport) print(text *bytes.Buffer) {
	answers := count(uint64(r.Compared), "answer", "answers")
	switch {
	case r.Same:
		fmt.Fprintf(text, "%s holds the same %s\n", r.File, answers)
		return
	case r.Answer == 0:
		fmt.Fprintf(text, "%s is damaged; up to there it holds the same %s\n", r.File, answers)
		return
	}
	fmt.Fprintf(text, "answer %d differs from %s", r.Answer, r.File)
	if r.Frame > 0 {
		fmt.Fprintf(text, "; it is the answer to frame %d", r.Frame)
	}
	fmt.Fprint(text, "\n\n")
	for _, side := range []struct {
		name  string
		frame *frameReport
	}{{"expected", r.Expected}, {"got", r.Got}} {
		if side.frame == nil {
			fmt.Fprintf(text, "%-8s  no answer\n", side.name)
		} else {
			fmt.Fprintf(text, "%-8s  %s  %s\n", side.name, side.frame.clock, side.frame.What)
		}
	}
	if len(r.Fields) == 0 {
		return
	}
	fmt.Fprintln(text)
	fields := grid{titles: []string{"", "field", "expected", "got"}}
	for _, f := range r.Fields {
		mark := ""
		if f.Differ {
			mark = "*"
		}
		fields.add(mark, f.Name, orDash(f.Expected), orDash(f.Got))
	}
	fields.print(text, "")
}

// orDash shows that a field is missing on one side: an empty cell looks like a column that has
// slipped.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
