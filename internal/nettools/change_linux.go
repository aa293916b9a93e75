package nettools

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// find gives the card of a name.
func find(name string) (netlink.Link, error) {
	l, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, fmt.Errorf("%w: %s", ErrNoCard, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read card %s: %w", name, err)
	}
	return l, nil
}

// SetUp switches a card on or off.
func SetUp(card string, up bool) error {
	l, err := find(card)
	if err != nil {
		return err
	}
	if up {
		return netlink.LinkSetUp(l)
	}
	return netlink.LinkSetDown(l)
}

// AddAddress gives a card one address more. An invalid broadcast is none.
func AddAddress(card string, p netip.Prefix, broadcast netip.Addr) error {
	l, err := find(card)
	if err != nil {
		return err
	}
	a := &netlink.Addr{IPNet: netOf(p), Broadcast: net.IPv4zero} // the library's word for none
	if broadcast.IsValid() {
		a.Broadcast = broadcast.AsSlice()
	}
	if p.Addr().IsLoopback() {
		a.Scope = unix.RT_SCOPE_HOST // as inet_insert_ifa does for ifconfig: never a source towards others
	}
	return netlink.AddrAdd(l, a)
}

// netOf gives an address with the length of its network, host bits and all.
func netOf(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// AddRoute adds a route to the main table. Without a card the kernel finds it by
// the gateway.
func AddRoute(r Route) error {
	route, err := r.kernel()
	if err != nil {
		return err
	}
	return netlink.RouteAdd(route)
}

// DeleteRoute deletes the first route of the main table that fits what r says.
func DeleteRoute(r Route) error {
	route, err := r.kernel()
	if err != nil {
		return err
	}
	if !r.Gateway.IsValid() {
		route.Scope = netlink.SCOPE_NOWHERE // any: fib_table_delete's wildcard
	}
	return netlink.RouteDel(route)
}

// kernel gives r as netlink wants it.
func (r Route) kernel() (*netlink.Route, error) {
	out := &netlink.Route{Dst: netOf(r.Dst), Priority: r.Metric}
	if r.Gateway.IsValid() {
		out.Gw = r.Gateway.AsSlice()
	} else {
		// As ip route add does for a route without a gateway: what is on link is one hop away.
		out.Scope = netlink.SCOPE_LINK
	}
	if r.Card != "" {
		l, err := find(r.Card)
		if err != nil {
			return nil, err
		}
		out.LinkIndex = l.Attrs().Index
	}
	return out, nil
}
