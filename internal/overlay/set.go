package overlay

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"github.com/google/btree"

	"github.com/ipalias/ipalias/responder"
)

// A set is ranges of addresses, in their order, none of which overlap. It is
// immutable: what changes it makes a new one, which shares all with the old one
// but a few nodes of a tree. So one address is added to a million in
// microseconds, and whoever looks at the set of before goes on undisturbed.
//
// A million single addresses take 12 MB, three times what their list takes.
type set struct {
	tree      *btree.BTreeG[span] // nil: empty
	addresses uint64
}

// A span is an IPv4 range. IPv6 will have a tree of its own beside it.
type span struct{ first, last uint32 }

// degree is how many spans a node of the tree has, at most twice: of 8 bytes, so
// that copying one is copying a page's quarter.
const degree = 64

func (s set) len() int {
	if s.tree == nil {
		return 0
	}
	return s.tree.Len()
}

// copied gives a tree that may be changed.
func (s set) copied() *btree.BTreeG[span] {
	if s.tree == nil {
		return btree.NewG(degree, func(a, b span) bool { return a.first < b.first })
	}
	return s.tree.Clone()
}

// with gives s with more. Where it has a part of that already, only the rest is new.
func (s set) with(more responder.Ranges) set {
	// Those of more may overlap each other, in a journal that somebody wrote.
	fresh := s.lacks(more).Union(responder.Ranges{})
	if fresh.Len() == 0 {
		return s
	}
	s.tree = s.copied()
	for sp := range spans(fresh) {
		s.insert(sp)
	}
	return s
}

// without gives s less the addresses of gone: a range that has only a part of
// them leaves its ends.
func (s set) without(gone responder.Ranges) set {
	if s.has(gone).Len() == 0 {
		return s
	}
	s.tree = s.copied()
	for hole := range spans(gone) {
		for _, sp := range s.touching(hole) {
			s.tree.Delete(sp)
			s.addresses -= sp.size()
			if sp.first < hole.first {
				s.insert(span{sp.first, hole.first - 1})
			}
			if hole.last < sp.last {
				s.insert(span{hole.last + 1, sp.last})
			}
		}
	}
	return s
}

func (s *set) insert(sp span) {
	s.tree.ReplaceOrInsert(sp)
	s.addresses += sp.size()
}

// touching lists the spans of s that have addresses of a.
func (s set) touching(a span) (list []span) {
	if s.tree == nil {
		return nil
	}
	from := a.first
	s.tree.DescendLessOrEqual(a, func(sp span) bool {
		from = sp.first
		return false
	})
	s.tree.AscendGreaterOrEqual(span{first: from}, func(sp span) bool {
		if sp.first <= a.last && a.first <= sp.last {
			list = append(list, sp)
		}
		return sp.first <= a.last
	})
	return list
}

// has gives the parts of asked that s has, sorted if asked is.
func (s set) has(asked responder.Ranges) (parts responder.Ranges) {
	for a := range spans(asked) {
		for _, sp := range s.touching(a) {
			parts = parts.Append(span{max(sp.first, a.first), min(sp.last, a.last)}.wide())
		}
	}
	return parts
}

// lacks gives the parts of asked that s has not.
func (s set) lacks(asked responder.Ranges) responder.Ranges {
	return asked.Without(s.has(asked).Union(responder.Ranges{}))
}

// list gives the ranges of s, sorted.
func (s set) list() responder.Ranges {
	l := responder.Ranges{}.Grow(s.len())
	if s.tree != nil {
		s.tree.Ascend(func(sp span) bool {
			l = l.Append(sp.wide())
			return true
		})
	}
	return l
}

// spans yields the IPv4 ranges of l.
func spans(l responder.Ranges) iter.Seq[span] {
	return func(yield func(span) bool) {
		for _, r := range l.All() {
			if !r.First.Is4() || !r.Last.Is4() {
				continue // the journal of a later ipalias has such
			}
			first, last := r.First.As4(), r.Last.As4()
			if !yield(span{binary.BigEndian.Uint32(first[:]), binary.BigEndian.Uint32(last[:])}) {
				return
			}
		}
	}
}

func (s span) wide() responder.Range {
	var first, last [4]byte
	binary.BigEndian.PutUint32(first[:], s.first)
	binary.BigEndian.PutUint32(last[:], s.last)
	return responder.Range{First: netip.AddrFrom4(first), Last: netip.AddrFrom4(last)}
}

func (s span) size() uint64 { return uint64(s.last-s.first) + 1 }
