package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText writes the report for people.
// The columns are explained below the table, in the output itself: who gets it in a mail has
// no source at hand.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s\n", r.Machine)
	fmt.Fprintf(w, "%d rounds each in turn, batches of %d, one core; medians, ns a frame\n\n", r.Rounds, r.Batch)
	// Right-aligned: a column of figures is read by their ends.
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "workload\ttable\tbytes\tanswer\tquartiles\tcycles\twith copy\tcopy\tallocs\tone core")
	for _, gbit := range LineRates {
		fmt.Fprintf(t, "\t%dG", gbit)
	}
	fmt.Fprintln(t, "\t")
	for i := range r.Rows {
		r.Rows[i].write(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, `
answer     the responder alone: with copy less copy, round by round
copy       writing a fresh frame with a random target into the buffer
one core   the fastest line rate one core keeps up with, frames back to back
1G..100G   how many cores that line rate takes
`)
	return err
}

// write writes a line of the table. A dash stands for what is not known, never a zero, which would be a result.
func (r *Row) write(w io.Writer) {
	cycles, fastest := "-", "-"
	if r.Cycles > 0 {
		cycles = fmt.Sprintf("%.0f", r.Cycles)
	}
	if gbit := Fastest(r.Lines); gbit > 0 {
		fastest = fmt.Sprintf("%d Gbit/s", gbit)
	}
	fmt.Fprintf(w, "%s\t%s\t%d\t%.1f\t%.1f-%.1f\t%s\t%.1f\t%.1f\t%.2g\t%s",
		r.Workload, r.Table, r.Frame, r.Net, r.Low, r.High, cycles, r.Gross, r.Copy, r.Allocs, fastest)
	for _, l := range r.Lines {
		fmt.Fprintf(w, "\t%d", l.Cores)
	}
	fmt.Fprintln(w, "\t")
}

// String tells about the machine in one line.
func (m Machine) String() string {
	cpu := m.CPU
	if cpu == "" {
		cpu = "unknown processor"
	}
	if m.MHz > 0 {
		cpu += fmt.Sprintf(", %.0f MHz", m.MHz)
	}
	if m.Load != "" {
		cpu += ", load " + m.Load + " before" // above 1 or so, others were measured too
	}
	return fmt.Sprintf("%s, %d cores, %s, %s", cpu, m.Cores, m.System, m.Go)
}
