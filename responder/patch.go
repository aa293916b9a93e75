package responder

import (
	"math/bits"
	"slices"
)

// A patch is what Amend changed of a table since it was built as a whole: single
// addresses that came, went or have another label. It is immutable, and small
// enough to be built anew for each change.
type patch struct {
	entries []entry // sorted, of one address each
	slots   []patchSlot
	shift   uint8
}

type patchSlot struct{ addr, label uint32 }

// nobody in the place of a label: the address is no alias any more.
const nobody = 1<<32 - 1

// newPatch makes a patch, nil for no entries.
func newPatch(entries []entry) *patch {
	if len(entries) == 0 {
		return nil
	}
	log := bits.Len(uint(2*len(entries) + 2))
	p := &patch{entries: entries, slots: make([]patchSlot, 1<<log), shift: uint8(32 - log)}
	for _, e := range entries {
		i := hash(e.first) >> p.shift
		for p.slots[i].addr != 0 {
			i = (i + 1) & uint32(len(p.slots)-1)
		}
		p.slots[i] = patchSlot{e.first, e.label}
	}
	return p
}

// find tells what the patch says of an address: its label, or nobody.
func (p *patch) find(a uint32) (label uint32, found bool) {
	for i := hash(a) >> (p.shift & 31); ; i++ {
		s := &p.slots[i&uint32(len(p.slots)-1)]
		if s.addr == 0 {
			return 0, false
		}
		if s.addr == a {
			return s.label, true
		}
	}
}

// over lays changes, by address, over the patch of t, and leaves out what the table
// says without.
func (t *table) over(changes map[uint32]uint32) *patch {
	var list []entry
	if t.patch != nil {
		for _, e := range t.patch.entries {
			if _, changed := changes[e.first]; !changed {
				list = append(list, e)
			}
		}
	}
	for a, label := range changes {
		base, has := t.find(a)
		if has && base.label == label || !has && label == nobody {
			continue
		}
		list = append(list, entry{a, a, label})
	}
	slices.SortFunc(list, func(a, b entry) int { return int(int64(a.first) - int64(b.first)) })
	return newPatch(list)
}
