package responder

import (
	"fmt"
	"slices"
)

// A state is what an interface keeps through every Publish. While it is not published that is
// its verdicts and what it learned; the ledgers go, and others come when it is back. They are
// another state then: workers may still be at the one before.
type state struct {
	name    string
	ordinal uint32                  // among the states of the responder
	counts  []*[NumVerdicts]counter // [worker]

	ledgers []*ledger     // [worker]: of addresses; nil: it is not published
	shared  []*ledger     // [worker]: of labels, for addresses beyond what ledgers may hold
	faults  []*faultTable // [worker]

	// What touch knows of the table that is amended.
	numbered *memory           // which one that is
	names    map[string]uint32 // label: its number
	sizes    []int             // of each label
	added    []Alias           // the options of labels that were not published

	removal uint64      // the number of the last
	label   uint32      // the identifier of the last
	neigh   *neighbours // held by Publish; nil: no interface of this name was ever routed
}

// state finds what the interface of a name keeps, or begins with it.
func (r *Responder) state(name string) *state {
	for _, s := range r.states {
		if s.name == name {
			return s
		}
	}
	s := &state{name: name}
	for range r.workers {
		s.counts = append(s.counts, new([NumVerdicts]counter))
	}
	return s
}

// enlist gives the interfaces of next that have none their ledgers; all or nothing.
func (r *Responder) enlist(next *set) error {
	states := slices.Clone(r.states)
	var made []*state
	for _, l := range next.links {
		if l.ledgers != nil {
			continue
		}
		s := *l.state
		made = append(made, &s)
		if err := s.count(len(r.workers), r.counted); err != nil {
			for _, s := range made {
				s.release()
			}
			return fmt.Errorf("interface %s: counters: %w", l.name, err)
		}
		if i := slices.Index(states, l.state); i >= 0 {
			states[i] = &s
		} else {
			s.ordinal = uint32(len(states))
			states = append(states, &s)
		}
		l.state = &s
	}
	r.states = states
	return nil
}

// dismiss is done when next has come into force: what only the interfaces of it need,
// others give up.
func (r *Responder) dismiss(next *set) {
	for i, s := range r.states {
		// Of tables that are out of force: they would stay mapped.
		s.numbered, s.names, s.sizes, s.added = nil, nil, nil, nil
		if s.ledgers != nil && next.byName(s.name) == nil {
			r.states[i] = &state{name: s.name, ordinal: s.ordinal, counts: s.counts, label: s.label, neigh: s.neigh}
		}
	}
}

// count makes the ledgers of each worker, with so many rows.
func (s *state) count(workers, rows int) error {
	for range workers {
		own, err := newLedger(rows)
		if err != nil {
			return err
		}
		s.ledgers = append(s.ledgers, own)
		shared, err := newLedger(maxSharedLabels)
		if err != nil {
			return err
		}
		s.shared = append(s.shared, shared)
		s.faults = append(s.faults, new(faultTable))
	}
	return nil
}

// release gives ledgers back that were never in force.
func (s *state) release() {
	for _, l := range slices.Concat(s.ledgers, s.shared) {
		l.release()
	}
}

// maxSharedLabels is how many labels may count for addresses that have no row.
const maxSharedLabels = 1 << 20
