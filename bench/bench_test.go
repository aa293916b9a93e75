package bench

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// targets are made once: the largest take a second.
var targets = struct {
	sync.Mutex
	made map[*Table]*Target
}{made: map[*Table]*Target{}}

func target(t testing.TB, table *Table) *Target {
	t.Helper()
	targets.Lock()
	defer targets.Unlock()
	if targets.made[table] == nil {
		made, err := NewTarget(table)
		if err != nil {
			t.Fatal(err)
		}
		targets.made[table] = made
	}
	return targets.made[table]
}

// BenchmarkAnswer writes frames and answers them: ns/op is both, copy-ns/op the
// writing alone, net-ns/op the difference. Names are for benchstat.
func BenchmarkAnswer(b *testing.B) {
	for _, table := range Tables {
		for _, w := range Workloads() {
			if !w.Fits(table) {
				continue
			}
			b.Run("workload="+w.Name+"/table="+table.Name, func(b *testing.B) {
				l := target(b, table).Load(w)
				if err := l.Check(16); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				answers := 0
				for b.Loop() {
					l.Fill()
					answers += l.Answer()
				}
				perFrame(b, l, answers)
				if err := l.Check(1); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// perFrame turns the time of batches into that of frames.
func perFrame(b *testing.B, l *Load, answers int) {
	frames := b.N * BatchSize
	if l.workload.answers && answers != frames {
		b.Fatalf("%d answers to %d frames", answers, frames)
	}
	gross := float64(b.Elapsed()) / float64(frames)
	start := time.Now()
	l.Copy(frames)
	copying := float64(time.Since(start)) / float64(frames)
	b.ReportMetric(gross, "ns/frame")
	b.ReportMetric(copying, "copy-ns/frame")
	b.ReportMetric(gross-copying, "net-ns/frame")
}

// TestNoAllocs is what CI looks at: no workload, against no table, allocates.
func TestNoAllocs(t *testing.T) {
	for _, table := range Tables {
		if testing.Short() && table.Size > 1<<16 {
			continue
		}
		for _, w := range Workloads() {
			if !w.Fits(table) {
				continue
			}
			l := target(t, table).Load(w)
			l.Run(4 * BatchSize * len(w.templates)) // whatever grows, grows now
			if n := allocations(func() { l.Run(100 * BatchSize) }); n != 0 {
				t.Errorf("%s against %s: %d allocations in %d frames", w.Name, table.Name, n, 100*BatchSize)
			}
		}
	}
}

// allocations counts those of f. Something of the runtime's own may fall into one
// measurement, hardly into three.
func allocations(f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return least
}
