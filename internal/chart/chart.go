// Package chart draws line charts with logarithmic axes into an SVG.
package chart

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Picture writes an SVG that draw puts two charts into, side by side: one at Left 70, the
// other at 630. title and the line below it are text, not markup.
func Picture(w io.Writer, title, below string, draw func(b *strings.Builder)) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="1120" height="520" viewBox="0 0 1120 520" font-family="sans-serif" font-size="13">
<rect width="1120" height="520" fill="white"/>
<text x="20" y="26" font-size="16">%s</text>
<text x="20" y="46" fill="#555">%s</text>
`, Escape(title), Escape(below))
	draw(&b)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// A Curve is one line of a chart.
type Curve struct {
	Name   string
	Points []Point
}

// A Point is a value at X, with a bar from Low to High; both equal to Y for none.
type Point struct{ X, Y, Low, High float64 }

// A Chart has logarithmic axes.
type Chart struct {
	Left                   float64 // of its area, in pixels
	Title, XName           string
	XMin, XMax, YMin, YMax float64
	Ticks                  []Tick // of the X axis
}

// A Tick names a place on the X axis.
type Tick struct {
	At   float64
	Name string
}

// Of a chart's area, in pixels.
const (
	chartTop, chartWidth, chartHeight = 90, 400, 350
)

// Colours are Okabe and Ito's, which colour-blind people can tell apart.
var Colours = []string{"#d55e00", "#0072b2", "#cc79a7", "#009e73"}

func (c *Chart) x(v float64) float64 {
	v = min(max(v, c.XMin), c.XMax)
	return c.Left + chartWidth*math.Log(v/c.XMin)/math.Log(c.XMax/c.XMin)
}

func (c *Chart) y(v float64) float64 {
	v = min(max(v, c.YMin), c.YMax)
	return chartTop + chartHeight*(1-math.Log(v/c.YMin)/math.Log(c.YMax/c.YMin))
}

// Frame draws axes, ticks and names.
func (c *Chart) Frame(b *strings.Builder) {
	fmt.Fprintf(b, `<text x="%.0f" y="%d">%s</text>`+"\n", c.Left, chartTop-14, c.Title)
	for y := c.YMin; y <= c.YMax; y *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if y*step > c.YMax {
				break
			}
			fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#eee"/><text x="%.1f" y="%.1f" text-anchor="end">%g</text>`+"\n",
				c.Left, c.y(y*step), c.Left+chartWidth, c.y(y*step), c.Left-6, c.y(y*step)+4, y*step)
		}
	}
	for _, t := range c.Ticks {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#eee"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			c.x(t.At), chartTop, c.x(t.At), chartTop+chartHeight, c.x(t.At), chartTop+chartHeight+18, t.Name)
	}
	fmt.Fprintf(b, `<rect x="%.0f" y="%d" width="%d" height="%d" fill="none" stroke="#888"/>`+"\n", c.Left, chartTop, chartWidth, chartHeight)
	fmt.Fprintf(b, `<text x="%.0f" y="%d" text-anchor="middle">%s</text>`+"\n", c.Left+chartWidth/2, chartTop+chartHeight+38, c.XName)
}

// Line draws a dashed line with a name at its end: a limit that others are held
// against.
func (c *Chart) Line(b *strings.Builder, name string, y func(x float64) float64) {
	var path []string
	end := 0.0
	for i := range 41 {
		x := c.XMin * math.Pow(c.XMax/c.XMin, float64(i)/40)
		end = y(x)
		path = append(path, fmt.Sprintf("%.1f,%.1f", c.x(x), c.y(end)))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#777" stroke-dasharray="5 4"/><text x="%.1f" y="%.1f" fill="#555">%s</text>`+"\n",
		strings.Join(path, " "), c.Left+chartWidth+5, c.y(end)+4, name)
}

// Curve draws a measured line, the bar of each point, and a line of the legend.
func (c *Chart) Curve(b *strings.Builder, i int, line Curve) {
	colour := Colours[i%len(Colours)]
	var path []string
	for _, p := range line.Points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", c.x(p.X), c.y(p.Y)))
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="4" stroke-opacity="0.35"/><circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n",
			c.x(p.X), c.y(p.Low), c.x(p.X), c.y(p.High), colour, c.x(p.X), c.y(p.Y), colour)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
	x, y := c.Left+float64(i%2)*200, chartTop+chartHeight+58+float64(i/2)*18
	fmt.Fprintf(b, `<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f" stroke="%s" stroke-width="3"/><text x="%.0f" y="%.0f">%s</text>`+"\n",
		x, y-4, x+20, y-4, colour, x+26, y, line.Name)
}

// Escape makes text safe in an SVG.
func Escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
