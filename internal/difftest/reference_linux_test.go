package difftest

import (
	"slices"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/kernelref"
)

// TestLabIsTheRecorded puts the recorded cases to the lab's kernel: it must
// answer what the recorded one did, or else the lab is set up in another way.
func TestLabIsTheRecorded(t *testing.T) {
	k := newKernel(t)
	rules := kernelref.Lab()
	rules.Routed = true // it is a kernel: nothing of it is reflected
	rules.Now = time.Now()
	n := 0
	for i, c := range kernelref.Recorded() {
		if slices.Contains([]string{"nd", "echo6", "unreachable6", "tcp6"}, c.Group) {
			continue
		}
		n++
		if c.Group == "fragments" { // several cases use one identification
			c.In = framegen.Renumber(c.In, uint16(i))
		}
		got := k.ask([][][]byte{c.In})[0]
		if _, ok := kernelref.Compare(c.Out, nil, c.In, c.Mask, rules); ok && len(c.Out) == len(got) {
			continue // rightly silent, or answered where we must not
		}
		if diff, ok := kernelref.Compare(c.Out, got, c.In, c.Mask, rules); !ok {
			t.Errorf("%s: %s: %s", c.Group, c.Name, diff)
		}
	}
	if n < 200 {
		t.Errorf("%d cases, want 200", n)
	}
}
