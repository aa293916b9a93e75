package bench

import (
	"fmt"
	"io"
	"strings"

	"github.com/ipalias/ipalias/internal/chart"
)

// WritePlot draws two charts side by side as an SVG: cost against table size, and
// against frame size, with what each line rate leaves for a frame.
func (r *Report) WritePlot(w io.Writer) error {
	below := fmt.Sprintf("%s; medians of %d rounds", r.Machine, r.Rounds)
	return chart.Picture(w, "ipalias: nanoseconds a frame on one core, answering alone", below, func(b *strings.Builder) {
		r.drawSizes(b)
		r.drawLengths(b)
	})
}

func (r *Report) drawSizes(b *strings.Builder) {
	size := chart.Chart{
		Left: 70, Title: "against table size, random targets", XName: "aliases",
		XMin: 2, XMax: 40e6, YMin: 1, YMax: 1000,
		Ticks: []chart.Tick{{At: 3, Name: "3"}, {At: 1 << 16, Name: "64 Ki"}, {At: 1 << 20, Name: "1 Mi"}, {At: 1 << 24, Name: "16 Mi"}},
	}
	size.Frame(b)
	// Without the slowest, whose budget lies above all that is drawn.
	for _, gbit := range LineRates[1:] {
		size.Line(b, rate(gbit), func(float64) float64 { return Budget(gbit, minFrame) })
	}
	for i, c := range r.bySize() {
		size.Curve(b, i, c)
	}
}

func (r *Report) drawLengths(b *strings.Builder) {
	length := chart.Chart{
		Left: 630, Title: "against frame length, 3 aliases", XName: "bytes, without check sequence",
		XMin: 50, XMax: 2000, YMin: 1, YMax: 1000,
		Ticks: []chart.Tick{{At: 60, Name: "60"}, {At: 98, Name: "98"}, {At: 256, Name: "256"}, {At: 512, Name: "512"}, {At: 1514, Name: "1514"}},
	}
	length.Frame(b)
	for _, gbit := range LineRates[1:] {
		length.Line(b, rate(gbit), func(x float64) float64 { return Budget(gbit, int(x)) })
	}
	for i, c := range r.byLength() {
		length.Curve(b, i, c)
	}
}

func rate(gbit int) string { return fmt.Sprintf("%d Gbit/s", gbit) }

// bySize are ARP and the short echo against scattered and against dense tables;
// the smallest table begins either.
func (r *Report) bySize() (list []chart.Curve) {
	for _, kind := range []string{"scattered", "dense"} {
		for _, workload := range []string{"echo-64", "arp"} {
			c := chart.Curve{Name: workload + ", " + kind}
			for _, row := range r.Rows {
				// The smallest is neither scattered nor dense, and is where both begin.
				if row.Workload == workload && (row.Table == Tables[0].Name || strings.HasSuffix(row.Table, kind)) {
					c.Points = append(c.Points, chart.Point{X: float64(row.Aliases), Y: row.Net, Low: row.Low, High: row.High})
				}
			}
			list = append(list, c)
		}
	}
	return list
}

// byLength are the workloads of one kind in several lengths, against the smallest table, in
// which no look-up misses: what the length costs is the checksum.
func (r *Report) byLength() (list []chart.Curve) {
	names := []string{"echo", "arp", "other-mac"}
	for _, name := range names {
		c := chart.Curve{Name: name}
		for _, row := range r.Rows {
			if row.Table == Tables[0].Name && (row.Workload == name || strings.HasPrefix(row.Workload, name+"-")) {
				c.Points = append(c.Points, chart.Point{X: float64(row.Frame), Y: row.Net, Low: row.Low, High: row.High})
			}
		}
		list = append(list, c)
	}
	return list
}
