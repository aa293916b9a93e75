package nettools

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ipalias/ipalias/internal/netlab"
)

var compare = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

// network makes a card with a network, and what does fn in its namespace.
func network(t *testing.T) (do func(fn func() error)) {
	t.Helper()
	a, _ := netlab.Pair(t)
	return func(fn func() error) {
		t.Helper()
		if err := a.Do(fn); err != nil {
			t.Fatal(err)
		}
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func find4(t *testing.T, name string) Card {
	t.Helper()
	cards, err := Cards()
	if err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(cards, func(c Card) bool { return c.Name == name })
	if n < 0 {
		t.Fatalf("no %s among %+v", name, cards)
	}
	return cards[n]
}

func TestCards(t *testing.T) {
	do := network(t)
	do(func() error {
		lo := find4(t, "lo")
		want := Card{Name: "lo", Title: "Local Loopback", Up: true, MTU: 65536, Flags: []string{"UP", "LOOPBACK", "RUNNING"},
			Addresses: []Address{{Label: "lo", Prefix: prefix("127.0.0.1/8")}}}
		lo.MAC, lo.Stats = nil, Stats{}
		if diff := cmp.Diff(want, lo, compare); diff != "" {
			t.Errorf("lo (-want +got):\n%s", diff)
		}
		if err := AddAddress(netlab.CardA, prefix("172.16.3.1/24"), addr("172.16.3.255")); err != nil {
			return err
		}
		if err := AddAddress(netlab.CardA, prefix("10.0.0.1/31"), netip.Addr{}); err != nil {
			return err
		}
		v0 := find4(t, netlab.CardA)
		if v0.Stats.TxPackets > 0 && v0.Stats.TxBytes == 0 {
			t.Errorf("packets without bytes: %+v", v0.Stats)
		}
		want = Card{Name: netlab.CardA, Title: "10Mbps Ethernet", MAC: netlab.MACA, Up: true, MTU: 1500, Flags: []string{"UP", "BROADCAST", "RUNNING", "MULTICAST"},
			Addresses: []Address{
				{Label: netlab.CardA, Prefix: prefix("172.16.3.1/24"), Broadcast: addr("172.16.3.255")},
				{Label: netlab.CardA, Prefix: prefix("10.0.0.1/31")}}}
		v0.Stats = Stats{}
		if diff := cmp.Diff(want, v0, compare); diff != "" {
			t.Errorf("the card (-want +got):\n%s", diff)
		}
		if err := SetUp(netlab.CardA, false); err != nil {
			return err
		}
		if down := find4(t, netlab.CardA); down.Up || slices.Contains(down.Flags, "UP") {
			t.Errorf("still up: %+v", down)
		}
		return SetUp(netlab.CardA, true)
	})
}

func TestRoutes(t *testing.T) {
	do := network(t)
	do(func() error {
		if err := AddAddress(netlab.CardA, prefix("172.16.3.1/24"), addr("172.16.3.255")); err != nil {
			return err
		}
		added := []Route{
			{Dst: prefix("10.1.1.1/32"), Card: netlab.CardA},
			{Dst: prefix("10.0.0.0/8"), Gateway: addr("172.16.3.200"), Card: netlab.CardA, Metric: 7},
			{Dst: prefix("0.0.0.0/0"), Gateway: addr("172.16.3.200")},
		}
		for _, r := range added {
			if err := AddRoute(r); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
		compareWithProc(t)
		for _, r := range added {
			if err := DeleteRoute(r); err != nil {
				t.Errorf("%+v: %v", r, err)
			}
		}
		compareWithProc(t)
		for name, err := range map[string]error{
			"up":      SetUp("eth9", true),
			"address": AddAddress("eth9", prefix("10.0.0.1/8"), netip.Addr{}),
			"route":   AddRoute(Route{Dst: prefix("10.0.0.0/8"), Card: "eth9"}),
			"delete":  DeleteRoute(Route{Dst: prefix("10.0.0.0/8"), Card: "eth9"}),
		} {
			if !errors.Is(err, ErrNoCard) {
				t.Errorf("%s: %v, want %v", name, err, ErrNoCard)
			}
		}
		return nil
	})
}

// compareWithProc holds Routes against what the kernel writes for route(8).
func compareWithProc(t *testing.T) {
	t.Helper()
	routes, err := Routes()
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, r := range routes {
		if !r.Local {
			gateway := r.Gateway
			if !gateway.IsValid() {
				gateway = netip.IPv4Unspecified()
			}
			got = append(got, fmt.Sprint(r.Card, " ", r.Dst, " ", gateway, " ", r.Metric))
		}
	}
	text, err := os.ReadFile("/proc/thread-self/net/route")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		f := strings.Fields(line) // Iface Destination Gateway Flags RefCnt Use Metric Mask
		mask := procAddr(t, f[7]).As4()
		bits := 0
		for m := binary.BigEndian.Uint32(mask[:]); m != 0; m <<= 1 {
			bits++
		}
		want = append(want, fmt.Sprint(f[0], " ", netip.PrefixFrom(procAddr(t, f[1]), bits), " ", procAddr(t, f[2]), " ", f[6]))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-/proc/net/route +got):\n%s", diff)
	}
}

// procAddr reads an address as /proc/net/route writes it: the word as it lies in memory.
func procAddr(t *testing.T, text string) netip.Addr {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 {
		t.Fatalf("%q: %v", text, err)
	}
	word := binary.BigEndian.Uint32(b)
	binary.NativeEndian.PutUint32(b, word)
	return netip.AddrFrom4([4]byte(b))
}
