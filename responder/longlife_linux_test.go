package responder

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// A life is a responder with one worker, to which years of changes happen.
type life struct {
	*testing.T
	r *Responder
}

func (l life) publish(list Ranges) *ledger {
	l.Helper()
	i := Interface{Name: "v0", MAC: [6]byte{2}, Aliases: []Alias{{Label: "v0:x", Ranges: list}}}
	if _, err := l.r.Publish([]Interface{i}); err != nil {
		l.Fatal(err)
	}
	return l.r.set.Load().untagged.ledgers[0]
}

// ask has addresses counted as frames do it, a batch after the other.
func (l life) ask(addrs []uint32) {
	l.Helper()
	w := l.r.workers[0]
	frame := [][]byte{make([]byte, plainLen)} // for nobody
	for len(addrs) > 0 {
		w.Handle(1, frame, nil, nil)
		w.set = l.r.set.Load()
		part := addrs[:min(chunk, len(addrs))]
		addrs = addrs[len(part):]
		for _, a := range part {
			if r := w.row(w.set.untagged, a); r == nil || r.rx.count(60) {
				l.Fatalf("%v has no row", v4addr(a))
			}
		}
		w.set = nil
	}
}

// rest has no frame come until the worker has nothing to do any more.
func (l life) rest() {
	l.Helper()
	w := l.r.workers[0]
	for n, wake := 0, int64(1); wake != 0; n++ {
		if _, wake = w.Handle(1, nil, nil, nil); n > 100_000 {
			l.Fatal("the worker does not come to rest")
		}
	}
}

// TestMemoryOfTheRemovedGoes: when most of many aliases go, so does the memory of their
// counters, at rest and without another change. What is left keeps its own, wherever
// its rows lie, and what comes back begins in the rows that are free.
func TestMemoryOfTheRemovedGoes(t *testing.T) {
	const many, step = 1 << 20, 1 << 17
	l := life{t, New(Config{Workers: 1})}
	all := make([]uint32, many)
	var few Ranges
	for n := range all {
		if all[n] = 0x0a000000 + uint32(n)*7&0xffffff; n%step == step/2 {
			few.push(run4{all[n], all[n]})
		}
	}
	few = few.Sorted()
	whole := rangesOf4([]run4{{0x0a000000, 0x0affffff}})
	for round := range uint64(3) {
		own := l.publish(whole)
		l.ask(all)
		if full := resident(t, own.rows); full < many*24 || own.live != many {
			t.Fatalf("round %d: %d rows in %d bytes", round, own.live, full)
		}
		l.publish(few)
		l.rest()
		const huge = (many/step + 1) * hugePage // each may keep the large page that it lies in
		if rows, index := resident(t, own.rows), resident(t, own.regions[0])+resident(t, own.regions[1]); rows > huge || index > hugePage {
			t.Errorf("round %d: %d bytes of rows and %d of index for %d addresses", round, rows, index, few.Len())
		}
		for _, r := range few.runs() {
			if c, _ := l.r.CountersOf("v0", v4addr(r.first)); c.RxPackets != round+1 {
				t.Errorf("round %d: %v counted %d", round, v4addr(r.first), c.RxPackets)
			}
		}
		if own.live != few.Len() || int(own.next) > many+rowsStart {
			t.Errorf("round %d: %d rows of %d in use", round, own.live, own.next)
		}
	}
}

// TestYears: tables replaced as a whole, again and again, under traffic, with a /8 that
// comes and goes between them: rows stay as close together as there are addresses asked
// for, and no address space is reserved that was not after the first rounds.
func TestYears(t *testing.T) {
	const size, asked, rounds = 20_000, 10_000, 60
	l := life{t, New(Config{Workers: 1})}
	random := rand.New(rand.NewPCG(30, 1))
	begin := 0
	for round := range rounds {
		taken := map[uint32]bool{}
		for len(taken) < size {
			taken[12<<24+random.Uint32N(1<<24)] = true
		}
		list := Ranges{}
		for a := range taken {
			list.push(run4{a, a})
		}
		own := l.publish(list)
		l.ask(list.first[:asked])
		if round%2 == 0 {
			l.rest()
		}
		// Two tables' at most are there at a time: one is on its way out.
		if own.live > 2*asked || int(own.next) > 3*asked {
			t.Fatalf("round %d: %d rows in use, of %d, for %d addresses", round, own.live, own.next, asked)
		}
		if round%3 == 0 {
			l.publish(rangesOf4([]run4{{0x0a000000, 0x0affffff}}))
			l.ask([]uint32{0x0a000001, 0x0affffff})
		}
		runtime.GC()
		if round == rounds/4 {
			begin = status(t, "VmSize")
		}
	}
	const slack = 256 << 20 // Go's heap grows by arenas of 64 MiB; one ledger left behind is more than all of this
	if grown := status(t, "VmSize") - begin; grown > slack {
		t.Errorf("%d MiB more of address space after %d tables more", grown>>20, rounds-rounds/4)
	}
}
