package netlab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const defaultMTU = 1500

// Veth joins two namespaces with a veth pair and brings both ends up. The pair
// is made where it belongs: the caller's own namespace never sees it.
func Veth(a, b End) error {
	if err := veth(a, b); err != nil {
		return fmt.Errorf("join %s in %s and %s in %s: %w", a.Name, a.Namespace.name, b.Name, b.Namespace.name, err)
	}
	for _, e := range []End{a, b} {
		if err := e.configure(); err != nil {
			return fmt.Errorf("configure %s in %s: %w", e.Name, e.Namespace.name, err)
		}
	}
	return nil
}

func veth(a, b End) error {
	peer, err := netns.GetFromName(b.Namespace.name)
	if err != nil {
		return err
	}
	defer peer.Close()

	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU = a.Name, a.MAC, a.mtu()
	link := netlink.NewVeth(attrs)
	link.PeerName, link.PeerHardwareAddr, link.PeerMTU = b.Name, b.MAC, uint32(b.mtu())
	link.PeerNamespace = netlink.NsFd(int(peer))
	return a.Namespace.netlink(func(h *netlink.Handle) error { return h.LinkAdd(link) })
}

func (e End) mtu() int {
	if e.MTU == 0 {
		return defaultMTU
	}
	return e.MTU
}

func (e End) configure() error {
	return e.Namespace.netlink(func(h *netlink.Handle) error {
		link, err := h.LinkByName(e.Name)
		if err != nil {
			return err
		}
		for _, p := range e.Addresses {
			if err := h.AddrAdd(link, &netlink.Addr{IPNet: ipNet(p)}); err != nil {
				return fmt.Errorf("add address %s: %w", p, err)
			}
		}
		return h.LinkSetUp(link)
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (n *Namespace) up(name string) error {
	return n.netlink(func(h *netlink.Handle) error {
		link, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		return h.LinkSetUp(link)
	})
}

// netlink runs fn with a netlink socket that lives inside the namespace.
func (n *Namespace) netlink(fn func(h *netlink.Handle) error) error {
	target, err := netns.GetFromName(n.name)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", n.name, err)
	}
	defer target.Close()
	h, err := netlink.NewHandleAt(target, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	return fn(h)
}
