package responder

import "encoding/binary"

// An Ethernet header, RFC 894, and what may stand in it.
const (
	ethDst  = 0
	ethSrc  = ethDst + 6
	ethType = ethSrc + 6
	ethLen  = ethType + 2

	typeIPv4   = 0x0800
	typeARP    = 0x0806
	typeVLAN   = 0x8100 // IEEE 802.1Q customer tag
	typeQinQ   = 0x88a8 // IEEE 802.1ad service tag
	vlanTagLen = 4
	vlanIDMask = 0x0fff

	maxTags = 2
)

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

func put16(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }
func put32(b []byte, v uint32) { binary.BigEndian.PutUint32(b, v) }
func put64(b []byte, v uint64) { binary.BigEndian.PutUint64(b, v) }

// mac48 loads a MAC address as a number.
func mac48(b []byte) uint64 { return uint64(be16(b))<<32 | uint64(be32(b[2:])) }

const (
	macMask  = 1<<48 - 1
	groupBit = 1 << 40 // of a MAC as a number: multicast and broadcast addresses have it
)

// macBytes writes a MAC address out.
func macBytes(mac uint64) (b [6]byte) {
	putMAC(b[:], mac)
	return b
}

func putMAC(b []byte, mac uint64) {
	put16(b, uint16(mac>>32))
	put32(b[2:], uint32(mac))
}

// untag looks at the VLAN tags of a frame: it finds the interface they belong to
// and where the network header begins. Priority tags (VID 0) count as none
// (IEEE 802.1Q 6.9) and are taken out of the frame, as the kernel does; the
// frame that is returned has the others still in place, and so has the answer.
func (s *set) untag(frame []byte) (rest []byte, l *link, l3 int, v Verdict) {
	var ids [maxTags]uint16
	n, at := 0, ethType
	for {
		if len(frame) < at+2 {
			return nil, nil, 0, EthShort
		}
		if t := be16(frame[at:]); t != typeVLAN && t != typeQinQ {
			break
		}
		if len(frame) < at+vlanTagLen+2 {
			return nil, nil, 0, EthShort
		}
		id := be16(frame[at+2:]) & vlanIDMask
		switch {
		case id == 0:
			copy(frame[vlanTagLen:], frame[:at])
			frame = frame[vlanTagLen:]
		case n == maxTags:
			return nil, nil, 0, VLANOther
		default:
			ids[n] = id
			n++
			at += vlanTagLen
		}
	}
	l = s.byTags(ids[:n])
	if l == nil {
		return nil, nil, 0, VLANOther
	}
	return frame, l, at + 2, 0
}

// putAddresses writes the two MAC addresses of a frame.
func putAddresses(frame []byte, dst, src uint64) {
	put64(frame, dst<<16|src>>32)
	put32(frame[8:], uint32(src))
}
