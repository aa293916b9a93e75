package difftest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/kernelref"
	"github.com/ipalias/ipalias/responder"
)

// TestResponderAgainstKernel is the claim of the project: for every frame, our
// answer is the kernel's answer.
func TestResponderAgainstKernel(t *testing.T) {
	rules := kernelref.Lab()
	rules.Live = true
	c := &campaign{t: t, kernel: newKernel(t), ours: newResponder(t).answer, rules: rules}
	c.run(*seedFlag, *framesFlag)
	c.enough()
}

// A responderHost is a responder for the lab's addresses.
type responderHost struct {
	worker *responder.Worker
	asked  int // sequences since it last forgot
	days   int // by which its clock is ahead
	out    [][]byte
}

func newResponder(t testing.TB) *responderHost {
	t.Helper()
	host := framegen.Lab()
	card := responder.Interface{
		Name:     "v0",
		MAC:      host.MAC,
		Networks: []netip.Prefix{host.Network},
		Gateways: []netip.Addr{host.Gateway},
	} // no limits: what is answered must not depend on how much was asked before
	for _, a := range host.Aliases {
		card.Aliases = append(card.Aliases, responder.Alias{Label: "v0:" + a.String(), Ranges: responder.RangesOf(responder.Range{First: a, Last: a})})
	}
	r := responder.New(responder.Config{Workers: 1})
	if _, err := r.Publish([]responder.Interface{card}); err != nil {
		t.Fatal(err)
	}
	return &responderHost{worker: r.Worker(0)}
}

// answer is an answerer. The frames go in one by one, so that each finds what
// the one before left, as in a kernel.
func (r *responderHost) answer(now time.Time, frames [][]byte) (answers [][]byte) {
	// Identifications come round again in a long run. A day later all timers have
	// run out, and the time of day is the same.
	const often = 5000
	if r.asked++; r.asked > often {
		r.asked = 0
		r.days++
		r.worker.Handle(r.clock(now), nil, nil, r.out[:0])
	}
	for _, f := range frames {
		in := make([]byte, len(f)) // no room behind the frame
		copy(in, f)
		out, _ := r.worker.Handle(r.clock(now), [][]byte{in}, []uint8{0}, r.out[:0])
		for _, o := range out {
			answers = append(answers, append([]byte(nil), o...))
		}
		r.out = out
	}
	return answers
}

func (r *responderHost) clock(now time.Time) int64 { return now.AddDate(0, 0, r.days).UnixNano() }
