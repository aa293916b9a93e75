package responder

// Answers that wait for their next hop, in routed mode. Each worker has room for a
// fixed number; what finds none is given up at once, so that nobody waits for
// somebody else.

const (
	waitingMax  = 128
	waitingSize = 2 << 10 // the longest frame that may wait
	solicitMax  = 3       // requests before an answer is given up (mcast_solicit)
	solicitTime = 1e9     // ns between them (retrans_time)

	broadcastMAC = 1<<48 - 1
)

// A waiting answer.
type waiting struct {
	state *state // of the interface; nil: free
	alias uint32
	hop   uint32
	next  int64 // when to ask again
	tries int
	l3    int
	len   int
	frame [waitingSize]byte
}

// waitingRoom holds the answers of one worker that wait.
type waitingRoom struct {
	slots *[waitingMax]waiting // allocated when the first routed interface is published
	used  int
}

// wait keeps an answer until hop is resolved, and asks for it.
func (w *Worker) wait(p *packet, frame []byte, hop uint32) Verdict {
	r := &w.waiting
	if r.used == waitingMax || len(frame) > waitingSize {
		return Unresolved
	}
	i := 0
	for r.slots[i].state != nil {
		i++
	}
	a := &r.slots[i]
	a.state, a.alias, a.hop, a.l3, a.tries = p.l.state, p.dst, hop, p.l3, 0
	a.len = copy(a.frame[:], frame)
	r.used++
	w.ask(p.l, a)
	return Resolving
}

// ask sends a request for what a waits for, unless another answer's is under way.
func (w *Worker) ask(l *link, a *waiting) {
	a.next = w.now + solicitTime
	a.tries++
	known := l.neigh.known(a.hop)
	if !known {
		l.neigh.set(a.hop, incomplete, w.now)
	}
	if !l.neigh.mayAsk(a.hop, w.now) && known {
		return
	}
	w.solicit(l, a.frame[:a.l3], a.alias, a.hop, broadcastMAC)
}

// release sends what waits no longer, asks again for what waits too long and gives
// up what waited in vain. It tells when it wants to be called again, 0 for never.
func (w *Worker) release() (wake int64) {
	r := &w.waiting
	if r.used == 0 {
		return 0
	}
	for i := range r.slots {
		a := &r.slots[i]
		if a.state == nil {
			continue
		}
		l := w.set.byName(a.state.name)
		if l == nil || l.reply != Routed || !w.retry(l, a) {
			a.state = nil
			r.used--
			continue
		}
		if wake == 0 || a.next < wake {
			wake = a.next
		}
	}
	return wake
}

// retry tells whether a has to wait on.
func (w *Worker) retry(l *link, a *waiting) bool {
	mac, _, ok := l.neigh.find(a.hop, w.now)
	index, alias := l.table.find(a.alias)
	switch {
	case !alias:
		return false
	case ok:
		frame := w.take(a.len)
		if frame == nil {
			return true
		}
		copy(frame, a.frame[:a.len])
		putMAC(frame[ethDst:], mac)
		w.send(frame, at(l.segments[w.number], index))
		return false
	case w.now < a.next:
		return true
	case a.tries == solicitMax:
		return false
	}
	w.ask(l, a)
	return true
}

// timers does what is due by itself, and tells when there is more, 0 for never.
func (w *Worker) timers() (wake int64) {
	wake = w.expire()
	if next := w.release(); next != 0 && (wake == 0 || next < wake) {
		wake = next
	}
	return wake
}
