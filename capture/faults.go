package capture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A FaultConfig says what a bad network does to frames. The probabilities, 0 to 1,
// are those of one frame and independent of each other, but that a dropped frame
// suffers nothing else.
type FaultConfig struct {
	Seed      uint64        // the same seed does the same to the same frames, however they are batched
	Drop      float64       // the frame is lost
	Flip      float64       // one bit of it is inverted
	Truncate  float64       // it loses its end, one byte of it or all
	Duplicate float64       // it comes twice
	Delay     float64       // it, with its duplicate, comes later than those behind it
	MaxDelay  time.Duration // how much later: up to this, at least a nanosecond
}

// maxHeld bounds the frames that wait. What would be delayed beyond it comes at once.
const maxHeld = 4096

// Faults is a Handler that damages frames on purpose before another Handler sees
// them. Its randomness is that of the seed alone, so what it found can be repeated.
//
// The inner Handler sees other frames than the Port handed over; a Recorder that
// asks it for comments belongs inside of Faults.
type Faults struct {
	h      Handler
	config FaultConfig
	random *rand.Rand
	held   []heldFrame // in the order of their times
	frames [][]byte
	flags  []uint8
}

type heldFrame struct {
	time  int64
	frame []byte
	flags uint8
}

// NewFaults makes Faults around h. It refuses a probability that is none, and a
// probability of delay without a delay.
func NewFaults(h Handler, c FaultConfig) (*Faults, error) {
	for _, p := range []struct {
		name  string
		value float64
	}{
		{"drop", c.Drop},
		{"flip", c.Flip},
		{"truncate", c.Truncate},
		{"duplicate", c.Duplicate},
		{"delay", c.Delay},
	} {
		if !(p.value >= 0 && p.value <= 1) { // NaN is neither
			return nil, fmt.Errorf("configure faults: probability of %s is %v, expected 0 to 1", p.name, p.value)
		}
	}
	if c.MaxDelay < 0 || c.Delay > 0 && c.MaxDelay == 0 {
		return nil, fmt.Errorf("configure faults: longest delay is %v, expected more than 0", c.MaxDelay)
	}
	return &Faults{h: h, config: c, random: rand.New(rand.NewPCG(c.Seed, 0))}, nil
}

// Handle implements Handler: it hands on the held frames whose time has come and
// what is left of the frames of b.
func (f *Faults) Handle(b *Batch) {
	f.frames, f.flags = f.frames[:0], f.flags[:0]
	due := 0
	for due < len(f.held) && f.held[due].time <= b.Time {
		f.add(f.held[due].frame, f.held[due].flags)
		due++
	}
	f.held = slices.Delete(f.held, 0, due)
	for i, frame := range b.Frames {
		f.damage(b.Time, frame, b.Flags[i])
	}

	// The batch is the Port's: it gets its own slices back.
	frames, flags := b.Frames, b.Flags
	b.Frames, b.Flags = f.frames, f.flags
	f.h.Handle(b)
	b.Frames, b.Flags = frames, flags
	if len(f.held) > 0 && (b.Wake == 0 || f.held[0].time < b.Wake) {
		b.Wake = f.held[0].time
	}
}

func (f *Faults) add(frame []byte, flags uint8) {
	f.frames = append(f.frames, frame)
	f.flags = append(f.flags, flags)
}

// damage decides what becomes of one frame. It draws the same number of times
// whatever it decides, so that a changed probability of one fault does not change
// which frames suffer the others.
func (f *Faults) damage(now int64, frame []byte, flags uint8) {
	c := &f.config
	drop := f.random.Float64() < c.Drop
	flip, bit := f.random.Float64() < c.Flip, f.random.Float64()
	truncate, keep := f.random.Float64() < c.Truncate, f.random.Float64()
	duplicate := f.random.Float64() < c.Duplicate
	delay, wait := f.random.Float64() < c.Delay, f.random.Float64()

	if drop {
		return
	}
	if flip && len(frame) > 0 {
		n := int(bit * float64(len(frame)*8))
		frame[n/8] ^= 1 << (n % 8)
	}
	if truncate {
		n := int(keep * float64(len(frame)))
		frame = frame[:n:n]
	}
	if delay && len(f.held) < maxHeld {
		until := now + 1 + int64(wait*float64(c.MaxDelay-1))
		f.hold(until, slices.Clone(frame), flags)
		if duplicate {
			f.hold(until, slices.Clone(frame), flags)
		}
		return
	}
	f.add(frame, flags)
	if duplicate {
		f.add(slices.Clone(frame), flags) // answered in place, like the first
	}
}

// hold keeps frame behind those that are due no later.
func (f *Faults) hold(until int64, frame []byte, flags uint8) {
	i := len(f.held)
	for i > 0 && f.held[i-1].time > until {
		i--
	}
	f.held = slices.Insert(f.held, i, heldFrame{until, frame, flags})
}
