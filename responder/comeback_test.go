package responder_test

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipalias/ipalias/responder"
)

// TestInterfaceComesBack: an interface that was not published for a while answers for
// what it then has and for nothing that it had; its counters of addresses begin
// anew, those of verdicts go on.
func TestInterfaceComesBack(t *testing.T) {
	gone, stays := addr("10.0.0.1"), addr("10.0.0.2")
	for name, meanwhile := range map[string]func(r *responder.Responder){
		"no frame while it was gone": func(*responder.Responder) {},
		"frames meanwhile":           func(r *responder.Responder) { asked(t, r, stays) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newResponder(t, with(single("10.0.0.1"), single("10.0.0.2")))
			asked(t, r, gone)
			asked(t, r, stays)
			publish := func(ifs ...responder.Interface) {
				t.Helper()
				if _, err := r.Publish(ifs); err != nil {
					t.Fatal(err)
				}
			}
			publish()
			meanwhile(r)
			if asked(t, r, stays) {
				t.Fatal("an interface answers that is not there")
			}
			less := lab()
			with(single("10.0.0.2"))(&less)
			publish(less)
			if asked(t, r, gone) {
				t.Errorf("%v is answered for, which it had before", gone)
			}
			asked(t, r, stays)
			if got, want := counted(r), map[netip.Addr]uint64{stays: 1}; !maps.Equal(got, want) {
				t.Errorf("counted %v, want %v", got, want)
			}
			if n := r.VerdictCounts("v0")[responder.ARPAnswered]; n != 3 {
				t.Errorf("%d answers counted, want those from before and one", n)
			}
		})
	}
}

// A comeback is a table of blocks that come and go, and what is known of it: who is
// answered, and what was counted since.
type comeback struct {
	*testing.T
	r      *responder.Responder
	random *rand.Rand
	there  map[string]bool       // blocks
	single map[netip.Addr]bool   // addresses beside them
	count  map[netip.Addr]uint64 // of those that are there
}

const blockSize = 600 // more than are dropped at once

func block(n int) (label string, rng responder.Range) {
	first := uint32(0x0a000000 + n<<16)
	return "v0:" + string(rune('a'+n)), responder.Range{First: number(first), Last: number(first + blockSize - 1)}
}

// change takes blocks and single addresses away and adds others, by Amend or Publish.
func (c *comeback) change() {
	switch c.random.IntN(3) {
	case 0: // one address beside the blocks, the small way
		a := number(0x0b000000 + c.random.Uint32N(8))
		was := c.single[a]
		alias := []responder.Alias{{Label: "v0:single", Ranges: responder.RangesOf(responder.Range{First: a, Last: a})}}
		remove, add := alias, []responder.Alias(nil)
		if !was {
			remove, add = nil, alias
		}
		if _, err := c.r.Amend("v0", remove, add); err != nil {
			c.Fatal(err)
		}
		if delete(c.count, a); was {
			delete(c.single, a)
		} else {
			c.single[a] = true
		}
		return
	case 1:
		label, _ := block(c.random.IntN(6))
		c.there[label] = !c.there[label]
	default:
		for n := range 6 {
			label, _ := block(n)
			c.there[label] = c.random.IntN(4) > 0
		}
	}
	c.publish()
}

func (c *comeback) publish() {
	i := lab()
	i.Aliases = nil
	for n := range 6 {
		if label, rng := block(n); c.there[label] {
			i.Aliases = append(i.Aliases, responder.Alias{Label: label, Ranges: responder.RangesOf(rng)})
		} else {
			maps.DeleteFunc(c.count, func(a netip.Addr, _ uint64) bool { return rng.Contains(a) })
		}
	}
	last := responder.Alias{Label: "v0:single"}
	for _, a := range slices.SortedFunc(maps.Keys(c.single), netip.Addr.Compare) {
		last.Ranges = last.Ranges.Append(responder.Range{First: a, Last: a})
	}
	i.Aliases = append(i.Aliases, last)
	if _, err := c.r.Publish([]responder.Interface{i}); err != nil {
		c.Fatal(err)
	}
}

// ask asks some addresses through one of the workers.
func (c *comeback) ask(worker int) {
	var frames [][]byte
	var want []netip.Addr
	for range c.random.IntN(40) {
		n := c.random.IntN(7)
		label, rng := block(n)
		a := number(value(rng.First) + c.random.Uint32N(blockSize))
		there := c.there[label]
		if n == 6 {
			a = number(0x0b000000 + c.random.Uint32N(8))
			there = c.single[a]
		}
		frames = append(frames, whoHas(a))
		if there {
			want = append(want, a)
		}
	}
	out, _ := c.r.Worker(worker).Handle(noon, frames, nil, nil)
	if len(out) != len(want) {
		c.Fatalf("%d of %d requests answered, want %d", len(out), len(frames), len(want))
	}
	for _, a := range want {
		c.count[a]++
	}
}

// TestComebackAgainstModel: whatever comes and goes, how many removals are under way and
// how seldom a worker runs: what is counted for an address is what came since it
// was last added, to the frame.
func TestComebackAgainstModel(t *testing.T) {
	for seed := range uint64(8) {
		c := &comeback{t, responder.New(responder.Config{Workers: 2}), rand.New(rand.NewPCG(seed, 5)), map[string]bool{}, map[netip.Addr]bool{}, map[netip.Addr]uint64{}}
		c.there["v0:a"] = true
		c.publish()
		for step := range 1500 {
			// Long stretches without a change, in which what is under way comes to its end, and
			// others in which one follows the other; a worker that sleeps most of the time.
			if calm := step/300%2 == 0; !calm || c.random.IntN(60) == 0 {
				c.change()
			}
			if c.ask(0); c.random.IntN(50) == 0 {
				c.ask(1)
			}
			if step%10 != 0 {
				continue
			}
			if got := counted(c.r); !maps.Equal(got, c.count) {
				t.Fatalf("seed %d, step %d: %s", seed, step, cmp.Diff(c.count, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })))
			}
			a, n := number(0x0a000000+c.random.Uint32N(6)<<16+c.random.Uint32N(blockSize)), uint64(0)
			if got, _ := c.r.CountersOf("v0", a); c.r.Answers("v0", a) {
				if n = c.count[a]; got.RxPackets != n {
					t.Fatalf("seed %d, step %d: %v alone counted %d, want %d", seed, step, a, got.RxPackets, n)
				}
			}
		}
	}
}
