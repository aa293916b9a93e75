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
// lines of a file. A file of a million must not cost a million Places.
type piece struct {
	first int  // index of its first range
	at    mark // of the string
	file  string
	lines []spot // of the ranges in file; nil if the range stands in the string
}

// mark gives the place of a range.
func (l *labels) mark(n int) mark {
	p, found := slices.BinarySearchFunc(l.pieces, n, func(p piece, n int) int { return p.first - n })
	if !found {
		p--
	}
	if p < 0 {
		return l.at
	}
	from := &l.pieces[p]
	if from.lines != nil {
		line, column := locate(from.lines, n-from.first)
		return mark{Place{from.file, line, column}, from.at.order}
	}
	return from.at
}

// aliases decodes [interface.CARD.aliases].
func (d *decoder) aliases(v *value, i *Interface) {
	if !d.isTable(v, `a table of labels: "`+i.Name+`:0" = "172.16.3.10"`) {
		return
	}
	for _, e := range v.table.entries {
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
	for _, s := range d.strings(v, `a string "a", "a-b", "a/n" or "@FILE"`) {
		d.addresses(s.text, d.mark(s.at), a)
	}
}

// addresses decodes one string of addresses.
func (d *decoder) addresses(text string, at mark, a *alias) {
	p := piece{first: a.Ranges.Len(), at: at}
	if name, ok := strings.CutPrefix(text, "@"); ok {
		d.addressFile(strings.TrimSpace(name), a, &p)
	} else {
		r, wrong := parseRange(text)
		if wrong != "" {
			d.failAt(at, "%s", wrong)
			return
		}
		a.Ranges = a.Ranges.Append(r)
	}
	if a.Ranges.Len() > p.first {
		a.pieces = append(a.pieces, p)
	}
}

// addressFile adds the addresses of a file.
func (d *decoder) addressFile(name string, a *alias, p *piece) {
	if name == "" {
		d.failAt(p.at, `no file: found "@", expected "@FILE"`)
		return
	}
	var f io.ReadCloser
	var size int64
	var err error
	if p.file, f, size, err = d.open(name); err != nil {
		d.failAt(p.at, "cannot read the address file %s: %s", quote(p.file), reason(err))
		return
	}
	defer f.Close()
	r := fileReader{file: p.file, order: p.at.order, before: a.Ranges.Len()}
	// Room for as many as there are if each has a line as long as such lines get.
	r.ranges = a.Ranges.Grow(int(min(size, maxSize)) / len("203.000.113.100\n"))
	if err := r.read(f); err != nil {
		d.failAt(p.at, "cannot read the address file %s: %s", quote(p.file), reason(err))
	}
	a.Ranges, p.lines = r.ranges.Clip(), r.spots
	d.errs = append(d.errs, r.mistakes()...)
	if len(r.spots) == 0 && len(r.errs) == 0 && err == nil {
		d.warn(p.at, "the address file %s holds no address", quote(p.file))
	}
}
