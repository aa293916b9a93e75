package difftest

import (
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/kernelref"
)

// TestKernelAgainstItself holds a second kernel against the first: what differs
// between those two is chance, or something the lab keeps from one frame for the
// next, and would be blamed on the responder.
func TestKernelAgainstItself(t *testing.T) {
	second := newKernel(t)
	rules := kernelref.Lab()
	rules.Live = true
	rules.Routed = true
	c := &campaign{t: t, kernel: newKernel(t), rules: rules}
	c.ours = func(_ time.Time, frames [][]byte) (kept [][]byte) {
		// The second kernel must not be seen to answer what we must not.
		for _, f := range second.ask([][][]byte{framegen.Clone(frames)})[0] {
			if !kernelref.Excused(f, frames, rules) {
				framegen.FixChecksums(f) // of an echo that is all zero: it is known to be wrong
				kept = append(kept, f)
			}
		}
		return kept
	}
	c.run(*seedFlag, min(*framesFlag, 5000))
	c.enough()
}
