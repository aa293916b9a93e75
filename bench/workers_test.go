package bench

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// loads makes a load for each of n workers of one responder.
func loads(t testing.TB, table *Table, w *Workload, n int) (list []*Load) {
	t.Helper()
	target, err := newTarget(table, n)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		l := target.Load(w)
		l.worker = target.responder.Worker(i)
		list = append(list, l)
	}
	return list
}

// together has each load run so many batches on a goroutine of its own, and counts
// the answers.
func together(list []*Load, batches int) (answers int) {
	counts := make([]int, len(list)*16) // two cache lines for each
	var all sync.WaitGroup
	for i, l := range list {
		all.Go(func() { counts[i*16] = l.Run(batches * BatchSize) })
	}
	all.Wait()
	for _, n := range counts {
		answers += n
	}
	return answers
}

// BenchmarkWorkers answers on several processors for the same addresses: Mframes/s
// are those of all workers together. With nothing shared they grow as the number of
// processors does that are really there; two threads of one core share its units.
func BenchmarkWorkers(b *testing.B) {
	for _, name := range []string{"3", "1Mi-scattered"} {
		for _, workload := range []string{"arp", "echo-64"} {
			table, err := FindTable(name)
			if err != nil {
				b.Fatal(err)
			}
			w, err := FindWorkload(workload)
			if err != nil {
				b.Fatal(err)
			}
			for n := 1; n <= runtime.GOMAXPROCS(0); n *= 2 {
				b.Run(fmt.Sprintf("workload=%s/table=%s/workers=%d", workload, name, n), func(b *testing.B) {
					list := loads(b, table, w, n)
					together(list, 100)
					b.ResetTimer()
					if got, want := together(list, b.N), n*b.N*BatchSize; got != want {
						b.Fatalf("%d answers to %d frames", got, want)
					}
					b.ReportMetric(float64(n*b.N*BatchSize)/b.Elapsed().Seconds()/1e6, "Mframes/s")
				})
			}
		}
	}
}

// Several workers at once answer right, and their counters add up.
func TestWorkersTogether(t *testing.T) {
	const workers, batches = 4, 50
	w, err := FindWorkload("echo-64")
	if err != nil {
		t.Fatal(err)
	}
	list := loads(t, Tables[0], w, workers)
	if got, want := together(list, batches), workers*batches*BatchSize; got != want {
		t.Errorf("%d answers to %d frames", got, want)
	}
	for i, l := range list {
		if err := l.Check(2); err != nil {
			t.Errorf("worker %d: %v", i, err)
		}
		for _, v := range l.worker.Verdicts() {
			if v != responder.EchoAnswered {
				t.Errorf("worker %d: %v", i, v)
			}
		}
	}
}
