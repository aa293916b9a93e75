package bench

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// WritePlot draws two charts side by side as an SVG: cost against table size, and
// against frame size, with what each line rate leaves for a frame.
func (r *Report) WritePlot(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="1120" height="520" viewBox="0 0 1120 520" font-family="sans-serif" font-size="13">
<rect width="1120" height="520" fill="white"/>
<text x="20" y="26" font-size="16">ipalias: nanoseconds a frame on one core, answering alone</text>
<text x="20" y="46" fill="#555">%s; medians of %d rounds</text>
`, escape(r.Machine.String()), r.Rounds)
	size := chart{
		left: 70, title: "against table size, random targets", xName: "aliases",
		xMin: 2, xMax: 40e6, yMin: 1, yMax: 1000,
		ticks: []tick{{3, "3"}, {1 << 16, "64 Ki"}, {1 << 20, "1 Mi"}, {1 << 24, "16 Mi"}},
	}
	size.frame(&b)
	for _, gbit := range LineRates[1:] {
		size.budget(&b, gbit, func(float64) int { return minFrame })
	}
	for i, c := range r.bySize() {
		size.curve(&b, i, c)
	}
	length := chart{
		left: 630, title: "against frame length, 3 aliases", xName: "bytes, without check sequence",
		xMin: 50, xMax: 2000, yMin: 1, yMax: 1000,
		ticks: []tick{{60, "60"}, {98, "98"}, {256, "256"}, {512, "512"}, {1514, "1514"}},
	}
	length.frame(&b)
	for _, gbit := range LineRates[1:] {
		length.budget(&b, gbit, func(x float64) int { return int(x) })
	}
	for i, c := range r.byLength() {
		length.curve(&b, i, c)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// A curve is what one line of a chart shows.
type curve struct {
	name   string
	points []point
}

type point struct{ x, y, low, high float64 }

// bySize are ARP and the short echo against scattered and against dense tables;
// the smallest table begins either.
func (r *Report) bySize() (list []curve) {
	for _, kind := range []string{"scattered", "dense"} {
		for _, workload := range []string{"echo-64", "arp"} {
			c := curve{name: workload + ", " + kind}
			for _, row := range r.Rows {
				if row.Workload == workload && (row.Table == Tables[0].Name || strings.HasSuffix(row.Table, kind)) {
					c.points = append(c.points, point{float64(row.Aliases), row.Net, row.Low, row.High})
				}
			}
			list = append(list, c)
		}
	}
	return list
}

func (r *Report) byLength() (list []curve) {
	names := []string{"echo", "arp", "other-mac"}
	for _, name := range names {
		c := curve{name: name}
		for _, row := range r.Rows {
			if row.Table == Tables[0].Name && (row.Workload == name || strings.HasPrefix(row.Workload, name+"-")) {
				c.points = append(c.points, point{float64(row.Frame), row.Net, row.Low, row.High})
			}
		}
		list = append(list, c)
	}
	return list
}

// A chart has logarithmic axes.
type chart struct {
	left                   float64 // of its area, in pixels
	title, xName           string
	xMin, xMax, yMin, yMax float64
	ticks                  []tick
}

type tick struct {
	at   float64
	name string
}

// Of a chart's area, in pixels.
const (
	chartTop, chartWidth, chartHeight = 90, 400, 350
)

// The colours are Okabe and Ito's, which colour-blind people can tell apart.
var colours = []string{"#d55e00", "#0072b2", "#cc79a7", "#009e73"}

func (c *chart) x(v float64) float64 {
	return c.left + chartWidth*math.Log(v/c.xMin)/math.Log(c.xMax/c.xMin)
}

func (c *chart) y(v float64) float64 {
	v = min(max(v, c.yMin), c.yMax)
	return chartTop + chartHeight*(1-math.Log(v/c.yMin)/math.Log(c.yMax/c.yMin))
}

// frame draws axes, ticks and names.
func (c *chart) frame(b *strings.Builder) {
	fmt.Fprintf(b, `<text x="%.0f" y="%d">%s</text>`+"\n", c.left, chartTop-14, c.title)
	for y := c.yMin; y <= c.yMax; y *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if y*step > c.yMax {
				break
			}
			fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#eee"/><text x="%.1f" y="%.1f" text-anchor="end">%g</text>`+"\n",
				c.left, c.y(y*step), c.left+chartWidth, c.y(y*step), c.left-6, c.y(y*step)+4, y*step)
		}
	}
	for _, t := range c.ticks {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#eee"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			c.x(t.at), chartTop, c.x(t.at), chartTop+chartHeight, c.x(t.at), chartTop+chartHeight+18, t.name)
	}
	fmt.Fprintf(b, `<rect x="%.0f" y="%d" width="%d" height="%d" fill="none" stroke="#888"/>`+"\n", c.left, chartTop, chartWidth, chartHeight)
	fmt.Fprintf(b, `<text x="%.0f" y="%d" text-anchor="middle">%s</text>`+"\n", c.left+chartWidth/2, chartTop+chartHeight+38, c.xName)
}

// budget draws what a line rate leaves for a frame of the length that x means.
func (c *chart) budget(b *strings.Builder, gbit int, length func(x float64) int) {
	var path []string
	end := 0.0
	for i := range 41 {
		x := c.xMin * math.Pow(c.xMax/c.xMin, float64(i)/40)
		end = Budget(gbit, length(x))
		path = append(path, fmt.Sprintf("%.1f,%.1f", c.x(x), c.y(end)))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#777" stroke-dasharray="5 4"/><text x="%.1f" y="%.1f" fill="#555">%d Gbit/s</text>`+"\n",
		strings.Join(path, " "), c.left+chartWidth+5, c.y(end)+4, gbit)
}

// curve draws a measured line, a bar for the quartiles of each point, and a legend.
func (c *chart) curve(b *strings.Builder, i int, line curve) {
	colour := colours[i%len(colours)]
	var path []string
	for _, p := range line.points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", c.x(p.x), c.y(p.y)))
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="4" stroke-opacity="0.35"/><circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n",
			c.x(p.x), c.y(p.low), c.x(p.x), c.y(p.high), colour, c.x(p.x), c.y(p.y), colour)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
	x, y := c.left+float64(i%2)*200, chartTop+chartHeight+58+float64(i/2)*18
	fmt.Fprintf(b, `<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f" stroke="%s" stroke-width="3"/><text x="%.0f" y="%.0f">%s</text>`+"\n",
		x, y-4, x+20, y-4, colour, x+26, y, line.name)
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
