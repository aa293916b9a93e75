package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// Rounds is how often Run measures each workload unless told.
const Rounds = 15

// roundTime is how long one measurement lasts: much longer than a clock reading,
// short enough that what else the machine does falls into few of them.
const roundTime = 10 * time.Millisecond

// A Row is what was measured of one workload against one table. Times are
// medians over all rounds, in nanoseconds a frame.
type Row struct {
	Workload string `json:"workload"`
	Table    string `json:"table"`
	Aliases  uint64 `json:"aliases"`
	Frame    int    `json:"frame_bytes"` // without check sequence; the mean of a mixture
	// Writing and answering overlap in the processor, so Net may be a nanosecond or two too small;
	// Gross is the upper bound.
	Net     float64 `json:"net_ns"`      // answering alone: Gross less Copy, round by round
	Low     float64 `json:"net_low_ns"`  // the first quartile of Net
	High    float64 `json:"net_high_ns"` // and the third
	Gross   float64 `json:"gross_ns"`    // writing the frames and answering them
	Copy    float64 `json:"copy_ns"`     // writing them alone
	Cycles  float64 `json:"cycles"`      // Net in cycles of the nominal clock; 0: not known
	Answers float64 `json:"answers"`     // a frame
	Allocs  float64 `json:"allocs"`      // a frame
	Lines   []Line  `json:"lines"`
}

// A Report is what Run found.
type Report struct {
	Machine Machine `json:"machine"`
	Rounds  int     `json:"rounds"`
	Batch   int     `json:"batch"`
	Rows    []Row   `json:"rows"`
}

// A series is a row in the making.
type series struct {
	// A Load of its own for each, so that series in turn go on where they were.
	load    *Load
	frames  int // a round
	answers int
	// Of each round, in step: net is the difference of the same round's two, which the same
	// disturbance has touched.
	gross, copy, net []float64
	allocs           []float64
}

// Run measures every workload against every table it fits, so many rounds, taking
// turns: a disturbance of a second then spoils one round of each, not all
// rounds of one. Every answer of a first batch, and of a last, is checked. It
// needs about 800 MB, and half a minute with the usual number of rounds.
func Run(ctx context.Context, rounds int) (*Report, error) {
	// Another thread would be another core, with nothing in its caches.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Before anything is measured: the load average is to be others', not ours.
	machine := ThisMachine()
	all, err := allSeries(ctx)
	if err != nil {
		return nil, err
	}
	// What building the tables left would otherwise be collected in the first rounds.
	runtime.GC()
	for range rounds {
		for _, s := range all {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			s.measure()
		}
	}
	r := &Report{Machine: machine, Rounds: rounds, Batch: BatchSize}
	for _, s := range all {
		if err := s.load.Check(8); err != nil {
			return nil, err
		}
		r.Rows = append(r.Rows, s.row(r.Machine.MHz))
	}
	return r, nil
}

// allSeries makes what is to be measured, and measures how many frames make a round.
func allSeries(ctx context.Context) ([]*series, error) {
	var all []*series
	for _, table := range Tables {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		target, err := NewTarget(table)
		if err != nil {
			return nil, err
		}
		// One target for all workloads of a table: the largest takes a second to make, and hundreds
		// of megabytes.
		for _, w := range Workloads() {
			if !w.Fits(table) {
				continue
			}
			s := &series{load: target.Load(w)}
			if err := s.load.Check(64); err != nil {
				return nil, err
			}
			s.calibrate()
			all = append(all, s)
		}
	}
	return all, nil
}

// calibrate doubles the frames until they take about a round. It also warms up caches,
// branch predictor and the clock of a processor that had nothing to do.
func (s *series) calibrate() {
	for s.frames = 16 * BatchSize; ; s.frames *= 2 {
		start := time.Now()
		s.load.Run(s.frames)
		// Half, since doubling overshoots: a round then takes between a half and a whole of it.
		if time.Since(start) > roundTime/2 {
			return
		}
	}
}

func (s *series) measure() {
	var before, after runtime.MemStats
	// It stops the world and is slow: outside of what is timed.
	runtime.ReadMemStats(&before)
	start := time.Now()
	s.load.Copy(s.frames)
	copied := time.Now()
	s.answers += s.load.Run(s.frames)
	end := time.Now()
	runtime.ReadMemStats(&after)

	n := float64(s.frames)
	gross, copying := float64(end.Sub(copied))/n, float64(copied.Sub(start))/n
	s.gross, s.copy, s.net = append(s.gross, gross), append(s.copy, copying), append(s.net, gross-copying)
	s.allocs = append(s.allocs, float64(after.Mallocs-before.Mallocs)/n)
}

func (s *series) row(mhz float64) Row {
	w, t := s.load.workload, s.load.table
	n := float64(s.frames * len(s.net))
	r := Row{
		Workload: w.Name,
		Table:    t.Name,
		Aliases:  t.Size,
		Frame:    w.Frame,
		Net:      Quantile(s.net, 0.5),
		Low:      Quantile(s.net, 0.25),
		High:     Quantile(s.net, 0.75),
		Gross:    Quantile(s.gross, 0.5),
		Copy:     Quantile(s.copy, 0.5),
		Answers:  float64(s.answers) / n,
		Allocs:   Quantile(s.allocs, 0.5), // the runtime's own fall into few rounds
	}
	// Of the nominal clock, for want of a counter: with turbo there were more.
	r.Cycles = r.Net * mhz / 1000
	r.Lines = lines(r.Net, w.Frame)
	return r
}

// Quantile gives the value below which a share q of the values lies, the lower of two
// neighbours: a value that was measured, and no mean of two. It is 0 for no values.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1))]
}

// Find gives the row of a workload and a table.
func (r *Report) Find(workload, table string) (Row, error) {
	for _, row := range r.Rows {
		if row.Workload == workload && row.Table == table {
			return row, nil
		}
	}
	return Row{}, fmt.Errorf("%s against table %s was not measured", workload, table)
}
