package responder

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
	head := be64(p)
	hardware, op := head>>48, uint16(head)
	if hardware != hardwareEthernet && hardware != hardwareIEEE802 || uint32(head>>16) != typeIPv4<<16|6<<8|4 {
		return ARPFormat
	}
	if op != opRequest && op != opReply {
		return ARPOperation
	}
	// The sender's MAC and IP are ten bytes: two overlapping words.
	senderMAC, sender, target := be64(p[arpSenderMAC:])>>16, be32(p[arpSenderIP:]), be32(p[arpTargetIP:])
	if from := l.table.lookup(sender); from == isAlias || from == hostOwn || bogon(sender) && sender != 0 {
		return w.badSender(l, frame, senderMAC, sender, from)
	}
	if op == opReply {
		w.learn(l, sender, senderMAC, false)
		return ARPReply
	}
	c := w.received(l, target, len(frame))
	if c == nil {
		w.learn(l, sender, senderMAC, false)
		return ARPNotAlias
	}
	// A probe has no sender yet whom from could tell; it is answered, lest the
	// address is taken (RFC 5227 2.6: whoever uses an address defends it).
	if l.choosy && sender != 0 && !l.allows(target, sender) {
		return NotFrom
	}
	if !l.mayReach(senderMAC) {
		return ARPNoReturn
	}
	if l.neigh != nil {
		w.learn(l, sender, senderMAC, true)
	}
	// The reply goes to the MAC that the ARP packet names, not to the one the frame
	// came from: RFC 826 knows no other, and the kernel does the same.
	put64(p, arpReplyHead)
	put64(p[arpSenderMAC:], l.mac<<16|uint64(target>>16))
	put32(p[arpSenderIP:], target)
	put64(p[arpTargetMAC:], senderMAC<<16|uint64(sender>>16))
	put32(p[arpTargetIP:], sender)
	putAddresses(frame, senderMAC, l.mac)
	w.send(l, frame[:l3+arpLen], c)
	if sender == 0 {
		return ARPProbeAnswered
	}
	return ARPAnswered
}

// badSender judges ARP whose sender claims an address of ours, or one that no host
// can have. It is not answered: Linux asks its routes, which call such a source
// martian. A sender of 0.0.0.0 is none: a probe, RFC 5227 1.1.
func (w *Worker) badSender(l *link, frame []byte, claimed uint64, sender, known uint32) Verdict {
	from := be64(frame[ethSrc-2:]) & macMask
	switch {
	case known != isAlias:
		return ARPSource
	case claimed == l.mac || from == l.mac:
		return ARPOwn
	case claimed != from:
		// Proxies and broken relays do this; it is no proof of a second owner.
		return ARPSpoofed
	}
	w.conflicts.push(Conflict{l.name, v4addr(sender), macBytes(claimed), macBytes(l.mac), w.now})
	return ARPConflict
}

// bogon tells whether no host can have address a as its own: RFC 1122 3.2.1.3. Of
// 0.0.0.0/8 and the reserved 240.0.0.0/4, Linux refuses the first and the last
// address only.
func bogon(a uint32) bool {
	switch first := a >> 24; {
	case a == 0, first == 127, first >= 224 && first < 240:
		return true
	}
	return a == 0xffffffff
}

// mayReach tells whether an answer may go to a MAC address: never to a group
// (nobody shall use us as an amplifier), never to nobody or to ourselves.
func (l *link) mayReach(mac uint64) bool {
	return mac&groupBit == 0 && mac != 0 && mac != l.mac
}

// allows tells whether a sender is answered about an alias.
func (l *link) allows(alias, sender uint32) bool {
	from := l.from
	if l.table.special {
		if lb := l.table.labelOf(alias); lb.from != nil {
			from = lb.from
		}
	}
	return anyContains(from, sender)
}
