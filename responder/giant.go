package responder

import "sync/atomic"

// A giant is what an address counted beyond what its row has room for: half a
// terabyte, or sixty billion packets, at a time. Few ever do, so a list is enough.
type giant struct {
	addr     uint32
	counters [4]uint64
}

// set makes g the giant of another address, from zero.
func (g *giant) set(addr uint32) {
	for i := range g.counters {
		atomic.StoreUint64(&g.counters[i], 0)
	}
	atomic.StoreUint32(&g.addr, addr)
}

func (g *giant) add(c Counters) {
	for i, n := range [...]uint64{c.RxPackets, c.RxBytes, c.TxPackets, c.TxBytes} {
		atomic.AddUint64(&g.counters[i], n)
	}
}

// spill moves carries that were caught in a row up, and what no longer fits there
// to a list: of the giants among the addresses, or if it is full of those among
// the labels. What has no room even there, petabytes, is lost.
func (w *Worker) spill(l *link, r *row) {
	carries := r.lift()
	if carries&carriesFull != 0 {
		over, a, own := upper(carries), r.addr, l.ledgers[w.number]
		carries = 0
		if own.rowOf(a) != r {
			l.shared[w.number].grown(a, over) // the row of a label
		} else if !own.grown(a, over) {
			l.shared[w.number].grown(l.table.labelOf(a).key(), over)
		}
	}
	atomic.StoreUint32(&r.carries, carries)
}

// giant gives what an address counted as one.
func (l *ledger) giant(addr uint32) (c Counters) {
	for i := range l.giantsUsed.Load() {
		g := &l.giants[i]
		if addr != 0 && atomic.LoadUint32(&g.addr) == addr {
			return Counters{
				atomic.LoadUint64(&g.counters[0]), atomic.LoadUint64(&g.counters[1]),
				atomic.LoadUint64(&g.counters[2]), atomic.LoadUint64(&g.counters[3]),
			}
		}
	}
	return Counters{}
}

// grown adds to the giant of an address, which it may become now; false if there are
// too many.
func (l *ledger) grown(addr uint32, c Counters) bool {
	used := l.giantsUsed.Load()
	room := used
	for i := range used {
		g := &l.giants[i]
		if g.addr == addr {
			g.add(c)
			return true
		}
		if g.addr == 0 {
			room = i
		}
	}
	if room == giantsMax {
		return false
	}
	l.giants[room].add(c)
	atomic.StoreUint32(&l.giants[room].addr, addr)
	l.giantsUsed.Store(max(used, room+1))
	return true
}
