package responder

import (
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
)

// Match is what the table says of an address.
type Match struct {
	Answered bool
	Label    string // whose alias it is; also where it is excluded from that alias
	Rule     string // the configured address or range that holds it
	Reason   string // why it is not answered for
}

// VerdictCounts gives the frames of an interface by verdict. Frames that belong to no
// interface (too short, another VLAN's) are counted under the name "".
func (r *Responder) VerdictCounts(iface string) (total [NumVerdicts]uint64) {
	add := func(counts *[NumVerdicts]counter) {
		for v := range counts {
			total[v] += counts[v].load()
		}
	}
	if iface == "" {
		for _, w := range r.workers {
			add(&w.strays)
		}
		return total
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.states {
		if s.name == iface {
			for _, counts := range s.counts {
				add(counts)
			}
		}
	}
	return total
}

// Size is how many addresses an interface answers for.
func (r *Responder) Size(iface string) uint64 {
	if l := r.set.Load().byName(iface); l != nil {
		return l.table.size
	}
	return 0
}

// Answers tells whether an interface answers for an address.
func (r *Responder) Answers(iface string, a netip.Addr) bool {
	l := r.set.Load().byName(iface)
	if l == nil || !a.Is4() {
		return false
	}
	defer runtime.KeepAlive(l)
	return l.table.has(v4(a))
}

// Used hands to yield every alias address that counted anything, in the order of
// addresses, until yield returns false. What was counted for labels alone, as there
// were too many addresses, is not among it.
func (r *Responder) Used(iface string, yield func(a netip.Addr, label string, c Counters) bool) {
	l := r.set.Load().byName(iface)
	if l == nil {
		return
	}
	l.eachUsed(func(a, label uint32, c Counters) bool { return yield(v4addr(a), l.table.labels[label].name, c) })
}

// eachUsed is Used, with addresses and labels as numbers.
func (l *link) eachUsed(yield func(a, label uint32, c Counters) bool) {
	defer runtime.KeepAlive(l)
	keys := l.used()
	for i := 0; i < len(keys); {
		a := uint32(keys[i] >> 32)
		var total Counters
		for ; i < len(keys) && uint32(keys[i]>>32) == a; i++ {
			if c, ok := l.counted(uint32(keys[i]), a); ok {
				total.add(c)
			}
		}
		if e, ok := l.table.entryOf(a); ok && total != (Counters{}) && !yield(a, e.label, total) {
			return
		}
	}
}

// CountersOf gives what was counted for one address of an interface. own is false
// where a worker had no room for counters of its own for it (Config.MaxCounted): what
// came for the address to that worker is counted for its label alone.
func (r *Responder) CountersOf(iface string, a netip.Addr) (c Counters, own bool) {
	l := r.set.Load().byName(iface)
	if l == nil || !a.Is4() {
		return c, true
	}
	defer runtime.KeepAlive(l)
	own = true
	for i, ledger := range l.ledgers {
		// Not by the index, which is the worker's.
		n, last := uint32(rowsStart), ledger.last.Load()
		for n < last && atomic.LoadUint32(&ledger.rows[n].addr) != v4(a) {
			n++
		}
		if n == last || ledger.pending(l.removals[i], n, v4(a)) {
			own = own && int(last) < len(ledger.rows)
			continue
		}
		if addr, counted := ledger.read(n); addr == v4(a) {
			c.add(counted)
		}
	}
	return c, own
}

// used lists the rows of all workers, by address: the address in the upper half, and
// in the lower the number of the row, counted through the workers one after the
// other.
func (l *link) used() (keys []uint64) {
	base := uint32(0)
	for _, own := range l.ledgers {
		last := own.last.Load()
		keys = slices.Grow(keys, int(last))
		for n := uint32(rowsStart); n < last; n++ {
			if a := atomic.LoadUint32(&own.rows[n].addr); a != 0 {
				keys = append(keys, uint64(a)<<32|uint64(base+n))
			}
		}
		base += uint32(len(own.rows))
	}
	sortKeys(keys)
	return keys
}

// counted reads a row by its number in used; ok is false if it is no longer that of
// a, or still to be forgotten.
func (l *link) counted(n, a uint32) (c Counters, ok bool) {
	for i, own := range l.ledgers {
		if n >= uint32(len(own.rows)) {
			n -= uint32(len(own.rows))
			continue
		}
		if own.pending(l.removals[i], n, a) {
			return c, false
		}
		addr, c := own.read(n)
		return c, addr == a
	}
	return c, false
}

// uncounted gives what was counted for labels alone, by their keys.
func (l *link) uncounted() map[uint32]Counters {
	sums := map[uint32]Counters{}
	for _, shared := range l.shared {
		rows := map[uint32]Counters{}
		for n := uint32(rowsStart); n < shared.last.Load(); n++ {
			key, c := shared.read(n)
			rows[key] = c
		}
		for i := range shared.giants {
			if !shared.anyGiant.Load() {
				break
			}
			key := atomic.LoadUint32(&shared.giants[i].addr)
			if _, has := rows[key]; !has {
				rows[key] = shared.giant(key) // of addresses for which there was no room
			}
		}
		for key, c := range rows {
			c.add(sums[key])
			sums[key] = c
		}
	}
	return sums
}

// Total sums the counters of all aliases that an interface has now, and of all its
// labels.
func (r *Responder) Total(iface string) (total Counters) {
	if l := r.set.Load().byName(iface); l != nil {
		uncounted := l.uncounted()
		for _, lb := range l.table.labels {
			total.add(uncounted[lb.key()])
		}
	}
	r.Used(iface, func(_ netip.Addr, _ string, c Counters) bool {
		total.add(c)
		return true
	})
	return total
}

// Explain says what becomes of frames for an address, and why.
func (r *Responder) Explain(iface string, a netip.Addr) (m Match) {
	l := r.set.Load().byName(iface)
	if l == nil || !a.Is4() {
		return Match{Reason: "no alias"}
	}
	defer runtime.KeepAlive(l)
	t, addr := l.table, v4(a)
	e, ok := t.entryOf(addr)
	if ok {
		m.Answered = true
	} else {
		e, ok = t.barredBy(addr)
	}
	if ok {
		lb := &t.labels[e.label]
		m.Label, m.Rule = lb.name, a.String()
		if r, in := lb.run(addr); in {
			m.Rule = r.wide().String()
		}
	}
	if m.Answered {
		return m
	}
	if m.Reason = reason(t.holes, addr); m.Reason == "" {
		m.Reason = "no alias"
	}
	return m
}

// Conflicts gives the claims of other hosts on aliases since the last call. It has
// one caller. Each worker remembers a bounded number; verdicts count them all.
func (r *Responder) Conflicts() (all []Conflict) {
	for _, w := range r.workers {
		all = w.conflicts.drain(all)
	}
	return all
}
