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
// first frame that is of another, or in any way out of the ordinary. Nothing has been done to that
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

	// EtherType to address lengths, and of a reply what stands before two bytes of a MAC
	// address.
	rawARPRequest = 0x0406_0008_0100_0608
	rawARPReply   = 0x0200_0406_0008

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

// headerSum sums an ordinary header from the words that it is loaded in, for right.
func headerSum(head, middle, end uint64) uint64 {
	acc, carry := bits.Add64(head, middle, 0)
	acc, carry = bits.Add64(acc, end&0xffffffff, carry)
	return acc + carry
}

// The loops that answer call next to nothing: values that live across a call are stored
// and loaded again for each frame, which costs as much as the work. What needs a call
// ends the loop, or is done behind it; so does an answer that w.out has no room for, which
// the long way then makes. All frames of a loop are answered, so that one number
// counts frames, verdicts and answers.

// plainOthers tells of ARP requests, and of datagrams with an ordinary header, that they
// are for no alias. It is one loop for both, since on a busy network they come mixed.
func (w *Worker) plainOthers(l *link, frames [][]byte, flags []uint8, verdicts []Verdict) (i int) {
	const p = ethLen
	frames = frames[:min(len(frames), len(flags), len(verdicts))]
	low, mac := l.table.low, l.rawMAC<<16
	arps := 0
	for ; i < len(frames) && len(frames[i]) >= plainLen; i++ {
		f := (*[plainLen]byte)(frames[i])
		to, t := le64(f[:]), binary.LittleEndian.Uint16(f[ethType:])
		if to<<16 != mac && to&1 == 0 {
			break
		}
		if t == rawARP {
			asks := le64(f[p+arpSenderMAC:])
			if le64(f[ethType:]) != rawARPRequest || binary.LittleEndian.Uint16(f[p+arpOperation:]) != opRequest<<8 {
				break
			}
			if from := asks << 16; asks&1 != 0 || from == 0 || from == mac {
				break
			}
			sender, target := be32(f[p+arpSenderIP:]), be32(f[p+arpTargetIP:])
			if !ordinary(sender) || (near(low, sender) || near(low, target)) && !l.table.strangers(sender, target) {
				break
			}
			verdicts[i] = ARPNotAlias
			arps++
			continue
		}
		head, middle, end := le64(f[p:]), le64(f[p+ipTTL:]), le64(f[p+ipDst:])
		if t != rawIPv4 || head&rawVersionFragment != rawVersion || flags[i] != 0 {
			break
		}
		total := int(bits.ReverseBytes16(uint16(head >> 16)))
		if !right(headerSum(head, middle, end)) || total < ipMinLen+icmpLen || total > len(frames[i])-p {
			break
		}
		src, dst := rawTarget(middle>>32), rawTarget(end)
		if !ordinary(src) || (near(low, src) || near(low, dst)) && !l.table.strangers(src, dst) {
			break
		}
		verdicts[i] = IPNotAlias
	}
	w.counts[ARPNotAlias].add(uint64(arps))
	w.counts[IPNotAlias].add(uint64(i - arps))
	return i
}

// plainARPs answers ordinary ARP requests and tells how many of frames these were.
// rows are the targets' where stage has looked them up, and senders then too.
func (w *Worker) plainARPs(l *link, frames [][]byte, verdicts []Verdict, rows []uint32) (i int) {
	const p = ethLen
	own, mac, out := w.ledger, l.rawMAC<<16, w.out[len(w.out):cap(w.out)]
	frames = frames[:min(len(frames), len(verdicts), len(rows), len(out))]
	verdicts, rows, out = verdicts[:len(frames)], rows[:len(frames)], out[:len(frames)]
	for ; i < len(frames) && len(frames[i]) >= plainLen; i++ {
		frame := frames[i]
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
			if !ordinary(sender) || near(l.table.low, sender) {
				break
			}
			n = own.look(hash(target))
		}
		r := &own.rows[n]
		if !own.sure(n, r, target) {
			break
		}
		// The ten bytes of who asks become those of who is told.
		putLE64(f[0:], from>>16+mac<<32)
		putLE32(f[8:], uint32(mac>>32)) // as far as the EtherType, from which to the lengths all stays
		putLE64(f[16:], mac<<32|rawARPReply)
		putLE64(f[24:], mac>>32+uint64(rawAddr(target))<<32)
		putLE64(f[32:], asks)
		putLE16(f[40:], uint16(rawAddr(sender)>>16))
		verdicts[i] = ARPAnswered
		out[i] = frame[:plainLen]
		if r.count(len(frame), plainLen) {
			i++
			w.spill(l, r)
			break
		}
	}
	w.answered(ARPAnswered, i)
	return i
}

// answered ends a loop that answers.
func (w *Worker) answered(v Verdict, frames int) {
	w.out = w.out[:len(w.out)+frames]
	w.counts[v].add(uint64(frames))
}

// putEcho writes the headers of an answer over those of the request. In head version to
// length stay as they were, beside a new identification with DF and the reserved flag
// clear; the addresses change places, which the sum does not notice. It is too large to
// be inlined; at the end of the loop, where little is left to keep, a call costs little.
func putEcho(f *[plainLen]byte, mac, peer, head, middle, end uint64, ipSum, check uint16) {
	const p = ethLen
	putLE64(f[ethDst:], peer<<16>>16|mac<<32)
	putLE32(f[8:], uint32(mac>>32))
	putLE64(f[p:], head)
	putLE64(f[p+ipTTL:], rawTTL|uint64(ipSum)<<16|end<<32)
	putLE64(f[p+ipDst:], middle>>32|end>>40&0xff<<40|uint64(check)<<48)
}

// plainEchoes answers ordinary echo requests and tells how many of frames these were.
func (w *Worker) plainEchoes(l *link, frames [][]byte, flags []uint8, verdicts []Verdict, rows []uint32) (i int) {
	const p = ethLen
	own, mac, out, mtu, ident, step := w.ledger, l.rawMAC<<16, w.out[len(w.out):cap(w.out)], l.mtu, w.ident, w.identStep
	frames = frames[:min(len(frames), len(flags), len(verdicts), len(rows), len(out))]
	flags, verdicts, rows, out = flags[:len(frames)], verdicts[:len(frames)], rows[:len(frames)], out[:len(frames)]
	for ; i < len(frames) && len(frames[i]) >= plainLen; i++ {
		frame := frames[i]
		f := (*[plainLen]byte)(frame)
		to, peer := le64(f[:]), le64(f[ethSrc:])
		head, middle, end := le64(f[p:]), le64(f[p+ipTTL:]), le64(f[p+ipDst:])
		if peer>>48 != rawIPv4 || head&rawVersionFragment != rawVersion {
			break
		}
		if to<<16 != mac && to&1 == 0 || flags[i] != 0 {
			break
		}
		total := int(bits.ReverseBytes16(uint16(head >> 16)))
		if !right(headerSum(head, middle, end)) || total < ipMinLen+icmpLen || total > len(frame)-p {
			break
		}
		src, dst := rawTarget(middle>>32), rawTarget(end)
		n := rows[i]
		if n == 0 {
			if !ordinary(src) || near(l.table.low, src) {
				break
			}
			n = own.look(hash(dst))
		}
		r := &own.rows[n]
		if !own.sure(n, r, dst) {
			break
		}
		// RFC 1624: the sum changes by what the type changes. See echoReply.
		check := uint32(end>>48) + icmpEcho
		check += check >> 16
		if middle&0xff00 != protoICMP<<8 || end>>32&0xff != icmpEcho || uint16(check) == 0xffff {
			break
		}
		if total > mtu || peer&1 != 0 || peer<<16 == 0 || peer<<16 == mac {
			break
		}
		if !right(sumLong(frame[p+ipMinLen : p+total])) {
			break
		}
		ident += step
		head = head&0xffffffff | uint64(bits.ReverseBytes16(ident))<<32
		sum := head>>32 + head&0xffffffff + rawTTL + middle>>32 + end&0xffffffff
		putEcho(f, mac, peer, head, middle, end, ^fold(sum), uint16(check))
		verdicts[i] = EchoAnswered
		out[i] = frame[:p+total]
		if r.count(len(frame), p+total) {
			i++
			w.spill(l, r)
			break
		}
	}
	w.ident = ident
	w.answered(EchoAnswered, i)
	return i
}
