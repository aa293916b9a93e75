package responder

import (
	"encoding/binary"
	"math/bits"
)

// What nearly every frame is: an ordinary ARP request, or an echo request without
// options or fragments, untagged, on an interface without rules about who is
// answered. It is taken here, with few wide loads and stores: at some nanoseconds
// a frame each of them shows, and so does each call.
//
// What is in any way out of the ordinary is undecided, and nothing has been done to it:
// arp and ipv4 then look at it from the beginning. Numbers named raw are as
// little-endian loads find them.

// undecided is no verdict: somebody else has to look at the frame.
const undecided Verdict = 255

// plainLen is the length of the shortest frame that is looked at here: one that
// holds an ARP packet. An echo request without data fits as well.
const plainLen = ethLen + arpLen

// The words of the headers that are looked at, or written, at once.
const (
	rawARP  = typeARP>>8 | typeARP&0xff<<8
	rawIPv4 = typeIPv4>>8 | typeIPv4&0xff<<8

	// Hardware type to operation: Ethernet, IPv4, 6, 4, request. A reply's is written in
	// two parts, behind four and before two bytes of a MAC address.
	rawARPRequest = 0x0100_0406_0008_0100
	rawARPReply1  = 0x0100_0608 << 32
	rawARPReply2  = 0x0200_0406_0008

	rawVersionFragment = 0x3f<<48 | 0xff<<56 | 0xff // version, header length, MF, offset
	rawVersion         = 4<<4 | ipMinLen/4
	rawTTL             = ttl | protoICMP<<8
	rawEcho            = icmpEcho
)

func le64(b []byte) uint64        { return binary.LittleEndian.Uint64(b) }
func putLE64(b []byte, v uint64)  { binary.LittleEndian.PutUint64(b, v) }
func putLE32(b []byte, v uint32)  { binary.LittleEndian.PutUint32(b, v) }
func putLE16(b []byte, v uint16)  { binary.LittleEndian.PutUint16(b, v) }
func rawAddr(raw uint32) uint32   { return bits.ReverseBytes32(raw) }
func rawTarget(raw uint64) uint32 { return bits.ReverseBytes32(uint32(raw)) }

// plainARP answers an ordinary ARP request. The checks are those of arp.
func (w *Worker) plainARP(l *link, f *[plainLen]byte, size int, n uint32) (v Verdict, answer int) {
	const p = ethLen
	if le64(f[p:]) != rawARPRequest {
		return undecided, 0
	}
	rawSender := le64(f[p+arpSenderMAC:]) // and the first two bytes of its address
	sender := be32(f[p+arpSenderIP:])
	mac := rawSender << 16
	if !l.table.stranger(sender) || mac == 0 || rawSender&1 != 0 || mac == l.rawMAC<<16 {
		return undecided, 0
	}
	target := be32(f[p+arpTargetIP:])
	own := w.ledger
	if n == 0 {
		n = own.look(hash(target))
	}
	r := &own.rows[n]
	if !own.sure(n, r, target) {
		if !l.table.near(target) {
			return ARPNotAlias, 0
		}
		if r = w.row(l, target); r == nil {
			return ARPNotAlias, 0
		}
	}
	if r.rx.count(size) || r.tx.count(plainLen) {
		w.spill(l, r)
	}
	// The ten bytes of who asks become those of who is told.
	putLE64(f[0:], rawSender&macMask|l.rawMAC<<48)
	putLE64(f[8:], l.rawMAC>>16|rawARPReply1)
	putLE64(f[16:], rawARPReply2|l.rawMAC<<48)
	putLE64(f[24:], l.rawMAC>>16|uint64(rawAddr(target))<<32)
	putLE64(f[32:], rawSender)
	putLE16(f[40:], uint16(rawAddr(sender)>>16))
	return ARPAnswered, plainLen
}

// plainEcho answers an ordinary echo request, or tells of a datagram with an
// ordinary header that it is for no alias. The checks are those of ipv4 and icmp.
func (w *Worker) plainEcho(l *link, f *[plainLen]byte, frame []byte, n uint32) (v Verdict, answer int) {
	const p = ethLen
	head, middle, end := le64(f[p:]), le64(f[p+ipTTL:]), le64(f[p+ipDst:])
	acc, carry := bits.Add64(head, middle, 0)
	acc, carry = bits.Add64(acc, end&0xffffffff, carry)
	total := int(bits.ReverseBytes16(uint16(head >> 16)))
	if head&rawVersionFragment != rawVersion || !right(acc+carry) || total < ipMinLen+icmpLen || total > len(frame)-p {
		return undecided, 0
	}
	src, dst := rawTarget(middle>>32), rawTarget(end)
	own := w.ledger
	if n == 0 {
		n = own.look(hash(dst))
	}
	r := &own.rows[n]
	if !own.sure(n, r, dst) {
		if !l.table.near(dst) {
			return IPNotAlias, 0
		}
		if r = w.row(l, dst); r == nil {
			return IPNotAlias, 0
		}
	}
	peer := le64(f[ethSrc:]) << 16
	if middle>>8&0xff != protoICMP || end>>32&0xff != icmpEcho || !l.table.stranger(src) ||
		peer == 0 || f[ethSrc]&1 != 0 || peer == l.rawMAC<<16 || total > l.mtu {
		return undecided, 0
	}
	m := frame[p+ipMinLen : p+total]
	// RFC 1624: the sum changes by what the type changes. See echoReply.
	check := uint32(end>>48) + rawEcho
	check += check >> 16
	if !right(sumLong(m)) || uint16(check) == 0xffff {
		return undecided, 0
	}
	answer = p + total
	if r.rx.count(len(frame)) || r.tx.count(answer) {
		w.spill(l, r)
	}
	// Version to length stay; a new identification with DF and the reserved flag clear;
	// the addresses change places, which the sum does not notice.
	w.ident += w.identStep
	head = head&0xffffffff | uint64(bits.ReverseBytes16(w.ident))<<32
	sum := head>>32 + head&0xffffffff + rawTTL + middle>>32 + end&0xffffffff
	putLE64(f[ethDst:], peer>>16|l.rawMAC<<48)
	putLE32(f[8:], uint32(l.rawMAC>>16))
	putLE64(f[p:], head)
	putLE64(f[p+ipTTL:], rawTTL|uint64(^fold(sum))<<16|end<<32)
	putLE64(f[p+ipDst:], middle>>32|end>>40&0xff<<40|uint64(uint16(check))<<48)
	return EchoAnswered, answer
}
