package wire

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/ipalias/ipalias/internal/netlab"
)

// The lab on cards that there are: what a veth pair can't show, a driver and a wire. The
// bench may be run on somebody's machine, so it takes only what nobody uses, and gives it back.

// An end is a card in the lab.
type end struct {
	ns    *netlab.Namespace
	name  string
	index int // in its namespace
	mac   net.HardwareAddr
	veth  bool
}

// look fills in what the system knows of the card.
func (e *end) look() error {
	return e.ns.Do(func() error {
		card, err := netlink.LinkByName(e.name)
		if err != nil {
			return fmt.Errorf("find %s: %w", e.name, err)
		}
		e.index, e.mac, e.veth = card.Attrs().Index, card.Attrs().HardwareAddr, card.Type() == "veth"
		// Infiniband has 20 bytes, a tunnel none.
		if len(e.mac) != 6 {
			return fmt.Errorf("%s is no Ethernet card", e.name)
		}
		return nil
	})
}

// A borrowed card was there before the lab, in the namespace of the process, and
// goes back there.
type borrowed struct {
	name string
	home netns.NsHandle
	up   bool
}

// borrow moves a card into a namespace of the lab, where no address, route or
// firewall of the host can meddle, and where the lab can meddle with nothing of
// the host's. A card that somebody uses is refused: what is configured on
// it would be lost.
func borrow(name string, to *netlab.Namespace) (*borrowed, error) {
	card, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find card %s: %w", name, err)
	}
	addresses, err := netlink.AddrList(card, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses of card %s: %w", name, err)
	}
	switch attrs := card.Attrs(); {
	case len(addresses) > 0:
		return nil, fmt.Errorf("card %s is in use: it has the address %s; expected a card without IPv4 addresses, which nobody uses", name, addresses[0].IPNet)
	case attrs.MasterIndex != 0:
		return nil, fmt.Errorf("card %s is in use: it belongs to a bridge or bond; expected a card that nobody uses", name)
	case attrs.Flags&net.FlagLoopback != 0:
		return nil, fmt.Errorf("card %s is the loopback interface, which no other card can reach", name)
	}
	// A descriptor and not a name: the process's own namespace has none.
	home, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("find own namespace: %w", err)
	}
	there, err := netns.GetFromName(to.Name())
	if err != nil {
		return nil, errors.Join(err, home.Close())
	}
	defer there.Close()
	// The card loses its addresses, routes and neighbours on the way: that is why it may have none.
	if err := netlink.LinkSetNsFd(card, int(there)); err != nil {
		return nil, errors.Join(fmt.Errorf("move card %s into the lab: %w", name, err), home.Close())
	}
	return &borrowed{name, home, card.Attrs().Flags&net.FlagUp != 0}, nil
}

// giveBack moves the card home, up if it was.
func (b *borrowed) giveBack(from *netlab.Namespace) error {
	defer b.home.Close()
	// Where nothing gives it back, a process that was killed say, the kernel moves a card with
	// hardware to the first namespace when its own goes away (default_device_exit_batch).
	err := from.Do(func() error {
		card, err := netlink.LinkByName(b.name)
		if err != nil {
			return err
		}
		return netlink.LinkSetNsFd(card, int(b.home))
	})
	// Cards come down when they change their namespace.
	if err == nil && b.up {
		var h *netlink.Handle
		if h, err = netlink.NewHandleAt(b.home); err == nil {
			defer h.Close()
			var card netlink.Link
			if card, err = h.LinkByName(b.name); err == nil {
				err = h.LinkSetUp(card)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("give card %s back: %w", b.name, err)
	}
	return nil
}
