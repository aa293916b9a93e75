package responder_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// A stress is a table that changes under workers and readers. What is certain of a block of
// addresses stands in its word: whether it is absent, and whether a change of that is under
// way; the rest counts the changes.
type stress struct {
	*testing.T
	r      *responder.Responder
	blocks [6]atomic.Uint64
	done   chan struct{}
}

const (
	changing = 1
	absent   = 2
	turn     = 4
)

// stressed gives the addresses of a block: large ones, whose rows go over many batches, and
// small ones, whose go at once.
func stressed(n int) responder.Range {
	first, size := uint32(0x0a000000+n<<16), uint32(2000)
	if n%2 == 1 {
		size = 3
	}
	return responder.Range{First: number(first), Last: number(first + size - 1)}
}

// steady is always an alias.
var steady = netip.MustParseAddr("10.99.0.1")

// change has some blocks come or go, by Publish or by Amend.
func (s *stress) change(random *rand.Rand) {
	i := lab()
	i.Aliases = []responder.Alias{{Label: "v0:steady", Ranges: responder.RangesOf(responder.Range{First: steady, Last: steady})}}
	at := random.IntN(len(s.blocks))
	was := s.blocks[at].Load()
	s.blocks[at].Store(was | changing)
	for n := range s.blocks {
		if there := s.blocks[n].Load()&absent == 0; there != (n == at) {
			i.Aliases = append(i.Aliases, responder.Alias{Label: "v0:" + string(rune('a'+n)), Ranges: responder.RangesOf(stressed(n))})
		}
	}
	alias := []responder.Alias{{Label: "v0:" + string(rune('a'+at)), Ranges: responder.RangesOf(stressed(at))}}
	var err error
	switch goes := was&absent == 0; {
	case random.IntN(2) == 0:
		_, err = s.r.Publish([]responder.Interface{i})
	case goes:
		_, err = s.r.Amend("v0", alias, nil)
	default:
		_, err = s.r.Amend("v0", nil, alias)
	}
	if err != nil {
		s.Error(err)
	}
	s.blocks[at].Store(was ^ absent + turn)
}

// work has a worker answer. A frame whose block did not change from before the batch to
// behind it must be answered just if the block was there.
func (s *stress) work(worker int, random *rand.Rand) (asked uint64) {
	const size = 16
	frames, blocks := make([][]byte, size), make([]int, size)
	var before [6]uint64
	for {
		select {
		case <-s.done:
			return asked
		default:
		}
		for n := range before {
			before[n] = s.blocks[n].Load()
		}
		for i := range frames {
			if blocks[i] = random.IntN(len(s.blocks) + 1); blocks[i] == len(s.blocks) {
				frames[i] = whoHas(steady)
				continue
			}
			r := stressed(blocks[i])
			frames[i] = whoHas(number(value(r.First) + random.Uint32N(value(r.Last)-value(r.First)+1)))
		}
		if random.IntN(10) == 0 {
			frames = frames[:0] // at rest more is cleaned up
		}
		s.r.Worker(worker).Handle(noon, frames, nil, nil)
		for i, v := range s.r.Worker(worker).Verdicts() {
			answered, n := v == responder.ARPAnswered, blocks[i]
			switch {
			case n == len(s.blocks):
				asked++
				if !answered {
					s.Errorf("%v is not answered: %v", steady, v)
				}
			case before[n]&changing == 0 && s.blocks[n].Load() == before[n] && answered != (before[n]&absent == 0):
				s.Errorf("block %d is answered: %v, state %d", n, answered, before[n])
			}
		}
		frames = frames[:size]
	}
}

// read looks at everything that readers do.
func (s *stress) read() {
	for {
		select {
		case <-s.done:
			return
		default:
		}
		s.r.Used("v0", func(a netip.Addr, label string, c responder.Counters) bool {
			if label == "" || c.RxPackets == 0 || c.RxBytes < c.RxPackets*42 {
				s.Errorf("%v of %q counted %+v", a, label, c)
			}
			return true
		})
		s.r.CountersOf("v0", steady)
		s.r.Labels("v0")
		s.r.Total("v0")
		s.r.Label("v0", "v0:a")
		s.r.Held("v0", "v0:x", responder.RangesOf(stressed(0)))
	}
}

// TestChangesUnderLoad: no worker ever answers for what is not in the table, nor keeps silent
// about what is, whatever comes and goes meanwhile; what stays is counted to the frame.
// It is most telling with -race, and with memory that is given back too early it crashes.
func TestChangesUnderLoad(t *testing.T) {
	const changes, workers = 1500, 2
	s := &stress{T: t, r: responder.New(responder.Config{Workers: workers}), done: make(chan struct{})}
	for n := range s.blocks {
		s.blocks[n].Store(absent)
	}
	random := rand.New(rand.NewPCG(77, 0))
	i := lab()
	i.Aliases = []responder.Alias{{Label: "v0:steady", Ranges: responder.RangesOf(responder.Range{First: steady, Last: steady})}}
	if _, err := s.r.Publish([]responder.Interface{i}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var asked atomic.Uint64
	for n := range workers {
		all.Go(func() { asked.Add(s.work(n, rand.New(rand.NewPCG(uint64(n), 1)))) })
	}
	all.Go(s.read)
	for range changes {
		s.change(random)
	}
	close(s.done)
	all.Wait()
	if asked.Load() == 0 {
		t.Error("nothing was asked")
	}
	if c, _ := s.r.CountersOf("v0", steady); c.RxPackets != asked.Load() || c.TxPackets != asked.Load() {
		t.Errorf("%v counted %+v, asked %d times", steady, c, asked.Load())
	}
}

// TestInterfacesUnderLoad: interfaces come and go under a worker, with their ledgers: no
// frame is answered for one that is not there, and nothing that is unmapped is looked at.
func TestInterfacesUnderLoad(t *testing.T) {
	r := responder.New(responder.Config{Workers: 1})
	untagged, vlan := lab(), lab()
	vlan.Name, vlan.Tags = "v0.100", []uint16{100}
	if _, err := r.Publish([]responder.Interface{untagged}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		plain := whoHas(alias)
		tagged := append(append(bytes.Clone(plain[:12]), 0x81, 0, 0, 100), plain[12:]...)
		for {
			select {
			case <-done:
				return
			default:
			}
			out, _ := r.Worker(0).Handle(noon, [][]byte{bytes.Clone(plain), bytes.Clone(tagged)}, nil, nil)
			if len(out) == 0 {
				t.Error("an interface that stayed did not answer")
			}
		}
	})
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			r.CountersOf("v0.100", alias)
			r.Labels("v0.100")
			r.Conflicts()
		}
	})
	for n := range 300 {
		ifs := []responder.Interface{untagged}
		if n%2 == 0 {
			ifs = append(ifs, vlan)
		}
		if _, err := r.Publish(ifs); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			for begin := r.VerdictCounts("v0.100")[responder.ARPAnswered]; r.VerdictCounts("v0.100")[responder.ARPAnswered] == begin; {
			}
		}
	}
	close(done)
	all.Wait()
}
