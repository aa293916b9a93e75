package responder

// Answers that wait for their next hop, in routed mode. Each worker has room for a
// fixed number; what finds none is given up at once, so that nobody waits for
// somebody else.

const (
	waitingMax  = 128
	waitingSize = 2 << 10 // the longest frame that may wait
	solicitMax  = 3       // requests before an answer is given up (mcast_solicit)
	solicitTime = 1e9     // ns between them (retrans_time)
	lookAgain   = 1e6     // ns between looks whether another worker learned the next hop

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

// wait keeps an answer until hop is resolved, and asks for it: also where there is
// no room to wait, or nobody who comes later would be answered as long as the
// others keep coming.
func (w *Worker) wait(p *packet, frame []byte, hop uint32) Verdict {
	r := &w.waiting
	if r.used == waitingMax || len(frame) > waitingSize {
		// Forged senders must not drive out what is known.
		if p.l.neigh.free(hop) || p.l.neigh.known(hop) {
			w.ask(p.l, p.frame[:p.l3], p.dst, hop)
		}
		return Unresolved
	}
	w.ask(p.l, p.frame[:p.l3], p.dst, hop)
	i := 0
	for r.slots[i].state != nil {
		i++
	}
	a := &r.slots[i]
	a.state, a.alias, a.hop, a.l3 = p.l.state, p.dst, hop, p.l3
	a.next, a.tries = w.now+solicitTime, 1
	a.len = copy(a.frame[:], frame)
	r.used++
	return Resolving
}

// ask sends a request for hop, unless one is under way: one a second for each, and
// never more than frames came. head is an Ethernet header with l's tags.
func (w *Worker) ask(l *link, head []byte, alias, hop uint32) {
	known := l.neigh.known(hop)
	if !known {
		l.neigh.set(hop, incomplete, w.now)
	}
	if !l.neigh.mayAsk(hop, w.now) && known {
		return
	}
	w.solicit(l, head, alias, hop, broadcastMAC)
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
	// What resolves a next hop may come to another worker, who can't wake this one.
	if r.used > 0 && len(w.responder.workers) > 1 {
		wake = min(wake, w.now+lookAgain)
	}
	return wake
}

// retry tells whether a has to wait on.
func (w *Worker) retry(l *link, a *waiting) bool {
	mac, _, ok := l.neigh.find(a.hop, w.now)
	switch {
	case !l.table.has(a.alias):
		return false
	case ok:
		frame := w.take(a.len)
		if frame == nil {
			return true
		}
		copy(frame, a.frame[:a.len])
		putMAC(frame[ethDst:], mac)
		w.enter(l)
		w.send(l, frame, w.row(l, a.alias))
		return false
	case w.now < a.next:
		return true
	case a.tries == solicitMax:
		return false
	}
	a.next = w.now + solicitTime
	a.tries++
	w.ask(l, a.frame[:a.l3], a.alias, a.hop)
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
