package capture

import (
	"errors"
	"time"

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

// DefaultSlots is how many frames a worker's ring holds unless told: at 10 Gbit/s
// and the smallest frames that is 1 ms, at a million a second 16 ms, which is
// how long a host now and then stops a virtual machine.
const DefaultSlots = 16384

// How long a worker looks for frames before it sleeps. Waking costs 25-50 us where
// the processor has to be woken too.
const (
	DefaultSpin               = 50 * time.Microsecond
	NoSpin      time.Duration = -1
)

// MaxWorkers is how many sockets a fan-out group takes, PACKET_FANOUT_MAX of old.
const MaxWorkers = 256

// CardConfig says which card to open and how.
type CardConfig struct {
	// Interface is the card's name, "eth0".
	Interface string

	// Workers is how many Cards share the frames; 0 means one. Each has a socket and a
	// ring of its own.
	Workers int

	// Fanout says which of the workers gets a frame.
	Fanout Fanout

	// CPUs are the processors that the workers are pinned to, in turn; empty leaves
	// them to the scheduler.
	CPUs []int

	// Slots is the least number of frames that each ring holds, 1600 bytes each; 0
	// means DefaultSlots.
	Slots int

	// Spin is how long at most a worker looks for the next frame before it sleeps; 0
	// means DefaultSpin, NoSpin never.
	Spin time.Duration

	// Qdisc sends through the card's queueing discipline, so that what is configured
	// there (tc: shaping, netem) applies. Without, frames go right to the driver.
	Qdisc bool

	// Rings are those that MakeRings began for this card, for as many workers and slots;
	// nil: they are made now.
	Rings *Rings

	// Inheritance is where sockets come from that an earlier process kept; nil: from
	// nowhere.
	Inheritance *Inheritance

	// Filter is run by the kernel on each frame, see FilterFor; nil lets all
	// through.
	Filter []bpf.Instruction

	// Gate decides what leaves the card; nil: all that it is given.
	Gate *Gate
}
