package responder_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ipalias/ipalias/responder"
)

// TestAmendAgainstPublish: random tables changed by random differences, the good
// and the impossible: each time what is answered, told and counted is what a
// Publish of the whole would have made of it.
func TestAmendAgainstPublish(t *testing.T) {
	random := rand.New(rand.NewPCG(20261124, 0))
	good, overlapping, missing := 0, 0, 0
	for range 120 {
		i := randomInterface(random)
		amended, published := responder.New(responder.Config{Workers: 1}), responder.New(responder.Config{Workers: 1})
		if _, err := amended.Publish([]responder.Interface{i}); err != nil {
			continue
		}
		if _, err := published.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
		// Who published it shares the list with others, who rely on what is in it.
		given, copied := i.Aliases, slices.Clone(i.Aliases)
		for range 12 {
			remove, add := randomDifference(random, &i)
			next, has := change(i, remove, add)
			heldWhereRefused(t, amended, i, add)
			_, err := amended.Amend("v0", remove, add)
			var overlap *responder.OverlapError
			switch {
			case !has:
				missing++
				if err == nil {
					t.Fatalf("%v was taken out of %v", remove, i.Aliases)
				}
			case errors.As(err, &overlap):
				overlapping++
				if _, err := responder.Check(&next); !errors.As(err, &overlap) {
					t.Fatalf("%v, but a Publish of the whole says %v", overlap, err)
				}
			default:
				good++
				if _, perr := published.Publish([]responder.Interface{next}); err != nil || perr != nil {
					t.Fatalf("Amend says %v, Publish %v", err, perr)
				}
				i = next
			}
			sameEverywhere(t, amended, published)
		}
		if !reflect.DeepEqual(given, copied) {
			t.Fatalf("the list that was published is %v now, it was %v", given, copied)
		}
	}
	if good < 100 || overlapping < 20 || missing < 20 {
		t.Errorf("%d differences were good, %d overlapped, %d took what was not there: the test no longer tries what it should", good, overlapping, missing)
	}
}

// heldWhereRefused tells that Held finds an overlap just where a change would be refused for it.
func heldWhereRefused(t *testing.T, r *responder.Responder, i responder.Interface, add []responder.Alias) {
	t.Helper()
	for _, a := range add {
		shared, by, held := r.Held("v0", a.Label, a.Ranges)
		if held && (by == a.Label || a.Ranges.Shared(responder.RangesOf(shared)).Len() == 0) {
			t.Fatalf("%v of %s overlaps %s of %s", a.Ranges, a.Label, shared, by)
		}
		next, _ := change(i, nil, []responder.Alias{a})
		_, err := responder.Check(&next)
		var overlap *responder.OverlapError
		others := errors.As(err, &overlap) && slices.ContainsFunc(overlap.Overlaps, func(o responder.Overlap) bool { return o.LabelA != o.LabelB })
		if others != held {
			t.Fatalf("%v of %s: held %v by %q, but Check says %v", a.Ranges, a.Label, held, by, err)
		}
	}
}

// randomDifference takes pieces of what i has, and sometimes of what it has not,
// and adds what is free, and sometimes what is not.
//
// Half of the differences are about single addresses alone, which go another way.
func randomDifference(r *rand.Rand, i *responder.Interface) (remove, add []responder.Alias) {
	singles := r.IntN(2) == 0
	for _, a := range i.Aliases {
		var gone []responder.Range
		for _, rng := range a.Ranges.All() {
			if r.IntN(4) > 0 || singles && !rng.Single() {
				continue
			}
			first, last := value(rng.First), value(rng.Last)
			first += uint32(r.IntN(int(last-first) + 1))
			last -= uint32(r.IntN(int(last-first) + 1))
			if r.IntN(25) == 0 {
				last++ // most likely nobody's
			}
			gone = append(gone, responder.Range{First: number(first), Last: number(last)})
		}
		if gone != nil {
			remove = append(remove, responder.Alias{Label: a.Label, Ranges: responder.RangesOf(gone...)})
		}
	}
	for range r.IntN(3) {
		a := responder.Alias{Label: "v0:" + string(rune('a'+r.IntN(6)))}
		for range 1 + r.IntN(2) {
			first := r.IntN(len(everyAddress))
			last := first
			for !singles && r.IntN(3) > 0 && last+1 < len(everyAddress) && !windowEnds[last] {
				last++
			}
			a.Ranges = a.Ranges.Append(responder.Range{First: everyAddress[first], Last: everyAddress[last]})
		}
		add = append(add, a)
	}
	return remove, add
}

func value(a interface{ As4() [4]byte }) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// change does to i what Amend is asked to, an address at a time; has is false where
// something is to be taken that is not there.
func change(i responder.Interface, remove, add []responder.Alias) (next responder.Interface, has bool) {
	next = i
	next.Aliases = slices.Clone(i.Aliases)
	index := func(label string) int {
		return slices.IndexFunc(next.Aliases, func(a responder.Alias) bool { return a.Label == label })
	}
	for _, a := range remove {
		k := index(a.Label)
		for _, gone := range a.Ranges.All() {
			for addr := gone.First; addr.IsValid() && addr.Compare(gone.Last) <= 0; addr = addr.Next() {
				ranges := list(next.Aliases[k].Ranges)
				n := slices.IndexFunc(ranges, func(r responder.Range) bool { return r.Contains(addr) })
				if n < 0 {
					if slices.ContainsFunc(list(i.Aliases[slices.IndexFunc(i.Aliases, func(b responder.Alias) bool { return b.Label == a.Label })].Ranges), func(r responder.Range) bool { return r.Contains(addr) }) {
						continue // named twice
					}
					return i, false
				}
				var left []responder.Range
				if r := ranges[n]; r.First != addr {
					left = append(left, responder.Range{First: r.First, Last: addr.Prev()})
				}
				if r := ranges[n]; r.Last != addr {
					left = append(left, responder.Range{First: addr.Next(), Last: r.Last})
				}
				next.Aliases[k].Ranges = responder.RangesOf(slices.Replace(ranges, n, n+1, left...)...)
			}
		}
		if next.Aliases[k].Ranges.Len() == 0 {
			next.Aliases = slices.Delete(next.Aliases, k, k+1)
		}
	}
	for _, a := range add {
		k := index(a.Label)
		if k < 0 {
			next.Aliases = append(next.Aliases, responder.Alias{Label: a.Label})
			k = len(next.Aliases) - 1
		}
		next.Aliases[k].Ranges = next.Aliases[k].Ranges.Join(a.Ranges)
	}
	return next, true
}

func list(l responder.Ranges) (all []responder.Range) {
	for _, r := range l.All() {
		all = append(all, r)
	}
	return all
}

// sameEverywhere asks two responders about every address, and for all they tell.
func sameEverywhere(t *testing.T, a, b *responder.Responder) {
	t.Helper()
	for _, addr := range everyAddress {
		if asked(t, a, addr) != asked(t, b, addr) {
			t.Fatalf("%v is answered by one of the two", addr)
		}
		if d := cmp.Diff(a.Explain("v0", addr), b.Explain("v0", addr)); d != "" {
			t.Fatalf("of %v Amend's and Publish's say:\n%s", addr, d)
		}
	}
	equal := cmp.Comparer(func(a, b responder.Ranges) bool { return a.Equal(b) })
	if d := cmp.Diff(a.Labels("v0"), b.Labels("v0"), equal); d != "" {
		t.Fatalf("the labels of Amend's and Publish's:\n%s", d)
	}
	for _, want := range b.Labels("v0") {
		if got, known := a.Label("v0", want.Label); !known || !cmp.Equal(got, want, equal) {
			t.Fatalf("label %s asked for alone: %+v, %v, want %+v", want.Label, got, known, want)
		}
	}
	if a.Size("v0") != b.Size("v0") {
		t.Fatalf("sizes %d and %d", a.Size("v0"), b.Size("v0"))
	}
}

// TestAmendPlaces: warnings and overlaps name places in what is added.
func TestAmendPlaces(t *testing.T) {
	r := newResponder(t, with(single("10.0.0.1"), span("10.0.0.10", "10.0.0.20")))
	free := responder.RangesOf(single("10.0.0.2"))
	warnings, err := r.Amend("v0", nil, []responder.Alias{{Label: "v0:x", Ranges: free}, {Label: "v0:y", Ranges: responder.RangesOf(single("10.0.0.3"), single("127.0.0.1"))}})
	if err != nil || len(warnings) != 1 || warnings[0].EntryRef != (responder.EntryRef{Alias: 1, Range: 1}) {
		t.Errorf("warnings %+v, error %v", warnings, err)
	}
	_, err = r.Amend("v0", nil, []responder.Alias{{Label: "v0:z", Ranges: responder.RangesOf(single("10.0.0.30"), single("10.0.0.15"))}})
	var overlap *responder.OverlapError
	if !errors.As(err, &overlap) {
		t.Fatalf("error %v", err)
	}
	o := overlap.Overlaps[0]
	if o.A != (responder.EntryRef{Alias: -1, Range: -1}) || o.B != (responder.EntryRef{Alias: 0, Range: 1}) || o.LabelA != "v0:x" || o.LabelB != "v0:z" || o.Shared != single("10.0.0.15") {
		t.Errorf("overlap %+v", o)
	}
	if asked(t, r, addr("10.0.0.30")) {
		t.Error("a part of what overlapped was taken")
	}
	if _, err := r.Amend("v9", nil, nil); err == nil {
		t.Error("an interface that nobody published was changed")
	}
}

// TestAmendLeavesOtherInterfaces: what one interface was amended by address by address stays
// when another one is changed in the whole way.
func TestAmendLeavesOtherInterfaces(t *testing.T) {
	untagged, vlan := lab(), lab()
	untagged.Aliases = []responder.Alias{named("v0:a", single("10.0.0.1"), single("10.0.0.2"))}
	vlan.Name, vlan.Tags, vlan.Aliases = "v0.100", []uint16{100}, nil
	r := responder.New(responder.Config{Workers: 1})
	if _, err := r.Publish([]responder.Interface{untagged, vlan}); err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct {
		of          string
		remove, add responder.Alias
	}{
		{"v0", named("v0:a", single("10.0.0.1")), named("v0:b", single("10.0.0.3"))},
		{"v0.100", responder.Alias{}, named("v0.100:a", span("10.1.0.0", "10.1.255.255"))},
	} {
		var remove []responder.Alias
		if change.remove.Label != "" {
			remove = []responder.Alias{change.remove}
		}
		if _, err := r.Amend(change.of, remove, []responder.Alias{change.add}); err != nil {
			t.Fatal(err)
		}
	}
	for a, want := range map[string]bool{"10.0.0.1": false, "10.0.0.2": true, "10.0.0.3": true} {
		if asked(t, r, addr(a)) != want {
			t.Errorf("%s is answered: %v", a, !want)
		}
	}
}
