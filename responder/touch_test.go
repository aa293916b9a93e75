package responder

import "testing"

// TestLabelsComeAndGo: an alias that comes with a label of its own, and goes again, leaves
// nothing behind in the table, however often; others' labels keep their counters.
func TestLabelsComeAndGo(t *testing.T) {
	r, l := oneLink(t)
	w := r.workers[0]
	w.row(l, 0x0a000001).rx.count(60)
	for n := range uint32(20_000) {
		a := 0x0b000000 + n*5
		alias := []Alias{{Label: "v0:" + v4addr(a).String(), Ranges: rangesOf4([]run4{{a, a}})}}
		if _, err := r.Amend("v0", nil, alias); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Amend("v0", alias, nil); err != nil {
			t.Fatal(err)
		}
	}
	l = r.set.Load().untagged
	if n := len(l.table.labels); n > touchMost+1 || len(l.added) > touchMost {
		t.Errorf("the table has %d labels, and %d were added: there is one", n, len(l.added))
	}
	if len(r.ifs[0].Aliases) > touchMost+1 {
		t.Errorf("%d labels are published", len(r.ifs[0].Aliases))
	}
	if got := r.Labels("v0"); len(got) != 1 || got[0].Counters.RxPackets != 1 {
		t.Errorf("left is %+v", got)
	}
}
