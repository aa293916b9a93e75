package overlay

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// small is an address of 32 that things are tried on.
func small(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) }

// runs makes random ranges of the 32 that do not overlap.
func runs(rng *rand.Rand, taken *[32]bool) (l responder.Ranges) {
	for range 1 + rng.IntN(3) {
		first := rng.IntN(32)
		last := first
		for last < 31 && rng.IntN(3) > 0 {
			last++
		}
		free := true
		for n := first; n <= last; n++ {
			free = free && !taken[n]
		}
		if !free {
			continue
		}
		for n := first; n <= last; n++ {
			taken[n] = true
		}
		l = l.Append(responder.Range{First: small(first), Last: small(last)})
	}
	return l
}

// owners gives the label that has each address in force, and fails if two have it.
func owners(t *testing.T, v *View) (list [32]string) {
	t.Helper()
	for _, a := range v.Aliases() {
		for n := range list {
			if a.Ranges.Index(small(n)) >= 0 {
				if list[n] != "" {
					t.Fatalf("%s and %s both have %s: %s", list[n], a.Label, small(n), describe(v))
				}
				list[n] = a.Label
			}
		}
	}
	return list
}

// twice tells whether two labels have an addition in common.
func twice(o *Overlay) bool {
	var all responder.Ranges
	for _, l := range o.all("") {
		all = all.Join(l.added.list())
	}
	return all.Union(responder.Ranges{}).Addresses() != all.Addresses()
}

// The short way, which works out what a change takes and adds, leads where the long way
// does, which makes the view anew; unless it says itself that it can't.
func TestEffectAgainstView(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	short, long := 0, 0
	for range 4000 {
		var taken [32]bool
		var aliases []responder.Alias
		for n := range 3 {
			aliases = append(aliases, responder.Alias{Label: fmt.Sprintf("e:%d", n), Ranges: runs(rng, &taken)})
		}
		file := NewFile(aliases)
		var o Overlay
		if rng.IntN(2) == 0 { // changes to a configuration that was another one: some are set aside
			o.Apply(Change{Labels: []LabelChange{{Label: "e:3", Add: runs(rng, new([32]bool))}}})
		}
		view := o.View("e", file)
		for range 8 {
			c, ok := random(rng, &o, file)
			if !ok || c.Empty() {
				continue
			}
			undo := o.Apply(c)
			want := o.View("e", file)
			step := c.Labels[0]
			lose, gain := view.Effect(&o, step)
			if view.Touches(lose.Ranges, gain.Ranges, step.Drop, step.Add) {
				if twice(&o) { // what adds that is refused
					undo()
					continue
				}
				long++
				view = want
				continue
			}
			before := owners(t, view)
			next, clash := before, false
			for n := range next {
				if lose.Ranges.Index(small(n)) >= 0 {
					if next[n] != step.Label {
						t.Fatalf("takes %s from %s, which %q has: %s", small(n), step.Label, next[n], describe(view))
					}
					next[n] = ""
				}
			}
			for n := range next {
				if gain.Ranges.Index(small(n)) >= 0 {
					clash = clash || next[n] != ""
					next[n] = step.Label
				}
			}
			if clash { // the responder refuses
				undo()
				continue
			}
			short++
			text, _ := json.Marshal(c)
			if got := owners(t, want); got != next {
				t.Fatalf("%s\nafter %s\ngot  %q\nwant %q", describe(view), text, next, got)
			}
			view = view.Next(&o)
			if got, want := describe(view), describe(want); got != want {
				t.Fatalf("after %s\ngot  %s\nwant %s", text, got, want)
			}
			if view.Len() != len(view.Aliases()) {
				t.Fatalf("%d labels of %d: %s", view.Len(), len(view.Aliases()), describe(view))
			}
			added, removed := 0, 0
			for l := range o.Snapshot() {
				added, removed = added+l.Labels[0].Add.Len(), removed+l.Labels[0].Remove.Len()
				if l.Labels[0].Gone != nil {
					removed++
				}
			}
			if o.Counts() != (Counts{added, removed}) {
				t.Fatalf("counts %+v, there are %d and %d", o.Counts(), added, removed)
			}
		}
	}
	if short < 1000 || long < 100 {
		t.Errorf("%d changes the short way, %d the long way", short, long)
	}
}

// random makes a change of a random label; ok is false if it is none that can be made.
func random(rng *rand.Rand, o *Overlay, file *File) (c Change, ok bool) {
	label := fmt.Sprintf("e:%d", rng.IntN(5))
	a, _ := file.Alias(label)
	list := runs(rng, new([32]bool))
	switch rng.IntN(4) {
	case 0:
		return o.Set(label, a.Ranges, list), true
	case 1:
		c, err := o.Delete(label, a.Ranges, responder.Ranges{})
		return c, err == nil
	case 2:
		for _, r := range list.All() {
			one := responder.RangesOf(responder.Range{First: r.First, Last: r.First})
			if c, err := o.Delete(label, a.Ranges, one); err == nil {
				return c, true
			}
		}
		return c, false
	}
	return o.Add(label, a.Ranges, list), true
}

// One address more or less to a million costs a few allocations, whatever label it
// is of, and leaves the views of before as they were.
func TestChangesAreSmall(t *testing.T) {
	var list responder.Ranges
	for n := range 1_000_000 {
		a := netip.AddrFrom4([4]byte{11, byte(n >> 15), byte(n >> 7), byte(n << 1)})
		list = list.Append(responder.Range{First: a, Last: a})
	}
	one := responder.RangesOf(responder.Range{First: netip.MustParseAddr("11.0.0.1"), Last: netip.MustParseAddr("11.0.0.1")})
	inside := list.First(1)
	for _, where := range []string{"file", "added"} {
		var o Overlay
		file := NewFile([]responder.Alias{{Label: "e:big", Ranges: list}})
		if where == "added" {
			file = NewFile(nil)
			o.Apply(Change{Labels: []LabelChange{{Label: "e:big", Add: list}}})
		}
		view := o.View("e", file)
		a, _ := file.Alias("e:big")
		for what, edit := range map[string]func() Change{
			"add": func() Change { return o.Add("e:big", a.Ranges, one) },
			"del": func() Change { c, _ := o.Delete("e:big", a.Ranges, inside); return c },
		} {
			allocs := testing.AllocsPerRun(20, func() {
				c := edit()
				undo := o.Apply(c)
				lose, gain := view.Effect(&o, c.Labels[0])
				next := view.Next(&o)
				if lose.Ranges.Len()+gain.Ranges.Len() != 1 || next.Describe("e:big") == view.Describe("e:big") {
					t.Fatalf("%s %s: loses %s, gains %s", where, what, lose.Ranges, gain.Ranges)
				}
				undo()
			})
			if allocs > 100 {
				t.Errorf("%s in %s: %v allocations", what, where, allocs)
			}
		}
		if got := view.Describe("e:big"); got != "1000000 addresses" {
			t.Errorf("afterwards the view has %s", got)
		}
	}
}
