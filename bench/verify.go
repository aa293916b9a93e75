package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Check puts so many batches to the target and looks at every answer: that of
// an ARP or echo request must be right in each byte, that of another frame at
// least a frame to where the request came from. It is no part of any timing.
func (l *Load) Check(batches int) error {
	for range batches {
		l.Fill()
		// Copies, since an answer takes its request's place.
		requests := make([][]byte, len(l.frames))
		for i, f := range l.frames {
			requests[i] = bytes.Clone(f)
		}
		l.Answer()
		if err := l.checkBatch(requests); err != nil {
			return fmt.Errorf("%s against table %s: %w", l.workload.Name, l.table.Name, err)
		}
	}
	return nil
}

// checkBatch walks through requests, verdicts and answers side by side: to each request that
// must be answered belongs exactly the next answer, and nothing may be left over.
func (l *Load) checkBatch(requests [][]byte) error {
	out := l.out
	verdicts := l.worker.Verdicts()
	for i, request := range requests {
		// Of hostile frames only what holds for all answers is known here: see checkAll. What the right
		// ones are is held against a kernel in internal/difftest.
		if l.workload.few {
			continue
		}
		// Answers come in the order of their requests: this is a part of what is checked.
		want := Expect(request, ourMAC)
		if l.isOther(request) {
			want = nil
		}
		if answered := verdicts[i].Answered(); answered != (want != nil) {
			return fmt.Errorf("verdict %v for %x", verdicts[i], request)
		}
		// A frame that must not be answered has used up none of the answers.
		if want == nil {
			continue
		}
		if len(out) == 0 {
			return fmt.Errorf("no answer to %x", request)
		}
		if err := Compare(out[0], want); err != nil {
			return err
		}
		out = out[1:]
	}
	if !l.workload.few && len(out) != 0 {
		return fmt.Errorf("%d answers too many, the first %x", len(out), out[0])
	}
	return checkAll(l.out)
}

// isOther tells whether nobody may answer a request: it is for another MAC, or
// for an address outside of every table.
func (l *Load) isOther(request []byte) bool {
	if bytes.Equal(request[:6], otherMAC[:]) {
		return true
	}
	at := ipDstAt
	if binary.BigEndian.Uint16(request[12:]) == 0x0806 {
		at = arpTarget
	}
	return binary.BigEndian.Uint32(request[at:]) == address(elsewhere)
}

// checkAll holds what is true of every answer, whatever it answers: it goes from
// us to nobody but the peer.
func checkAll(answers [][]byte) error {
	for _, a := range answers {
		if len(a) < 14 || !bytes.Equal(a[6:12], ourMAC[:]) || a[0]&1 != 0 {
			return fmt.Errorf("an answer to nobody, or not from us: %x", a)
		}
	}
	return nil
}

// Expect gives the answer of the host at mac to an ARP or echo request, or nil for any
// other frame. It is written for clarity, byte by byte, and shares nothing with
// the responder.
// What both got wrong would be seen by nobody here; that is what the recordings of a kernel
// are for (internal/kernelref).
func Expect(request []byte, mac [6]byte) []byte {
	a := bytes.Clone(request)
	copy(a[0:6], request[6:12])
	copy(a[6:12], mac[:])
	switch binary.BigEndian.Uint16(request[12:]) {
	case 0x0806:
		a = a[:arpAt+28]
		a[arpAt+7] = 2
		copy(a[arpAt+8:], mac[:])
		copy(a[arpAt+14:], request[arpTarget:arpTarget+4])
		// The target is who asked: its MAC and IPv4 address, ten bytes in a row (RFC 826).
		copy(a[arpAt+18:], request[arpAt+8:arpAt+18])
		return a
	case 0x0800:
		total := int(binary.BigEndian.Uint16(request[ipAt+2:]))
		a = a[:ipAt+total]
		icmp := a[ipAt+20:]
		icmp[0] = 0
		binary.BigEndian.PutUint16(icmp[2:], 0)
		binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
		ip := a[ipAt : ipAt+20]
		copy(ip[6:8], []byte{0, 0}) // DF clear, no fragment
		ip[8] = 64
		copy(a[ipSrcAt:], request[ipDstAt:ipDstAt+4])
		copy(a[ipDstAt:], request[ipSrcAt:ipSrcAt+4])
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
		return a
	}
	return nil
}

// Compare tells how an answer differs from what Expect gave. The IPv4
// identification is the answerer's own choice; padding up to Ethernet's minimum is
// nobody's.
func Compare(got, want []byte) error {
	// A reply to ARP has 42 bytes, and comes back padded from a wire.
	if len(got) > len(want) && len(got) <= 60 {
		got = got[:len(want)]
	}
	if len(got) != len(want) {
		return fmt.Errorf("an answer of %d bytes instead of %d: %x", len(got), len(want), got)
	}
	if binary.BigEndian.Uint16(want[12:]) == 0x0800 {
		if checksum(got[ipAt:ipAt+20]) != 0 {
			return fmt.Errorf("wrong header checksum in %x", got)
		}
		want = bytes.Clone(want)
		// The header checksum changes with it; that it is right was seen above.
		copy(want[ipAt+4:ipAt+6], got[ipAt+4:ipAt+6])
		copy(want[ipSumAt:ipSumAt+2], got[ipSumAt:ipSumAt+2])
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("wrong answer\n got %x\nwant %x", got, want)
	}
	return nil
}

// checksum is RFC 1071's, two bytes at a time.
func checksum(b []byte) uint16 {
	var s uint32
	for i, v := range b {
		if i%2 == 0 {
			s += uint32(v) << 8
		} else {
			s += uint32(v)
		}
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}
