package overlay

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

func ranges(t *testing.T, text string) (list responder.Ranges) {
	t.Helper()
	for _, s := range strings.Fields(text) {
		r, err := responder.ParseRange(s)
		if err != nil {
			t.Fatal(err)
		}
		list = list.Append(r)
	}
	return list
}

func write(list responder.Ranges) string {
	words := make([]string, list.Len())
	for n, r := range list.All() {
		words[n] = r.String()
	}
	return strings.Join(words, " ")
}

// describe writes a view as "label: file +added -removed ?aside;".
func describe(v *View) string {
	var parts []string
	for l := range v.Labels() {
		words := []string{l.Label + ":"}
		for _, group := range []struct {
			sign string
			list responder.Ranges
		}{{"", l.Kept()}, {"+", l.Added}, {"-", l.Removed}} {
			for _, r := range group.list.All() {
				words = append(words, group.sign+r.String())
			}
		}
		for _, a := range l.SetAside {
			words = append(words, "?"+a.Range.String())
		}
		parts = append(parts, strings.Join(words, " "))
	}
	return strings.Join(parts, "; ")
}

const lab = "10.0.0.0/24 10.0.1.7"

// Each case starts from a configuration with eth0:lab and makes its steps.
func TestSteps(t *testing.T) {
	for _, tc := range []struct {
		name  string
		steps []string // add, del or set, a label, addresses
		want  string
	}{
		{"nothing", nil, "eth0:lab: 10.0.0.0/24 10.0.1.7"},
		{"a new label", []string{"add eth0:2 10.9.0.1"}, "eth0:lab: 10.0.0.0/24 10.0.1.7; eth0:2: +10.9.0.1"},
		{"more for it", []string{"add eth0:2 10.9.0.1", "add eth0:2 10.9.0.0/24"}, "eth0:lab: 10.0.0.0/24 10.0.1.7; eth0:2: +10.9.0.0 +10.9.0.1 +10.9.0.2-10.9.0.255"},
		{"what is there", []string{"add eth0:lab 10.0.0.9"}, "eth0:lab: 10.0.0.0/24 10.0.1.7"},
		{"more than is there", []string{"add eth0:lab 10.0.0.0/23"}, "eth0:lab: 10.0.0.0/24 10.0.1.7 +10.0.1.0-10.0.1.6 +10.0.1.8-10.0.1.255"},
		{"one removed", []string{"del eth0:lab 10.0.0.9"}, "eth0:lab: 10.0.0.0-10.0.0.8 10.0.0.10-10.0.0.255 10.0.1.7 -10.0.0.9"},
		{"removed twice", []string{"del eth0:lab 10.0.0.9", "del eth0:lab 10.0.0.9"}, "eth0:lab: 10.0.0.0-10.0.0.8 10.0.0.10-10.0.0.255 10.0.1.7 -10.0.0.9"},
		{"and back", []string{"del eth0:lab 10.0.0.0/30", "add eth0:lab 10.0.0.1"}, "eth0:lab: 10.0.0.1 10.0.0.4-10.0.0.255 10.0.1.7 -10.0.0.0 -10.0.0.2/31"},
		{"all of it back", []string{"del eth0:lab 10.0.0.0/30", "add eth0:lab 10.0.0.0/30"}, "eth0:lab: 10.0.0.0/24 10.0.1.7"},
		{"the whole label", []string{"del eth0:lab"}, "eth0:lab: -10.0.0.0/24 -10.0.1.7"},
		{"twice", []string{"del eth0:lab", "del eth0:lab"}, "eth0:lab: -10.0.0.0/24 -10.0.1.7"},
		{"one of it back", []string{"del eth0:lab", "add eth0:lab 10.0.1.7"}, "eth0:lab: 10.0.1.7 -10.0.0.0/24"},
		{"another one instead", []string{"del eth0:lab", "add eth0:lab 10.9.0.1"}, "eth0:lab: +10.9.0.1 -10.0.0.0/24 -10.0.1.7"},
		{"an addition removed", []string{"add eth0:2 10.9.0.0/30", "del eth0:2 10.9.0.1"}, "eth0:lab: 10.0.0.0/24 10.0.1.7; eth0:2: +10.9.0.0 +10.9.0.2/31"},
		{"all additions removed", []string{"add eth0:2 10.9.0.0/30", "del eth0:2"}, "eth0:lab: 10.0.0.0/24 10.0.1.7"},
		{"added to and removed", []string{"add eth0:lab 10.9.0.1", "del eth0:lab"}, "eth0:lab: -10.0.0.0/24 -10.0.1.7"},
		{"moved to another label", []string{"del eth0:lab 10.0.1.7", "add eth0:2 10.0.1.7"}, "eth0:lab: 10.0.0.0/24 -10.0.1.7; eth0:2: +10.0.1.7"},
		{"set", []string{"set eth0:lab 10.9.0.1"}, "eth0:lab: +10.9.0.1 -10.0.0.0/24 -10.0.1.7"},
		{"set in part", []string{"set eth0:lab 10.0.1.6-10.0.1.8"}, "eth0:lab: 10.0.1.7 +10.0.1.6 +10.0.1.8 -10.0.0.0/24"},
		{"set and back", []string{"set eth0:lab 10.9.0.1", "set eth0:lab 10.0.0.0/24 10.0.1.7"}, "eth0:lab: 10.0.0.0/24 10.0.1.7"},
		{"set again", []string{"add eth0:2 10.9.0.1", "set eth0:2 10.9.0.2"}, "eth0:lab: 10.0.0.0/24 10.0.1.7; eth0:2: +10.9.0.2"},
		{"overlaps", []string{"add eth0:2 10.0.1.0/30 10.0.1.7"}, "eth0:lab: 10.0.0.0/24 10.0.1.7; eth0:2: +10.0.1.0/30 ?10.0.1.7"},
		{"of another interface", []string{"add eth1:2 10.9.0.1"}, "eth0:lab: 10.0.0.0/24 10.0.1.7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := []responder.Alias{{Label: "eth0:lab", Ranges: ranges(t, lab)}}
			var o Overlay
			var journal []Change
			for _, step := range tc.steps {
				c := edit(t, &o, file, step)
				before := describe(o.View("eth0", NewFile(file)))
				o.Apply(c)() // there and back
				if got := describe(o.View("eth0", NewFile(file))); got != before {
					t.Errorf("%s, taken back: %s, want %s", step, got, before)
				}
				o.Apply(c)
				journal = append(journal, c)
			}
			if got := describe(o.View("eth0", NewFile(file))); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			// The same from what is kept on disk, as it came and compacted.
			for what, list := range map[string][]Change{"journal": journal, "snapshot": slices.Collect(o.Snapshot())} {
				if got := describe(replay(t, list).View("eth0", NewFile(file))); got != tc.want {
					t.Errorf("from the %s\ngot  %s\nwant %s", what, got, tc.want)
				}
			}
		})
	}
}

func edit(t *testing.T, o *Overlay, file []responder.Alias, step string) (c Change) {
	t.Helper()
	what, rest, _ := strings.Cut(step, " ")
	label, addresses, _ := strings.Cut(rest, " ")
	var own, list responder.Ranges
	if n := slices.IndexFunc(file, func(a responder.Alias) bool { return a.Label == label }); n >= 0 {
		own = file[n].Ranges
	}
	list = ranges(t, addresses)
	var err error
	switch what {
	case "add":
		c = o.Add(label, own, list)
	case "set":
		c = o.Set(label, own, list)
	case "del":
		c, err = o.Delete(label, own, list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func replay(t *testing.T, list []Change) *Overlay {
	t.Helper()
	o := new(Overlay)
	for _, c := range list {
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again Change
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		o.Apply(again)
	}
	return o
}

func TestNotFound(t *testing.T) {
	var o Overlay
	o.Apply(o.Add("eth0:2", responder.Ranges{}, ranges(t, "10.9.0.0/24")))
	for _, tc := range []struct{ label, list, want string }{
		{"eth0:3", "", "there is no alias eth0:3"},
		{"eth0:3", "10.9.0.1", "eth0:3 does not have 10.9.0.1"},
		{"eth0:2", "10.9.0.255 10.9.1.0", "eth0:2 does not have 10.9.1.0"},
		{"eth0:2", "10.9.0.0/23", "eth0:2 does not have 10.9.1.0/24"},
	} {
		_, err := o.Delete(tc.label, responder.Ranges{}, ranges(t, tc.list))
		if !errors.As(err, new(*NotFoundError)) || err.Error() != tc.want {
			t.Errorf("del %s %s: %v, want %s", tc.label, tc.list, err, tc.want)
		}
	}
}

// The configuration was edited under the changes.
func TestConfigurationChanges(t *testing.T) {
	old := []responder.Alias{{Label: "eth0:0", Ranges: ranges(t, "10.0.0.1")}, {Label: "eth0:1", Ranges: ranges(t, "10.0.0.2 10.0.0.3")}}
	var o Overlay
	for _, step := range []string{"del eth0:0", "del eth0:1 10.0.0.3", "add eth0:2 10.9.0.0/24", "add eth0:1 10.9.1.1"} {
		o.Apply(edit(t, &o, old, step))
	}
	for _, tc := range []struct {
		name string
		file []responder.Alias
		want string
	}{
		{"not", old, "eth0:0: -10.0.0.1; eth0:1: 10.0.0.2 +10.9.1.1 -10.0.0.3; eth0:2: +10.9.0.0/24"},
		{"the removed label is another one", []responder.Alias{{Label: "eth0:0", Ranges: ranges(t, "10.0.0.7")}},
			"eth0:0: -10.0.0.7; eth0:2: +10.9.0.0/24; eth0:1: +10.9.1.1"},
		{"the removed address is another label's", []responder.Alias{{Label: "eth0:5", Ranges: ranges(t, "10.0.0.3")}},
			"eth0:5: 10.0.0.3; eth0:2: +10.9.0.0/24; eth0:1: +10.9.1.1"},
		{"it has an addition now", []responder.Alias{{Label: "eth0:5", Ranges: ranges(t, "10.9.0.128/25")}},
			"eth0:5: 10.9.0.128/25; eth0:2: ?10.9.0.0/24; eth0:1: +10.9.1.1"},
		{"it has the same addition now", []responder.Alias{{Label: "eth0:2", Ranges: ranges(t, "10.9.0.0/24")}},
			"eth0:2: 10.9.0.0/24 ?10.9.0.0/24; eth0:1: +10.9.1.1"},
		{"it has an addition now, but that is removed", []responder.Alias{{Label: "eth0:0", Ranges: ranges(t, "10.9.0.1")}},
			"eth0:0: -10.9.0.1; eth0:2: +10.9.0.0/24; eth0:1: +10.9.1.1"},
	} {
		// Labels that only the changes have come in the order of their first change.
		got := describe(o.View("eth0", NewFile(tc.file)))
		sorted := func(s string) []string { l := strings.Split(s, "; "); slices.Sort(l); return l }
		if !slices.Equal(sorted(got), sorted(tc.want)) {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestResetAndSource(t *testing.T) {
	var o Overlay
	file := []responder.Alias{{Label: "eth0:0", Ranges: ranges(t, "10.0.0.1")}}
	o.Apply(edit(t, &o, file, "del eth0:0"))
	undo := o.Apply(Reset(&Source{Name: "b.toml", Text: "x"}))
	if got := describe(o.View("eth0", NewFile(file))); got != "eth0:0: 10.0.0.1" || o.Source().Name != "b.toml" {
		t.Errorf("after a reset: %s, source %v", got, o.Source())
	}
	o.Apply(edit(t, &o, file, "add eth0:1 10.0.0.2"))()
	undo()
	if got := describe(o.View("eth0", NewFile(file))); got != "eth0:0: -10.0.0.1" || o.Source() != nil {
		t.Errorf("taken back: %s, source %v", got, o.Source())
	}
	o.Apply(Reset(&Source{Name: "b.toml", Text: "x"}))
	o.Apply(edit(t, &o, file, "add eth0:1 10.0.0.2"))
	o.Apply(o.ReturnToFile())()
	if got := describe(o.View("eth0", NewFile(file))); got != "eth0:0: 10.0.0.1; eth0:1: +10.0.0.2" || o.Source() == nil {
		t.Errorf("back to the file, taken back: %s, source %v", got, o.Source())
	}
	o.Apply(o.ReturnToFile())
	if got := describe(o.View("eth0", NewFile(file))); got != "eth0:0: 10.0.0.1; eth0:1: +10.0.0.2" || o.Source() != nil {
		t.Errorf("back to the file: %s, source %v", got, o.Source())
	}
	if !o.ReturnToFile().Empty() {
		t.Error("back to the file twice is a change")
	}
}

// Sets of single addresses are the slow model of everything here.
func TestAgainstSets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() responder.Ranges {
		var list responder.Ranges
		at := 0
		for range 1 + rng.IntN(3) {
			first := at + rng.IntN(6)
			last := first + rng.IntN(5)
			at = last + 1
			list = list.Append(responder.Range{First: netip.AddrFrom4([4]byte{10, 0, 0, byte(first)}), Last: netip.AddrFrom4([4]byte{10, 0, 0, byte(last)})})
		}
		return list
	}
	set := func(list responder.Ranges) map[netip.Addr]bool {
		m := map[netip.Addr]bool{}
		for _, r := range list.All() {
			for a := r.First; ; a = a.Next() {
				if m[a] {
					t.Fatalf("%s twice in %s", a, write(list))
				}
				m[a] = true
				if a == r.Last {
					break
				}
			}
		}
		return m
	}
	for range 3000 {
		file := []responder.Alias{{Label: "e:0", Ranges: random()}}
		model := set(file[0].Ranges)
		var o Overlay
		for range 6 {
			list := random()
			switch rng.IntN(4) {
			case 0:
				o.Apply(o.Set("e:0", file[0].Ranges, list))
				model = set(list)
			case 1:
				if c, err := o.Delete("e:0", file[0].Ranges, list); err == nil {
					o.Apply(c)
					for a := range set(list) {
						delete(model, a)
					}
				}
			default:
				o.Apply(o.Add("e:0", file[0].Ranges, list))
				for a := range set(list) {
					model[a] = true
				}
			}
			v := o.View("e", NewFile(file))
			var got responder.Ranges
			for _, a := range v.Aliases() {
				got = got.Join(a.Ranges)
			}
			if have := set(got); len(have) != len(model) {
				t.Fatalf("%s: %d addresses, want %d", describe(v), len(have), len(model))
			}
			for a := range set(got) {
				if !model[a] {
					t.Fatalf("%s: holds %s", describe(v), a)
				}
			}
		}
	}
}

// A million labels are there once while nothing was changed about them, and what was changed of
// others makes no second list.
func TestAliasesAreShared(t *testing.T) {
	one := responder.RangesOf(responder.Range{First: small(1), Last: small(1)})
	file := []responder.Alias{{Label: "e:0", Ranges: one}, {Label: "e:1", Ranges: responder.RangesOf(responder.Range{First: small(2), Last: small(2)})}}
	var o Overlay
	shared := func() bool {
		list := o.View("e", NewFile(file)).Aliases()
		return len(list) == len(file) && &list[0] == &file[0] && cap(list) == len(list)
	}
	if !shared() {
		t.Error("a list of its own though nothing was changed")
	}
	o.Apply(o.Add("f:0", responder.Ranges{}, one))
	if !shared() {
		t.Error("a list of its own though only another interface was changed")
	}
	o.Apply(o.Add("e:1", file[1].Ranges, responder.RangesOf(responder.Range{First: small(3), Last: small(3)})))
	if shared() {
		t.Error("the configuration's list, which lacks what was added")
	}
	if file[1].Ranges.Len() != 1 {
		t.Errorf("the configuration was changed: %v", file)
	}
}
