package dissect

import (
	"bytes"
	"fmt"
)

// A Pair is a field of two frames.
type Pair struct {
	Name   string
	A, B   string // the values; "" where a frame has no such field
	Differ bool
}

// Compare lays two frames side by side: every field of a, each with the field of
// b that has its name, then those that b alone has.
func Compare(a, b []byte) []Pair {
	// By name and not by place: an option more in one of them must not make all behind it differ.
	theirs := map[string]Field{}
	for _, f := range Fields(b) {
		theirs[f.Name] = f
	}
	var pairs []Pair
	for _, f := range Fields(a) {
		p := Pair{Name: f.Name, A: f.Value, Differ: true}
		if other, ok := theirs[f.Name]; ok {
			delete(theirs, f.Name)
			// By bytes, not by text: two values may be written alike and differ.
			x, y := a[f.Start:f.End], b[other.Start:other.End]
			p.B = other.Value
			p.Differ = !bytes.Equal(x, y)
			// Payloads are cut when they are shown: without this both could look the same.
			if p.Differ && f.Value == bytesValue(x) && other.Value == bytesValue(y) && len(x) > maxShown && len(y) > maxShown {
				p.A, p.B = around(x, y)
			}
		}
		pairs = append(pairs, p)
	}
	for _, f := range Fields(b) {
		if _, left := theirs[f.Name]; left {
			pairs = append(pairs, Pair{Name: f.Name, B: f.Value, Differ: true})
		}
	}
	return pairs
}

// around shows two long runs of bytes where they begin to differ.
func around(a, b []byte) (string, string) {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	show := func(x []byte) string {
		if at == len(x) {
			return fmt.Sprintf("%d bytes, that is all", len(x))
		}
		return fmt.Sprintf("%d bytes, from %d on: % x", len(x), at, x[at:min(at+maxShown, len(x))])
	}
	return show(a), show(b)
}
