//go:build !race

package responder

// A counter is written by one worker and read by anybody.
//
// It is a plain word: an atomic addition costs 6 ns, this one is lost among the
// loads. The Go memory model promises that a read of a word sees a value that
// was written to it, never a mixture, so a reader may be late by some frames but
// never wrong. (On 32-bit machines a 64-bit word is two; a reader may then see a
// carry half done.) Under the race detector counter_race.go takes its place.
type counter uint64

// add is called by the owning worker, which gets the sum.
func (c *counter) add(n uint64) uint64 { *c += counter(n); return uint64(*c) }

// load is called by anybody.
func (c *counter) load() uint64 { return uint64(*c) }
