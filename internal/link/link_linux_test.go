package link

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink/nl"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/netlab"
)

// open connects to the kernel of n. A Kernel stays in the namespace it was
// opened in, so that the test may use it from outside.
func open(t *testing.T, n *netlab.Namespace) *Kernel {
	t.Helper()
	var k *Kernel
	if err := n.Do(func() (err error) { k, err = Open(); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func run(t *testing.T, n *netlab.Namespace, command ...string) {
	t.Helper()
	if out, err := n.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", command, err, out)
	}
}

func read(t *testing.T, k *Kernel, name string) Facts {
	t.Helper()
	f, err := k.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// facts as netlab.Pair leaves the first card, before anything was changed.
func fresh(index int) Facts {
	return Facts{Name: netlab.CardA, Index: index, MAC: netlab.MACA, MTU: 1500, Encap: Ethernet, Up: true, Carrier: true,
		Host: addrs("127.0.0.1")}
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

var compare = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
	cmpopts.EquateEmpty(),
}

func TestReadFollowsTheCard(t *testing.T) {
	netlab.Need(t, "ip")
	a, b := netlab.Pair(t)
	k := open(t, a)
	want := fresh(read(t, k, "v0").Index)

	steps := []struct {
		name    string
		in      *netlab.Namespace
		command []string
		change  func(f *Facts)
	}{
		{"address with a prefix", a, []string{"ip", "addr", "add", "172.16.3.1/24", "dev", "v0"}, func(f *Facts) {
			f.Networks, f.Host = prefixes("172.16.3.1/24"), addrs("127.0.0.1", "172.16.3.1")
		}},
		{"address on another card", a, []string{"ip", "addr", "add", "10.9.9.9/32", "dev", "lo"}, func(f *Facts) {
			f.Host = addrs("10.9.9.9", "127.0.0.1", "172.16.3.1")
		}},
		{"default route", a, []string{"ip", "route", "add", "default", "via", "172.16.3.200", "metric", "20"}, func(f *Facts) {
			f.Gateways = addrs("172.16.3.200")
		}},
		{"a better default route", a, []string{"ip", "route", "add", "default", "via", "172.16.3.201", "metric", "10"}, func(f *Facts) {
			f.Gateways = addrs("172.16.3.201", "172.16.3.200")
		}},
		{"two hops", a, []string{"ip", "route", "add", "default", "metric", "30", "nexthop", "via", "172.16.3.202", "dev", "v0", "nexthop", "via", "172.16.3.200", "dev", "v0"}, func(f *Facts) {
			f.Gateways = addrs("172.16.3.201", "172.16.3.200", "172.16.3.202")
		}},
		{"a second address", a, []string{"ip", "addr", "add", "192.0.2.2", "peer", "192.0.2.9/32", "dev", "v0"}, func(f *Facts) {
			f.Networks = prefixes("172.16.3.1/24", "192.0.2.2/32")
			f.Host = addrs("10.9.9.9", "127.0.0.1", "172.16.3.1", "192.0.2.2")
		}},
		{"MTU", a, []string{"ip", "link", "set", "v0", "mtu", "1400"}, func(f *Facts) { f.MTU = 1400 }},
		{"MAC", a, []string{"ip", "link", "set", "v0", "address", "02:00:00:00:00:07"}, func(f *Facts) {
			f.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 7}
		}},
		{"carrier lost", b, []string{"ip", "link", "set", "v1", "down"}, func(f *Facts) { f.Carrier = false }},
		{"carrier back", b, []string{"ip", "link", "set", "v1", "up"}, func(f *Facts) { f.Carrier = true }},
		{"address away", a, []string{"ip", "addr", "del", "192.0.2.2", "peer", "192.0.2.9/32", "dev", "v0"}, func(f *Facts) {
			f.Networks, f.Host = prefixes("172.16.3.1/24"), addrs("10.9.9.9", "127.0.0.1", "172.16.3.1")
		}},
		{"down", a, []string{"ip", "link", "set", "v0", "down"}, func(f *Facts) {
			f.Up, f.Carrier, f.Gateways = false, false, nil // the kernel drops its routes
		}},
	}
	if diff := cmp.Diff(want, read(t, k, "v0"), compare); diff != "" {
		t.Fatalf("at first (-want +got):\n%s", diff)
	}
	for _, step := range steps {
		drain(k)
		run(t, step.in, step.command...)
		step.change(&want)
		// Several notifications may come before the state is reached, and the
		// state may be reached before the last of them: wait for the state.
		got := read(t, k, "v0")
		for !cmp.Equal(want, got, compare) && changed(k) {
			got = read(t, k, "v0")
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// drain forgets the changes so far.
func drain(k *Kernel) {
	select {
	case <-k.Changed():
	default:
	}
}

// changed waits for a change. The time is only what a failing test takes.
func changed(k *Kernel) bool {
	select {
	case <-k.Changed():
		return true
	case <-time.After(time.Minute):
		return false
	}
}

func TestCardComesAndGoes(t *testing.T) {
	netlab.Need(t, "ip")
	n := netlab.Make(t, "n")
	k := open(t, n)
	if _, err := k.Read("v0"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("no card yet: %v, want %v", err, ErrNotFound)
	}
	until := func(what string, reached func(f Facts, err error) bool) Facts {
		t.Helper()
		for {
			f, err := k.Read("v0")
			if reached(f, err) {
				return f
			}
			if !changed(k) {
				t.Fatalf("%s: no notification; %+v, %v", what, f, err)
			}
		}
	}
	there := func(f Facts, err error) bool { return err == nil }
	away := func(f Facts, err error) bool { return errors.Is(err, ErrNotFound) }

	run(t, n, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v8")
	first := until("created", there)
	if names, err := k.Names(); err != nil || !slices.Equal(names, []string{"v0", "v8"}) {
		t.Errorf("cards %q, %v; want v0 and its peer", names, err)
	}
	run(t, n, "ip", "link", "set", "v0", "name", "v9")
	until("renamed", away)
	run(t, n, "ip", "link", "set", "v9", "name", "v0")
	until("renamed back", there)
	run(t, n, "ip", "link", "del", "v0")
	until("deleted", away)
	run(t, n, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v8")
	if again := until("created again", there); again.Index == first.Index {
		t.Errorf("a new card can't be told from the old one: both have index %d", first.Index)
	}
}

// A router's routes come and go all the time; only a default one is news.
func TestOnlyDefaultRoutesMatter(t *testing.T) {
	route := func(bits uint8) []byte {
		return (&nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Dst_len: bits}}).Serialize()
	}
	for _, tc := range []struct {
		name string
		kind uint16
		data []byte
		want bool
	}{
		{"default route", unix.RTM_NEWROUTE, route(0), true},
		{"default route gone", unix.RTM_DELROUTE, route(0), true},
		{"route", unix.RTM_NEWROUTE, route(8), false},
		{"route gone", unix.RTM_DELROUTE, route(32), false},
		{"cut route", unix.RTM_NEWROUTE, nil, true},
		{"card", unix.RTM_NEWLINK, nil, true},
		{"address gone", unix.RTM_DELADDR, nil, true},
	} {
		m := syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: tc.kind}, Data: tc.data}
		if got := matters(m); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestNothingLeaks(t *testing.T) {
	netlab.Need(t)
	n := netlab.Make(t, "n")
	before := goleak.IgnoreCurrent()
	for range 10 {
		var k *Kernel
		if err := n.Do(func() (err error) { k, err = Open(); return err }); err != nil {
			t.Fatal(err)
		}
		k.Close()
	}
	goleak.VerifyNone(t, before)
}
