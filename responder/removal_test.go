package responder

import (
	"math/rand/v2"
	"testing"
)

// space is a little of the address space, for models.
const space = 64

// numbers spells out what a list of absences says of each address of the space.
func numbers(t *testing.T, list []absence) (by [space]uint64) {
	t.Helper()
	next := uint64(0)
	for _, g := range list {
		if uint64(g.first) < next || g.last < g.first {
			t.Fatalf("%v is not sorted, or overlaps", list)
		}
		for a := uint64(g.first); a <= min(uint64(g.last), space-1); a++ {
			by[a] = g.number
		}
		next = uint64(g.last) + 1
	}
	return by
}

// TestAfter: what is pending, and what comes behind it, address by address.
func TestAfter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var list []absence
		var want [space]uint64
		cleaned := uint64(0)
		for number := uint64(1); number < 12; number++ {
			var gone Ranges
			for a := random.Uint32N(space); a < space; a += 2 + random.Uint32N(space/2) {
				last := min(a+random.Uint32N(10), space-1)
				gone.push(run4{a, last})
				for ; a <= last; a++ {
					want[a] = number
				}
			}
			if random.IntN(4) == 0 {
				cleaned = number - 1
			}
			list = after(list, cleaned, absences(gone, number))
			for a, n := range want {
				if n <= cleaned {
					want[a] = 0
				}
			}
			if got := numbers(t, list); got != want {
				t.Fatalf("%v says\n%v, want\n%v", list, got, want)
			}
			m := newRemoval(number, gone, list)
			for a := range uint32(space) {
				if m.of(a) != want[a] {
					t.Fatalf("%v finds %d for %d, want %d", list, m.of(a), a, want[a])
				}
			}
		}
	}
}

// TestIdleWorker: a worker that handles no frame while aliases come and go keeps a
// bounded list of what it has to forget, and when it runs it has lost nothing of those that
// stayed and keeps nothing of those that came back.
func TestIdleWorker(t *testing.T) {
	const changes, stay = 40_000, 100
	address := func(n int) uint32 { return 10<<24 + uint32(n)*3 }
	alias := func(from, to int) []Alias {
		a := Alias{Label: "v0:x"}
		for n := from; n < to; n++ {
			a.Ranges.push(run4{address(n), address(n)})
		}
		return []Alias{a}
	}
	r := New(Config{Workers: 2})
	if _, err := r.Publish([]Interface{{Name: "v0", MAC: [6]byte{2}, Aliases: alias(0, stay+1)}}); err != nil {
		t.Fatal(err)
	}
	count := func(worker, n int) {
		w := r.workers[worker]
		w.Handle(1, nil, nil, nil)
		w.set = r.set.Load()
		if row := w.row(w.set.untagged, address(n)); row == nil || row.rx.count(60) {
			t.Fatalf("%d has no row", n)
		}
		w.set = nil
	}
	for n := range stay + 1 {
		count(1, n)
	}
	longest := 0
	for n := stay; n < stay+changes; n++ {
		// One goes, the next comes.
		if _, err := r.Amend("v0", alias(n, n+1), alias(n+1, n+2)); err != nil {
			t.Fatal(err)
		}
		count(0, n+1)
		l := r.set.Load().untagged
		longest = max(longest, len(l.removals[1].pending()))
		if m := len(l.removals[0].pending()); m > 1 {
			t.Fatalf("the worker that runs has %d to forget", m)
		}
	}
	if longest > pendingMin || longest < pendingMin/2 {
		t.Errorf("the worker that does not run had up to %d to forget, want about %d", longest, pendingMin)
	}
	back := alias(stay, stay+1)
	if _, err := r.Amend("v0", nil, back); err != nil {
		t.Fatal(err)
	}
	count(1, 0)
	count(1, stay)
	for n, want := range map[int]uint64{0: 2, 1: 1, stay - 1: 1, stay: 1, stay + 1: 0, stay + changes: 1} {
		if c, _ := r.CountersOf("v0", v4addr(address(n))); c.RxPackets != want {
			t.Errorf("address %d counted %d, want %d", n, c.RxPackets, want)
		}
	}
	for range 100 {
		r.workers[1].Handle(1, nil, nil, nil)
	}
	if own := r.set.Load().untagged.ledgers[1]; own.live != stay+1 || own.cleaning != nil || r.workers[1].untidy {
		t.Errorf("%d rows in the ledger of the worker that had not run, want %d", own.live, stay+1)
	}
}
