package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/internal/framegen"
)

// Requests, and what their replies must be. The generator sends millions that differ in target,
// sequence number and checksums alone; so one frame of each kind is built here, and the rest is
// arithmetic in the kernel or in bursts.

// request builds a frame that asks for target; echo numbers it seq.
func (l *lab) request(arp bool, target netip.Addr, seq uint16) []byte {
	dst, src := framegen.MAC(l.dut.mac), framegen.MAC(l.gen.mac)
	if arp {
		a := framegen.ARP{SenderMAC: src, Sender: peerAddr, Target: target}
		frame := framegen.Ether(framegen.Broadcast, src, typeARP, a.Bytes())
		// Padded here, as a driver would: a veth does not.
		return append(frame, make([]byte, frameLen-len(frame))...)
	}
	d := framegen.IPv4{Protocol: framegen.ICMP, Src: peerAddr, Dst: target,
		Payload: framegen.ICMPMessage(8, 0, 0x00070000|uint32(seq), make([]byte, frameLen-14-20-8))}
	return framegen.Ether(dst, src, typeIPv4, d.Bytes())
}

// blank is a request in which zero stands for what the generator fills in.
func (l *lab) blank(arp bool) []byte {
	// Any address will do.
	b := l.request(arp, ownAddr.Addr(), 0)
	if arp {
		clear(b[arpTarget : arpTarget+4])
	} else {
		clear(b[ipSum : ipSum+2])
		clear(b[ipDst : ipDst+4])
		clear(b[icmpSum : icmpSum+2])
	}
	return b
}

// frameLen is the length of all frames: the shortest that Ethernet carries.
const frameLen = 60

// drain throws away what a socket still holds.
func drain(fd int) {
	buf := make([]byte, 2048)
	for {
		if _, err := unix.Read(fd, buf); err != nil && err != unix.EINTR {
			return
		}
	}
}

// check compares the sampled replies, byte by byte, with what they should be.
// A wrong byte ends the run: a peer that answers something else is faster at nothing.
func (l *lab) check(a aim) (n int, err error) {
	buf := make([]byte, 2048)
	for _, fd := range l.samples {
		for {
			size, err := unix.Read(fd, buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				break
			}
			if err := l.checkReply(buf[:size], a); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func (l *lab) checkReply(reply []byte, a aim) error {
	arp := isARP(reply)
	at, seq := ipSrc, uint16(0)
	if arp {
		at = arpSender
	} else {
		seq = binary.BigEndian.Uint16(reply[icmpSeq:])
	}
	from := binary.BigEndian.Uint32(reply[at:])
	// One comparison for both ends: below base it wraps around to a large number.
	if from-a.base >= uint32(a.targets) {
		return fmt.Errorf("a reply from an address that nobody asked for: %x", reply)
	}
	// As if the two places where that shows were right; all others are still compared.
	if l.manner.broadcast && arp {
		reply = bytes.Clone(reply)
		for _, at := range []int{0, arpTo} {
			if bytes.Equal(reply[at:at+6], framegen.Broadcast[:]) {
				copy(reply[at:], l.gen.mac)
			}
		}
	}
	target := netip.AddrFrom4([4]byte(reply[at:]))
	return bench.Compare(reply, bench.Expect(l.request(arp, target, seq), [6]byte(l.dut.mac)))
}
