package wire

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ipalias/ipalias/bench"
)

// WriteText writes the report for people.
// Three tables of the same rows: as one it would be wider than any screen.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s, %d rounds in turn, frames of %d bytes, random targets; medians\n", r.Machine, r.Cards, r.Rounds, r.Frame)
	// What the generator can do stands first: no rate below is worth anything that comes near it.
	if alone := bench.Quantile(r.Generator, 0.5); alone > 0 {
		fmt.Fprintf(w, "the generator alone: %.0fK frames a second\n", alone/1e3)
	} else if !r.Live {
		fmt.Fprintln(w, "the generator sends through a packet socket: this card's driver sends no live frames")
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	for _, t := range []struct {
		title, columns string
		write          func(row *Row) []string
	}{
		{"Rates, a second", "offered\treplies\tlowest-highest\tloss-free\tipalias/it\tspread\tshield/it\tspread\tchecked", (*Row).rates},
		{"Round trips, us", "p50\tp99\tp99.9\tafter rest\tits highest\tlost", (*Row).trips},
		{"Everything on one core, ns", "a request\tmore than nobody's\tspread\tby the kernel's\tspread", (*Row).costs},
	} {
		fmt.Fprintf(w, "\n%s\n\n", t.title)
		tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(tw, "kind\taliases\tresponder\t%s\t\n", t.columns)
		for i := range r.Rows {
			row := &r.Rows[i]
			if cells := t.write(row); cells != nil {
				fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t\n", row.Kind, row.Aliases, row.Peer, strings.Join(cells, "\t"))
			}
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, `
offered      what the generator sent, doing its utmost; where it is hardly more than the
             replies, the responder was not at its limit
loss-free    the highest rate with at most %g of the requests unanswered, held for %v
ipalias/it   ipalias's replies by this responder's, round by round; and the rounds' spread
shield/it    the same of ipalias behind a shield
checked      replies compared byte by byte
after rest   the first round trip after %v without traffic
`, r.LossBound, holdTime, rest)
	return err
}

// rates, trips and costs give the cells of a row in one of the tables, nil for none.
func (row *Row) rates() []string {
	// Thousands without a fraction: the rounds differ by more than that.
	thousands := func(v float64) string { return fmt.Sprintf("%.0fK", v/1e3) }
	s := spread(row.Replies)
	return []string{
		thousands(bench.Quantile(row.Offered, 0.5)), thousands(s.Median), fmt.Sprintf("%.0f-%.0fK", s.Low/1e3, s.High/1e3),
		known(row.LossFree, thousands(row.LossFree)), known(row.Ratio.Median, fmt.Sprintf("%.2f", row.Ratio.Median)), row.Ratio.String(),
		known(row.ShieldRatio.Median, fmt.Sprintf("%.2f", row.ShieldRatio.Median)), row.ShieldRatio.String(), fmt.Sprint(row.Checked),
	}
}

func (row *Row) trips() []string {
	// Who was not asked one at a time has no line in that table.
	if row.P50 == 0 {
		return nil
	}
	var cells []string
	for _, v := range []float64{row.P50, row.P99, row.P999, row.Rested, row.RestedHigh} {
		cells = append(cells, fmt.Sprintf("%.1f", v))
	}
	return append(cells, fmt.Sprint(row.TripsLost))
}

func (row *Row) costs() []string {
	if len(row.OneCore) == 0 {
		return nil
	}
	return []string{
		fmt.Sprintf("%.0f", bench.Quantile(row.OneCore, 0.5)),
		known(row.Extra.Median, fmt.Sprintf("%.0f", row.Extra.Median)), row.Extra.whole(),
		known(row.ByKernel.Median, fmt.Sprintf("%.2f", row.ByKernel.Median)), row.ByKernel.String(),
	}
}

// known is text if there is something to tell.
// 0 is never a result here: what was not measured has it.
func known(v float64, text string) string {
	if v == 0 {
		return "-"
	}
	return text
}

// String writes lowest and highest.
func (s Spread) String() string { return known(s.Median, fmt.Sprintf("%.2f-%.2f", s.Low, s.High)) }

func (s Spread) whole() string { return known(s.Median, fmt.Sprintf("%.0f-%.0f", s.Low, s.High)) }
