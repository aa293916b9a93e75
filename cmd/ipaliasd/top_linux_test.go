package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/framegen"
)

// Who asks and who is asked is counted exactly where they are few, for all who look
// at the same time, from when the first one does.
func TestTop(t *testing.T) {
	a, b := lab(t)
	p := start(t, a.Command(binary, "-c", file(t, howtoVLANs)))
	p.wait(t, p.stdout, "answering for", 3)
	w := tap(t, b)
	tops := make(chan *control.Top)
	ctx := t.Context()
	for range 2 {
		go func() {
			for {
				top, err := p.client().Top(ctx, 3)
				if err != nil {
					return
				}
				select {
				case tops <- top:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	<-tops // from here on it is counted
	asker := netip.MustParseAddr("172.16.3.77")
	vlan := [2]uint16{framegen.TypeVLAN, 100}
	for range 20 {
		w.put(whoHas(peerMAC, asker, v0alias), tagged(whoHas(peerMAC, asker, v0alias), vlan), whoHas(peerMAC, asker, netip.MustParseAddr("172.16.3.78")))
	}
	for range 5 {
		w.put(whoHas(peerMAC, gateway, v1alias))
	}
	// The frames may fall into two windows, and each comes twice, once for each who looks.
	type party struct{ iface, address, label string }
	frames, replies, verdicts := map[party]uint64{}, map[party]uint64{}, map[string]uint64{}
	deadline := time.After(patience)
	for verdicts["v0.100 arp-answered"] < 2*20 || verdicts["v0 arp-answered"] < 2*25 {
		select {
		case top := <-tops:
			for _, e := range append(top.Aliases, top.Askers...) {
				if e.AtMost != e.Frames {
					t.Errorf("%+v is not exact", e)
				}
				who := party{e.Interface, e.Address, e.Label}
				frames[who] += e.Frames
				replies[who] += e.Answered
			}
			for _, i := range top.Interfaces {
				for v, n := range i.Verdicts {
					verdicts[i.Name+" "+v] += n
				}
			}
			if top.Uncounted > 0 || top.Seconds < 0.5 || len(top.Cards) != 1 {
				t.Errorf("a window %+v", top)
			}
		case <-deadline:
			t.Fatalf("not counted within %v: %v", patience, verdicts)
		}
	}
	for who, want := range map[party][2]uint64{
		{"v0", "172.16.3.10", "v0:0"}:         {20, 20},
		{"v0", "172.16.3.100", "v0:1"}:        {5, 5},
		{"v0.100", "172.16.3.10", "v0.100:0"}: {20, 20},
		{"v0", "172.16.3.77", ""}:             {40, 20},
		{"v0.100", "172.16.3.77", ""}:         {20, 20},
		{"v0", "172.16.3.200", ""}:            {5, 5},
	} {
		if frames[who] != 2*want[0] || replies[who] != 2*want[1] {
			t.Errorf("%v: %d frames, %d answered; want twice %d and %d", who, frames[who], replies[who], want[0], want[1])
		}
	}
}
