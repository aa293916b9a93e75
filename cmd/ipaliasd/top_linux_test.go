package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/framegen"
)

// looking has so many look at who asks, each window after the other, until the test ends.
func looking(t *testing.T, p *process, many int) <-chan *control.Top {
	tops := make(chan *control.Top)
	ctx := t.Context()
	for range many {
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
	return tops
}

// party is who asks, or with a label who is asked.
type party struct{ iface, address, label string }

// tally is what windows count together.
type tally struct {
	frames, replies map[party]uint64
	verdicts        map[string]uint64
}

// add adds a window, in which all must have been counted, and exactly.
func (c *tally) add(t *testing.T, top *control.Top) {
	t.Helper()
	for _, e := range append(top.Aliases, top.Askers...) {
		if e.AtMost != e.Frames {
			t.Errorf("%+v is not exact", e)
		}
		who := party{e.Interface, e.Address, e.Label}
		c.frames[who] += e.Frames
		c.replies[who] += e.Answered
	}
	for _, i := range top.Interfaces {
		for v, n := range i.Verdicts {
			c.verdicts[i.Name+" "+v] += n
		}
	}
	if top.Uncounted > 0 || top.Seconds < 0.5 || len(top.Cards) != 1 {
		t.Errorf("a window %+v", top)
	}
}

// Who asks and who is asked is counted exactly where they are few, for all who look
// at the same time, from when the first one does.
func TestTop(t *testing.T) {
	a, b := lab(t)
	p := start(t, a.Command(binary, "-c", file(t, howtoVLANs)))
	p.wait(t, p.stdout, "answering for", 3)
	w := tap(t, b)
	tops := looking(t, p, 2)
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
	sum := tally{map[party]uint64{}, map[party]uint64{}, map[string]uint64{}}
	deadline := time.After(patience)
	for sum.verdicts["v0.100 arp-answered"] < 2*20 || sum.verdicts["v0 arp-answered"] < 2*25 {
		select {
		case top := <-tops:
			sum.add(t, top)
		case <-deadline:
			t.Fatalf("not counted within %v: %v", patience, sum.verdicts)
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
		if sum.frames[who] != 2*want[0] || sum.replies[who] != 2*want[1] {
			t.Errorf("%v: %d frames, %d answered; want twice %d and %d", who, sum.frames[who], sum.replies[who], want[0], want[1])
		}
	}
}
