package wire

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// burstSize is how many requests a burst has: as many as capture.Card takes out of
// its ring at a time.
const burstSize = 64

// A bursts sends requests the ordinary way, through a packet socket, a burst a
// system call: on the calling thread, and in step with it.
// It may not be copied: its headers point into it.
type bursts struct {
	fd     int
	a      aim
	seq    uint16
	rng    uint64
	frames [burstSize][]byte
	iovs   [burstSize]unix.Iovec
	msgs   [burstSize]mmsghdr
	sum    [2]uint32 // of the IPv4 header, and of the ICMP message, without what changes
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// newBursts makes a sender of requests like template to the addresses of a.
// It is called in the generator's namespace.
func newBursts(index int, template []byte, a aim) (*bursts, error) {
	fd, err := packetSocket(index, 0)
	if err != nil {
		return nil, err
	}
	// Past the queueing discipline, as the generator of live frames is.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bypass queueing discipline: %w", err)
	}
	b := &bursts{fd: fd, a: a, rng: 0x9e3779b97f4a7c15}
	// Built once: iovecs point at the frames, which do not move, since b holds them.
	for i := range b.frames {
		b.frames[i] = append([]byte(nil), template...)
		b.iovs[i].Base = unsafe.SliceData(b.frames[i])
		b.iovs[i].SetLen(len(template))
		b.msgs[i].hdr.Iov = &b.iovs[i]
		b.msgs[i].hdr.SetIovlen(1)
	}
	if !isARP(template) {
		b.sum = [2]uint32{partial(template[14:34]), partial(template[34:])}
	}
	return b, nil
}

func (b *bursts) close() error { return unix.Close(b.fd) }

// send aims each of n frames at another random target, and sends them.
// It returns when the kernel has all of them. Over a veth they have arrived then, and the kernel's
// own answers, too.
func (b *bursts) send(n int) error {
	for _, f := range b.frames[:n] {
		b.aim(f)
	}
	return b.put(n)
}

// put sends n frames as they are.
func (b *bursts) put(n int) error {
	for i := 0; i < n; {
		done, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.msgs[i])), uintptr(n-i), 0, 0, 0)
		switch errno {
		case 0:
			i += int(done)
		// Tried again at once: the thread has nothing else to do, and a sleep would be a gap.
		case unix.EINTR, unix.EAGAIN, unix.ENOBUFS: // the card's queue is full: it empties
		default:
			return fmt.Errorf("send requests: %w", errno)
		}
	}
	return nil
}

// aim does what the generator's program does: see patchEcho.
func (b *bursts) aim(f []byte) {
	b.rng ^= b.rng << 13
	b.rng ^= b.rng >> 7
	b.rng ^= b.rng << 17
	target := b.a.base + uint32(b.rng>>32*b.a.targets>>32)
	if isARP(f) {
		binary.BigEndian.PutUint32(f[arpTarget:], target)
		return
	}
	b.seq++
	binary.BigEndian.PutUint32(f[ipDst:], target)
	binary.BigEndian.PutUint16(f[ipSum:], ^fold(b.sum[0]+target>>16+target&0xffff))
	binary.BigEndian.PutUint16(f[icmpSeq:], b.seq)
	binary.BigEndian.PutUint16(f[icmpSum:], ^fold(b.sum[1]+uint32(b.seq)))
}

func fold(s uint32) uint16 {
	s = s&0xffff + s>>16
	return uint16(s&0xffff + s>>16)
}

func isARP(frame []byte) bool { return binary.BigEndian.Uint16(frame[etherType:]) == typeARP }
