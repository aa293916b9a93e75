package control

import (
	"bytes"
	"io"
)

// WriteTo writes s as JSON, a label at a time: there may be a million, and a document of
// as many is never in memory as a whole.
func (s *Show) WriteTo(w io.Writer) (int64, error) {
	out := &showWriter{w: w}
	head := *s
	head.Interfaces = []InterfaceShow{}
	rest := out.until("interfaces", head)
	for n, i := range s.Interfaces {
		if n > 0 {
			out.write([]byte(","))
		}
		labels := i.labels()
		i.Labels = []LabelShow{}
		rest := out.until("labels", i)
		between := ""
		for l := range labels {
			out.write([]byte(between))
			between = ","
			if out.write(out.encode(l)); out.err != nil {
				return out.n, out.err
			}
		}
		out.write(rest)
	}
	out.write(rest)
	return out.n, out.err
}

// A showWriter writes parts of a document. After an error it writes nothing more.
type showWriter struct {
	w      io.Writer
	buffer bytes.Buffer // of the value in hand
	n      int64
	err    error
}

func (o *showWriter) write(text []byte) {
	if o.err == nil {
		var n int
		n, o.err = o.w.Write(text)
		o.n += int64(n)
	}
}

// encode gives the JSON of v, in memory that the next one takes again.
func (o *showWriter) encode(v any) []byte {
	o.buffer.Reset()
	if err := encoder(&o.buffer).Encode(v); err != nil && o.err == nil {
		o.err = err
	}
	return bytes.TrimSuffix(o.buffer.Bytes(), []byte("\n"))
}

// until writes v up to where the elements of a member go that is an empty array, and gives
// what comes behind them. No string looks like that member: its quotes are escaped.
func (o *showWriter) until(member string, v any) (rest []byte) {
	open := []byte(`"` + member + `":[`)
	before, behind, _ := bytes.Cut(o.encode(v), append(open, ']'))
	o.write(before)
	o.write(open)
	return append([]byte{']'}, behind...)
}
