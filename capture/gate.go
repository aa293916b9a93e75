package capture

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
)

// A Gate decides which of the frames that a Card was given to send leave it. All
// that a Card sends passes it, answers of a Handler and frames of Send, so that
// whoever must only watch needs nobody's help in keeping silent. It may be shut and
// opened while the Card runs, and several Cards may share one. The zero Gate is open.
type Gate struct {
	shut atomic.Pointer[withheld] // nil: open
}

// withheld is which frames do not leave. It is immutable.
type withheld struct {
	all  bool
	tags [][]uint16
}

// Open lets all frames through.
func (g *Gate) Open() { g.shut.Store(nil) }

// Shut lets no frame through.
func (g *Gate) Shut() { g.shut.Store(&withheld{all: true}) }

// Withhold lets all frames through but those with one of these stacks of VLAN
// identifiers, outermost first; an empty stack stands for frames without tags.
func (g *Gate) Withhold(stacks [][]uint16) { g.shut.Store(&withheld{tags: stacks}) }

// Passes tells whether frame leaves the card.
func (g *Gate) Passes(frame []byte) bool {
	shut := g.shut.Load()
	return shut == nil || shut.passes(frame)
}

// filter takes out of frames, in place, what does not leave. While the gate is
// open that is one load a batch.
func (g *Gate) filter(frames [][]byte) [][]byte {
	shut := g.shut.Load()
	if shut == nil {
		return frames
	}
	kept := frames[:0]
	for _, f := range frames {
		if shut.passes(f) {
			kept = append(kept, f)
		}
	}
	return kept
}

func (w *withheld) passes(frame []byte) bool {
	if w.all {
		return false
	}
	var ids [2]uint16 // as many as an interface can have
	n := 0
	for at := offEtherType; len(frame) >= at+4; at += 4 {
		if t := binary.BigEndian.Uint16(frame[at:]); t != typeVLAN && t != typeQinQ {
			break
		}
		if n == len(ids) {
			return false // whosever it is: silence is what can be answered for
		}
		ids[n] = binary.BigEndian.Uint16(frame[at+2:]) & 0x0fff
		n++
	}
	return !slices.ContainsFunc(w.tags, func(stack []uint16) bool { return slices.Equal(stack, ids[:n]) })
}
