package link

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestChanges(t *testing.T) {
	card := func(change func(f *Facts)) Facts {
		f := Facts{
			Name: "eth0", Index: 2, MAC: net.HardwareAddr{0, 0x8e, 0xb8, 0x83, 0x19, 0x20}, MTU: 1500, Encap: Ethernet,
			Up: true, Carrier: true,
			Networks: []netip.Prefix{netip.MustParsePrefix("172.16.3.1/24")},
			Gateways: []netip.Addr{netip.MustParseAddr("172.16.3.200")},
			Host:     []netip.Addr{netip.MustParseAddr("172.16.3.1")},
		}
		change(&f)
		return f
	}
	old := card(func(*Facts) {})
	for _, tc := range []struct {
		name   string
		change func(f *Facts)
		want   []string
	}{
		{"nothing", func(f *Facts) {}, nil},
		{"another list with the same addresses", func(f *Facts) { f.Host = slices.Clone(f.Host) }, nil},
		{"another card's address", func(f *Facts) { f.Host = nil }, nil},
		{"made again", func(f *Facts) { f.Index = 9 }, nil},
		{"MTU", func(f *Facts) { f.MTU = 9000 }, []string{"MTU 1500 -> 9000"}},
		{"MAC", func(f *Facts) { f.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 1} }, []string{"MAC 00:8e:b8:83:19:20 -> 02:00:00:00:00:01"}},
		{"down", func(f *Facts) { f.Up, f.Carrier = false, false }, []string{"up true -> false", "carrier true -> false"}},
		{"no gateway", func(f *Facts) { f.Gateways = nil }, []string{"gateway [172.16.3.200] -> []"}},
		{"no address", func(f *Facts) { f.Networks = nil }, []string{"addresses [172.16.3.1/24] -> []"}},
	} {
		now := card(tc.change)
		if got := now.Changes(old); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// There need not be a bond here to know what its members are told.
func TestTaken(t *testing.T) {
	for _, tc := range []struct{ master, kind, want string }{
		{"", "", ""},
		{"blue", "vrf", ""},
		{"br0", "bridge", "a port of the bridge br0: answer on br0 instead"},
		{"bond0", "bond", "a member of the bond bond0: answer on bond0 instead"},
		{"team0", "team", "a member of the team team0: answer on team0 instead"},
		{"ovs-system", "openvswitch", "a port of an Open vSwitch: answer on the port that has its bridge's name instead"},
		{"bat0", "batadv", "a part of the batadv bat0: answer on bat0 instead"},
	} {
		f := Facts{Name: "eth0", Master: tc.master, Kind: tc.kind}
		if got := f.Taken(); got != tc.want {
			t.Errorf("%s %s: %q, want %q", tc.kind, tc.master, got, tc.want)
		}
	}
}
