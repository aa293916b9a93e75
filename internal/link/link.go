// Package link tells what the kernel knows of a network card, and when that
// may have changed.
//
// It is level-triggered: a change is only a reason to Read again, and what was
// read is compared with what was known. Notifications that the kernel dropped
// because nobody read them in time, or that came twice, then do no harm.
package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrNotFound is what Read returns where no card has the name.
var ErrNotFound = errors.New("no such card")

// ErrUnsupported is what everything here returns where there is no rtnetlink.
var ErrUnsupported = errors.New("no rtnetlink here: Linux only")

// Ethernet is the Encap of cards that speak Ethernet, ARPHRD_ETHER.
const Ethernet = "ether"

// Facts is what the kernel knows of one card at one moment.
type Facts struct {
	Name    string
	Index   int // changes when a card is removed and made again under the same name
	MAC     net.HardwareAddr
	MTU     int    // in bytes
	Encap   string // kind of hardware: Ethernet, "loopback", "ppp"
	Up      bool   // switched on (IFF_UP): frames can be received if there is a carrier
	Carrier bool   // frames can pass (IFF_RUNNING): the cable is in, the driver is ready

	// Master is the device that the card is a part of, "" for none, and Kind what it
	// is: "bridge", "bond", "team", "vrf".
	Master, Kind string

	Networks []netip.Prefix // IPv4 addresses of the card itself with the length of their network
	Gateways []netip.Addr   // of the IPv4 default routes through the card, best one first

	// Host holds every IPv4 address of the host, on whichever card: Linux answers
	// ARP for all of them on all cards (arp_ignore 0). Sorted, each once.
	Host []netip.Addr
}

// Taken tells why the card's frames are not its own, and where to answer instead; ""
// if they are. A bridge or a bond takes what comes in (the kernel's rx_handler) and
// decides where it goes, so that an answer from the port would come from the wrong
// place, or twice. A VRF only chooses among routes.
func (f Facts) Taken() string {
	what := "a part of the " + f.Kind
	switch f.Kind {
	case "", "vrf":
		return ""
	case "openvswitch": // the master is its data path, which is no card to answer on
		return "a port of an Open vSwitch: answer on the port that has its bridge's name instead"
	case "bridge":
		what = "a port of the bridge"
	case "bond", "team":
		what = "a member of the " + f.Kind
	}
	return fmt.Sprintf("%s %s: answer on %[2]s instead", what, f.Master)
}

// Nameless tells whether the card has no MAC address, as a bridge has none after its last
// port left (br_stp_recalculate_bridge_id): nothing can be asked of it.
func (f Facts) Nameless() bool { return f.Encap == Ethernet && len(f.MAC) == 0 }

// Changes lists what is different in f about the card itself since old, as
// "MTU 1500 -> 9000", for a log. The addresses of other cards are no news of this one.
func (f Facts) Changes(old Facts) []string {
	var changes []string
	add := func(what string, from, to any) {
		if a, b := fmt.Sprint(from), fmt.Sprint(to); a != b {
			changes = append(changes, fmt.Sprintf("%s %s -> %s", what, a, b))
		}
	}
	add("name", old.Name, f.Name)
	add("MAC", old.MAC, f.MAC)
	add("MTU", old.MTU, f.MTU)
	add("hardware", old.Encap, f.Encap)
	add("up", old.Up, f.Up)
	add("carrier", old.Carrier, f.Carrier)
	add("addresses", old.Networks, f.Networks)
	add("gateway", old.Gateways, f.Gateways)
	return changes
}
