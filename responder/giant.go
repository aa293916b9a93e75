package responder

import "sync/atomic"

// A giant is what an address counted beyond what its row has room for: half a
// terabyte, or sixty billion packets, at a time. In an hour few get there, in years
// every alias may that somebody works with. An address has one of the few places behind its
// home, wherever there is room: none of them leads to another, so that one can be given up.
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
// to the giants among the addresses, or if there is no room to those among
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

const (
	giantBits   = 15 // 1.3 MB, of which a page is used with the first one
	giantSlots  = 1 << giantBits
	giantProbes = 8
)

// findGiant gives the giant of an address or of a label's key, nil if it has none.
func (l *ledger) findGiant(addr uint32) *giant {
	if addr == 0 || !l.anyGiant.Load() {
		return nil
	}
	for i := range uint32(giantProbes) {
		if g := l.giantAt(addr, i); atomic.LoadUint32(&g.addr) == addr {
			return g
		}
	}
	return nil
}

// giantAt is the place of a number where addr may have its giant.
func (l *ledger) giantAt(addr, i uint32) *giant {
	return &l.giants[(hash(addr)>>(32-giantBits)+i)%giantSlots]
}

// giant gives what an address counted as one.
func (l *ledger) giant(addr uint32) (c Counters) {
	if g := l.findGiant(addr); g != nil {
		c = Counters{
			atomic.LoadUint64(&g.counters[0]), atomic.LoadUint64(&g.counters[1]),
			atomic.LoadUint64(&g.counters[2]), atomic.LoadUint64(&g.counters[3]),
		}
	}
	return c
}

// grown adds to the giant of an address, which it may become now; false if there is no
// room.
func (l *ledger) grown(addr uint32, c Counters) bool {
	g := l.findGiant(addr)
	for i := uint32(0); g == nil; i++ {
		if i == giantProbes {
			return false
		}
		if free := l.giantAt(addr, i); free.addr == 0 {
			g = free
		}
	}
	g.add(c)
	atomic.StoreUint32(&g.addr, addr)
	l.anyGiant.Store(true)
	return true
}
