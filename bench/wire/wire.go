// Package wire measures how fast requests are answered through the kernel: two
// network namespaces with a card each, joined by a wire, a generator that outruns
// every responder at one end, and at the other ipalias, the kernel's own stack
// and others, in turn and in one session.
//
// The generator is an XDP program that the kernel runs on live frames
// (BPF_PROG_TEST_RUN); it aims each at a random address. A tc program counts what
// comes back and lets a sample through, each byte of which is checked.
package wire

import (
	"math"
	"slices"
	"time"

	"github.com/ipalias/ipalias/bench"
)

// Rounds is how often Run measures each peer unless told.
const Rounds = 5

// LossBound is the share of requests that may stay without a reply at what is
// called loss-free. Not zero: a host stalls a virtual machine for milliseconds now
// and then, which no buffer bridges.
const LossBound = 1e-5

const (
	holdTime = 3 * time.Second       // for which the loss-free rate has to hold
	rest     = 20 * time.Millisecond // before a first round trip
)

// Options say what Run measures.
type Options struct {
	Rounds int

	// Card and Peer are two cards that can reach each other, the responder's and the
	// generator's. Nobody may use them. "": a veth pair is made.
	Card, Peer string

	// Daemon is the path of ipaliasd, to be measured as a program too; "": not.
	Daemon string

	// Programs are paths of further peers. Each is run in the responder's namespace
	// with the arguments CARD, ADDRESSES (a prefix or first-last), and the IP and the
	// MAC address of who will ask, answers until SIGTERM, and is called by its name.
	Programs []string

	// Progress, if not nil, is told what begins, a line each.
	Progress func(string)
}

// A Report is what Run found.
type Report struct {
	Machine   bench.Machine `json:"machine"`
	Cards     string        `json:"cards"`
	Rounds    int           `json:"rounds"`
	Frame     int           `json:"frame_bytes"`
	Live      bool          `json:"live_frames"` // else the generator sends in bursts, through a packet socket
	Generator []float64     `json:"generator"`   // frames a second of the generator alone; 0: not known
	LossBound float64       `json:"loss_bound"`  // of what is called loss-free
	Rows      []Row         `json:"rows"`
	Notes     []string      `json:"notes,omitempty"`
}

// A Row is one peer that was asked one kind of question.
type Row struct {
	Peer    string `json:"peer"`
	Kind    string `json:"kind"` // "echo" or "arp"
	Aliases uint64 `json:"aliases"`
	// It differs by peer: the kernel's receiving half runs on the generator's core, and what it
	// takes of that depends on who answers.
	Offered []float64 `json:"offered"` // frames a second that the generator sent, round by round
	Replies []float64 `json:"replies"` // a second, round by round
	Checked int       `json:"checked"` // replies compared byte by byte
	Ratio   Spread    `json:"ratio"`   // of ipalias's replies to this peer's, round by round

	ShieldRatio Spread `json:"shield_ratio"` // the same of ipalias behind a shield; 0: there is none

	LossFree float64 `json:"loss_free"` // the highest rate without a loss; 0: not looked for, or not found

	// Round trips in microseconds: one outstanding, back to back; then after rests
	// of 20 ms.
	P50        float64  `json:"p50_us"`
	P99        float64  `json:"p99_us"`
	P999       float64  `json:"p999_us"`
	Trips      []Bucket `json:"trips"`
	TripsLost  int      `json:"trips_lost"`
	Rested     float64  `json:"after_rest_us"` // the median
	RestedHigh float64  `json:"after_rest_high_us"`

	// Everything on one core: nanoseconds from a request's sending to its reply's
	// arrival, round by round; how much of it is more than for a frame that
	// nobody wants; and that against the kernel's.
	OneCore  []float64 `json:"one_core_ns"`
	Extra    Spread    `json:"extra_ns"`
	ByKernel Spread    `json:"extra_by_kernel"`
}

// A Spread is the median, the lowest and the highest of the rounds; all 0: not
// measured.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	return Spread{bench.Quantile(values, 0.5), slices.Min(values), slices.Max(values)}
}

// A Bucket counts the round trips that took up to so many microseconds, and
// longer than the bucket before.
type Bucket struct {
	UpTo  float64 `json:"up_to_us"`
	Count int     `json:"count"`
}

// perOctave is how many buckets a doubling of time has.
const perOctave = 4

func histogram(times []float64) (list []Bucket) {
	for _, t := range slices.Sorted(slices.Values(times)) {
		upTo := math.Pow(2, math.Ceil(math.Log2(t)*perOctave)/perOctave)
		if len(list) == 0 || list[len(list)-1].UpTo < upTo {
			list = append(list, Bucket{UpTo: upTo})
		}
		list[len(list)-1].Count++
	}
	return list
}

// Find gives the row of a peer, nil if it was not asked.
func (r *Report) Find(peer, kind string, aliases uint64) *Row {
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Peer == peer && row.Kind == kind && row.Aliases == aliases {
			return row
		}
	}
	return nil
}

// compare works out what takes two peers, from figures of the same round.
func (r *Report) compare() {
	for i := range r.Rows {
		row := &r.Rows[i]
		us, none, kernel := r.Find("ipalias", row.Kind, row.Aliases), r.Find("nobody", row.Kind, row.Aliases), r.Find("kernel", row.Kind, row.Aliases)
		// Nobody has no replies, and is what others are compared with.
		if us == nil || none == nil || kernel == nil || row.Peer == none.Peer {
			continue
		}
		by := func(a, b float64) float64 { return a / b }
		// Ratios of the same round, and the median of these: a machine that others slow down for a
		// second slows both.
		row.Ratio = spread(combine(us.Replies, row.Replies, by))
		if behind := r.Find("ipalias, shield", row.Kind, row.Aliases); behind != nil {
			row.ShieldRatio = spread(combine(behind.Replies, row.Replies, by))
		}
		less := func(a, b float64) float64 { return a - b }
		// What the generator and the kernel's receiving half cost is in both.
		extra := combine(row.OneCore, none.OneCore, less)
		row.Extra = spread(extra)
		row.ByKernel = spread(combine(extra, combine(kernel.OneCore, none.OneCore, less), by))
	}
}

// combine gives f of the values of each round.
func combine(a, b []float64, f func(a, b float64) float64) (list []float64) {
	// Slow ones have fewer rounds: the first ones are compared.
	for i := range min(len(a), len(b)) {
		list = append(list, f(a[i], b[i]))
	}
	return list
}

// Median gives the median of the replies a second.
func (row *Row) Median() float64 { return bench.Quantile(row.Replies, 0.5) }

// Limited tells whether the responder got hardly more requests than it
// answered: then it was not at its limit, and answers more.
func (row *Row) Limited() bool { return bench.Quantile(row.Offered, 0.5) < 1.05*row.Median() }
