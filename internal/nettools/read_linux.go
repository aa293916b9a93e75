package nettools

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/link"
)

// titles are those of net-tools (lib/hw.c) for the kernel's kinds of hardware.
// The "10Mbps" of 1996 was a name, not a speed; later versions dropped it.
// The keys are the library's names of ARPHRD_ numbers. What is missing here is UNSPEC.
var titles = map[string]string{
	"ether":    "10Mbps Ethernet",
	"loopback": "Local Loopback",
	"ppp":      "Point-to-Point Protocol",
	"slip":     "Serial Line IP",
	"ipip":     "IPIP Tunnel",
	"sit":      "IPv6-in-IPv4",
	"gre":      "UNSPEC",
}

// flagNames are those that ifconfig writes, in its order.
var flagNames = []struct {
	bit  uint32
	name string
}{
	{unix.IFF_UP, "UP"}, {unix.IFF_BROADCAST, "BROADCAST"}, {unix.IFF_DEBUG, "DEBUG"}, {unix.IFF_LOOPBACK, "LOOPBACK"},
	{unix.IFF_POINTOPOINT, "POINTOPOINT"}, {unix.IFF_NOTRAILERS, "NOTRAILERS"}, {unix.IFF_RUNNING, "RUNNING"},
	{unix.IFF_NOARP, "NOARP"}, {unix.IFF_PROMISC, "PROMISC"}, {unix.IFF_ALLMULTI, "ALLMULTI"},
	{unix.IFF_SLAVE, "SLAVE"}, {unix.IFF_MASTER, "MASTER"}, {unix.IFF_MULTICAST, "MULTICAST"},
}

// Cards lists the cards in the order in which they were made, each with its addresses.
func Cards() ([]Card, error) {
	links, err := link.Dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list cards: %w", err)
	}
	// One dump for all cards: one for each would be a thousand of them on a host of containers.
	// A card may come or go between the two; its addresses are then left out.
	addresses, err := link.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	// A later card has a higher index, and the kernel promises no order of its dump.
	slices.SortFunc(links, func(a, b netlink.Link) int { return cmp.Compare(a.Attrs().Index, b.Attrs().Index) })
	cards := make([]Card, len(links))
	for n, l := range links {
		cards[n] = cardOf(l.Attrs())
		for _, a := range addresses {
			if a.LinkIndex == l.Attrs().Index {
				cards[n].Addresses = append(cards[n].Addresses, addressOf(&a))
			}
		}
	}
	return cards, nil
}

func cardOf(a *netlink.LinkAttrs) Card {
	c := Card{Name: a.Name, MAC: a.HardwareAddr, MTU: a.MTU, Title: titles[a.EncapType], Up: a.RawFlags&unix.IFF_UP != 0}
	if c.Title == "" {
		c.Title = "UNSPEC"
	}
	flags := a.RawFlags
	if a.Promisc > 0 { // a program has it so, ours among them: the flag itself is only for who set it by hand
		flags |= unix.IFF_PROMISC
	}
	for _, f := range flagNames {
		if flags&f.bit != 0 {
			c.Flags = append(c.Flags, f.name)
		}
	}
	if s := a.Statistics; s != nil {
		c.Stats = Stats{
			RxPackets: s.RxPackets, RxBytes: s.RxBytes, RxErrors: s.RxErrors, RxDropped: s.RxDropped, RxOverruns: s.RxFifoErrors,
			TxPackets: s.TxPackets, TxBytes: s.TxBytes, TxErrors: s.TxErrors, TxDropped: s.TxDropped, TxOverruns: s.TxFifoErrors,
		}
	}
	return c
}

func addressOf(a *netlink.Addr) Address {
	bits, _ := a.Mask.Size()
	// With a peer, Prefix has the length of the peer's network: the kernel keeps one length.
	out := Address{Label: a.Label, Prefix: netip.PrefixFrom(addrOf(a.IP), bits), Broadcast: addrOf(a.Broadcast)}
	if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
		out.Peer = addrOf(a.Peer.IP)
	}
	return out
}

// addrOf gives the invalid address for none.
func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip.To4())
	return a
}

// Routes lists the routes of the main table and of the one for the host's own
// addresses, the most specific first as route(8) did and the kernel looks them up.
func Routes() ([]Route, error) {
	links, err := link.Dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list cards: %w", err)
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	var routes []Route
	// The local table is there for "add", which must know what the kernel has already made; who
	// lists leaves it out by Local.
	for _, table := range []int{unix.RT_TABLE_MAIN, unix.RT_TABLE_LOCAL} {
		list, err := link.Dump(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for n := range list {
			routes = append(routes, routesOf(&list[n], names)...)
		}
	}
	// Stable, so that next hops keep the kernel's order and the main table stays first.
	slices.SortStableFunc(routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(b.Dst.Bits(), a.Dst.Bits()), a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(a.Metric, b.Metric))
	})
	return routes, nil
}

// routesOf gives a route for each next hop, as /proc/net/route does for the first.
func routesOf(r *netlink.Route, names map[int]string) []Route {
	out := Route{Dst: prefixOf(r.Dst), Gateway: addrOf(r.Gw), Card: names[r.LinkIndex], Metric: r.Priority, Local: r.Table == unix.RT_TABLE_LOCAL}
	switch r.Type {
	case unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT, unix.RTN_BLACKHOLE:
		// No card is where packets go, whatever the kernel names.
		out.Reject, out.Card = true, ""
	}
	if len(r.MultiPath) == 0 {
		return []Route{out}
	}
	var all []Route
	for _, hop := range r.MultiPath {
		out.Gateway, out.Card = addrOf(hop.Gw), names[hop.LinkIndex]
		all = append(all, out)
	}
	return all
}

// prefixOf gives 0.0.0.0/0 for no destination: the default route.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addrOf(n.IP), bits)
}
