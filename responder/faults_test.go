package responder_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// Each verdict's frames count as the faults that ifconfig's columns are about, and
// no others.
func TestFaults(t *testing.T) {
	broken := []string{"fragment-overlap", "fragment-bad", "ip-option-bad", "ip-option-refused", "icmp-short", "icmp-checksum",
		"udp-short", "udp-checksum", "tcp-short", "tcp-checksum"}
	dropped := []string{"echo-limited", "error-limited", "no-room", "unresolved"}
	seen := map[string]bool{}
	for _, c := range verdictCases() {
		var with []func(*responder.Interface)
		if c.with != nil {
			with = append(with, c.with)
		}
		r := newResponder(t, with...)
		frames, _ := c.batch()
		r.Worker(0).Handle(noon, frames, append(make([]uint8, len(c.before)), c.flags), nil)
		var want, got responder.Faults
		for _, v := range r.Worker(0).Verdicts() {
			if slices.Contains(broken, v.String()) {
				want.RxErrors++
			}
			if slices.Contains(dropped, v.String()) {
				want.TxDropped++
			}
			seen[v.String()] = true
		}
		for _, l := range r.Labels(lab().Name) {
			got.RxErrors += l.Faults.RxErrors
			got.TxDropped += l.Faults.TxDropped
		}
		if got != want {
			t.Errorf("%v %s: %+v, want %+v", c.verdict, c.note, got, want)
		}
	}
	for _, name := range append(broken, dropped...) {
		if !seen[name] {
			t.Errorf("no case ends in %s", name)
		}
	}
}

// Faults are those of the label whose address the frame was for, and an attack on a
// whole network neither moves anybody else's nor costs memory.
func TestFaultsByLabel(t *testing.T) {
	r := newResponder(t, func(i *responder.Interface) {
		i.Aliases = append(i.Aliases, responder.Alias{Label: "v0:net", Ranges: responder.RangesOf(span("10.0.0.0", "10.255.255.255"))})
	})
	bad := func(dst netip.Addr) []byte {
		f := ask(framegen.IPv4{Dst: dst, Protocol: framegen.ICMP, Payload: ping(1, count(8))})
		return patch(f, len(f)-1, 0xff)
	}
	w := r.Worker(0)
	put := func(dst netip.Addr) {
		w.Handle(noon, [][]byte{bad(dst)}, nil, nil)
		if got := w.Verdicts()[0]; got != responder.ICMPChecksum {
			t.Fatalf("%v: %v", dst, got)
		}
	}
	for range 3 {
		put(alias)
	}
	put(alias2)
	a := addr("10.0.0.1")
	for range 100_000 {
		put(a)
		a = a.Next()
	}
	put(alias)
	got := map[string]uint64{}
	for _, l := range r.Labels(lab().Name) {
		got[l.Label] = l.Faults.RxErrors
	}
	if got["v0:0"] != 4 || got["v0:1"] != 1 || got["v0:net"] == 0 || got["v0:net"] > 1024 {
		t.Errorf("%v, want 4 of v0:0, 1 of v0:1, some of v0:net", got)
	}
	// An alias that was away begins anew, whether or not the worker had a frame meanwhile.
	for _, frame := range []bool{false, true} {
		put(alias2)
		for _, aliases := range [][]responder.Alias{nil, lab().Aliases} {
			i := lab()
			i.Aliases = aliases
			if _, err := r.Publish([]responder.Interface{i}); err != nil {
				t.Fatal(err)
			}
			if frame {
				w.Handle(noon, [][]byte{bad(noAlias)}, nil, nil)
			}
		}
		for _, l := range r.Labels(lab().Name) {
			if l.Faults != (responder.Faults{}) {
				t.Errorf("%s came back with %+v", l.Label, l.Faults)
			}
		}
	}
	put(alias2)
	frames := [][]byte{bad(addr("10.9.9.9"))}
	if n := testing.AllocsPerRun(100, func() { w.Handle(noon, frames, nil, nil) }); n > 0 {
		t.Errorf("%v allocations for a bad frame", n)
	}
}
