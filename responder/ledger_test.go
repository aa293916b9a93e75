package responder

import (
	"math/rand/v2"
	"testing"
)

// TestLedgerAgainstMap: rows are found, added and dropped as in a Go map, through every
// size of the index and while it moves, and dropped rows are used again.
func TestLedgerAgainstMap(t *testing.T) {
	const most = 100_000
	l, err := newLedger(most)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(24, 0))
	rows, live := map[uint32]uint32{}, []uint32{}
	moving := 0
	for n := range 400_000 {
		a := 0x0a000000 + random.Uint32N(1<<18)
		if random.IntN(4) == 0 {
			a = random.Uint32() | 1
		}
		h := hash(a)
		if l.old != nil {
			moving++
		}
		if got := l.find(a, h); got != rows[a] {
			t.Fatalf("step %d: %#x is in row %d, want %d", n, a, got, rows[a])
		}
		if first := l.look(h); l.sure(first, &l.rows[first], a) && first != rows[a] {
			t.Fatalf("step %d: %#x is surely in row %d, want %d", n, a, first, rows[a])
		}
		if rows[a] == 0 {
			row := l.add(a, h)
			if (row == 0) != (len(rows) == most) {
				t.Fatalf("row %d with %d in use", row, len(rows))
			}
			if row != 0 {
				rows[a], live = row, append(live, a)
			}
		}
		if share := n / 100_000; len(live) > 0 && random.IntN(4) < share-1 || len(rows) == most {
			i := random.IntN(len(live))
			gone := live[i]
			live[i], live = live[len(live)-1], live[:len(live)-1]
			l.drop(rows[gone])
			l.spare(rows[gone], 1)
			delete(rows, gone)
		}
	}
	for a, n := range rows {
		if got := l.find(a, hash(a)); got != n {
			t.Fatalf("at the end %#x is in row %d, want %d", a, got, n)
		}
	}
	if moving < 1000 || int(l.next) > most+rowsStart {
		t.Errorf("%d steps while the index moved, %d rows: the test no longer tries what it should", moving, l.next)
	}
}

// TestSearchesAreShort: neighbours, multiples and random addresses spread over the
// index whatever the keys of the hash.
func TestSearchesAreShort(t *testing.T) {
	for name, address := range map[string]func(uint32) uint32{
		"neighbours":  func(n uint32) uint32 { return 10<<24 + n },
		"every 256th": func(n uint32) uint32 { return 10<<24 + n<<8 },
		"scattered":   func(n uint32) uint32 { return n*2654435761 | 1<<31 },
	} {
		const rows = 1 << 16
		l, err := newLedger(rows)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint32(rows) {
			l.add(address(n), hash(address(n)))
		}
		total := 0
		for n := range uint32(rows) {
			a := address(n)
			from := home(hash(a), len(l.index))
			d := l.searchSlot(l.index, from, a, hash(a)) - from
			if d < 0 {
				d += len(l.index)
			}
			total += d
		}
		// Random hashing at three quarters gives 1.5.
		if mean := float64(total) / rows; mean > 4 {
			t.Errorf("%s: %.1f slots to go from where the search begins", name, mean)
		}
	}
}

// TestIndexSettles: an index that began to grow does so to the end when no address is
// new any more, and gives the memory of the old one back.
func TestIndexSettles(t *testing.T) {
	r, l := oneLink(t)
	w, own := r.Worker(0), l.ledgers[0]
	for a := uint32(0x0a000000); own.old == nil || len(own.index) < 1<<16; a++ {
		w.row(l, a)
	}
	slots, live := len(own.old), own.live
	frames := make([][]byte, chunk)
	for i := range frames {
		frames[i] = make([]byte, plainLen) // for nobody
	}
	for range slots/chunk + 1 {
		w.Handle(0, frames, nil, nil)
	}
	if own.old != nil {
		t.Errorf("%d of %d slots have moved after as many frames", own.moved, slots)
	}
	for a := uint32(0x0a000000); a < 0x0a000000+uint32(live); a++ {
		if n := own.find(a, hash(a)); n == 0 || own.rows[n].addr != a {
			t.Fatalf("%#x is found in row %d", a, n)
		}
	}
}

// TestGuess: what is guessed by tags is the right row but for one in many, and nobody's
// for an address without one, while the index grows and after rows were dropped.
func TestGuess(t *testing.T) {
	const most = 1 << 20 // leaves eleven bits of tag
	l, err := newLedger(most)
	if err != nil {
		t.Fatal(err)
	}
	address := func(n int) uint32 { return uint32(n)*2654435761 | 1 }
	guess := func(a uint32) uint32 {
		rows := make([]uint32, 1)
		l.guess([]uint32{uint32(home(hash(a), len(l.index)))}, []uint32{l.tag(hash(a))}, rows)
		return rows[0]
	}
	for added, n := 0, 0; added < 1<<18; added++ {
		l.add(address(added), hash(address(added)))
		if n++; n < added/4 || l.old != nil { // what has yet to move is not guessed
			continue
		}
		n = 0
		wrong, found := 0, 0
		for k := range added + 1 {
			if guess(address(k)) != l.find(address(k), hash(address(k))) {
				wrong++
			}
			if guess(address(k+most)) > 1 {
				found++
			}
		}
		if wrong*100 > added || found*100 > added+100 {
			t.Fatalf("of %d, %d are guessed wrong; of as many without a row, %d are found", added+1, wrong, found)
		}
	}
	a := address(1<<18 - 1) // the last one
	if n := l.find(a, hash(a)); n == 0 || guess(a) != n {
		t.Fatalf("%#x is guessed in row %d, not %d: choose another", a, guess(a), n)
	}
	l.drop(l.find(a, hash(a)))
	if n := guess(a); l.sure(n, &l.rows[n], a) {
		t.Error("an address is still found after its row was dropped")
	}
}

// TestCarries: counters go on over each of their limits: 32 bits of bytes, what carries
// hold, the list of giants among addresses and that among labels.
func TestCarries(t *testing.T) {
	r, l := oneLink(t)
	w := r.Worker(0)
	a := uint32(0x0a000001)
	row := w.row(l, a)
	n := l.ledgers[0].find(a, hash(a))
	var want Counters
	for step := range 3000 {
		// As much as one word takes before its carry is caught, and a frame more.
		row.rx.add(1<<31 | 1<<29<<packetShift)
		row.tx.add(1 << 31)
		want.add(Counters{1 << 29, 1 << 31, 0, 1 << 31})
		if row.rx.count(100) || row.tx.load()&caught != 0 {
			w.spill(l, row)
		}
		want.add(Counters{1, 100, 0, 0})
		if addr, c := l.ledgers[0].read(n); addr != a || c != want {
			t.Fatalf("step %d: %+v of %#x, want %+v", step, c, addr, want)
		}
	}
	if !l.ledgers[0].anyGiant.Load() {
		t.Error("no giant grew")
	}
	b := a + 1
	for i := range uint32(giantProbes) { // from here on, what is over goes to the label
		l.ledgers[0].giantAt(b, i).addr = 0x0b000000 + i
	}
	row = w.row(l, b)
	want = Counters{}
	for range 3000 {
		row.rx.add(1 << 32)
		want.RxBytes += 1 << 32
		w.spill(l, row)
	}
	_, c := l.ledgers[0].read(l.ledgers[0].find(b, hash(b)))
	c.add(l.uncounted()[l.table.labels[0].key()])
	if c != want {
		t.Errorf("an address and its label counted %+v, want %+v", c, want)
	}
}

// TestManyGiants: in years a thousand aliases count terabytes each: none of them goes back, nor
// has what another counted, and those that are removed make room.
func TestManyGiants(t *testing.T) {
	const many, spills = 1000, 300
	r, l := oneLink(t)
	w, own := r.Worker(0), l.ledgers[0]
	for round := range uint32(20) {
		first := 0x0a000001 + round*many
		for n := range uint32(many) {
			row := w.row(l, first+n)
			for range spills {
				row.rx.add(1 << 32)
				w.spill(l, row)
			}
			row.tx.count(int(n))
		}
		for n := range uint32(many) {
			at := own.find(first+n, hash(first+n))
			if _, c := own.read(at); c != (Counters{0, spills << 32, 1, uint64(n)}) {
				t.Fatalf("round %d: address %d counted %+v", round, n, c)
			}
			own.forget(at)
		}
	}
	if c := l.uncounted(); len(c) != 0 {
		t.Errorf("%v was counted for labels", c)
	}
	w.row(l, 0x0a000001)
	if _, c := own.read(own.find(0x0a000001, hash(0x0a000001))); c != (Counters{}) {
		t.Errorf("an address that came back begins at %+v", c)
	}
}

func oneLink(t *testing.T) (*Responder, *link) {
	t.Helper()
	r := New(Config{Workers: 1})
	first, last := v4addr(0x0a000000), v4addr(0x0affffff)
	_, err := r.Publish([]Interface{{Name: "v0", MAC: [6]byte{2}, Aliases: []Alias{{Label: "v0:x", Ranges: RangesOf(Range{first, last})}}}})
	if err != nil {
		t.Fatal(err)
	}
	l := r.set.Load().untagged
	r.workers[0].set = r.set.Load()
	r.workers[0].enter(l)
	return r, l
}

// TestIndexHasRoom: however few rows a ledger may have, its index has room for all of them:
// else it would be begun anew again and again as soon as it has settled.
func TestIndexHasRoom(t *testing.T) {
	for _, most := range []int{1, 600, 5000, 10_000, 30_000, 100_000} {
		l, err := newLedger(most)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint32(most) {
			a := 10<<24 + n
			if l.add(a, hash(a)) == 0 {
				t.Fatalf("no room for row %d of %d", n, most)
			}
		}
		if l.settle(len(l.regions[0])); l.filled > fullAt(len(l.index)) {
			t.Errorf("%d rows in an index of %d slots, which begins anew with more than %d", most, len(l.index), fullAt(len(l.index)))
		}
	}
}

// TestRowsAreNumbered: the rows of all workers have different numbers for readers.
func TestRowsAreNumbered(t *testing.T) {
	for _, workers := range []int{1, 4, 5, 300} {
		for _, c := range []int{0, maxCounted, 1<<31 - 1} {
			if most := New(Config{Workers: workers, MaxCounted: c}).counted; most <= 0 || uint64(workers)*uint64(most+rowsStart) > 1<<32 {
				t.Errorf("%d rows for each of %d workers", most, workers)
			}
		}
	}
}
