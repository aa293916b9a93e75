package responder

// UDP, RFC 768, and TCP, RFC 9293 3.1.
const (
	udpLength   = 4
	udpChecksum = udpLength + 2
	udpLen      = udpChecksum + 2

	tcpSrcPort  = 0
	tcpDstPort  = tcpSrcPort + 2
	tcpSeq      = tcpDstPort + 2
	tcpAck      = tcpSeq + 4
	tcpOffset   = tcpAck + 4
	tcpFlags    = tcpOffset + 1
	tcpWindow   = tcpFlags + 1
	tcpChecksum = tcpWindow + 2
	tcpUrgent   = tcpChecksum + 2
	tcpLen      = tcpUrgent + 2

	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpACK = 0x10

	tcpOptMD5 = 19 // RFC 2385
	tcpOptAO  = 29 // RFC 5925
)

// udp refuses a datagram for a closed port. What the UDP length leaves of the IP
// datagram is not quoted.
func (w *Worker) udp(p *packet) Verdict {
	m := p.payload()
	if len(m) < udpLen {
		return UDPShort
	}
	n := int(be16(m[udpLength:]))
	if n > len(m) || n < udpLen {
		return UDPShort
	}
	m = m[:n]
	// RFC 768: a checksum of zero means that there is none.
	if be16(m[udpChecksum:]) != 0 && p.ready && !right(sum(p.pseudo(protoUDP, n), m)) {
		return UDPChecksum
	}
	p.ip = p.ip[:p.ihl+n]
	return w.refuse(p, icmpUnreachable, codePort, 0, UDPRefused)
}

// udpLite does the same for RFC 3828: the length field is how much the checksum
// covers, 0 for everything, and the checksum must be there.
func (w *Worker) udpLite(p *packet) Verdict {
	m := p.payload()
	if len(m) < udpLen {
		return UDPShort
	}
	covered := int(be16(m[udpLength:]))
	if covered == 0 {
		covered = len(m)
	}
	if covered < udpLen || covered > len(m) {
		return UDPShort
	}
	if be16(m[udpChecksum:]) == 0 || p.ready && !right(sum(p.pseudo(protoUDPLite, len(m)), m[:covered])) {
		return UDPChecksum
	}
	return w.refuse(p, icmpUnreachable, codePort, 0, UDPRefused)
}

// tcp resets a segment for a closed port, RFC 9293 3.10.7.1. The reset carries
// identification 0 and DF, as Linux's do.
func (w *Worker) tcp(p *packet) Verdict {
	m := p.payload()
	if p.group {
		return GroupSilent
	}
	if len(m) < tcpLen {
		return TCPShort
	}
	head := int(m[tcpOffset]>>4) * 4
	if head < tcpLen || head > len(m) {
		return TCPShort
	}
	if p.ready && !right(sum(p.pseudo(protoTCP, len(m)), m)) {
		return TCPChecksum
	}
	if m[tcpFlags]&tcpRST != 0 || authenticated(m[tcpLen:head]) {
		return TCPIgnored
	}
	if p.closed() == Drop {
		return ClosedDropped
	}
	if !p.returns() {
		return NoReturn
	}
	opts, ok := w.echoOptions(p)
	if !ok {
		return NoReturn
	}
	frame := w.take(p.l3 + ipMinLen + len(opts) + tcpLen)
	if frame == nil {
		return NoRoom
	}
	r := frame[len(frame)-tcpLen:]
	putReset(r, m, head)
	w.putDatagram(p, frame, p.ip[ipTOS]&^3, opts, 0, flagDF, protoTCP)
	putChecksum(r[tcpChecksum:], sum(p.pseudo(protoTCP, tcpLen), r)) // source and destination change places: the same sum
	return w.deliver(p, frame, TCPReset)
}

// putReset writes the reset that segment m with a header of head bytes asks for.
func putReset(r, m []byte, head int) {
	clear(r)
	copy(r[tcpSrcPort:], m[tcpDstPort:tcpDstPort+2])
	copy(r[tcpDstPort:], m[tcpSrcPort:tcpSrcPort+2])
	r[tcpOffset] = tcpLen / 4 << 4
	r[tcpFlags] = tcpRST
	if m[tcpFlags]&tcpACK != 0 {
		copy(r[tcpSeq:], m[tcpAck:tcpAck+4])
		return
	}
	flags := m[tcpFlags]
	length := uint32(len(m)-head) + uint32(flags>>1&1) + uint32(flags&tcpFIN)
	r[tcpFlags] |= tcpACK
	put32(r[tcpAck:], be32(m[tcpSeq:])+length)
}

// authenticated tells whether TCP options may hold a signature. A host without the
// key must not reset such a connection, RFC 5925 7.4 and RFC 2385 4.1. Linux gives up
// on options it can't walk just so, but only looks where a signature would fit.
func authenticated(opts []byte) bool {
	const shortest = 18 // RFC 2385 3.0
	for len(opts) >= shortest && opts[0] != optEnd {
		switch {
		case opts[0] == optNop:
			opts = opts[1:]
			continue
		case opts[0] == tcpOptMD5, opts[0] == tcpOptAO, opts[1] < 2, int(opts[1]) > len(opts):
			return true
		}
		opts = opts[opts[1]:]
	}
	return false
}
