package capture

import (
	"errors"

	"golang.org/x/net/bpf"
)

// What opening or running a Card can end in, to be told apart with errors.Is.
var (
	// ErrUnsupported: this operating system has no AF_PACKET.
	ErrUnsupported = errors.New("AF_PACKET is Linux only; replay works here")
	// ErrNoCard: there is no interface of that name.
	ErrNoCard = errors.New("no such card")
	// ErrPrivilege: the process may not open packet sockets.
	ErrPrivilege = errors.New("not permitted")
	// ErrNotEthernet: the interface's frames have no Ethernet header, or no wire.
	ErrNotEthernet = errors.New("not Ethernet")
	// ErrCardDown: the card is not up, or went down while Run ran.
	ErrCardDown = errors.New("card is down")
	// ErrCardGone: the card was removed, or moved to another network namespace.
	ErrCardGone = errors.New("card is gone")
)

// DefaultSlots is how many frames a card's ring holds unless told: at 10 Gbit/s
// and the smallest frames that is 1 ms, at a million a second 16 ms, which is
// how long a host now and then stops a virtual machine.
const DefaultSlots = 16384

// CardConfig says which card to open and how.
type CardConfig struct {
	// Interface is the card's name, "eth0".
	Interface string

	// Group joins the Cards that share one interface's traffic: each flow goes to
	// one of them (PACKET_FANOUT_HASH). It is unique in the network namespace; 0
	// is a Card that sees everything.
	Group uint16

	// Slots is the least number of frames the ring holds, 1600 bytes each; 0 means
	// DefaultSlots.
	Slots int

	// Filter is run by the kernel on each frame, see FilterFor; nil lets all
	// through.
	Filter []bpf.Instruction

	// Gate decides what leaves the card; nil: all that it is given.
	Gate *Gate
}
