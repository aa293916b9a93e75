package responder

import (
	"cmp"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
)

// LabelInfo tells of one alias label.
type LabelInfo struct {
	Label     string
	Ranges    Ranges   // as configured, singles and runs in the order of addresses
	Addresses uint64   // how many are answered for
	Counters  Counters // of all of them
	Faults    Faults   // likewise

	// Uncounted is what of Counters was counted for the label alone, as more addresses
	// were asked for than Config.MaxCounted.
	Uncounted Counters
}

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
		if e, ok := l.table.entryOf(a); ok && total != (Counters{}) && !yield(v4addr(a), l.table.labels[e.label].name, total) {
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
		if n == last || ledger.pending(l.removals[i], v4(a)) {
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
		if own.pending(l.removals[i], a) {
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
		for i := range shared.giantsUsed.Load() {
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

// Labels tells of every label of an interface, in the order of the configuration.
func (r *Responder) Labels(iface string) []LabelInfo {
	return r.labels(iface, func(string) bool { return true })
}

// Label tells of one label. It walks over the table as Labels does, but keeps nothing of
// the others: of a million labels that is what costs.
func (r *Responder) Label(iface, label string) (info LabelInfo, known bool) {
	for _, info := range r.labels(iface, func(name string) bool { return name == label }) {
		return info, true
	}
	return info, false
}

func (r *Responder) labels(iface string, wanted func(label string) bool) []LabelInfo {
	l := r.set.Load().byName(iface)
	if l == nil {
		return nil
	}
	defer runtime.KeepAlive(l)
	infos := l.table.labelInfos(wanted)
	uncounted := l.uncounted()
	for n, lb := range l.table.labels {
		if info := infos.of(uint32(n)); info != nil {
			info.Uncounted = uncounted[lb.key()]
			info.Counters = info.Uncounted
		}
	}
	r.Used(iface, func(a netip.Addr, _ string, c Counters) bool {
		e, _ := l.table.entryOf(v4(a))
		if info := infos.of(e.label); info != nil {
			info.Counters.add(c)
		}
		return true
	})
	l.eachFault(func(a uint32, f Faults) {
		if e, ok := l.table.entryOf(a); ok { // it may have been an alias only before
			if info := infos.of(e.label); info != nil {
				info.Faults.RxErrors += f.RxErrors
				info.Faults.TxDropped += f.TxDropped
			}
		}
	})
	return infos.list
}

// labelInfos is what is told of some of a table's labels.
type labelInfos struct {
	list  []LabelInfo
	place []int32 // by the label's number: where in list, -1 where nobody asks
}

// of gives a place for what is told of a label, nil where nobody asks.
func (i *labelInfos) of(label uint32) *LabelInfo {
	if i.place[label] < 0 {
		return nil
	}
	return &i.list[i.place[label]]
}

// labelInfos tells which addresses the wanted labels have.
func (t *table) labelInfos(wanted func(label string) bool) *labelInfos {
	infos := &labelInfos{place: make([]int32, len(t.labels))}
	for _, n := range t.emptied {
		infos.place[n] = -1
	}
	size := int32(0)
	for n, lb := range t.labels {
		if infos.place[n] < 0 || !wanted(lb.name) {
			infos.place[n] = -1
			continue
		}
		infos.place[n] = size
		size++
	}
	infos.list = make([]LabelInfo, size)
	for n, lb := range t.labels {
		if info := infos.of(uint32(n)); info != nil {
			info.Label, info.Ranges = lb.name, rangesOf4(lb.runs)
		}
	}
	for e := range t.all {
		info := infos.of(e.label)
		if info == nil {
			continue
		}
		info.Addresses += uint64(e.last-e.first) + 1
		if _, in := t.labels[e.label].run(e.first); !in {
			for a := uint64(e.first); a <= uint64(e.last); a++ { // joined single addresses
				info.Ranges.push(run4{uint32(a), uint32(a)})
			}
		}
	}
	for _, b := range t.barred {
		if info := infos.of(b.label); info != nil {
			info.Ranges.push(run4{b.first, b.first})
		}
	}
	for i := range infos.list {
		infos.list[i].Ranges = infos.list[i].Ranges.Sorted()
	}
	return infos
}

// run finds the configured range of more than one address that a belongs to.
func (l *label) run(a uint32) (run4, bool) {
	i, _ := slices.BinarySearchFunc(l.runs, a, func(r run4, a uint32) int { return cmp.Compare(r.last, a) })
	if i < len(l.runs) && l.runs[i].first <= a {
		return l.runs[i], true
	}
	return run4{}, false
}

// Explain says what becomes of frames for an address, and why.
func (r *Responder) Explain(iface string, a netip.Addr) (m Match) {
	l := r.set.Load().byName(iface)
	if l == nil || !a.Is4() {
		return Match{Reason: "no alias"}
	}
	defer runtime.KeepAlive(l)
	t, addr := l.table, v4(a)
	for _, lb := range t.labels {
		if r, ok := lb.run(addr); ok {
			m.Label, m.Rule = lb.name, Range{v4addr(r.first), v4addr(r.last)}.String()
		}
	}
	if e, ok := t.entryOf(addr); ok {
		m.Answered, m.Label = true, t.labels[e.label].name
		if m.Rule == "" {
			m.Rule = a.String()
		}
		return m
	}
	for _, b := range t.barred {
		if b.first == addr {
			m.Label, m.Rule = t.labels[b.label].name, a.String()
		}
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
