// Package shield keeps the kernel from working on frames for aliases. AF_PACKET
// has seen a frame before the kernel's own stack does, and the stack knows
// nothing of the aliases: for a unicast IP datagram it asks its routes, and then
// forwards it, redirects its sender or refuses it in the alias's name; for an ARP
// request it looks, in vain and for each broadcast, whether the target is its
// own. A shield drops these frames between the two, in an nftables chain at the
// card's ingress hook, which comes after the taps of ETH_P_ALL sockets and before
// bridges, VLAN devices, IP and ARP. (A socket bound to one protocol comes after
// it, and goes blind.)
//
// What is dropped, and nothing else:
//   - IPv4 datagrams to an alias,
//   - ARP requests whose target is an alias; ARP replies never.
//
// An alias is what the responder answers for: not the host's own addresses, nor
// gateways, networks' first and last addresses, and excluded ones.
//
// Frames to another MAC address than the card's own are left alone. That the
// card hears them at all is promiscuity: the kernel throws them away by itself,
// or they belong to a bridge or macvlan on top of the card, whose business they
// are. So aliases with a MAC address of their own (mac = ...) need a shield only
// for the ARP broadcasts.
//
// VLANs: at the hook, the kernel has taken the outermost tag out of the frame and
// remembers it. Frames without a tag, with one and with two are told apart and
// each shielded for the interface that has their tags; priority tags (VID 0)
// count as none, as for the responder. Not covered: more than two tags, and a
// VLAN device of the kernel's with another MAC address than its card's.
//
// One card has one shield, for all the interfaces on it.
package shield

import (
	"errors"
	"fmt"
)

// MaxIntervals is how many runs of adjacent addresses a card's aliases may form
// for a shield. Loading is what limits it: an interval set is a tree that is
// built one end of a run at a time. Ten thousand runs take 40 ms, a million take
// seconds, of a lock that every change of nftables in the network namespace needs.
const MaxIntervals = 10_000

var (
	// ErrUnsupported: this operating system, or its kernel, has no nftables with a
	// netdev family.
	ErrUnsupported = errors.New("no nftables for cards here: it takes Linux with CONFIG_NF_TABLES_NETDEV")
	// ErrPrivilege: the process may not change nftables.
	ErrPrivilege = errors.New("not permitted")
	// ErrBusy: another process shields the card, or this one does already.
	ErrBusy = errors.New("the card has a shield already")
	// ErrLowered: the shield was lowered meanwhile.
	ErrLowered = errors.New("shield is lowered")
)

// A TooManyError says that aliases are too scattered to be shielded.
type TooManyError struct {
	Intervals int // runs of adjacent addresses that the aliases form
}

// Error implements error.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("shield %d separate runs of addresses: at most %d can be; give the interface a MAC address of its own instead "+
		`(mac = "02:..."): the kernel ignores IP frames for that by itself`, e.Intervals, MaxIntervals)
}
