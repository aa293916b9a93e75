package responder

import (
	"fmt"
	"net/netip"
)

// Closed says what an alias does about traffic for which a host with nothing
// listening would send a refusal: ICMP port and protocol unreachable, TCP reset.
type Closed uint8

const (
	// Refuse answers as the kernel does for a closed port. It is the default.
	Refuse Closed = iota
	// Drop is silent: whoever keeps an address alive while its machine moves
	// must not reset the machine's connections.
	Drop
)

// Reply says which MAC address an IP answer is sent to.
type Reply uint8

const (
	// Reflect sends the answer to the MAC address that the frame came from.
	Reflect Reply = iota
	// Routed sends the answer to the MAC of its next hop: the destination itself
	// where it is on link, the gateway elsewhere, learned by ARP.
	Routed
)

// Limits bounds what is sent, as Linux does with icmp_msgs_per_sec,
// icmp_msgs_burst and icmp_ratelimit. Zero in a Rate means no limit.
type Limits struct {
	ErrorRate  int // ICMP errors a second, all destinations together (Linux: 1000)
	ErrorBurst int // ICMP errors at once (Linux: 50)
	PeerRate   int // ICMP errors a second to one destination (Linux: 1)
	PeerBurst  int // ICMP errors at once to one destination (Linux: 6)
	EchoRate   int // echo replies a second, all together (Linux: no limit)
	EchoBurst  int // echo replies at once
}

// DefaultLimits are the kernel's.
var DefaultLimits = Limits{ErrorRate: 1000, ErrorBurst: 50, PeerRate: 1, PeerBurst: 6}

// DefaultMTU is Ethernet's, RFC 894.
const DefaultMTU = 1500

// An Interface describes what one card, or one VLAN on it, answers for.
// It is input: Publish copies what it needs.
type Interface struct {
	Name     string         // as in the configuration: "eth0", "eth0.100"
	Tags     []uint16       // VLAN identifiers, outermost first; none for untagged frames
	MAC      [6]byte        // the address that is answered with
	MTU      int            // largest IP datagram, in bytes; 0 for DefaultMTU
	Networks []netip.Prefix // what is on link
	Gateways []netip.Addr
	Host     []netip.Addr   // the host's own addresses, which the kernel answers for
	Exclude  []Range        // never answered for, on top of what Reserved lists
	From     []netip.Prefix // who is answered; empty: everybody
	Closed   Closed
	Reply    Reply
	Limits   Limits
	Aliases  []Alias
}

// An Alias is a label and the addresses it stands for.
type Alias struct {
	Label  string // "eth0:0"
	Ranges Ranges
	Closed Closed         // used only if HasClosed
	From   []netip.Prefix // nil: the interface's

	HasClosed bool
}

// A Range is an inclusive run of addresses; a single one has First == Last.
type Range struct {
	First, Last netip.Addr
}

// Single tells whether r is one address.
func (r Range) Single() bool { return r.First == r.Last }

// Contains tells whether a lies in r.
func (r Range) Contains(a netip.Addr) bool { return r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0 }

// PrefixRange gives the addresses of p. Host bits of p count as zero.
func PrefixRange(p netip.Prefix) Range {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return Range{p.Addr(), end}
}

// AppendTo writes r behind text as String does, which costs a single address nothing.
func (r Range) AppendTo(text []byte) []byte {
	if r.Single() {
		return r.First.AppendTo(text)
	}
	return append(text, r.String()...)
}

// String writes r as a configuration does: "10.0.0.1", "10.0.0.0/24" where the
// run is exactly a prefix, "10.0.0.1-10.0.0.9" elsewhere.
func (r Range) String() string {
	if r.Single() {
		return r.First.String()
	}
	for bits := r.First.BitLen() - 1; bits >= 0; bits-- {
		p := netip.PrefixFrom(r.First, bits)
		if PrefixRange(p) == r {
			return p.String()
		}
	}
	return fmt.Sprintf("%s-%s", r.First, r.Last)
}
