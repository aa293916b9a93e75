package config

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A value is a TOML value that knows where it stands.
type value struct {
	// Of all a copy: the parser's nodes last until its next expression.
	kind  unstable.Kind // Table also for an inline one
	at    int           // offset in the text
	text  string        // of a string: without quotes; of other scalars: as written
	items []*value      // of an array
	table *table        // of a table
}

// A table keeps its entries in the order of the text, those that repeat a key
// too: what they hold is checked as well, then dropped.
type table struct {
	entries []*entry
	// The newest of each key. nil while labels are decoded, of which there may be a million.
	index map[string]*entry
	made  origin
}

// An entry is a key with its value.
type entry struct {
	key    string
	at     int // offset of the key
	value  *value
	repeat bool // the key stands before already
}

// origin is how a table came to be: TOML lets only some be added to later.
// TOML 1.0 has a table defined once, by one of these. A longer header defines none of the
// tables on its way, so that their own headers may still come; braces are complete.
type origin uint8

const (
	implied origin = iota // as part of a longer [header]
	header                // by its own [header]
	dotted                // by a dotted key
	inline                // as { ... }
)

// A mark is a place in the order of the configuration.
type mark struct {
	Place
	// The offset in the text; for what stands in an address file, that of the string that
	// names the file.
	order int
}

// mark gives the place of an offset of the text.
func (d *decoder) mark(at int) mark {
	// The parser may point into a character where the text ends too early.
	for at > 0 && at < len(d.text) && !utf8.RuneStart(d.text[at]) {
		at--
	}
	p := d.places.find(at)
	return mark{Place{d.name, p.line, p.column}, at}
}

// maxFound is how many mistakes are looked for before all that follows is left unread,
// and maxTables how many tables are read: a text of 48 MiB that somebody sends may be nothing
// but the one or the other, which takes a hundred times as much memory.
const (
	maxFound  = 100 * maxErrors
	maxTables = 1 << 16
)

// document makes the tree of the whole text, as far as it is TOML.
func (d *decoder) document() *table {
	root := newTable(header)
	tables := 0
	switch {
	// What some editors call Unicode, and save where nobody asked for it.
	case bytes.HasPrefix(d.text, []byte{0xff, 0xfe}), bytes.HasPrefix(d.text, []byte{0xfe, 0xff}):
		d.fail(0, "not UTF-8: found UTF-16, expected UTF-8 text; save the file as UTF-8")
		d.broken = true
		return root
	case bytes.IndexByte(d.text, 0) >= 0:
		d.fail(bytes.IndexByte(d.text, 0), "not a text file: found a NUL byte, expected TOML")
		d.broken = true
		return root
	}
	if at, what := excess(d.text); what != "" {
		d.fail(at, "%s", what)
		d.broken = true
		return root
	}
	var p unstable.Parser
	// The parser gives the text piece by piece and fails at the first mistake of syntax: what stands
	// before is decoded all the same, so that its own mistakes are told with it.
	p.Reset(d.text)
	current := root
	for !d.enough() && p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			if tables++; tables > maxTables {
				d.fail(int(e.Raw.Offset), "too many tables: found more than %d", maxTables)
				d.broken = true
				return root
			}
			current = d.header(root, d.path(e), e.Kind == unstable.ArrayTable)
		case unstable.KeyValue:
			d.assign(current, e)
		}
	}
	if err := p.Error(); err != nil {
		d.syntax(&p, err)
		d.broken = true
	}
	return root
}
func newTable(made origin) *table { return &table{index: map[string]*entry{}, made: made} }

// add appends an entry and makes it the one that is found by its key.
func (t *table) add(e *entry) {
	t.entries = append(t.entries, e)
	t.index[e.key] = e
}

// addTable appends a new table.
func (t *table) addTable(k key, made origin) *table {
	e := &entry{key: k.text, at: k.at, value: &value{kind: unstable.Table, at: k.at, table: newTable(made)}}
	t.add(e)
	return e.value.table
}

// A key is one part of a dotted key.
type key struct {
	text string
	at   int
}

// maxParts is how many parts a dotted key may have. No key that means anything has
// more than four; each is a table, and a million of them take a gigabyte.
const maxParts = 16

func (d *decoder) path(n *unstable.Node) []key {
	var keys []key
	for it := n.Key(); it.Next(); {
		k := it.Node()
		if len(keys) == maxParts {
			d.fail(int(k.Raw.Offset), "the key is too long: found more than %d parts", maxParts)
			break
		}
		keys = append(keys, key{string(k.Data), int(k.Raw.Offset)})
	}
	return keys
}

// header finds or makes the table that a [header] names. Where there is none to be
// had, what follows goes to a table of its own, to be checked all the same.
func (d *decoder) header(root *table, keys []key, array bool) *table {
	t := root
	last := keys[len(keys)-1]
	for _, k := range keys[:len(keys)-1] {
		if t = d.descend(t, k, implied); t == nil {
			return newTable(header)
		}
	}
	if array {
		d.fail(last.at, "found an array of tables [[...]], expected a table in single brackets: [%s]", dottedPath(keys))
	}
	old := t.index[last.text]
	switch {
	case old == nil:
		return t.addTable(last, header)
	// [a.b] made it, and this is its own [a]: allowed once.
	case old.value.kind == unstable.Table && old.value.table.made == implied:
		old.value.table.made = header
		return old.value.table
	// A second [[a]] was told of above: twice for one line is once too often.
	case !array || old.value.kind != unstable.Table:
		d.fail(last.at, "duplicate table [%s]: it stands at %s already", dottedPath(keys), d.mark(old.at))
	}
	made := t.addTable(last, header)
	t.index[last.text].repeat = true
	return made
}

// descend gives the table k of t, which it makes if there is none; nil after a
// mistake.
func (d *decoder) descend(t *table, k key, made origin) *table {
	old := t.index[k.text]
	if old == nil {
		return t.addTable(k, made)
	}
	switch sub := old.value.table; {
	case old.value.kind != unstable.Table:
		d.fail(k.at, "%s is no table: at %s it is %s", quoteKey(k.text), d.mark(old.at), old.value.describe())
	case sub.made == inline:
		d.fail(k.at, "%s cannot be added to: at %s it is complete, in braces", quoteKey(k.text), d.mark(old.at))
	// TOML 1.0: dotted keys do not add to what a header defined, be it on its way to another.
	case made == dotted && sub.made != dotted:
		d.fail(k.at, "duplicate table %s: it stands at %s already", quoteKey(k.text), d.mark(old.at))
	default:
		return sub
	}
	return nil
}

// assign adds a key and its value, wherever a dotted key leads.
func (d *decoder) assign(t *table, n *unstable.Node) {
	keys := d.path(n)
	v := d.value(n.Value(), d.after(keys[len(keys)-1], n))
	for _, k := range keys[:len(keys)-1] {
		if t = d.descend(t, k, dotted); t == nil {
			return
		}
	}
	last := keys[len(keys)-1]
	e := &entry{key: last.text, at: last.at, value: v}
	// TOML forbids it. Both values are looked at all the same: whoever pasted a block twice is
	// told of the mistakes in it now, not after the next start.
	if old := t.index[last.text]; old != nil {
		d.fail(last.at, "duplicate key %s: it stands at %s already", quoteKey(last.text), d.mark(old.at))
		e.repeat = true
	}
	t.add(e)
}

// after gives the offset of the value behind the last part of a key: the parser
// tells the place of no array.
func (d *decoder) after(last key, n *unstable.Node) int {
	// Raw of a key is as written, quotes and escapes included: its length is not the text's.
	at := last.at
	for it := n.Key(); it.Next(); {
		at = int(it.Node().Raw.Offset + it.Node().Raw.Length)
	}
	return d.skip(at, " \t=")
}

// skip gives the offset of the first character from at on that is none of
// chars, nor in a comment if chars has newlines.
func (d *decoder) skip(at int, chars string) int {
	for at < len(d.text) {
		switch c := d.text[at]; {
		case strings.IndexByte(chars, c) >= 0:
			at++
		case c == '#' && strings.IndexByte(chars, '\n') >= 0:
			for at < len(d.text) && d.text[at] != '\n' {
				at++
			}
		default:
			return at
		}
	}
	return at
}

// value copies a value that stands at an offset out of the parser's memory.
func (d *decoder) value(n *unstable.Node, at int) *value {
	v, _ := d.valueEnd(n, at)
	return v
}

// valueEnd is value with the offset behind it, which the next item of an array
// is found by.
func (d *decoder) valueEnd(n *unstable.Node, at int) (*value, int) {
	const between = " \t\r\n,"
	v := &value{kind: n.Kind, at: at, text: string(n.Data)}
	end := at + 1
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			var item *value
			item, end = d.valueEnd(it.Node(), d.skip(end, between))
			v.items = append(v.items, item)
		}
		end = d.skip(end, between) + 1
	case unstable.InlineTable:
		// Open until its end is reached: its own dotted keys may still add to what they made.
		v.kind, v.table = unstable.Table, newTable(implied)
		for it := n.Children(); it.Next(); {
			d.assign(v.table, it.Node())
			end = int(it.Node().Raw.Offset + it.Node().Raw.Length)
		}
		v.table.close()
		end = d.skip(end, between) + 1
	default:
		end = int(n.Raw.Offset + n.Raw.Length)
	}
	return v, end
}

// close makes t, and what dotted keys made in it, inline: nothing can be added.
func (t *table) close() {
	t.made = inline
	for _, e := range t.entries {
		if e.value.table != nil {
			e.value.table.close()
		}
	}
}
