package responder

import "encoding/binary"

// An ARP packet for Ethernet and IPv4, RFC 826.
const (
	arpHardware  = 0
	arpProtocol  = arpHardware + 2
	arpHardLen   = arpProtocol + 2
	arpProtoLen  = arpHardLen + 1
	arpOperation = arpProtoLen + 1
	arpSenderMAC = arpOperation + 2
	arpSenderIP  = arpSenderMAC + 6
	arpTargetMAC = arpSenderIP + 4
	arpTargetIP  = arpTargetMAC + 6
	arpLen       = arpTargetIP + 4

	hardwareEthernet = 1
	hardwareIEEE802  = 6 // RFC 1042: answered like Ethernet, as the kernel does
	opRequest        = 1
	opReply          = 2

	// The first eight bytes of what is answered with: Ethernet, IPv4, 6, 4, reply.
	arpReplyHead = hardwareEthernet<<48 | typeIPv4<<32 | 6<<24 | 4<<16 | opReply
)

// arp answers a request for an alias. The order of the checks is RFC 826's
// "packet reception", with Linux's refusals of senders that no host can be.
func (w *Worker) arp(l *link, frame []byte, l3 int) Verdict {
	if len(frame) < l3+arpLen {
		return ARPShort
	}
	p := frame[l3 : l3+arpLen : l3+arpLen]
	head := binary.BigEndian.Uint64(p)
	hardware, op := head>>48, uint16(head)
	if hardware != hardwareEthernet && hardware != hardwareIEEE802 || head>>16&0xffffffff != typeIPv4<<16|6<<8|4 {
		return ARPFormat
	}
	if op != opRequest && op != opReply {
		return ARPOperation
	}
	sender, target := be32(p[arpSenderIP:]), be32(p[arpTargetIP:])
	if sender != 0 {
		if v, bad := w.arpSender(l, frame, p, sender); bad {
			return v
		}
	}
	if op == opReply {
		w.learn(l, sender, mac48(p[arpSenderMAC:]), false)
		return ARPReply
	}
	index, ok := l.table.find(target)
	if !ok {
		return ARPNotAlias
	}
	c := w.cell(l, index)
	c.rx(len(frame))
	// A probe has no sender yet whom from could tell; it is answered, lest the
	// address is taken (RFC 5227 2.6: whoever uses an address defends it).
	if sender != 0 && !w.allowed(l, target, sender) {
		return NotFrom
	}
	if !l.mayReach(mac48(p[arpSenderMAC:])) {
		return ARPNoReturn
	}
	w.learn(l, sender, mac48(p[arpSenderMAC:]), true)
	w.send(arpAnswer(frame[:l3+arpLen], p, &l.mac, target), c)
	if sender == 0 {
		return ARPProbeAnswered
	}
	return ARPAnswered
}

// arpAnswer turns a request into its reply. The reply goes to the MAC that the ARP
// packet names, not to the one the frame came from: RFC 826 knows no other, and
// the kernel does the same.
func arpAnswer(frame, p []byte, mac *[6]byte, target uint32) []byte {
	copy(frame[ethDst:ethDst+6], p[arpSenderMAC:arpSenderMAC+6])
	copy(frame[ethSrc:ethSrc+6], mac[:])
	copy(p[arpTargetMAC:arpTargetMAC+10], p[arpSenderMAC:arpSenderMAC+10])
	binary.BigEndian.PutUint64(p, arpReplyHead)
	copy(p[arpSenderMAC:arpSenderMAC+6], mac[:])
	put32(p[arpSenderIP:], target)
	return frame
}

// arpSender judges the sender of ARP that has one. It is not answered if it claims an
// address of ours, or one that no host can have: Linux asks its routes, which
// call such a source martian.
func (w *Worker) arpSender(l *link, frame, p []byte, sender uint32) (Verdict, bool) {
	if bogon(sender) {
		return ARPSource, true
	}
	_, alias := l.table.find(sender)
	if !alias {
		if l.isOwn(sender) {
			return ARPSource, true
		}
		return 0, false
	}
	claimed, from, mine := mac48(p[arpSenderMAC:]), mac48(frame[ethSrc:]), mac48(l.mac[:])
	switch {
	case claimed == mine || from == mine:
		return ARPOwn, true
	case claimed != from:
		// Proxies and broken relays do this; it is no proof of a second owner.
		return ARPSpoofed, true
	}
	w.conflicts.push(Conflict{l.name, v4addr(sender), [6]byte(p[arpSenderMAC:]), l.mac, w.now})
	return ARPConflict, true
}

// bogon tells whether no host can have address a as its own: RFC 1122 3.2.1.3.
// 240.0.0.0/4 is reserved, but Linux answers it.
func bogon(a uint32) bool {
	switch first := a >> 24; {
	case first == 0, first == 127, first >= 224 && first < 240:
		return true
	}
	return a == 0xffffffff
}

// isOwn tells whether the host itself has address a.
func (l *link) isOwn(a uint32) bool {
	for _, o := range l.own {
		if o == a {
			return true
		}
	}
	return false
}

// isBroadcast tells whether a is the broadcast address of a network on link.
func (l *link) isBroadcast(a uint32) bool {
	for _, b := range l.bcast {
		if b == a {
			return true
		}
	}
	return a == 0xffffffff
}

// mayReach tells whether an answer may go to a MAC address: never to a group
// (nobody shall use us as an amplifier), never to nobody or to ourselves.
func (l *link) mayReach(mac uint64) bool {
	return mac&groupBit == 0 && mac != 0 && mac != mac48(l.mac[:])
}

// allowed tells whether sender is answered about an alias.
func (w *Worker) allowed(l *link, alias, sender uint32) bool {
	from := l.from
	if l.table.special {
		if lb := l.table.labelOf(alias); lb.from != nil {
			from = lb.from
		}
	}
	return anyContains(from, sender)
}
