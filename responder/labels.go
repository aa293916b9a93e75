package responder

import (
	"cmp"
	"runtime"
	"slices"
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

// A Tally is what was counted for the labels of an interface at one time. There may be a
// million labels, and who asks is to be told of one after the other: it takes forty bytes
// for each.
type Tally struct {
	link      *link
	first     uint32              // the label that sums begins with
	sums      []labelSum          // by number
	uncounted map[uint32]Counters // by key; few labels have any
	faults    map[uint32]Faults   // by number; likewise
	emptied   map[uint32]bool     // by number: it is none any more
	names     map[string]uint32   // made when it is needed
	next      uint32              // the number that is likely asked for next
}

type labelSum struct {
	addresses uint64
	counters  Counters
}

// Tally sums up what was counted for every label of an interface; nil if there is none
// of this name.
func (r *Responder) Tally(iface string) *Tally {
	l := r.set.Load().byName(iface)
	if l == nil {
		return nil
	}
	return l.tally(0, len(l.table.labels))
}

// tally sums up for so many labels from the one of a number on.
func (l *link) tally(first, size int) *Tally {
	t := &Tally{link: l, first: uint32(first), sums: make([]labelSum, size), uncounted: l.uncounted(), faults: map[uint32]Faults{}, emptied: map[uint32]bool{}}
	for _, n := range l.table.emptied {
		t.emptied[n] = true
	}
	for e := range l.table.all {
		if sum := t.sum(e.label); sum != nil {
			sum.addresses += uint64(e.last-e.first) + 1
		}
	}
	l.eachUsed(func(_, label uint32, c Counters) bool {
		if sum := t.sum(label); sum != nil {
			sum.counters.add(c)
		}
		return true
	})
	l.eachFault(func(a uint32, f Faults) {
		if e, ok := l.table.entryOf(a); ok { // it may have been an alias only before
			sum := t.faults[e.label]
			sum.RxErrors += f.RxErrors
			sum.TxDropped += f.TxDropped
			t.faults[e.label] = sum
		}
	})
	runtime.KeepAlive(l)
	return t
}

// sum gives the place of a label, nil if nobody asks for it.
func (t *Tally) sum(label uint32) *labelSum {
	if n := label - t.first; n < uint32(len(t.sums)) {
		return &t.sums[n]
	}
	return nil
}

// Of tells of a label, but for its Ranges; of one that has no address nothing is known. It
// is quick for who goes through the labels in the order of the configuration.
func (t *Tally) Of(label string) (info LabelInfo, known bool) {
	labels := t.link.table.labels
	for t.emptied[t.next] {
		t.next++
	}
	n := t.next
	if n >= uint32(len(labels)) || labels[n].name != label {
		if t.names == nil {
			t.names = make(map[string]uint32, len(labels))
			for n := range labels {
				if !t.emptied[uint32(n)] {
					t.names[labels[n].name] = uint32(n)
				}
			}
		}
		if n, known = t.names[label]; !known {
			return LabelInfo{Label: label}, false
		}
	}
	t.next = n + 1
	return t.info(n), true
}

// info tells of the label of a number.
func (t *Tally) info(n uint32) LabelInfo {
	lb, sum := &t.link.table.labels[n], t.sum(n)
	info := LabelInfo{Label: lb.name, Addresses: sum.addresses, Counters: sum.counters, Faults: t.faults[n], Uncounted: t.uncounted[lb.key()]}
	info.Counters.add(info.Uncounted)
	return info
}

// Total sums up all labels.
func (t *Tally) Total() (total Counters) {
	for n := range t.sums {
		total.add(t.sums[n].counters)
	}
	for _, lb := range t.link.table.labels {
		total.add(t.uncounted[lb.key()])
	}
	return total
}

// Labels tells of every label of an interface, in the order of the configuration.
func (r *Responder) Labels(iface string) []LabelInfo {
	t := r.Tally(iface)
	if t == nil {
		return nil
	}
	return t.infos()
}

// Label tells of one label. It walks over the table as Labels does, but keeps nothing of
// the others: of a million labels that is what costs.
func (r *Responder) Label(iface, label string) (info LabelInfo, known bool) {
	l := r.set.Load().byName(iface)
	if l == nil {
		return info, false
	}
	for n, lb := range slices.Backward(l.table.labels) { // of two of a name the first is emptied
		if lb.name == label && !slices.Contains(l.table.emptied, uint32(n)) {
			return l.tally(n, 1).infos()[0], true
		}
	}
	return info, false
}

// infos tells of all labels of t, with their ranges.
func (t *Tally) infos() []LabelInfo {
	table := t.link.table
	ranges := make([]Ranges, len(t.sums))
	for n := range ranges {
		ranges[n] = rangesOf4(table.labels[int(t.first)+n].runs)
	}
	for e := range table.all {
		if t.sum(e.label) == nil {
			continue
		}
		if _, in := table.labels[e.label].run(e.first); !in {
			for a := uint64(e.first); a <= uint64(e.last); a++ { // joined single addresses
				ranges[e.label-t.first].push(run4{uint32(a), uint32(a)})
			}
		}
	}
	for _, b := range table.barred {
		if t.sum(b.label) != nil && b.first == b.last {
			ranges[b.label-t.first].push(run4{b.first, b.first})
		}
	}
	runtime.KeepAlive(t.link)
	infos := make([]LabelInfo, 0, len(t.sums))
	for n := range t.sums {
		if at := t.first + uint32(n); !t.emptied[at] {
			info := t.info(at)
			info.Ranges = ranges[n].Sorted()
			infos = append(infos, info)
		}
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
