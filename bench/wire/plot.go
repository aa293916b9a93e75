package wire

import (
	"fmt"
	"io"
	"strings"

	"github.com/ipalias/ipalias/internal/chart"
)

// WritePlot draws two charts side by side as an SVG: replies a second of each
// responder, and how many round trips took longer than a time.
func (r *Report) WritePlot(w io.Writer) error {
	title := fmt.Sprintf("ipalias and others, through the kernel (%s)", r.Cards)
	below := fmt.Sprintf("%s; medians of %d rounds in turn", r.Machine, r.Rounds)
	return chart.Picture(w, title, below, func(b *strings.Builder) {
		r.bars(b)
		r.drawTrips(b)
	})
}

func (r *Report) drawTrips(b *strings.Builder) {
	// Of echo with three aliases, the one question that all are asked who can be.
	trips := chart.Chart{
		Left: 630, Title: "share of round trips that took longer, echo, 3 aliases", XName: "microseconds",
		XMin: 2, XMax: 2000, YMin: 1e-4, YMax: 1,
		Ticks: []chart.Tick{{At: 2, Name: "2"}, {At: 5, Name: "5"}, {At: 10, Name: "10"}, {At: 20, Name: "20"}, {At: 50, Name: "50"},
			{At: 100, Name: "100"}, {At: 200, Name: "200"}, {At: 500, Name: "500"}, {At: 1000, Name: "1000"}},
	}
	trips.Frame(b)
	i := 0
	// Those that differ; more lines could not be told apart.
	for _, peer := range []string{"ipalias", "kernel", "mdlayher/packet", "gvisor"} {
		if row := r.Find(peer, "echo", 3); row != nil && len(row.Trips) > 0 {
			trips.Curve(b, i, chart.Curve{Name: peer, Points: tail(row.Trips)})
			i++
		}
	}
}

// tail turns a histogram into the share that lies above the upper end of each bucket.
// On logarithmic axes the share that took longer shows the rare slow ones, which a
// histogram hides.
func tail(buckets []Bucket) (points []chart.Point) {
	total, above := 0, 0
	for _, b := range buckets {
		total += b.Count
	}
	above = total
	for _, b := range buckets {
		above -= b.Count
		// Where nobody is above there is nothing to draw on a logarithmic axis.
		y := float64(above) / float64(total)
		if y > 0 {
			points = append(points, chart.Point{X: b.UpTo, Y: y, Low: y, High: y})
		}
	}
	return points
}

// bars draws a bar for each responder and question, with the spread of the rounds.
func (r *Report) bars(b *strings.Builder) {
	const left, top, width, height = 190, 90, 320, 13
	most := 0.0
	for i := range r.Rows {
		most = max(most, r.Rows[i].Median())
	}
	fmt.Fprintf(b, `<text x="%d" y="%d">thousand replies a second; thin: lowest to highest round</text>`+"\n", 20, top-14)
	y := top
	for _, part := range []struct {
		kind    string
		aliases uint64
	}{{"echo", 3}, {"echo", 1 << 24}, {"arp", 3}, {"arp", 1 << 24}} {
		fmt.Fprintf(b, `<text x="20" y="%d" font-weight="bold">%s, %s aliases</text>`+"\n", y+11, part.kind, short(part.aliases))
		y += height + 5
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Kind != part.kind || row.Aliases != part.aliases || row.Peer == "nobody" {
				continue
			}
			colour := chart.Colours[1]
			if strings.HasPrefix(row.Peer, "ipalias") {
				colour = chart.Colours[0]
			}
			s := spread(row.Replies)
			// From zero, and linear: the length of a bar is what it says.
			x := func(v float64) float64 { return left + width*v/most }
			fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+
				`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="black"/><text x="%.1f" y="%d">%.0f</text>`+"\n",
				left-6, y+11, chart.Escape(row.Peer), left, y, x(s.Median)-left, height, colour,
				x(s.Low), y+height/2, x(s.High), y+height/2, max(x(s.High), x(s.Median))+5, y+11, s.Median/1e3)
			y += height + 3
		}
		y += 6
	}
}

func short(aliases uint64) string {
	if aliases == 1<<24 {
		return "16 Mi"
	}
	return fmt.Sprint(aliases)
}
