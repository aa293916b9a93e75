package responder

import (
	"net/netip"
	"sync/atomic"
)

// A Conflict is another host's ARP that claims an alias (RFC 5227 2.4).
type Conflict struct {
	Interface string
	Addr      netip.Addr
	MAC       [6]byte // who claims it
	Ours      [6]byte // who we answer as
	Time      int64   // nanoseconds since the Unix epoch
}

// conflictQueue carries conflicts from a worker to the control plane: a ring with one
// writer and one reader. What does not fit is not remembered.
type conflictQueue struct {
	ring       [64]Conflict
	head, tail atomic.Uint32 // written by the reader, by the worker
}

func (q *conflictQueue) push(c Conflict) {
	tail := q.tail.Load()
	if tail-q.head.Load() == uint32(len(q.ring)) {
		return
	}
	q.ring[tail%uint32(len(q.ring))] = c
	q.tail.Store(tail + 1)
}

func (q *conflictQueue) drain(to []Conflict) []Conflict {
	head, tail := q.head.Load(), q.tail.Load()
	for ; head != tail; head++ {
		to = append(to, q.ring[head%uint32(len(q.ring))])
	}
	q.head.Store(head)
	return to
}
