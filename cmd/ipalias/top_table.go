package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/internal/control"
)

// An order is what the tables of top are sorted by.
type order int

const (
	byFrames order = iota
	byAnswers
	byUnanswered
	byAddress
)

// orders are the keys that choose one.
var orders = map[byte]order{'f': byFrames, 'a': byAnswers, 'u': byUnanswered, 'i': byAddress}

func (o order) String() string {
	return [...]string{"frames", "answers", "unanswered", "address"}[o]
}

// topKeys is the line at the bottom: what is sorted by, and the keys.
func topKeys(o order) string {
	return "by " + o.String() + "   f frames  a answers  u unanswered  i address  q end"
}

// sorted gives entries in an order.
func sorted(list []control.TopEntry, o order) []control.TopEntry {
	list = slices.Clone(list)
	// As numbers: as text 10.0.0.10 would come before 10.0.0.9.
	address := func(e control.TopEntry) netip.Addr { a, _ := netip.ParseAddr(e.Address); return a }
	slices.SortStableFunc(list, func(a, b control.TopEntry) int {
		switch o {
		case byAnswers:
			return cmp.Compare(b.Answered, a.Answered)
		case byUnanswered:
			return cmp.Compare(b.Frames-b.Answered, a.Frames-a.Answered)
		case byAddress:
			return address(a).Compare(address(b))
		}
		return cmp.Compare(b.Frames, a.Frames)
	})
	return list
}

// topTable writes a window for people, with at most so many aliases and askers.
func topTable(now *control.Top, o order, rows int) []byte {
	var text bytes.Buffer
	rate := func(n uint64) string { return fmt.Sprint(uint64(math.Round(float64(n) / now.Seconds))) }
	for _, c := range now.Cards {
		fmt.Fprintf(&text, "card %s: %s/s received, %s/s sent", c.Name, rate(c.Received), rate(c.Sent))
		for _, more := range []struct {
			n    uint64
			what string
		}{{c.Dropped, "dropped"}, {c.SendErr, "not sent"}, {c.Withheld, "withheld"}} {
			if more.n > 0 {
				fmt.Fprintf(&text, ", %s/s %s", rate(more.n), more.what)
			}
		}
		fmt.Fprintf(&text, "; %s\n", c.State)
		topVerdicts(&text, "no interface", c.Verdicts, rate)
	}
	for _, i := range now.Interfaces {
		name := i.Name
		if i.Mode == control.Observe {
			name += " (observing)"
		}
		topVerdicts(&text, name, i.Verdicts, rate)
	}
	if now.Uncounted > 0 {
		fmt.Fprintf(&text, "%s/s are not in what follows\n", rate(now.Uncounted))
	}
	for _, table := range []struct {
		title string
		list  []control.TopEntry
	}{{"alias", now.Aliases}, {"asker", now.Askers}} {
		g := grid{titles: []string{">frames/s", ">answers/s", table.title, "interface", "label"}}
		if table.title == "asker" {
			g.titles = g.titles[:4]
		}
		for _, e := range sorted(table.list, o)[:min(len(table.list), rows)] {
			// Counted in bounded memory (internal/busiest): of a party that was met late the first frames
			// may have been somebody else's. Frames is what it had for certain, AtMost what it may have had.
			frames := rate(e.Frames)
			if e.AtMost > e.Frames {
				frames += "+"
			}
			g.add([]string{frames, rate(e.Answered), e.Address, e.Interface, e.Label}[:len(g.titles)]...)
		}
		fmt.Fprintln(&text)
		g.print(&text, "")
	}
	return text.Bytes()
}

// topVerdicts writes verdicts on one line, the commonest first.
func topVerdicts(text *bytes.Buffer, name string, counts map[string]uint64, rate func(uint64) string) {
	if len(counts) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	for i, verdict := range names {
		names[i] = fmt.Sprintf("%s %s/s", verdict, rate(counts[verdict]))
	}
	fmt.Fprintf(text, "%s: %s\n", name, strings.Join(names, ", "))
}
