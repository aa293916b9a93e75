// Package nettools is what ifconfig(8) and route(8) show of the kernel's own cards
// and routes, and do to them: by rtnetlink, in the network namespace and with the
// privileges of whoever runs it. The daemon has no part in it.
// It is rtnetlink and not the ioctls of net-tools: SIOCGIFADDR tells one address
// of a name, and /proc/net/route one next hop of several.
package nettools

import (
	"errors"
	"net"
	"net/netip"
)

var (
	// ErrNoCard is what is returned where no card has the name.
	// It is wrapped with the name, or by callers with those that exist: use errors.Is.
	ErrNoCard = errors.New("no such card")

	// ErrUnsupported is what everything here returns where there is no rtnetlink.
	// Readers go on without the kernel's part then, for a daemon may have told the rest.
	ErrUnsupported = errors.New("no rtnetlink here: Linux only")
)

// A Card is one of the kernel's interfaces.
type Card struct {
	Name string
	// "UNSPEC" for hardware that net-tools has no word for, never "".
	Title string // of its hardware, as ifconfig wrote it in 1996
	MAC   net.HardwareAddr
	// IFF_UP, what somebody set: whether there is a carrier is RUNNING, in Flags.
	Up        bool
	Flags     []string // as ifconfig writes them, in its order
	MTU       int      // bytes
	Addresses []Address
	Stats     Stats
}

// An Address is an IPv4 address of a card.
type Address struct {
	Label     string       // the card's name, or eth0:5 where somebody made an alias of the kernel's
	Prefix    netip.Prefix // the address itself, with the length of its network
	Peer      netip.Addr   // the other end of a point-to-point link; invalid if it is none
	Broadcast netip.Addr   // invalid: none
}

// Stats is what the kernel counted on a card.
// It is those of struct rtnl_link_stats64 that ifconfig prints.
type Stats struct {
	RxPackets  uint64
	RxBytes    uint64
	RxErrors   uint64
	RxDropped  uint64
	RxOverruns uint64
	TxPackets  uint64
	TxBytes    uint64
	TxErrors   uint64
	TxDropped  uint64
	TxOverruns uint64
}

// A Route is an IPv4 route.
type Route struct {
	Dst     netip.Prefix // 0.0.0.0/0 for the default
	Gateway netip.Addr   // invalid: on link
	Card    string       // "" where Reject
	// The kernel's priority, of which the lowest wins. 0 is the default, and in DeleteRoute any.
	Metric int
	Reject bool // unreachable, prohibit, blackhole
	Local  bool // of the table that the kernel keeps for its own addresses
}
