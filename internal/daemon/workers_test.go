package daemon

import (
	"slices"
	"testing"

	"github.com/ipalias/ipalias/capture"
)

func TestWorkersFor(t *testing.T) {
	for _, tc := range []struct{ asked, queues, processors, want int }{
		{0, 1, 1, 1},
		{0, 1, 64, 1}, // one processor receives at a time: one answers
		{0, 4, 2, 1},
		{0, 4, 4, 2},
		{0, 2, 16, 2},
		{0, 64, 64, 4},
		{0, 1, 0, 1}, // the system does not say
		{2, 1, 1, 2},
		{16, 1, 2, 16},
	} {
		if got := workersFor(tc.asked, tc.queues, tc.processors); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}

// Workers get processors of their own as long as there are any, and never one that
// is not in the mask.
func TestProcessors(t *testing.T) {
	p := &processors{list: []int{1, 4, 5, 7}}
	for _, tc := range []struct {
		n    int
		by   capture.Fanout
		want []int
	}{
		{1, capture.ByHash, []int{7}},
		{2, capture.ByHash, []int{5, 4}},
		{3, capture.ByHash, []int{1, 7, 5}},
		{2, capture.ByCPU, []int{4, 1}},    // even, odd
		{3, capture.ByCPU, []int{7, 1, 5}}, // nobody is 0 modulo 3: the next in turn
		{1, capture.ByCPU, []int{1}},       // all
		{5, capture.ByHash, []int{7, 5, 4, 1, 7}},
	} {
		if got := p.take(tc.n, tc.by); !slices.Equal(got, tc.want) {
			t.Errorf("%d by %d: %v, want %v", tc.n, tc.by, got, tc.want)
		}
	}
	if got := (&processors{}).take(2, capture.ByHash); got != nil {
		t.Errorf("of no processors: %v", got)
	}
}
