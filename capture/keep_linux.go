package capture

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// keptName is a Kept's Name: the worker, the slot that the kernel fills next, and
// how the ring is laid out. Where that is not what this program would make, the ring is
// of an older or a newer one.
const keptName = KeptPrefix + "%d.%d.%dx%d.%d"

// A place is what keptName tells.
type place struct{ worker, head, slots int }

func (p place) String() string {
	return fmt.Sprintf(keptName, p.worker, p.head, p.slots, slotSize, blockSize)
}

func placeOf(name string) (p place, ok bool) {
	var slot, block int
	fmt.Sscanf(name, keptName, &p.worker, &p.head, &p.slots, &slot, &block)
	return p, p.slots > 0 && p.head >= 0 && p.head < p.slots && p.String() == name
}

// Keep closes the Card but for its receiving socket, which is the caller's. worker
// numbers those of one card. Run must have returned: all that it took out of
// the ring has been answered, and all that comes from now on waits there.
//
// Filter, promiscuous mode and fan-out group are the socket's and stay.
func (c *Card) Keep(worker int) (Kept, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return Kept{FD: -1}, fmt.Errorf("keep card %s: %w", c.name, unix.EBADF)
	}
	kept := Kept{FD: c.fd, Name: place{worker, c.ring.head, c.ring.slots}.String()}
	// Not collect: what the kernel dropped meanwhile the successor counts, too.
	c.closed = true
	// Nobody answers until the next process does: what takes its time is left. Where it can't
	// be it is closed, and that is no reason to lose the frames that wait.
	leave(c.out.fd)
	if err := errors.Join(c.ring.close(), unix.Close(c.wake)); err != nil {
		unix.Close(c.fd)
		return Kept{FD: -1}, fmt.Errorf("keep card %s: %w", c.name, err)
	}
	return kept, nil
}

// take gives the sockets of the workers of the card with an index, in their order,
// if they are as those would be that the caller is about to open; else it closes them.
func (in *Inheritance) take(index, workers, slots int) []Kept {
	if in == nil {
		return nil
	}
	var mine []Kept
	in.kept = slices.DeleteFunc(in.kept, func(k Kept) bool {
		if cardOf(k.FD) != index {
			return false
		}
		mine = append(mine, k)
		return true
	})
	slices.SortFunc(mine, func(a, b Kept) int {
		p, _ := placeOf(a.Name)
		q, _ := placeOf(b.Name)
		return cmp.Compare(p.worker, q.worker)
	})
	fit := len(mine) == workers && (workers > 1) == (shared(mine[0].FD) != 0)
	for i, k := range mine {
		p, ok := placeOf(k.Name)
		fit = fit && ok && p.worker == i && p.slots == slots && shared(k.FD) == shared(mine[0].FD)
	}
	if !fit {
		(&Inheritance{mine}).Close()
		return nil
	}
	return mine
}

// Close closes what no Card has taken.
func (in *Inheritance) Close() {
	for _, k := range in.kept {
		unix.Close(k.FD)
	}
	in.kept = nil
}

// cardOf gives the index of the card that a packet socket listens on, 0 if that is
// not what fd is, or if it is of another network namespace than the caller.
func cardOf(fd int) int {
	sa, err := unix.Getsockname(fd)
	ll, ok := sa.(*unix.SockaddrLinklayer)
	if err != nil || !ok || ll.Protocol != networkOrder(unix.ETH_P_ALL) {
		return 0
	}
	// Linux 5.14; before, nobody can tell.
	if cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil && cookie != namespace() {
		return 0
	}
	return ll.Ifindex
}

// namespace gives the cookie of the caller's network namespace, 0 if it has none.
func namespace() uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	cookie, _ := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return cookie
}

// shared gives the number of a socket's fan-out group, 0 if it has none.
func shared(fd int) int {
	group, _ := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	return group & 0xffff
}

// rejoin has those share that were adopted: they are in their group still, and in
// their order.
func rejoin(cards []*Card, by Fanout) error {
	if len(cards) == 1 {
		return nil
	}
	if err := setProgram(cards[0].fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, fanoutProgram(by)); err != nil {
		return fmt.Errorf("set fan-out program: %w", err)
	}
	return nil
}

// adopt makes the receiving side of c of a kept socket, which is c's from now on.
func (c *Card) adopt(k Kept) error {
	c.fd = k.FD
	version, err := unix.GetsockoptInt(k.FD, unix.SOL_PACKET, unix.PACKET_VERSION)
	if err == nil && version != unix.TPACKET_V2 {
		err = fmt.Errorf("it is of version %d", version)
	}
	if err == nil {
		err = unix.SetNonblock(k.FD, true)
	}
	if err != nil {
		return fmt.Errorf("take over a ring: %w", err)
	}
	unix.CloseOnExec(k.FD)
	p, _ := placeOf(k.Name)
	if c.ring, err = mapRing(k.FD, p.slots); err != nil {
		return err
	}
	c.ring.head, c.ring.tail = p.head, p.head
	// The card may have gone down, or away, while nobody looked.
	return c.pending()
}
