package shield

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ipalias/ipalias/responder"
)

// span reads "10.0.0.1", "10.0.0.0/24" or "10.0.0.1-10.0.0.9".
func span(s string) responder.Range {
	if p, err := netip.ParsePrefix(s); err == nil {
		return responder.PrefixRange(p)
	}
	first, last, two := strings.Cut(s, "-")
	if !two {
		last = first
	}
	return responder.Range{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}
}

func spans(list ...string) (all []responder.Range) {
	for _, s := range list {
		all = append(all, span(s))
	}
	return all
}

// untagged is an interface with one alias of the given spans.
func untagged(list ...string) responder.Interface {
	return responder.Interface{
		Name:    "eth0",
		MAC:     [6]byte{2, 0, 0, 0, 3, 1},
		Aliases: []responder.Alias{{Label: "eth0:0", Ranges: responder.RangesOf(spans(list...)...)}},
	}
}

func text(runs []interval) (all []string) {
	for _, r := range runs {
		all = append(all, responder.Range{First: address(r.first), Last: address(r.last)}.String())
	}
	return all
}

func address(n uint64) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func TestPlan(t *testing.T) {
	for _, tc := range []struct {
		name    string
		aliases []string
		change  func(*responder.Interface)
		want    []string
	}{
		{"one address", []string{"172.16.3.10"}, nil, []string{"172.16.3.10"}},
		{"those that touch are joined", []string{"10.0.0.2", "10.0.0.0/31", "10.0.0.9", "10.0.0.3-10.0.0.7"}, nil,
			[]string{"10.0.0.0/29", "10.0.0.9"}},
		{"the host's own", []string{"10.0.0.0/29"}, func(i *responder.Interface) {
			i.Host = []netip.Addr{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("fe80::1")}
		}, []string{"10.0.0.1-10.0.0.2", "10.0.0.4/30"}},
		{"gateway, network and broadcast", []string{"10.0.0.0/30"}, func(i *responder.Interface) {
			i.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/30")}
			i.Gateways = []netip.Addr{netip.MustParseAddr("10.0.0.2")}
		}, []string{"10.0.0.1"}},
		{"a /31 has neither", []string{"10.0.0.0/31"}, func(i *responder.Interface) {
			i.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/31")}
		}, []string{"10.0.0.0/31"}},
		{"excluded", []string{"10.0.0.0/24", "10.0.2.1"}, func(i *responder.Interface) {
			i.Exclude = spans("10.0.0.128-10.0.2.1")
		}, []string{"10.0.0.0/25"}},
		{"what nobody may have", []string{"0.0.0.0-255.255.255.255"}, nil,
			[]string{"1.0.0.0-126.255.255.255", "128.0.0.0-223.255.255.255", "240.0.0.0-255.255.255.254"}},
		{"another family", []string{"2001:db8::/64"}, nil, nil},
	} {
		i := untagged(tc.aliases...)
		if tc.change != nil {
			tc.change(&i)
		}
		nets, err := plan([]responder.Interface{i})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		var got []string
		for _, n := range nets {
			got = append(got, text(n.runs)...)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tc.name, diff)
		}
	}
}

// What is shielded is what the responder answers for: one more, and the kernel
// is kept from its own work; one less, and it answers too.
func TestPlanIsWhatIsAnswered(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	addr := func() netip.Addr { return address(uint64(0x0a000000 + random.IntN(256))) }
	for range 200 {
		i := responder.Interface{Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 3, 1}}
		next := random.IntN(8)
		for next < 256 { // labels must not overlap
			last := min(next+random.IntN(40), 255)
			i.Aliases = append(i.Aliases, responder.Alias{
				Label:  fmt.Sprintf("eth0:%d", next),
				Ranges: responder.RangesOf(responder.Range{First: address(uint64(0x0a000000 + next)), Last: address(uint64(0x0a000000 + last))}),
			})
			next = last + 1 + random.IntN(30)
		}
		for range random.IntN(4) {
			i.Host = append(i.Host, addr())
			i.Gateways = append(i.Gateways, addr())
			i.Networks = append(i.Networks, netip.PrefixFrom(addr(), 24+random.IntN(9)))
			first := addr()
			i.Exclude = append(i.Exclude, responder.Range{First: first, Last: first})
		}
		r := responder.New(responder.Config{Workers: 1})
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
		nets, err := plan([]responder.Interface{i})
		if err != nil {
			t.Fatal(err)
		}
		shielded := map[netip.Addr]bool{}
		for _, n := range nets {
			for _, run := range n.runs {
				for a := run.first; a <= run.last; a++ {
					shielded[address(a)] = true
				}
			}
		}
		for n := range uint64(300) {
			a := address(0x0a000000 + n)
			if answered := r.Explain("eth0", a).Answered; answered != shielded[a] {
				t.Fatalf("%s: answered %v, shielded %v with\n%+v", a, answered, shielded[a], i)
			}
		}
	}
}

// scattered is so many addresses of which none touches another.
func scattered(n int) responder.Interface {
	i := untagged()
	for k := range n {
		a := address(uint64(0x0a000000 + 2*k))
		i.Aliases[0].Ranges = i.Aliases[0].Ranges.Append(responder.Range{First: a, Last: a})
	}
	return i
}

func TestPlanLimit(t *testing.T) {
	if _, err := plan([]responder.Interface{scattered(MaxIntervals)}); err != nil {
		t.Errorf("%d intervals: %v", MaxIntervals, err)
	}
	more := untagged("192.0.2.1")
	more.Tags = []uint16{100}
	nets, err := plan([]responder.Interface{scattered(MaxIntervals), more})
	var tooMany *TooManyError
	if !errors.As(err, &tooMany) || tooMany.Intervals != MaxIntervals+1 || nets != nil {
		t.Fatalf("one more on another interface: %v, %v", len(nets), err)
	}
	if !strings.Contains(err.Error(), "10001") || !strings.Contains(err.Error(), "mac = ") {
		t.Errorf("%q says not how many there are and what to do", err)
	}
}
