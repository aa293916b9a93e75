package config

import (
	"bytes"
	"unicode/utf8"
)

// stride is how far apart places of a text are known, in bytes. A list of lines would be
// eight times as long as a text that is nothing but lines.
const stride = 4096

// A position is an offset of a text with its line and column, both from 1.
type position struct{ at, line, column int }

// positions finds lines and columns. It reads the text once, and of each place that is
// asked for a stride at most.
type positions struct {
	text  []byte
	known []position // at each stride
	last  position   // that was asked for: most often the next one is little behind it
}

func newPositions(text []byte) *positions {
	p := &positions{text: text, last: position{0, 1, 1}}
	p.known = make([]position, 0, len(text)/stride+1)
	for at := 0; at <= len(text); at += stride {
		start := at
		for start > 0 && start < len(text) && !utf8.RuneStart(text[start]) && at-start < utf8.UTFMax {
			start-- // no character is counted in two halves
		}
		p.last = p.walk(p.last, start)
		p.known = append(p.known, p.last)
	}
	return p
}

// find gives the position of an offset.
// Backwards costs a stride, forwards the way from the last place: mistakes come in the order of
// the text, and so do the labels of a million.
func (p *positions) find(at int) position {
	from := p.known[at/stride]
	if from.at <= p.last.at && p.last.at <= at {
		from = p.last
	}
	p.last = p.walk(from, at)
	return p.last
}

// walk goes on from a position to an offset behind it.
func (p *positions) walk(from position, to int) position {
	passed := p.text[from.at:to]
	if end := bytes.LastIndexByte(passed, '\n'); end >= 0 {
		from.line, from.column = from.line+bytes.Count(passed, []byte{'\n'}), 1
		passed = passed[end+1:]
	}
	return position{to, from.line, from.column + utf8.RuneCount(passed)}
}
