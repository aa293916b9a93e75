package capture

import (
	"context"
	"math"
	"slices"
	"sync"
)

// A Memory is a Port over frames in memory, for tests, benchmarks and fuzzing. The
// exported fields are set before Run and left alone while it runs.
type Memory struct {
	// Frames are what arrives. The Handler gets copies, fresh for each batch, since
	// answering in place destroys them.
	Frames [][]byte

	// Flags holds a byte for each frame; nil: no flags.
	Flags []uint8

	Batch  int   // frames a batch; 0 for 64
	Rounds int   // how often Run goes through Frames; 0 for once
	Time   int64 // of the first batch, in nanoseconds since the Unix epoch
	Step   int64 // how much later each further batch is

	// Collect keeps a copy of each answer in Answers. Without it a Run after the first
	// allocates nothing.
	Collect bool

	mu      sync.Mutex // guards what Send and Stats share with Run
	answers [][]byte
	stats   Stats

	batch Batch
	copy  []byte // the frames of the batch, one behind the other
}

// Run hands all frames to h, batch by batch; then, if h asks to be woken, it lets
// the timers of h run out as File does. It returns nil.
func (m *Memory) Run(ctx context.Context, h Handler) error {
	b := &m.batch
	b.Wake = 0
	at := m.Time
	size := m.Batch
	if size <= 0 {
		size = 64
	}
	for range max(m.Rounds, 1) {
		for first := 0; first < len(m.Frames); first += size {
			if ctx.Err() != nil {
				return nil
			}
			m.load(first, min(first+size, len(m.Frames)))
			m.handle(h, at)
			at += m.Step
		}
	}
	b.Frames, b.Flags = b.Frames[:0], b.Flags[:0]
	for last := int64(math.MinInt64); b.Wake != 0 && b.Wake > last && ctx.Err() == nil; {
		last = b.Wake
		at = max(at, last)
		m.handle(h, at)
	}
	return nil
}

// load copies the frames first to end into the batch.
func (m *Memory) load(first, end int) {
	b := &m.batch
	b.Frames, b.Flags, m.copy = b.Frames[:0], b.Flags[:0], m.copy[:0]
	for i, f := range m.Frames[first:end] {
		start := len(m.copy)
		m.copy = append(m.copy, f...)
		b.Frames = append(b.Frames, m.copy[start:len(m.copy):len(m.copy)])
		flags := uint8(0)
		if m.Flags != nil {
			flags = m.Flags[first+i]
		}
		b.Flags = append(b.Flags, flags)
	}
}

func (m *Memory) handle(h Handler, at int64) {
	b := &m.batch
	b.Time, b.Out, b.Wake = at, b.Out[:0], 0
	received := len(b.Frames)
	h.Handle(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Received += uint64(received)
	m.stats.Sent += uint64(len(b.Out))
	if m.Collect {
		for _, answer := range b.Out {
			m.answers = append(m.answers, slices.Clone(answer))
		}
	}
}

// Send counts frame, and keeps a copy of it among the answers with Collect.
func (m *Memory) Send(frame []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Sent++
	if m.Collect {
		m.answers = append(m.answers, slices.Clone(frame))
	}
	return nil
}

// Answers gives what was sent, in order, if Collect is set. It is the caller's.
func (m *Memory) Answers() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.answers)
}

// Stats counts over all Runs.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Close does nothing: there is nothing to give back.
func (m *Memory) Close() error { return nil }
