package bench

import "math"

// LineRates are in Gbit/s. What a figure in nanoseconds is worth shows beside what such a card
// leaves for a frame when frames come back to back: the worst case, which few networks see.
var LineRates = []int{1, 10, 25, 40, 100}

// What a frame costs on the wire beside its own bytes (IEEE 802.3): preamble and
// start delimiter 8, check sequence 4, the gap behind it 12. A frame is padded to
// 60 bytes.
const (
	wireExtra = 8 + 4 + 12
	minFrame  = 60
)

// Budget is how many nanoseconds a card of so many Gbit/s leaves for a frame of
// so many bytes when frames come one right behind the other.
func Budget(gbit int, frame int) float64 {
	return float64(max(frame, minFrame)+wireExtra) * 8 / float64(gbit)
}

// A Line is one line rate and what it takes to keep up with it.
type Line struct {
	Gbit   int     `json:"gbit"`
	Budget float64 `json:"budget_ns"`
	Cores  int     `json:"cores"` // that cost the frame's time each; the path shares nothing between them
}

func lines(ns float64, frame int) []Line {
	var list []Line
	for _, gbit := range LineRates {
		// Rounded up: a part of a core keeps up with nothing.
		b := Budget(gbit, frame)
		list = append(list, Line{gbit, b, max(1, int(math.Ceil(ns/b)))})
	}
	return list
}

// Fastest gives the highest rate that one core keeps up with, 0 if none.
func Fastest(list []Line) int {
	gbit := 0
	for _, l := range list {
		if l.Cores == 1 {
			gbit = max(gbit, l.Gbit)
		}
	}
	return gbit
}
