package config

import (
	"io"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/ipalias/ipalias/responder"
)

// An alias is one label while it is decoded.
type alias struct {
	responder.Alias
	labels
}

// labels tells where the ranges of an alias stand.
type labels struct {
	at     mark    // of the label
	pieces []piece // by first
}

// A piece is the run of ranges that came from one string: one range, or the
// lines of a file. A file of a million must not cost a million Places, nor a million
// strings more than three words each.
type piece struct {
	first        int32 // index of its first range
	line, column int32 // of the string
	order        int32
	from         *source
}

// A source is where ranges stand.
type source struct {
	file  string
	lines []spot // of the ranges in an address file; nil if a range stands in the string itself
}

// mark gives the place of a range.
// n is an index of the alias's Ranges.
func (l *labels) mark(n int) mark {
	p, found := slices.BinarySearchFunc(l.pieces, n, func(p piece, n int) int { return int(p.first) - n })
	if !found {
		p--
	}
	// No string gave a range: the label is as near as can be told.
	if p < 0 {
		return l.at
	}
	of := &l.pieces[p]
	line, column := int(of.line), int(of.column)
	if of.from.lines != nil {
		line, column = locate(of.from.lines, n-int(of.first))
	}
	return mark{Place{of.from.file, line, column}, int(of.order)}
}

// aliases decodes [interface.CARD.aliases].
func (d *decoder) aliases(v *value, i *Interface) {
	if !d.isTable(v, `a table of labels: "`+i.Name+`:0" = "172.16.3.10"`) {
		return
	}
	// Room at once: doubling a list of a million labels would have two of them about.
	more := len(v.table.entries)
	i.Aliases, i.origins = slices.Grow(i.Aliases, more), slices.Grow(i.origins, more)
	// Nobody looks a label up any more, and the map is as large as the labels.
	v.table.index = nil
	for n, e := range v.table.entries {
		if d.enough() {
			return
		}
		v.table.entries[n] = nil // a million labels are not to be there twice
		wrong := badLabel(e.key, i.Name)
		if wrong != "" {
			d.fail(e.at, "%s", wrong)
			if findField(interfaceKeys, e.key) != nil || e.value.kind == unstable.Table && e.value.table.made != inline {
				continue // what it holds is no address either
			}
		}
		a := alias{Alias: responder.Alias{Label: e.key}, labels: labels{at: d.mark(e.at)}}
		d.alias(e.value, &a)
		if wrong == "" && !e.repeat {
			i.Aliases, i.origins = append(i.Aliases, a.Alias), append(i.origins, a.labels)
		}
	}
}

// alias decodes what stands behind a label.
func (d *decoder) alias(v *value, a *alias) {
	if v.kind != unstable.Table {
		d.address(v, a)
		return
	}
	fields(d, v.table, "the label "+quote(a.Label), aliasKeys, a, func(key string) string {
		if findField(interfaceKeys, key) != nil {
			return "it can be set for the interface only"
		}
		return ""
	})
	if v.table.index["address"] == nil {
		d.fail(v.at, `no address: found a table without one, expected address = "172.16.3.10" in it`)
	}
}

// address decodes the addresses of a label.
func (d *decoder) address(v *value, a *alias) {
	if v.kind == unstable.Array && len(v.items) == 0 {
		d.fail(v.at, "no address: found an empty array, expected at least one "+`"a", "a-b", "a/n" or "@FILE"`)
	}
	a.pieces = slices.Grow(a.pieces, len(v.items))
	for s := range d.strings(v, `a string "a", "a-b", "a/n" or "@FILE"`) {
		d.addresses(s.text, d.mark(s.at), a)
	}
}

// addresses decodes one string of addresses.
func (d *decoder) addresses(text string, at mark, a *alias) {
	p := piece{int32(a.Ranges.Len()), int32(at.Line), int32(at.Column), int32(at.order), nil}
	if name, ok := strings.CutPrefix(text, "@"); ok {
		p.from = d.addressFile(strings.TrimSpace(name), at, a)
	} else {
		r, wrong := parseRange(text)
		if wrong != "" {
			d.failAt(at, "%s", wrong)
			return
		}
		a.Ranges = a.Ranges.Append(r)
		// One source for all strings of a text. On a command line each value is a file to messages.
		if d.strung == nil || d.strung.file != at.File {
			d.strung = &source{file: at.File}
		}
		p.from = d.strung
	}
	// What gave no range has none to be found by it.
	if a.Ranges.Len() > int(p.first) {
		a.pieces = append(a.pieces, p)
	}
}

// addressFile adds the addresses of a file that is named at a place.
// It gives a source after a mistake too, of which no range will ask.
func (d *decoder) addressFile(name string, at mark, a *alias) *source {
	from := new(source)
	if name == "" {
		d.failAt(at, `no file: found "@", expected "@FILE"`)
		return from
	}
	var f io.ReadCloser
	var size int64
	var err error
	if from.file, f, size, err = d.open(name); err != nil {
		d.failAt(at, "cannot read the address file %s: %s", quote(from.file), reason(err))
		return from
	}
	defer f.Close()
	r := fileReader{file: from.file, order: at.order, before: a.Ranges.Len()}
	// Room for as many as there are if each has a line as long as such lines get.
	r.ranges = a.Ranges.Grow(int(min(size, maxSize)) / len("203.000.113.100\n"))
	if err := r.read(f); err != nil {
		d.failAt(at, "cannot read the address file %s: %s", quote(from.file), reason(err))
	}
	// Lines are shorter than the longest, or have comments: what was guessed too much goes back.
	a.Ranges, from.lines = r.ranges.Clip(), r.spots
	d.errs = append(d.errs, r.mistakes()...)
	if len(r.spots) == 0 && len(r.errs) == 0 && err == nil {
		d.warn(at, "the address file %s holds no address", quote(from.file))
	}
	return from
}
