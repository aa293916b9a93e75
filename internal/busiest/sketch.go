// Package busiest finds out who asks most and who is asked most, in memory that does
// not grow with how many there are, on the way of frames between a port and a
// worker. It counts only while somebody looks.
package busiest

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
)

// A Key is one party: an IPv4 address on one interface of a card.
type Key uint64

// In a Key the address is in the lowest 32 bits, then the outer VLAN identifier, then
// the inner one, 0 for none. The highest bit is always set, so that no key is 0.
const (
	outerShift = 32
	innerShift = 44
	idMask     = 0x0fff
	present    = 1 << 63
)

// Address gives the IPv4 address as a number.
func (k Key) Address() uint32 { return uint32(k) }

// Tags gives the VLAN identifiers, outermost first; none for untagged frames.
func (k Key) Tags() []uint16 {
	var tags []uint16
	for _, shift := range []int{outerShift, innerShift} {
		if id := uint16(k>>shift) & idMask; id != 0 {
			tags = append(tags, id)
		}
	}
	return tags
}

const (
	ways    = 8 // keys that compete for the places of a set
	setBits = 8 // 256 sets: 2048 keys in 40 KiB
	sets    = 1 << setBits
)

// A sketch counts keys by the space-saving algorithm (Metwally, Agrawal and El
// Abbadi, 2005), apart for each set that keys are hashed to: a key that finds no place
// takes that of the least counted one, and its count, as what it may have had
// before. So whoever has more than a set's share of 1/8 is there for certain, no count is
// below the truth, and none is above it by more than over says. As long as there are not
// more keys than places all counts are exact.
type sketch struct {
	seed uint64 // so that nobody can choose addresses that share a set
	sets [sets]set
}

type set struct {
	keys     [ways]Key // 0: free
	frames   [ways]uint32
	over     [ways]uint32 // how much of frames may be others'
	answered [ways]uint32
}

func newSketch() *sketch { return &sketch{seed: rand.Uint64() | 1} }

// add counts a frame; answered is 1 if it was answered, 0 if not.
func (s *sketch) add(k Key, answered uint32) {
	e := &s.sets[uint64(k)*s.seed>>(64-setBits)]
	least := 0
	for i := range e.keys {
		if e.keys[i] == k {
			e.frames[i]++
			e.answered[i] += answered
			return
		}
		if e.frames[i] < e.frames[least] {
			least = i
		}
	}
	e.keys[least] = k
	e.over[least] = e.frames[least]
	e.frames[least]++
	e.answered[least] = answered
}

// reset forgets everything.
func (s *sketch) reset() { s.sets = [sets]set{} }

// An Entry is how often a key occurred.
type Entry struct {
	Key      Key
	Frames   uint64 // at least
	AtMost   uint64 // the same, unless there were more keys than places
	Answered uint64 // of Frames
}

// collect adds what was counted to sum.
func (s *sketch) collect(sum map[Key]*Entry) {
	for i := range s.sets {
		e := &s.sets[i]
		for j, k := range e.keys {
			if k == 0 {
				continue
			}
			into := sum[k]
			if into == nil {
				into = &Entry{Key: k}
				sum[k] = into
			}
			into.Frames += uint64(e.frames[j] - e.over[j])
			into.AtMost += uint64(e.frames[j])
			into.Answered += uint64(e.answered[j])
		}
	}
}

// Largest lists the entries of those who are surest to have had most frames, at most n
// of them.
func Largest(of map[Key]*Entry, n int) []Entry {
	list := make([]Entry, 0, len(of))
	for e := range maps.Values(of) {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Frames, a.Frames), cmp.Compare(a.Key, b.Key))
	})
	return list[:min(n, len(list))]
}
