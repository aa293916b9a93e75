package config

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// Brackets and commas count where the parser sees them, and nowhere else.
func TestExcess(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+1)
	for name, tc := range map[string]struct {
		text string
		at   int // -1: nothing is too much
	}{
		"plain":             {deep, maxDepth},
		"braces":            {strings.Repeat("{", maxDepth+1), maxDepth},
		"closed":            {strings.Repeat("[]", 100), -1},
		"in quotes":         {`"` + deep + `"`, -1},
		"in single quotes":  {`'` + deep + `'`, -1},
		"in three":          {`"""` + "\n" + deep + `"""`, -1},
		"in three single":   {"'''\n" + deep + "'''", -1},
		"in a comment":      {"#" + deep, -1},
		"behind a comment":  {"#\"\n" + deep, 3 + maxDepth},
		"behind quotes":     {`""` + deep, 2 + maxDepth},
		"behind an escape":  {`"\""` + deep, 4 + maxDepth},
		"behind a slash":    {`'\'` + deep, 3 + maxDepth},
		"behind three":      {`"""a"b""c"""` + deep, 12 + maxDepth},
		"behind five":       {`"""a"""""` + deep, 9 + maxDepth},
		"behind an escaped": {`"""a\""""` + deep, 9 + maxDepth},
		"behind an open":    {"\"abc\n" + deep, 5 + maxDepth},
		"many":              {strings.Repeat("1,", maxValues+1), 2*maxValues + 1},
	} {
		at, what := excess([]byte(tc.text))
		if tc.at < 0 && what != "" || tc.at >= 0 && (what == "" || at != tc.at) {
			t.Errorf("%s: %q at %d, want it at %d", name, what, at, tc.at)
		}
	}
}

// A place is what counting from the beginning gives, in whatever order it is asked for.
func TestPositions(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	var text bytes.Buffer
	for text.Len() < 5*stride {
		fmt.Fprint(&text, []string{"a", "ü", "\n", "網", "🂡", "\r\n", strings.Repeat("x", 1000)}[r.IntN(7)])
	}
	p := newPositions(text.Bytes())
	for n := range 20_000 {
		at := r.IntN(text.Len() + 1)
		if n < text.Len() {
			at = n
		}
		if at < text.Len() && !utf8.RuneStart(text.Bytes()[at]) {
			continue
		}
		before := text.Bytes()[:at]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		if got := p.find(at); got != (position{at, line, column}) {
			t.Fatalf("offset %d: %v, want line %d, column %d", at, got, line, column)
		}
	}
}
