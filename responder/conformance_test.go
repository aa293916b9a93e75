package responder_test

import (
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/internal/kernelref"
	"github.com/ipalias/ipalias/responder"
)

// lab is the interface of the recordings: see internal/kernelref.
func lab() responder.Interface {
	single := func(s string) responder.Ranges {
		a := netip.MustParseAddr(s)
		return responder.RangesOf(responder.Range{First: a, Last: a})
	}
	return responder.Interface{
		Name:     "v0",
		MAC:      [6]byte{2, 0, 0, 0, 3, 1},
		Networks: []netip.Prefix{netip.MustParsePrefix("172.16.3.0/24")},
		Gateways: []netip.Addr{netip.MustParseAddr("172.16.3.200")},
		Aliases: []responder.Alias{
			// In the recordings the main address is the kernel's as the aliases are.
			{Label: "v0:main", Ranges: single("172.16.3.1")},
			{Label: "v0:0", Ranges: single("172.16.3.10")},
			{Label: "v0:1", Ranges: single("172.16.3.100")},
		},
	}
}

// TestKernelConformance puts every recorded case to the responder: its answers
// must be the kernel's. IPv6 is not answered yet, and its groups must be silent.
func TestKernelConformance(t *testing.T) {
	ipv6 := map[string]bool{"nd": true, "echo6": true, "unreachable6": true, "tcp6": true}
	passed, total := map[string]int{}, map[string]int{}
	for _, c := range kernelref.Recorded() {
		t.Run(c.Group+"/"+c.Name, func(t *testing.T) {
			r := responder.New(responder.Config{Workers: 1})
			if _, err := r.Publish([]responder.Interface{lab()}); err != nil {
				t.Fatal(err)
			}
			total[c.Group]++
			var ours [][]byte
			for _, in := range c.In {
				frame := append([]byte(nil), in...)
				out, _ := r.Worker(0).Handle(0, [][]byte{frame}, nil, nil)
				for _, o := range out {
					ours = append(ours, append([]byte(nil), o...))
				}
			}
			if ipv6[c.Group] {
				if len(ours) != 0 {
					t.Errorf("IPv6 is not answered yet, but there are %d answers", len(ours))
				}
				return
			}
			if diff, ok := kernelref.Compare(c.Out, ours, c.In, c.Mask, kernelref.Lab()); !ok {
				t.Errorf("verdict %v\n%s", r.Worker(0).Verdicts(), diff)
				return
			}
			passed[c.Group]++
		})
	}
	for group, n := range total {
		if !ipv6[group] {
			t.Logf("%-12s %d of %d", group, passed[group], n)
		}
	}
}
