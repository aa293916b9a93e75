package capture

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Leave closes the Card for a process that is about to end. It ends promiscuous mode; what
// else there is to do the kernel does when it comes to it, and nobody waits. Run must
// have returned.
func (c *Card) Leave() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.collect()
	c.closed = true
	mreq := unix.PacketMreq{Ifindex: int32(c.index), Type: unix.PACKET_MR_PROMISC}
	unix.SetsockoptPacketMreq(c.fd, unix.SOL_PACKET, unix.PACKET_DROP_MEMBERSHIP, &mreq) // fails if the card is gone
	if err := errors.Join(c.ring.close(), leave(c.fd, c.out.fd), unix.Close(c.wake)); err != nil {
		return fmt.Errorf("leave card %s: %w", c.name, err)
	}
	return nil
}

// leave closes packet sockets, which must not be mapped any more, without waiting until
// they are gone.
//
// For each that is closed the kernel waits until no processor is at it any more
// (synchronize_net in packet_release), and once more for its ring (packet_set_ring): 10 to
// 30 ms in which nobody answers, since who starts the next process waits for the end of
// this one. So it is left to the kernel's garbage collector: the sockets lie as
// descriptors in the queue of a Unix socket, which lies in its own queue, too. Nobody can
// ever take them out, and unix_gc closes them on a thread of the kernel's. Before Linux
// 6.9 it does so on ours, which takes as long as closing.
func leave(fds ...int) (err error) {
	defer func() {
		for _, fd := range fds {
			err = errors.Join(err, unix.Close(fd))
		}
	}()
	box, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("leave sockets: %w", err)
	}
	fds = append(fds, box)
	// The kernel finds a name, in the abstract namespace.
	if err := unix.Bind(box, &unix.SockaddrUnix{}); err != nil {
		return fmt.Errorf("leave sockets: %w", err)
	}
	self, err := unix.Getsockname(box)
	if err == nil {
		err = unix.Sendmsg(box, []byte{0}, unix.UnixRights(fds...), self, 0)
	}
	if err != nil {
		return fmt.Errorf("leave sockets: %w", err)
	}
	// The collector looks when a Unix socket is released, which box is not. This one is
	// closed last.
	last, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		fds = append(fds, last)
	}
	return err
}
