package responder

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// The addresses that the model knows: blocks, of which each is a label's, and behind them
// some that are mostly amended one by one. A block is more than is dropped at once, and
// two that go one behind the other have their memory given back.
const (
	modelBlocks = 8
	modelBlock  = 4096
	modelAll    = (modelBlocks + 1) * modelBlock
)

func modelAddr(n int) uint32  { return 10<<24 + uint32(n/modelBlock)<<16 + uint32(n%modelBlock) }
func modelLabel(b int) string { return "v0:" + string(rune('a'+b)) }

// A modelled is what the model knows of one interface, nil if it is not published.
type modelled struct {
	there [modelAll]bool
	count [modelAll]Counters // of those that are there
}

// A ledgerModel is a responder with an untagged interface and a VLAN's, and what is
// to be expected of it.
type ledgerModel struct {
	*testing.T
	seed   uint64
	random *rand.Rand
	r      *Responder
	tight  bool // there are fewer rows than addresses
	ifs    [2]*modelled
}

var modelNames = [...]string{"v0", "v0.100"}

func (m *ledgerModel) fail(format string, args ...any) {
	m.Helper()
	m.Fatalf("seed %d: "+format, append([]any{m.seed}, args...)...)
}

// aliases lists runs of addresses of an interface from number first on as labels, those that
// are there or those that are not.
func (i *modelled) aliases(first, end int, there bool) (list []Alias) {
	for n := first; n < end; n++ {
		if i.there[n] != there {
			continue
		}
		label := modelLabel(n / modelBlock)
		if k := len(list); k == 0 || list[k-1].Label != label {
			list = append(list, Alias{Label: label})
		}
		last := n
		for last+1 < end && i.there[last+1] == there && (last+1)%modelBlock != 0 {
			last++
		}
		list[len(list)-1].Ranges.push(run4{modelAddr(n), modelAddr(last)})
		n = last
	}
	return list
}

// set has addresses come or go in the model.
func (i *modelled) set(first, end int, there bool) {
	for n := first; n < end; n++ {
		if i.there[n] && !there {
			i.count[n] = Counters{}
		}
		i.there[n] = there
	}
}

// publish publishes what the model has.
func (m *ledgerModel) publish() {
	var list []Interface
	for k, i := range m.ifs {
		if i == nil {
			continue
		}
		one := Interface{Name: modelNames[k], MAC: [6]byte{2}, Aliases: i.aliases(0, modelAll, true)}
		if k == 1 {
			one.Tags = []uint16{100}
		}
		list = append(list, one)
	}
	if _, err := m.r.Publish(list); err != nil {
		m.fail("%v", err)
	}
}

// change changes what is answered for, in one of the ways that it may.
func (m *ledgerModel) change() {
	k := m.random.IntN(len(m.ifs))
	i := m.ifs[k]
	if i == nil || m.random.IntN(60) == 0 { // an interface comes or goes
		if m.ifs[k] = nil; i == nil {
			m.ifs[k] = new(modelled)
			m.ifs[k].set(0, m.random.IntN(modelAll), true)
		}
		m.publish()
		return
	}
	if m.random.IntN(4) == 0 { // a table of another kind
		for b := range modelBlocks + 1 {
			if m.random.IntN(2) == 0 {
				i.set(b*modelBlock, (b+1)*modelBlock, m.random.IntN(3) > 0)
			}
		}
		m.publish()
		return
	}
	// A part of it; where that is small, the small way.
	first := m.random.IntN(modelAll)
	if m.random.IntN(2) == 0 {
		first = modelBlocks*modelBlock + m.random.IntN(64)
	}
	end := min(first+1+m.random.IntN([...]int{1, 8, 300, 2 * modelBlock}[m.random.IntN(4)]), modelAll)
	remove, add := i.aliases(first, end, true), i.aliases(first, end, false)
	switch m.random.IntN(3) {
	case 0:
		add = nil
		i.set(first, end, false)
	case 1:
		remove = nil
		i.set(first, end, true)
	default:
		for n := first; n < end; n++ {
			i.set(n, n+1, !i.there[n])
		}
	}
	if _, err := m.r.Amend(modelNames[k], remove, add); err != nil {
		m.fail("%v", err)
	}
}

// modelFrame is an ARP request for an address, on one of the interfaces.
func modelFrame(k int, addr uint32) []byte {
	f := append(make([]byte, 0, 64), 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9)
	if k == 1 {
		f = append(f, 0x81, 0, 0, 100)
	}
	f = append(f, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 192, 168, 0, 9, 0, 0, 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint32(f, addr), make([]byte, 18)...)
}

// ask has a worker answer requests for addresses by their numbers, in one batch, and
// compares verdicts and answers.
func (m *ledgerModel) ask(worker, k int, numbers []int) {
	var frames, answers [][]byte
	var at []int // interfaces
	for _, n := range numbers {
		of := k
		if m.random.IntN(32) == 0 {
			of ^= 1
		}
		at = append(at, of)
		frames = append(frames, modelFrame(of, modelAddr(n)))
	}
	w := m.r.workers[worker]
	// Without room for answers the fast way gives frames on to the long one.
	answers, _ = w.Handle(1, frames, nil, make([][]byte, 0, m.random.IntN(2*len(frames)+1)))
	for f, n := range numbers {
		i := m.ifs[at[f]]
		want := i != nil && i.there[n]
		if got := w.verdicts[f] == ARPAnswered; got != want {
			m.fail("%v is answered on %s: %v (%v, %+v)", v4addr(modelAddr(n)), modelNames[at[f]], got, w.verdicts[f], m.r.Explain(modelNames[at[f]], v4addr(modelAddr(n))))
		}
		if !want {
			continue
		}
		i.count[n].add(Counters{1, uint64(len(frames[f])), 1, uint64(len(answers[0]))})
		answers = answers[1:]
	}
	if len(answers) > 0 {
		m.fail("%d answers too many", len(answers))
	}
	m.checkLedgers(w)
}

// traffic has some frames come, or a whole stretch of addresses be asked for, or nothing.
func (m *ledgerModel) traffic(worker int) {
	k := m.random.IntN(len(m.ifs))
	switch m.random.IntN(12) {
	case 0:
		first := m.random.IntN(modelAll)
		for n := first; n < min(first+2*modelBlock, modelAll); n += 256 {
			var batch []int
			for d := range min(256, modelAll-n) {
				batch = append(batch, n+d)
			}
			m.ask(worker, k, batch)
		}
	case 1:
		m.ask(worker, k, nil)
	case 2:
		m.rest(worker)
	default:
		var batch []int
		for range 1 + m.random.IntN(100) {
			n := m.random.IntN(modelAll)
			if m.random.IntN(3) == 0 {
				n = modelBlocks*modelBlock + m.random.IntN(64)
			}
			batch = append(batch, n)
		}
		m.ask(worker, k, batch)
	}
}

// rest has a worker come to an end with everything, which takes a bounded number of calls.
func (m *ledgerModel) rest(worker int) {
	w := m.r.workers[worker]
	for n, wake := 0, int64(1); wake != 0; n++ {
		if _, wake = w.Handle(1, nil, nil, nil); n > 100 {
			m.fail("worker %d does not come to rest", worker)
		}
	}
	for _, l := range m.r.set.Load().links {
		if own := l.ledgers[worker]; own.cleaning != nil || l.removals[worker].pending() != nil {
			m.fail("worker %d rests with rows to forget", worker)
		}
	}
	m.checkLedgers(w)
}

// checkLedgers looks through the ledgers of a worker behind Handle: each address has one
// row, each row is an address's, free once or still to be met, and what is certain is so.
func (m *ledgerModel) checkLedgers(w *Worker) {
	if m.random.IntN(8) > 0 {
		return
	}
	for _, l := range w.responder.set.Load().links {
		own := l.ledgers[w.number]
		free := make([]bool, own.next)
		use := func(first, rows uint32) {
			for n := first; n < first+rows; n++ {
				if free[n] || own.rows[n].addr != 0 {
					m.fail("row %d is free twice, or in use: %+v", n, own.rows[n])
				}
				free[n] = true
			}
		}
		for n := own.free; n != 0; n = uint32(own.rows[n].rx) {
			use(n, uint32(own.rows[n].tx))
		}
		if own.run != 0 {
			use(own.run, own.position-own.run)
		}
		live := 0
		for n := uint32(rowsStart); n < own.next; n++ {
			a := own.rows[n].addr
			met := own.cleaning == nil || n < own.position || n >= own.cleanEnd
			switch {
			case a != 0 && own.find(a, hash(a)) != n:
				m.fail("row %d is that of %v, whose is %d", n, v4addr(a), own.find(a, hash(a)))
			case a != 0 && n-rowsStart < own.valid && !l.table.has(a):
				m.fail("row %d of %v is certain, which is no alias", n, v4addr(a))
			case a == 0 && free[n] != met:
				m.fail("row %d is nobody's and free: %v", n, free[n])
			case own.cleaning == nil && own.born[n] != 0:
				m.fail("row %d has a birth", n)
			}
			if a != 0 {
				live++
			}
		}
		if live != own.live || own.next != own.last.Load() || int(own.next) < len(own.rows) && own.rows[own.next].addr != 0 {
			m.fail("%d rows in use, %d said, up to %d", live, own.live, own.next)
		}
	}
}

// checkCounters compares what readers are told.
func (m *ledgerModel) checkCounters() {
	for k, i := range m.ifs {
		if i == nil {
			continue
		}
		want := map[netip.Addr]Counters{}
		var sum Counters
		for n, c := range i.count {
			if sum.add(c); c != (Counters{}) {
				want[v4addr(modelAddr(n))] = c
			}
		}
		got := map[netip.Addr]Counters{}
		m.r.Used(modelNames[k], func(a netip.Addr, label string, c Counters) bool {
			if b := v4(a) >> 16 & 0xff; label != modelLabel(int(b)) {
				m.fail("%v belongs to %s", a, label)
			}
			got[a] = c
			return true
		})
		total := m.r.Total(modelNames[k])
		if m.tight { // the rest is counted for labels, where it outlives an address
			for a, c := range got {
				if c.RxPackets > want[a].RxPackets || c.TxBytes > want[a].TxBytes {
					m.fail("%v counted %+v, want %+v at most", a, c, want[a])
				}
			}
			continue
		}
		if !maps.Equal(got, want) || total != sum {
			for a, c := range want {
				if got[a] != c {
					m.fail("%v on %s counted %+v, want %+v", a, modelNames[k], got[a], c)
				}
			}
			m.fail("%d addresses counted on %s, want %d; %+v in all, want %+v", len(got), modelNames[k], len(want), total, sum)
		}
		n := m.random.IntN(modelAll)
		if c, _ := m.r.CountersOf(modelNames[k], v4addr(modelAddr(n))); c != i.count[n] {
			m.fail("%v alone counted %+v, want %+v", v4addr(modelAddr(n)), c, i.count[n])
		}
	}
}

// TestLedgersAgainstModel: tables small and large come and go in every way, under frames, at rest
// and in the middle of a removal, for two workers of which one seldom runs. Each frame is
// answered as the newest table says, and each counter is right to the byte.
func TestLedgersAgainstModel(t *testing.T) {
	seeds := []uint64{1, 2, rand.Uint64()} // the last one tries something new each time
	for _, seed := range seeds {
		m := &ledgerModel{T: t, seed: seed, random: rand.New(rand.NewPCG(seed, 6))}
		most := 0
		if m.tight = seed%4 == 2; m.tight {
			most = modelAll / 4
		}
		m.r = New(Config{Workers: 2, MaxCounted: most})
		m.ifs[0] = new(modelled)
		m.ifs[0].set(0, modelAll, true)
		m.publish()
		for step := range 250 {
			if calm := step/50%2 == 0; !calm || m.random.IntN(20) == 0 {
				m.change()
			}
			if m.traffic(0); m.random.IntN(15) == 0 {
				m.traffic(1)
			}
			if m.random.IntN(8) == 0 {
				m.checkCounters()
			}
		}
		for worker := range 2 {
			m.rest(worker)
		}
		m.checkCounters()
	}
}
