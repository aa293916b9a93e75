package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A decoder turns one text into a Config and collects what is wrong with it.
type decoder struct {
	name     string // of the text, for errors
	open     opener
	text     []byte
	places   *positions
	strung   *source // of the ranges that stand in strings
	broken   bool    // the text ends in a syntax error: what is missing may stand behind it
	errs     Errors
	warnings []Warning
}

func newDecoder(name string, text []byte, open opener) *decoder {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	// The parser finds offsets by capacities: leave nothing behind the text.
	text = text[:len(text):len(text)]
	return &decoder{name: name, open: open, text: text, places: newPositions(text)}
}

// fail notes a mistake at an offset.
// And goes on. Callers leave out what they found, not what comes after it.
func (d *decoder) fail(at int, format string, args ...any) {
	d.failAt(d.mark(at), format, args...)
}

func (d *decoder) failAt(m mark, format string, args ...any) {
	d.errs = append(d.errs, newError(m, format, args...))
}

// enough tells that so many mistakes were found that nobody looks for more.
func (d *decoder) enough() bool { return len(d.errs) >= maxFound }

func newError(m mark, format string, args ...any) *Error {
	return &Error{Place: m.Place, Msg: fmt.Sprintf(format, args...), order: m.order}
}

func (d *decoder) warn(m mark, format string, args ...any) {
	d.warnings = append(d.warnings, Warning{m.Place, fmt.Sprintf(format, args...)})
}

// A field is one key of a table: adding a key to the configuration is adding
// a line to the list of its table.
type field[T any] struct {
	key    string
	decode func(d *decoder, v *value, into *T)
}

// fields decodes the entries of t. What stands under a key that another table
// knows is told where it belongs: elsewhere has the words for it, or "".
func fields[T any](d *decoder, t *table, name string, known []field[T], into *T, elsewhere func(key string) string) {
	for _, e := range t.entries {
		if d.enough() {
			return
		}
		f := findField(known, e.key)
		if f == nil {
			d.unknown(e, name, keysOf(known), elsewhere(e.key))
			continue
		}
		to := into
		if e.repeat {
			to = new(T) // the first one counts
		}
		f.decode(d, e.value, to)
	}
}

func findField[T any](known []field[T], key string) *field[T] {
	for n := range known {
		if known[n].key == key {
			return &known[n]
		}
	}
	return nil
}

func keysOf[T any](known []field[T]) []string {
	keys := make([]string, len(known))
	for n, f := range known {
		keys[n] = f.key
	}
	return keys
}

// unknown tells of a key that its table does not have.
// Where another table has the key, that is certain and comes first; what is spelled alike is
// a guess. All keys there are come last, for they fill a line.
func (d *decoder) unknown(e *entry, table string, known []string, elsewhere string) {
	what := "key " + quote(e.key)
	if e.value.kind == unstable.Table && e.value.table.made != inline {
		what = "table " + quote(e.key)
	}
	if table != "" {
		what += " in " + table
	}
	near := nearest(e.key, known)
	switch {
	case elsewhere != "":
		d.fail(e.at, "unknown %s: %s", what, elsewhere)
	case near != "":
		d.fail(e.at, "unknown %s: did you mean %s?", what, near)
	default:
		d.fail(e.at, "unknown %s: expected %s", what, oneOf(known))
	}
}

// nearest gives the known key that was most likely meant, "" if none is near.
// Of two that are as near, the one that is first in the list.
func nearest(key string, known []string) string {
	// Upper case is no mistake of letters: "MTU" is near mtu and would be three from it.
	best, least := "", 0
	key = strings.ToLower(key)
	for _, k := range known {
		dist := distance(key, k)
		// "macs" and "hwaddr" are one and six from "mac": a third of the letters may be wrong.
		if strings.HasPrefix(k, key) && len(key) >= 3 || strings.HasPrefix(key, k) && len(k) >= 3 {
			dist = min(dist, 1)
		}
		if dist <= max(1, max(len(key), len(k))/3) && (best == "" || dist < least) {
			best, least = k, dist
		}
	}
	return best
}

// distance is the edit distance of two words, where two swapped neighbours are
// one mistake (optimal string alignment).
// Bytes do for characters: no known key has other letters than those of ASCII.
func distance(a, b string) int {
	// Time and memory go with the product of the lengths, and a sender chooses one of them.
	if len(a) > 64 {
		return len(a) // no key is near that long
	}
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev2, prev, row = prev, row, prev2
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// oneOf lists words as "a, b or c".
func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// quote writes text of the user's on one line, and not all of it if it is long.
// What a terminal would obey is escaped: the text may be somebody else's, sent to a daemon
// whose log is read later.
func quote(s string) string {
	if cut := short(s); len(cut) < len(s) {
		return fmt.Sprintf("%q...", cut)
	}
	return fmt.Sprintf("%q", s)
}

// clip writes text of the user's as it is, but for the end of a long one.
// It is for what was typed on the command line the message goes to.
func clip(s string) string {
	if cut := short(s); len(cut) < len(s) {
		return cut + "..."
	}
	return s
}

// short gives the beginning of a long text: nobody reads a message of megabytes.
// It counts characters: cut in the middle of one, quote would show an escape that is not there.
func short(s string) string {
	const most = 60
	n := 0
	for at := range s {
		if n++; n > most {
			return s[:at]
		}
	}
	return s
}

// quoteKey writes a key as TOML needs it.
func quoteKey(k string) string {
	if k == "" || len(short(k)) < len(k) || strings.ContainsFunc(k, func(r rune) bool { return r == '.' || notBare(r) }) {
		return quote(k)
	}
	return k
}

func dottedPath(keys []key) string {
	parts := make([]string, len(keys))
	for n, k := range keys {
		parts[n] = quoteKey(k.text)
	}
	return strings.Join(parts, ".")
}
