package daemon

import (
	"slices"
	"sync"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/link"
)

// maxWorkers is how many answer on one card unless told. Each costs a ring of
// 25 MiB, and four answer some millions of frames a second: who has more knows.
const maxWorkers = 4

// workersFor is how many workers a card gets where the configuration does not say.
// More than it has receive queues would wait for the same processor; and half of
// the processors are left to the kernel, which spends about as much on receiving a
// frame as a worker on answering it. So two processors make one worker.
func workersFor(asked, queues, processors int) int {
	if asked > 0 {
		return asked
	}
	return max(1, min(queues, processors/2, maxWorkers))
}

// processors hands out what the process was started with: all workers of all cards
// stay within it, each on one of its own as far as they reach.
type processors struct {
	list []int // sorted

	mu sync.Mutex
	// How many were, ever. A card that a reload takes away gives none back: processors are taken in turn, and a
	// worker too many on one costs less than moving those that answer.
	given int
}

func newProcessors() *processors { return &processors{list: capture.CPUs()} }

// take picks a processor for each of n workers.
//
// By hash, it begins with the last: the first are where interrupts and whatever
// else a machine starts gather. By CPU, worker i gets what those processors
// received whose number modulo n is i, so it runs on one of them.
func (p *processors) take(n int, by capture.Fanout) (cpus []int) {
	if len(p.list) == 0 {
		return nil // the system did not say: they run where they like
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range n {
		cpu := p.list[len(p.list)-1-p.given%len(p.list)]
		if by == capture.ByCPU {
			fits := func(cpu int) bool { return cpu%n == i }
			if k := slices.IndexFunc(p.list, fits); k >= 0 {
				cpu = p.list[k]
			}
		}
		cpus = append(cpus, cpu)
		p.given++
	}
	return cpus
}

// listen turns what is configured about a card into how to open it.
func listen(card string, l config.Listening, p *processors) capture.CardConfig {
	n := workersFor(l.Workers, link.Queues(card), len(p.list))
	return capture.CardConfig{
		Interface: card,
		Workers:   n,
		Fanout:    l.Fanout,
		CPUs:      p.take(n, l.Fanout),
		Slots:     l.Ring,
		Spin:      l.Spin,
		Qdisc:     l.Qdisc,
	}
}
