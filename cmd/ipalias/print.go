package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// printJSON prints v as one JSON document, indented, since people read it as often as jq does.
// v is encoded whole before a byte is written: what may be long goes through a listing.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // "a > b" is for people too
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// A listing prints a list an element at a time, of which there may be a million: as text,
// or as the JSON document {"key": [...]}.
type listing struct {
	out    *bufio.Writer
	key    string
	asJSON bool
	n      int // added so far
	// Of an element, and what writes it there: a new one for each would cost a third of the time.
	text    bytes.Buffer
	encoder *json.Encoder
}

func newListing(w io.Writer, asJSON bool, key string) *listing {
	// A write for each element would be a million calls of the system.
	l := &listing{out: bufio.NewWriterSize(w, 64<<10), key: key, asJSON: asJSON}
	l.encoder = json.NewEncoder(&l.text)
	l.encoder.SetEscapeHTML(false) // as printJSON
	l.encoder.SetIndent("    ", "  ")
	return l
}

// add prints an element, as text by print; v is what JSON has of it and is not kept. Nothing is
// written before the first, so that a refused request leaves no open bracket behind.
func (l *listing) add(v any, print func(io.Writer)) error {
	l.n++
	if !l.asJSON {
		print(l.out)
		return nil // the writer keeps an error for the end
	}
	between := ","
	if l.n == 1 {
		between = fmt.Sprintf("{\n  %q: [", l.key)
	}
	l.text.Reset()
	if err := l.encoder.Encode(v); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "%s\n    %s", between, bytes.TrimSuffix(l.text.Bytes(), []byte("\n")))
	return nil
}

// end prints what is left, if all went well: of a list that was broken off no document
// may look whole. It returns the first error.
func (l *listing) end(err error) error {
	switch {
	case err != nil && l.n == 0:
		return err
	case !l.asJSON || err != nil:
	case l.n == 0:
		fmt.Fprintf(l.out, "{\n  %q: []\n}\n", l.key)
	default:
		l.out.WriteString("\n  ]\n}\n")
	}
	if flushed := l.out.Flush(); err == nil {
		err = flushed
	}
	return err
}

// A grid is a table in columns. Those whose title begins with ">" are aligned to
// the right; a column without titles has its first row for all that.
// Width is counted in runes, since labels may be in any script: package text/tabwriter
// counts so too, but aligns a whole table to one side, and holds it until the end.
type grid struct {
	titles []string
	rows   [][]string
	widths []int // of what was printed; nil: nothing yet, and titles are still to come
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// print writes g with two spaces between columns and none at the end of a line. What is
// added afterwards is printed below it by the next print, in columns no narrower: pages are read
// as one table. Every row has a cell for each title. Of no rows the titles alone are printed,
// if there are any: that a table is empty is an answer.
func (g *grid) print(w io.Writer, indent string) error {
	rows := g.rows
	if g.widths == nil {
		g.widths = make([]int, len(g.titles))
		titles := make([]string, len(g.titles))
		for i, title := range g.titles {
			titles[i] = strings.TrimPrefix(title, ">")
		}
		if strings.Join(titles, "") != "" {
			rows = append([][]string{titles}, rows...)
		}
	}
	for i := range g.titles {
		for _, row := range rows {
			g.widths[i] = max(g.widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var text []byte
	for _, row := range rows {
		text = append(text, indent...)
		for i, cell := range row {
			pad := g.widths[i] - utf8.RuneCountInString(cell)
			right := strings.HasPrefix(g.titles[i], ">")
			if i > 0 {
				text = append(text, "  "...)
			}
			if right {
				text = append(text, strings.Repeat(" ", pad)...)
			}
			text = append(text, cell...)
			if !right {
				text = append(text, strings.Repeat(" ", pad)...)
			}
		}
		text = append(bytes.TrimRight(text, " "), '\n')
	}
	g.rows = g.rows[:0] // their room is used again by the next page
	_, err := w.Write(text)
	return err
}

// count writes a number with what it counts. Both words are given, as "address" has a plural
// of its own.
func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// clock writes a frame's time for people, in UTC: an output that is kept must not depend on where
// it was made. No date, for a capture is of minutes; stamp has it.
func clock(ns int64) string { return time.Unix(0, ns).UTC().Format("15:04:05.000000") }

// stamp writes a frame's time for programs, to the nanosecond where the capture has that.
func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
