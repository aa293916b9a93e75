package daemon

import (
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/busiest"
	"github.com/ipalias/ipalias/responder"
)

// A lookout is where a card's frames are looked at on their way, by whoever wants to:
// between its ports and its workers. It stays while sessions come and go, and costs
// the path nothing worth measuring while nobody looks.
type lookout struct {
	// One of each a worker: what they hold is written by that worker's goroutine alone.
	recorders []*capture.Recorder // by worker
	counters  []*busiest.Counter  // by worker
	sent      *capture.Recorder   // of what is sent beside the workers
}

func newLookout(r *responder.Responder, workers int, gate *capture.Gate) *lookout {
	l := &lookout{sent: capture.NewRecorder(nil, gate)}
	for i := range workers {
		w := r.Worker(i)
		l.counters = append(l.counters, busiest.NewCounter(w.Verdicts))
		l.recorders = append(l.recorders, capture.NewRecorder(func(frame int) uint8 { return uint8(w.Verdicts()[frame]) }, gate))
	}
	return l
}

// around gives the handler that a port is to run instead of h, which lets worker i
// answer.
func (l *lookout) around(i int, h capture.Handler) capture.Handler {
	// The recorder is outside: it copies a frame before the handler makes an answer of it in the
	// same bytes.
	return l.recorders[i].Around(l.counters[i].Around(h))
}

// watch has who asks and who is asked counted from now on, or no longer.
func (l *lookout) watch(on bool) {
	for _, c := range l.counters {
		if on {
			c.Begin()
		} else {
			c.End()
		}
	}
}

// turn gives what was counted since the last turn.
func (l *lookout) turn() busiest.Sum {
	sum := busiest.Sum{Askers: map[busiest.Key]*busiest.Entry{}, Aliases: map[busiest.Key]*busiest.Entry{}}
	for _, c := range l.counters {
		c.Turn(&sum)
	}
	return sum
}

// send sends a frame that answers nothing.
func (l *lookout) send(port capture.Port, frame []byte) error {
	// Before it goes: a neighbour's answer to it may be recorded at once, and a reader expects
	// cause before effect.
	l.sent.Sent(time.Now().UnixNano(), frame)
	return port.Send(frame)
}
