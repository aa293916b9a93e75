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
// Frames of a kind often come in a row, so each kind has a loop, which ends at the
// first frame that is in any way out of the ordinary. Nothing has been done to that
// one: arp and ipv4 then look at it from the beginning. Numbers named raw are as
// little-endian loads find them.

// plainLen is the length of the shortest frame that is looked at here: one that
// holds an ARP packet. An echo request without data fits as well.
const plainLen = ethLen + arpLen

// The words of the headers that are looked at, or written, at once.
const (
	rawARP  = typeARP>>8 | typeARP&0xff<<8
	rawIPv4 = typeIPv4>>8 | typeIPv4&0xff<<8
	rawVLAN = typeVLAN>>8 | typeVLAN&0xff<<8
	rawQinQ = typeQinQ>>8 | typeQinQ&0xff<<8

	// EtherType to address lengths of a request, and of a reply what stands behind four
	// and before two bytes of a MAC address.
	rawARPRequest = 0x0406_0008_0100_0608
	rawARPReply1  = 0x0100_0608 << 32
	rawARPReply2  = 0x0200_0406_0008

	rawVersionFragment = 0x3f<<48 | 0xff<<56 | 0xff // version, header length, MF, offset
	rawVersion         = 4<<4 | ipMinLen/4
	rawTTL             = ttl | protoICMP<<8
)

func le64(b []byte) uint64        { return binary.LittleEndian.Uint64(b) }
func putLE64(b []byte, v uint64)  { binary.LittleEndian.PutUint64(b, v) }
func putLE32(b []byte, v uint32)  { binary.LittleEndian.PutUint32(b, v) }
func putLE16(b []byte, v uint16)  { binary.LittleEndian.PutUint16(b, v) }
func rawAddr(raw uint32) uint32   { return bits.ReverseBytes32(raw) }
func rawTarget(raw uint64) uint32 { return bits.ReverseBytes32(uint32(raw)) }

// The loops call nothing: values that live across a call are stored and loaded
// again for each frame, which costs as much as the work. What needs a call ends the
// loop, or is done behind it; so does an answer that w.out has no room for, which
// the long way then makes.

// plainARPs answers ordinary ARP requests and tells how many of frames these were.
// rows are the targets' where stage has looked them up, and senders then too.
func (w *Worker) plainARPs(l *link, frames [][]byte, verdicts []Verdict, rows []uint32) (done int) {
	const p = ethLen
	frames = frames[:min(len(frames), len(verdicts), len(rows))]
	own, low, mac, out := w.ledger, l.table.low, l.rawMAC<<16, w.out[len(w.out):cap(w.out)]
	var overflow *row
	answered, nobodys := 0, 0
	for i, frame := range frames {
		if len(frame) < plainLen || answered >= len(out) || overflow != nil {
			break
		}
		f := (*[plainLen]byte)(frame)
		to, asks := le64(f[:]), le64(f[p+arpSenderMAC:])
		from := asks << 16 // the MAC address of who asks, without the first bytes of its IP address
		sender, target := be32(f[p+arpSenderIP:]), be32(f[p+arpTargetIP:])
		// One condition at a time: the compiler makes a detour of more.
		if le64(f[ethType:]) != rawARPRequest {
			break
		}
		if binary.LittleEndian.Uint16(f[p+arpOperation:]) != opRequest<<8 || asks&1 != 0 {
			break
		}
		if to<<16 != mac && to&1 == 0 {
			break
		}
		if from == 0 || from == mac {
			break
		}
		n := rows[i]
		if n == 0 {
			if !ordinary(sender) || near(low, sender) {
				break
			}
			n = own.look(hash(target))
		}
		r := &own.rows[n]
		if !own.sure(n, r, target) {
			if near(low, target) {
				break
			}
			verdicts[i] = ARPNotAlias
			nobodys++
			done = i + 1
			continue
		}
		if r.rx.count(len(frame)) || r.tx.count(plainLen) {
			overflow = r
		}
		// The ten bytes of who asks become those of who is told.
		putLE64(f[0:], from>>16|mac<<32)
		putLE64(f[8:], mac>>32|rawARPReply1)
		putLE64(f[16:], rawARPReply2|mac<<32)
		putLE64(f[24:], mac>>32|uint64(rawAddr(target))<<32)
		putLE64(f[32:], asks)
		putLE16(f[40:], uint16(rawAddr(sender)>>16))
		verdicts[i] = ARPAnswered
		out[answered] = frame[:plainLen]
		answered++
		done = i + 1
	}
	w.ran(l, ARPAnswered, answered, ARPNotAlias, nobodys, overflow)
	return done
}

// ran ends a loop.
func (w *Worker) ran(l *link, v Verdict, answered int, none Verdict, nobodys int, overflow *row) {
	w.out = w.out[:len(w.out)+answered]
	w.counts[v].add(uint64(answered))
	w.counts[none].add(uint64(nobodys))
	if overflow != nil {
		w.spill(l, overflow)
	}
}

// plainEchoes answers ordinary echo requests, and tells of datagrams with an ordinary
// header that they are for no alias. It tells how many of frames these were.
func (w *Worker) plainEchoes(l *link, frames [][]byte, flags []uint8, verdicts []Verdict, rows []uint32) (done int) {
	const p = ethLen
	frames = frames[:min(len(frames), len(flags), len(verdicts), len(rows))]
	own, low, mac, out, mtu := w.ledger, l.table.low, l.rawMAC<<16, w.out[len(w.out):cap(w.out)], l.mtu
	ident, step := w.ident, w.identStep
	var overflow *row
	answered, nobodys := 0, 0
	for i, frame := range frames {
		if len(frame) < plainLen || answered >= len(out) || overflow != nil {
			break
		}
		f := (*[plainLen]byte)(frame)
		to, peer := le64(f[:]), le64(f[ethSrc:])
		head, middle, end := le64(f[p:]), le64(f[p+ipTTL:]), le64(f[p+ipDst:])
		if peer>>48 != rawIPv4 || head&rawVersionFragment != rawVersion {
			break
		}
		if to<<16 != mac && to&1 == 0 || flags[i] != 0 {
			break
		}
		acc, carry := bits.Add64(head, middle, 0)
		acc, carry = bits.Add64(acc, end&0xffffffff, carry)
		total := int(bits.ReverseBytes16(uint16(head >> 16)))
		if !right(acc+carry) || total < ipMinLen+icmpLen || total > len(frame)-p {
			break
		}
		src, dst := rawTarget(middle>>32), rawTarget(end)
		n := rows[i]
		if n == 0 {
			if !ordinary(src) || near(low, src) {
				break
			}
			n = own.look(hash(dst))
		}
		r := &own.rows[n]
		if !own.sure(n, r, dst) {
			if near(low, dst) {
				break
			}
			verdicts[i] = IPNotAlias
			nobodys++
			done = i + 1
			continue
		}
		// RFC 1624: the sum changes by what the type changes. See echoReply.
		check := uint32(end>>48) + icmpEcho
		check += check >> 16
		if middle&0xff00 != protoICMP<<8 || end>>32&0xff != icmpEcho || uint16(check) == 0xffff {
			break
		}
		if total > mtu || peer&1 != 0 {
			break
		}
		if peer<<16 == 0 || peer<<16 == mac {
			break
		}
		if !right(sumLong(frame[p+ipMinLen : p+total])) {
			break
		}
		if r.rx.count(len(frame)) || r.tx.count(p+total) {
			overflow = r
		}
		// Version to length stay; a new identification with DF and the reserved flag clear;
		// the addresses change places, which the sum does not notice.
		ident += step
		head = head&0xffffffff | uint64(bits.ReverseBytes16(ident))<<32
		sum := head>>32 + head&0xffffffff + rawTTL + middle>>32 + end&0xffffffff
		putLE64(f[ethDst:], peer<<16>>16|mac<<32)
		putLE32(f[8:], uint32(mac>>32))
		putLE64(f[p:], head)
		putLE64(f[p+ipTTL:], rawTTL|uint64(^fold(sum))<<16|end<<32)
		putLE64(f[p+ipDst:], middle>>32|end>>40&0xff<<40|uint64(uint16(check))<<48)
		verdicts[i] = EchoAnswered
		out[answered] = frame[:p+total]
		answered++
		done = i + 1
	}
	w.ident = ident
	w.ran(l, EchoAnswered, answered, IPNotAlias, nobodys, overflow)
	return done
}
