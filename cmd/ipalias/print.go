package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// printJSON prints v as one JSON document.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // "a > b" is for people too
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// A grid is a table in columns. Those whose title begins with ">" are aligned to
// the right; a column without titles has its first row for all that.
type grid struct {
	titles []string
	rows   [][]string
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// print writes g with two spaces between columns and none at the end of a line.
func (g *grid) print(w io.Writer, indent string) error {
	titles := make([]string, len(g.titles))
	widths := make([]int, len(g.titles))
	for i, title := range g.titles {
		titles[i] = strings.TrimPrefix(title, ">")
		widths[i] = utf8.RuneCountInString(titles[i])
		for _, row := range g.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	rows := g.rows
	if strings.Join(titles, "") != "" {
		rows = append([][]string{titles}, rows...)
	}
	var text bytes.Buffer
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if strings.HasPrefix(g.titles[i], ">") {
				cell = pad + cell
			} else {
				cell += pad
			}
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(cell)
		}
		fmt.Fprintf(&text, "%s%s\n", indent, strings.TrimRight(line.String(), " "))
	}
	_, err := w.Write(text.Bytes())
	return err
}

// count writes a number with what it counts.
func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// clock writes a frame's time for people, in UTC as the epoch is.
func clock(ns int64) string { return time.Unix(0, ns).UTC().Format("15:04:05.000000") }

// stamp writes a frame's time for programs.
func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
