package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Waking from poll costs 25-50 us where the processor has to be woken too. So a
// wait first looks at the ring for about that long, provided that frames came
// that densely lately. At rest it hardly spins, and it never costs more than
// about twice what knowing the next frame's time would.
const minSpin = 2 * time.Microsecond

// wait returns when a frame is ready, when stop is set, or when wake is reached (in
// nanoseconds since the epoch, 0 for never) or Nudge was called: then due is true.
// Now and then it returns for nothing. The error is the socket's.
func (c *Card) wait(stop *atomic.Bool, wake int64) (due bool, err error) {
	if err := c.ring.readErr; err != nil {
		c.ring.readErr = nil
		return false, c.cardError(err)
	}
	begin := time.Now()
	if c.spinReady(begin, stop) {
		return false, nil
	}

	var timeout *unix.Timespec
	if wake != 0 {
		left := unix.NsecToTimespec(max(0, wake-time.Now().UnixNano()))
		timeout = &left
	}
	fds := [2]unix.PollFd{
		{Fd: int32(c.fd), Events: unix.POLLIN},
		{Fd: int32(c.wake), Events: unix.POLLIN},
	}
	n, err := unix.Ppoll(fds[:], timeout, nil)
	switch {
	case errors.Is(err, unix.EINTR): // the runtime's own signals
		return false, nil
	case err != nil:
		return false, fmt.Errorf("poll: %w", err)
	case n == 0:
		return true, nil
	case fds[0].Revents&unix.POLLERR != 0:
		return false, c.pending()
	case fds[1].Revents != 0:
		c.uninterrupt()
		return !stop.Load(), nil
	}
	c.learn(time.Since(begin))
	return false, nil
}

// spinReady looks for a frame for as long as c.spin says, and tells whether
// there is one.
func (c *Card) spinReady(begin time.Time, stop *atomic.Bool) bool {
	for c.spin > 0 {
		// The clock costs as much as dozens of looks.
		for range 32 {
			if c.ring.ready() {
				return true
			}
		}
		if stop.Load() {
			return true
		}
		if time.Since(begin) > c.spin {
			break
		}
	}
	return false
}

// learn takes note that a frame came gap after the wait began, waking included:
// frames that a longer spin would have met make the next one longer.
func (c *Card) learn(gap time.Duration) {
	switch {
	case gap < 2*c.most:
		c.spin = min(2*c.spin, c.most)
	default:
		c.spin = max(c.spin/2, min(minSpin, c.most))
	}
}

// Nudge has Run call the handler soon, with frames or without: whoever looks after a
// worker learns in this way that it moves, and at rest nobody has to wake it for that
// otherwise. After Close it does nothing.
func (c *Card) Nudge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.interrupt()
	}
}

// interrupt ends a wait, also one that has not begun yet.
func (c *Card) interrupt() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(c.wake, one[:]) // fails only if it has been interrupted 2^64-2 times
}

// uninterrupt takes interrupt back.
func (c *Card) uninterrupt() {
	var count [8]byte
	unix.Read(c.wake, count[:]) // fails only if there is nothing to take back
}

// pending gives the socket's pending error, once.
func (c *Card) pending() error {
	errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("read socket error: %w", err)
	}
	if errno == 0 {
		return nil
	}
	return c.cardError(unix.Errno(errno))
}

// cardError makes of the socket's error what it says of the card.
func (c *Card) cardError(err error) error {
	if !errors.Is(err, unix.ENETDOWN) {
		return err
	}
	// A card that is being removed goes down first, so whether it still exists
	// can't be told from looking. Joining waits for the kernel's lock over
	// interfaces, so until a removal is through.
	mreq := unix.PacketMreq{Ifindex: int32(c.index), Type: unix.PACKET_MR_PROMISC}
	join := unix.SetsockoptPacketMreq(c.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq)
	if errors.Is(join, unix.ENODEV) {
		return ErrCardGone
	}
	if join == nil {
		unix.SetsockoptPacketMreq(c.fd, unix.SOL_PACKET, unix.PACKET_DROP_MEMBERSHIP, &mreq)
	}
	return ErrCardDown
}
