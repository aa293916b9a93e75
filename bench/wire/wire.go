// Package wire measures how fast requests are answered through the kernel: two
// network namespaces joined by a veth pair, a generator that outruns every
// responder at one end, and at the other ipalias, the kernel's own stack and
// others, in turn and in one session.
//
// The generator is an XDP program that the kernel runs on live frames
// (BPF_PROG_TEST_RUN); it aims each at a random address. A tc program counts what
// comes back and lets a sample through, each byte of which is checked.
package wire

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/ipalias/ipalias/bench"
)

// Rounds is how often Run measures each peer unless told.
const Rounds = 3

// A Report is what Run found.
type Report struct {
	Machine bench.Machine `json:"machine"`
	Rounds  int           `json:"rounds"`
	Frame   int           `json:"frame_bytes"`
	Rows    []Row         `json:"rows"`
}

// A Row is one peer that was asked one kind of question.
type Row struct {
	Peer     string    `json:"peer"`
	Kind     string    `json:"kind"` // "echo" or "arp"
	Aliases  uint64    `json:"aliases"`
	Offered  []float64 `json:"offered"`       // frames a second that the generator sent, round by round
	Replies  []float64 `json:"replies"`       // a second, round by round
	LossFree float64   `json:"loss_free"`     // the highest rate without a loss; 0: not looked for
	P50      float64   `json:"p50_us"`        // of round trips, one outstanding
	P99      float64   `json:"p99_us"`        //
	Rested   float64   `json:"after_rest_us"` // the median round trip after 20 ms of silence
	Checked  int       `json:"checked"`       // replies compared byte by byte
	Cost     float64   `json:"ns_a_reply"`    // of all cores together, over a frame that nobody wants
	Ratio    float64   `json:"ratio"`         // of ipalias's replies to this peer's, the median of the rounds
	Low      float64   `json:"ratio_low"`     // the lowest round
	High     float64   `json:"ratio_high"`    // the highest
}

// Find gives the row of a peer.
func (r *Report) Find(peer, kind string, aliases uint64) *Row {
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Peer == peer && row.Kind == kind && row.Aliases == aliases {
			return row
		}
	}
	return nil
}

// compare works out what takes two peers: ratios, and what a reply costs.
//
// At the highest rate the generator's core is busy without a break, and so is that
// of a responder with a core of its own. A reply's cost is what the
// generator's core spends on a frame more than on one that nobody wants, and all
// of the responder's.
func (r *Report) compare() {
	for i := range r.Rows {
		row := &r.Rows[i]
		us, none := r.Find("ipalias", row.Kind, row.Aliases), r.Find("nobody", row.Kind, row.Aliases)
		if us == nil || none == nil || row.Peer == none.Peer {
			continue
		}
		var ratios []float64
		for n := range row.Replies {
			ratios = append(ratios, us.Replies[n]/row.Replies[n])
		}
		row.Ratio, row.Low, row.High = median(ratios), slices.Min(ratios), slices.Max(ratios)
		extra := 1e9/median(row.Offered) - 1e9/median(none.Offered)
		switch row.Peer {
		case "kernel":
			row.Cost = extra
		case "ipalias":
			row.Cost = extra + 1e9/median(row.Replies)
		}
	}
}

// Median gives the median of the replies a second.
func (row *Row) Median() float64 { return median(row.Replies) }

// Limited tells whether the generator sent hardly more than was answered: then
// the responder was not at its limit.
func (row *Row) Limited() bool { return median(row.Offered) < 1.05*row.Median() }

func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[(len(values)-1)/2]
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%d rounds in turn, frames of %d bytes, random targets; medians\n\n", r.Machine, r.Rounds, r.Frame)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "kind\taliases\tresponder\toffered\treplies/s\tlowest-highest\tloss-free\tipalias/it\tspread\tns a reply\tp50 us\tp99 us\tafter rest us\tchecked\t")
	for i := range r.Rows {
		r.Rows[i].write(t)
	}
	return t.Flush()
}

func (row *Row) write(w io.Writer) {
	fmt.Fprintf(w, "%s\t%d\t%s\t%.0fK\t%.0fK\t%.0f-%.0fK", row.Kind, row.Aliases, row.Peer, median(row.Offered)/1e3,
		median(row.Replies)/1e3, slices.Min(row.Replies)/1e3, slices.Max(row.Replies)/1e3)
	cell := func(format string, known bool, args ...any) {
		if !known {
			format, args = "-", nil
		}
		fmt.Fprintf(w, "\t"+format, args...)
	}
	cell("%.0fK", row.LossFree > 0, row.LossFree/1e3)
	cell("%.2f", row.Ratio > 0, row.Ratio)
	cell("%.2f-%.2f", row.Ratio > 0, row.Low, row.High)
	cell("%.0f", row.Cost > 0, row.Cost)
	cell("%.1f", row.P50 > 0, row.P50)
	cell("%.1f", row.P99 > 0, row.P99)
	cell("%.1f", row.Rested > 0, row.Rested)
	fmt.Fprintf(w, "\t%d\t\n", row.Checked)
}
