package responder

import (
	"net/netip"
	"testing"
)

// One address's counters are those that Used has for it, whoever of the workers
// counted; where some worker had no room for it, that is told.
func TestCountersOf(t *testing.T) {
	r := New(Config{Workers: 2, MaxCounted: 2})
	alias := RangesOf(Range{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")})
	_, err := r.Publish([]Interface{{Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, 1}, Aliases: []Alias{{Label: "eth0:0", Ranges: alias}}}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(worker int, last byte) {
		frame := []byte{
			0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 6,
			0, 1, 8, 0, 6, 4, 0, 1,
			2, 0, 0, 0, 0, 9, 192, 0, 2, 1,
			0, 0, 0, 0, 0, 0, 10, 0, 0, last,
		}
		if out, _ := r.Worker(worker).Handle(1, [][]byte{frame}, nil, nil); len(out) != 1 {
			t.Fatalf("10.0.0.%d is not answered", last)
		}
	}
	for _, last := range []byte{1, 1, 2} {
		ask(0, last)
	}
	ask(0, 3) // one too many for it
	ask(1, 1)
	for _, want := range []struct {
		address string
		packets uint64
		own     bool
	}{{"10.0.0.1", 3, true}, {"10.0.0.2", 1, true}, {"10.0.0.3", 0, false}, {"10.0.0.4", 0, false}, {"10.0.1.1", 0, false}, {"::1", 0, true}} {
		c, own := r.CountersOf("eth0", netip.MustParseAddr(want.address))
		if c.RxPackets != want.packets || c.TxPackets != want.packets || own != want.own {
			t.Errorf("%s: %+v, its own %v; want %d packets, %v", want.address, c, own, want.packets, want.own)
		}
	}
	if _, own := r.CountersOf("eth1", netip.MustParseAddr("10.0.0.1")); !own {
		t.Error("an interface that does not exist has no room")
	}
}
