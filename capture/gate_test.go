package capture

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGate(t *testing.T) {
	frames := func() [][]byte {
		macs := make([]byte, 12)
		with := func(rest ...byte) []byte { return append(macs[:12:12], rest...) }
		return [][]byte{
			with(8, 0, 0, 0),
			with(0x81, 0, 0xe0, 100, 8, 0),
			with(0x88, 0xa8, 0, 100, 0x81, 0, 0, 200, 8, 0),
			with(0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0),
			macs[:3],
		}
	}
	const none, vlan, qinq, three, short = 0, 1, 2, 3, 4
	for _, tc := range []struct {
		name string
		set  func(*Gate)
		want []int
	}{
		{"as it is made", func(*Gate) {}, []int{none, vlan, qinq, three, short}},
		{"shut", func(g *Gate) { g.Shut() }, nil},
		{"open again", func(g *Gate) { g.Shut(); g.Open() }, []int{none, vlan, qinq, three, short}},
		// More tags than an interface can have are nobody's, a frame without a type is untagged.
		{"untagged", func(g *Gate) { g.Withhold([][]uint16{nil}) }, []int{vlan, qinq}},
		{"a VLAN", func(g *Gate) { g.Withhold([][]uint16{{100}}) }, []int{none, qinq, short}},
		{"QinQ and another", func(g *Gate) { g.Withhold([][]uint16{{7}, {100, 200}}) }, []int{none, vlan, short}},
	} {
		var g Gate
		tc.set(&g)
		all := frames()
		var want [][]byte
		for _, i := range tc.want {
			want = append(want, all[i])
			if !g.Passes(all[i]) {
				t.Errorf("%s: frame %d does not pass", tc.name, i)
			}
		}
		got := g.filter(frames())
		if diff := cmp.Diff(want, append([][]byte(nil), got...)); diff != "" {
			t.Errorf("%s: passed (-want +got):\n%s", tc.name, diff)
		}
	}
}
