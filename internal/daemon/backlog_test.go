package daemon

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipalias/ipalias/responder"
)

// What is added and deleted all day leaves no more in the backlog than there is to announce,
// each address once.
func TestBacklogIsBounded(t *testing.T) {
	i := eth0(t, []string{"172.16.3.10", "172.16.3.11", "172.16.3.100"})
	r := published(t, i)
	var b backlog
	one := func(a string) responder.Ranges {
		addr := netip.MustParseAddr(a)
		return responder.RangesOf(responder.Range{First: addr, Last: addr})
	}
	for n := range 20_000 {
		gone := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		b.add(r, arrivals{i.Name: one("172.16.3.11")})
		b.add(r, arrivals{i.Name: one(gone.String())})
		b.add(r, arrivals{i.Name: one("172.16.3.10")})
		if b.size > 2*3+backlogFree+1 || b.arrivals[i.Name].Len() != b.size {
			t.Fatalf("%d in the backlog, said to be %d", b.arrivals[i.Name].Len(), b.size)
		}
	}
	b.add(r, arrivals{"eth1": one("172.16.3.10")}) // an interface that is not there
	b.prune(r)
	var got []string
	for iface, list := range b.arrivals {
		for _, one := range list.All() {
			got = append(got, iface+" "+one.String())
		}
	}
	if d := cmp.Diff([]string{"eth0 172.16.3.10", "eth0 172.16.3.11"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
