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
// The library's own error has a type but no text that names a card in our words.
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
// With down the kernel drops the card's routes, and keeps its IPv4 addresses: up brings back
// the routes to its networks, not those that somebody had added. Errors here and below are
// the kernel's errno, for errors.Is.
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
// It never replaces: what is there gives EEXIST. The label is left to the kernel, which
// takes the card's name, so that ifconfig(8) sees it as the card's own.
func AddAddress(card string, p netip.Prefix, broadcast netip.Addr) error {
	l, err := find(card)
	if err != nil {
		return err
	}
	// Without it the library would compute a broadcast by itself for a short enough prefix.
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
// One that is there gives EEXIST, even with another gateway: NLM_F_EXCL, and not the
// NLM_F_APPEND by which a second would be hidden behind the first.
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
	// A deletion that says no gateway may be about a route that has one, whose scope is another
	// and would not match.
	if !r.Gateway.IsValid() {
		route.Scope = netlink.SCOPE_NOWHERE // any: fib_table_delete's wildcard
	}
	// ESRCH where nothing fits, or only in the table of the host's own addresses.
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
