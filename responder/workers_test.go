package responder_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// newWorkers is the lab with several workers.
func newWorkers(t *testing.T, n int, with ...func(*responder.Interface)) *responder.Responder {
	t.Helper()
	i := lab()
	for _, change := range with {
		change(&i)
	}
	r := responder.New(responder.Config{Workers: n})
	if _, err := r.Publish([]responder.Interface{i}); err != nil {
		t.Fatal(err)
	}
	return r
}

// A limit holds for all workers together, whichever of them is asked, at one time or
// one after the other.
func TestLimitsHoldForAllWorkers(t *testing.T) {
	const workers, rate, burst, asks = 4, 100, 20, 2000
	echo := pingOf(peer)
	refused := ask(framegen.IPv4{Protocol: framegen.UDP, Payload: framegen.UDPMessage(peer, alias, 4000, 53, count(8))})
	limit := func(i *responder.Interface) {
		i.Limits = responder.Limits{EchoRate: rate, EchoBurst: burst, ErrorRate: rate, ErrorBurst: burst, PeerRate: rate, PeerBurst: burst}
	}
	r := newWorkers(t, workers, limit)
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			var out [][]byte
			for i := range asks {
				// Over one second: the burst, and then the rate.
				now := noon + int64(i)*second/asks
				frames := [][]byte{bytes.Clone(echo), bytes.Clone(refused)}
				out, _ = r.Worker(n).Handle(now, frames, nil, out[:0])
			}
		})
	}
	all.Wait()
	counts := r.VerdictCounts("v0")
	for _, v := range []responder.Verdict{responder.EchoAnswered, responder.UDPRefused} {
		if got := counts[v]; got < rate || got > rate+burst {
			t.Errorf("%v: %d in a second by %d workers, want %d and a burst of %d", v, got, workers, rate, burst)
		}
	}
}

// The ARP reply that an answer waits for comes to whichever worker the fan-out
// picks: the one that waits looks soon, and sends.
func TestAnotherWorkerLearns(t *testing.T) {
	r := newWorkers(t, 2, routed)
	handle := func(worker int, now int64, frames ...[]byte) ([][]byte, int64) {
		return r.Worker(worker).Handle(now, frames, nil, nil)
	}
	answers, wake := handle(0, noon, pingOf(peer))
	checkAnswers(t, answers, [][]byte{wants(framegen.Broadcast, peer)})
	const soon = int64(2e6)
	if wake == 0 || wake > noon+soon {
		t.Errorf("the worker with the waiting answer wants to be called at %d, want within %d ns", wake-noon, soon)
	}
	answers, _ = handle(1, noon, isAt(nextMAC, peer))
	checkAnswers(t, answers, nil)
	answers, wake = handle(0, wake)
	checkAnswers(t, answers, [][]byte{pongTo(nextMAC, peer)})
	if wake != 0 {
		t.Errorf("with nothing waiting any more it wants to be called at %d", wake)
	}
}

// Counters of workers add up.
func TestWorkersCountTogether(t *testing.T) {
	const workers = 3
	r := newWorkers(t, workers)
	for n := range workers {
		for range n + 1 {
			r.Worker(n).Handle(noon, [][]byte{pingOf(peer)}, nil, nil)
		}
	}
	const want = 1 + 2 + 3
	if c := r.Total("v0"); c.RxPackets != want || c.TxPackets != want {
		t.Errorf("counted %+v, want %d each", c, want)
	}
	if v := r.VerdictCounts("v0")[responder.EchoAnswered]; v != want {
		t.Errorf("%d echoes answered, want %d", v, want)
	}
}
