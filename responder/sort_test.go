package responder

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSortByAddress holds the sort against the library's, with many equal addresses and
// with those at the ends of what there is.
func TestSortByAddress(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := range 300 {
		pieces := make([]piece, n)
		for i := range pieces {
			first := rng.Uint32()
			if i%3 == 0 {
				first = []uint32{0, 1<<32 - 1, 1 << 22, 1<<22 - 1, 1 << 11, 7}[rng.IntN(6)]
			}
			pieces[i] = piece{first: first, alias: int32(i)}
		}
		want := slices.Clone(pieces)
		slices.SortStableFunc(want, func(a, b piece) int { return cmp.Compare(a.first, b.first) })
		if got := byAddress(pieces, func(p *piece) uint32 { return p.first }); !slices.Equal(got, want) {
			t.Fatalf("%d pieces: %v, want %v", n, got, want)
		}
	}
}
