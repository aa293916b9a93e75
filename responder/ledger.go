package responder

import (
	"math/bits"
	"sync/atomic"
)

// A ledger holds what one worker counts for the addresses of one interface: a row
// for each address that was asked for, in the order in which they were. Beside the
// rows lies an index, from addresses to rows, that only the worker looks at: who
// reads the counters goes through the rows.
//
// An address costs its 24 bytes and 5 to 8 of index once it is used, and nothing
// before. Memory is reserved for as many rows as there may be and handed out by
// the system as it is written to; the garbage collector knows nothing of it.
//
// An address that has a row is an alias. That makes the index the first place to
// look an address up, and for traffic the only one: the table is asked about
// addresses without a row. When aliases are taken away, their rows have to go
// before anything is answered by them; see clean.
type ledger struct {
	mappings
	rows  []row    // rows[0] and [1] are nobody's: see index
	index []uint32 // by hash: a row number and a tag; 0: free, 1: no longer used
	mask  uint32   // the row number in a slot of index; the rest is the tag
	valid uint32   // so many rows, from number 2 on, are those of aliases for certain

	next   uint32 // from here on no row is used
	last   atomic.Uint32
	free   uint32 // a run of rows that are nobody's again, see spare; 0: none
	filled int    // slots of index that are not free
	live   int    // rows in use

	old      []uint32 // the index before it grew, as long as not all of it has moved
	moved    int      // slots of old that have
	given    int      // of these, given back to the system
	regions  [2][]uint32
	inRegion int // where index lies

	// See clean.
	cleaned  atomic.Uint64 // the last removal that was carried out
	cleaning *removal      // the newest, while it takes more than a batch; nil: none
	goal     uint64        // the removal that all rows are gone through for
	position uint32        // the row that comes next in that
	cleanEnd uint32        // rows from here on are newer than the goal
	run      uint32        // from this row to position all are nobody's; 0: the last one is somebody's
	runGiven uint32        // of these, up to where memory was given back
	born     []uint32      // of rows that are made meanwhile: the newest removal then; else 0
	bornEnd  uint32        // from here on all are 0

	giants   []giant // by hash, see giant.go
	anyGiant atomic.Bool
}

const (
	rowsStart = 2             // 0 in a slot is free, 1 is no longer used
	allValid  = 1<<32 - 1 - 1 // 0 less rowsStart is no less

	indexMin   = 2048    // slots
	sparse     = 1 << 16 // with fewer slots, an index is a quarter full at most: most searches end at once
	movedPiece = 1 << 18 // slots of an old index that are given back in one piece
)

// newLedger reserves memory for so many rows. It is given back with the ledger, when a
// card is no longer configured.
func newLedger(most int) (_ *ledger, err error) {
	l := &ledger{next: rowsStart}
	l.last.Store(rowsStart)
	defer func() {
		if err != nil {
			l.release()
		}
	}()
	if l.rows, err = mapFor[row](&l.mappings, l, most+rowsStart); err != nil {
		return nil, err
	}
	if l.born, err = mapFor[uint32](&l.mappings, l, most+rowsStart); err != nil {
		return nil, err
	}
	if l.giants, err = mapFor[giant](&l.mappings, l, giantSlots); err != nil {
		return nil, err
	}
	slots := slotsFor(most)
	for i := range l.regions {
		if l.regions[i], err = mapFor[uint32](&l.mappings, l, slots); err != nil {
			return nil, err
		}
	}
	l.mask = 1<<bits.Len32(uint32(most+rowsStart)) - 1
	l.index = l.regions[0][:indexMin:indexMin]
	l.valid = allValid
	return l, nil
}

// home is the slot where a search for a hash begins.
func home(h uint32, slots int) int { return int(uint64(h) * uint64(slots) >> 32) }

// look gives the row that the search for an address begins at. It is that of the
// address if sure says so; else find knows. The packet path calls the two itself,
// since they inline.
func (l *ledger) look(h uint32) uint32 { return l.index[home(h, len(l.index))] & l.mask }

// sure tells whether row n, which look gave for a, is the row of a and a is an alias.
// The rows 0 and 1 fail the second comparison.
func (l *ledger) sure(n uint32, r *row, a uint32) bool { return r.addr == a && n-rowsStart < l.valid }

// find gives the row of an address, 0 if it has none.
func (l *ledger) find(a, h uint32) uint32 {
	if n := l.search(l.index, home(h, len(l.index)), a, h); n != 0 || l.old == nil {
		return n
	}
	return l.search(l.old, max(home(h, len(l.old)), l.moved), a, h)
}

func (l *ledger) search(index []uint32, i int, a, h uint32) uint32 {
	return index[l.searchSlot(index, i, a, h)] & l.mask
}

// searchSlot gives the slot that leads to a, or the free one that ends the search.
func (l *ledger) searchSlot(index []uint32, i int, a, h uint32) int {
	tag := l.tag(h)
	for {
		s := index[i]
		if s == 0 || (s^tag)&^l.mask == 0 && s != 1 && l.rows[s&l.mask].addr == a {
			return i
		}
		if i++; i == len(index) {
			i = 0
		}
	}
}

// rowOf gives the row of an address, nil if it has none.
func (l *ledger) rowOf(a uint32) *row {
	if n := l.find(a, hash(a)); n != 0 {
		return &l.rows[n]
	}
	return nil
}

// tag is what a slot holds beside the row number: so much of the hash as there is
// room for, so that a search meets few rows but the one it is for.
func (l *ledger) tag(h uint32) uint32 { return h * (l.mask + 1) }

// add gives an address without a row a new one; 0 if there are as many as there may
// be. The worker calls it, for an alias.
func (l *ledger) add(a, h uint32) uint32 {
	if l.free == 0 {
		l.endRun() // what clean is just putting together; or rows would spread while it runs
	}
	var n uint32
	switch {
	case l.free != 0:
		n = l.takeFree()
		l.rows[n].set(a)
	case int(l.next) < len(l.rows):
		n = l.next
		l.next++
		l.rows[n].set(a)
		l.last.Store(l.next)
	default:
		return 0
	}
	l.live++
	if l.cleaning != nil {
		l.bear(n)
	}
	l.settle(moveSteps)
	l.insert(n, h)
	if l.filled > fullAt(len(l.index)) {
		l.grow()
	}
	return n
}

// insert leads to row n from a free slot.
func (l *ledger) insert(n, h uint32) {
	i := home(h, len(l.index))
	for l.index[i] > 1 {
		if i++; i == len(l.index) {
			i = 0
		}
	}
	if l.index[i] == 0 {
		l.filled++
	}
	l.index[i] = n | l.tag(h)
}

// drop makes row n nobody's.
func (l *ledger) drop(n uint32) {
	a := l.rows[n].addr
	h := hash(a)
	i := l.searchSlot(l.index, home(h, len(l.index)), a, h)
	if l.index[i] != 0 {
		l.index[i] = 1
	} else if l.old != nil {
		if i = l.searchSlot(l.old, max(home(h, len(l.old)), l.moved), a, h); l.old[i] != 0 {
			l.old[i] = 1
		}
	}
	l.rows[n].set(0)
	if g := l.findGiant(a); g != nil {
		g.set(0)
	}
	l.live--
}

// spare puts rows that are nobody's, from n on, to those that are used next. The
// first one of such a run holds in rx where the next run begins, and in tx how many it
// is; what the others hold does not matter, so that their memory can be given back.
func (l *ledger) spare(n, rows uint32) {
	atomic.StoreUint64((*uint64)(&l.rows[n].rx), uint64(l.free))
	atomic.StoreUint64((*uint64)(&l.rows[n].tx), uint64(rows))
	l.free = n
}

// takeFree takes the first row of the first run.
func (l *ledger) takeFree() (n uint32) {
	n = l.free
	rows := uint32(l.rows[n].tx.load())
	l.free = uint32(l.rows[n].rx.load())
	if rows > 1 {
		l.spare(n+1, rows-1)
	}
	return n
}

// read gives the address of row n, 0 for none, and what it counts; any goroutine may
// call it. It is a sequence lock: the worker says in carries when several words do
// not fit together.
func (l *ledger) read(n uint32) (addr uint32, c Counters) {
	r := &l.rows[n]
	for {
		carries := atomic.LoadUint32(&r.carries)
		addr = atomic.LoadUint32(&r.addr)
		rx, tx := atomic.LoadUint64((*uint64)(&r.rx)), atomic.LoadUint64((*uint64)(&r.tx))
		c = l.giant(addr)
		if carries&busy == 0 && atomic.LoadUint32(&r.carries) == carries && atomic.LoadUint32(&r.addr) == addr {
			c.add(upper(carries))
			c.add(Counters{rx >> packetShift, rx & (onePacket - 1), tx >> packetShift, tx & (onePacket - 1)})
			return addr, c
		}
	}
}
