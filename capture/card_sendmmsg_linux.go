package capture

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// A sender puts frames out on the card that its socket is bound to.
type sender struct {
	fd     int
	msgs   [batchSize]mmsghdr
	iovs   [batchSize]unix.Iovec
	sent   atomic.Uint64
	failed atomic.Uint64
	_      cacheLine
}

// prepare sets up what no batch changes.
func (s *sender) prepare(qdisc bool) {
	// Past the queueing discipline unless asked for: it costs, and what a host shapes
	// is mostly the traffic that its own stack sends. A kernel without the option
	// only is slower.
	if !qdisc {
		unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	}
	for i := range s.msgs {
		s.msgs[i].hdr.Iov = &s.iovs[i]
		s.msgs[i].hdr.SetIovlen(1)
	}
}

// batch sends frames in order and counts. The kernel has copied them when it
// returns. What can't be sent now is dropped: a queue would only make later
// answers later.
func (s *sender) batch(frames [][]byte) {
	var sent, failed int
	for len(frames) > 0 {
		n := min(len(frames), batchSize)
		for i, f := range frames[:n] {
			s.iovs[i].Base = unsafe.SliceData(f)
			s.iovs[i].SetLen(len(f))
		}
		ok, bad := s.flush(n)
		sent, failed = sent+ok, failed+bad
		frames = frames[n:]
	}
	if sent > 0 {
		s.sent.Add(uint64(sent))
	}
	if failed > 0 {
		s.failed.Add(uint64(failed))
	}
}

// flush sends the first n messages and says how many went out and how many did not.
func (s *sender) flush(n int) (sent, failed int) {
	for i := 0; i < n; {
		done, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.msgs[i])), uintptr(n-i), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			// An error behind the first message shows when its own turn comes.
			i += int(done)
			sent += int(done)
		case unix.EINTR:
		case unix.EAGAIN, unix.ENETDOWN, unix.ENXIO:
			// The socket's buffer is full, or the card is down or gone: the rest
			// fares no better.
			return sent, failed + n - i
		default:
			// EMSGSIZE, EINVAL: this frame's own fault. ENOBUFS: the card's queue
			// was full for this one.
			i++
			failed++
		}
	}
	return sent, failed
}

// one sends one frame, beside batch.
func (s *sender) one(frame []byte) error {
	n, err := unix.Write(s.fd, frame)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Write(s.fd, frame)
	}
	if err == nil && n != len(frame) {
		err = fmt.Errorf("%d of %d bytes went out", n, len(frame))
	}
	if err != nil {
		s.failed.Add(1)
		return err
	}
	s.sent.Add(1)
	return nil
}
