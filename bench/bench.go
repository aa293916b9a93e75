// Package bench measures how fast the responder answers, in memory: frames of
// several kinds against tables of several sizes, each frame written anew into
// the buffer it is then answered in, as a card's ring would hold it. Package
// bench/wire does the same through the kernel, between network namespaces.
//
// One harness, three ways to run it: "go test -bench . ./bench" for benchstat,
// "ipalias bench" for who has no Go, and Run for programs.
package bench

import (
	"fmt"
	"math/rand/v2"

	"github.com/ipalias/ipalias/responder"
)

// BatchSize is how many frames are handed to the responder at a time: as many as
// capture.Card takes out of its ring.
const BatchSize = 64

// slotSize is the distance of the buffers that frames are answered in: that of
// the slots in capture's ring, an odd multiple of a cache line.
const slotSize = 25 * 64

// A Target is a responder that answers for a Table.
type Target struct {
	table     *Table
	responder *responder.Responder
}

// NewTarget publishes a table to a responder with one worker, and touches the
// counters of all its addresses: memory that the system has yet to hand out is
// paid for once an address, not once a frame.
func NewTarget(t *Table) (*Target, error) { return newTarget(t, 1) }

func newTarget(t *Table, workers int) (*Target, error) {
	r := responder.New(responder.Config{Workers: workers})
	_, err := r.Publish([]responder.Interface{{
		Name:    "bench",
		MAC:     ourMAC,
		Aliases: []responder.Alias{{Label: "bench:0", Ranges: t.ranges()}},
		// As a daemon has them. They bound the errors that hostile frames cause, and nothing else here.
		Limits: responder.DefaultLimits,
	}})
	if err != nil {
		return nil, fmt.Errorf("publish table %s: %w", t.Name, err)
	}
	target := &Target{t, r}
	// Also the check that the table holds what it says: each of its addresses answers once.
	l := target.Load(arpWorkload())
	for i := uint64(0); i < t.Size; {
		n := 0
		for ; n < BatchSize && i < t.Size; n++ {
			l.put(n, l.next(), t.Addr(uint32(i)))
			i++
		}
		// The last batch of a table whose size is no multiple is shorter.
		l.frames = l.frames[:n]
		if l.Answer() != n {
			return nil, fmt.Errorf("table %s: an address near number %d is not answered for", t.Name, i)
		}
		l.frames = l.frames[:BatchSize]
	}
	return target, nil
}

// A Load puts the frames of a Workload to a Target, batch by batch. It belongs to
// one goroutine, as the Target's worker does.
type Load struct {
	// What a load needs per batch lies in it, made once: a measurement allocates nothing.
	table    *Table
	workload *Workload
	worker   *responder.Worker

	buffers []byte   // BatchSize slots
	frames  [][]byte // the batch in hand: slices of buffers
	// As in capture.Batch. All are 0: no frame here has a checksum that is still to come.
	flags []uint8
	out   [][]byte
	rng   rng
	// Of the next template. It goes on from batch to batch, so that a batch is no period.
	pos int
	// Advances with each batch, for what has timers: fragments, rate limits.
	now int64
}

// Load makes a load. Several may exist for one Target, to be used in turn.
func (t *Target) Load(w *Workload) *Load {
	return &Load{
		table:    t.table,
		workload: w,
		worker:   t.responder.Worker(0),
		buffers:  make([]byte, BatchSize*slotSize),
		frames:   make([][]byte, BatchSize),
		flags:    make([]uint8, BatchSize),
		out:      make([][]byte, 0, 1024), // some requests are answered in pieces
		// Never zero, from which xorshift would not come away.
		rng: rng(rand.Uint64() | 1),
		// Nanoseconds since 1970, as a card gives them: some day in 2023.
		now: 1_700_000_000e9,
	}
}

// Fill writes the next batch into the buffers: each frame whole, from its
// template, then its target, random over the whole table, and what the target
// changes of the checksum.
func (l *Load) Fill() {
	for i := range l.frames {
		l.put(i, l.next(), l.table.Addr(l.rng.below(uint32(l.table.Size))))
	}
}

// next gives the next template. They come in a fixed, shuffled order.
func (l *Load) next() *template {
	t := &l.workload.templates[l.pos]
	if l.pos++; l.pos == len(l.workload.templates) {
		l.pos = 0
	}
	return t
}

// put writes one frame.
func (l *Load) put(i int, t *template, target uint32) {
	// The whole frame each time: the one before was answered in this buffer.
	b := l.buffers[i*slotSize : i*slotSize+len(t.frame)]
	copy(b, t.frame)
	t.aim(b, target)
	l.frames[i] = b
}

// Answer hands the batch that Fill made to the worker and gives the number of
// answers.
func (l *Load) Answer() int {
	// When it wants to be called again nobody heeds: there is always a next batch.
	l.out, _ = l.worker.Handle(l.now, l.frames, l.flags, l.out[:0])
	l.now += 10_000 // 6.4 million frames a second
	return len(l.out)
}

// Run fills and answers at least n frames. It gives the number of answers.
func (l *Load) Run(n int) (answers int) {
	for ; n > 0; n -= BatchSize {
		l.Fill()
		answers += l.Answer()
	}
	return answers
}

// Copy does what Run does but for answering: the cost of making frames.
// It leaves the buffers as Run would find them, so that the two can be subtracted.
func (l *Load) Copy(n int) {
	for ; n > 0; n -= BatchSize {
		l.Fill()
	}
}

// rng is xorshift64* (Vigna 2016): two nanoseconds are more than enough to spend
// on a random target.
type rng uint64

// below gives a number from 0 to n-1.
func (r *rng) below(n uint32) uint32 {
	x := uint64(*r)
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	*r = rng(x)
	return uint32((x * 0x2545f4914f6cdd1d >> 32) * uint64(n) >> 32)
}
