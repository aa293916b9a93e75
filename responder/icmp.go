package responder

import "math/bits"

// ICMP, RFC 792.
const (
	icmpType     = 0
	icmpCode     = icmpType + 1
	icmpChecksum = icmpCode + 1
	icmpRest     = icmpChecksum + 2
	icmpLen      = icmpRest + 4

	icmpEchoReply      = 0
	icmpUnreachable    = 3
	icmpEcho           = 8
	icmpTimeExceeded   = 11
	icmpParameter      = 12
	icmpTimestamp      = 13
	icmpTimestampReply = 14

	codeProtocol   = 2 // of icmpUnreachable
	codePort       = 3
	codeReassembly = 1 // of icmpTimeExceeded

	timestampLen = icmpLen + 3*4
)

// icmp answers echo and timestamp requests. Everything else is silent: replies
// and errors because they are, the rest because RFC 6918 and RFC 6633 retired
// it. The checksum comes before the length, as in Linux.
func (w *Worker) icmp(p *packet) Verdict {
	m := p.payload()
	if p.ready && !right(sum(0, m)) {
		return ICMPChecksum
	}
	if len(m) < icmpLen {
		return ICMPShort
	}
	switch m[icmpType] {
	case icmpEcho:
		return w.echo(p, m)
	case icmpTimestamp:
		return w.timestamp(p, m)
	}
	return ICMPIgnored
}

// echoInPlace answers what nearly every datagram is, an echo request without
// options or fragments: its bytes become the reply's where they are. done is false
// for everything else, which nothing has been done to.
func (w *Worker) echoInPlace(l *link, frame []byte, l3 int, ip []byte, c *row) (v Verdict, done bool) {
	m := ip[ipMinLen:]
	peer := be64(frame[ethSrc-2:]) & macMask
	if len(m) < icmpLen || m[icmpType] != icmpEcho || len(ip) > l.mtu || l.reply != Reflect || !l.mayReach(peer) {
		return 0, false
	}
	if !right(sum(0, m)) {
		return ICMPChecksum, true
	}
	if !w.limits.echo(l, w.now) {
		return EchoLimited, true
	}
	echoReply(m)
	// Version to length stay; a new identification with DF and the reserved flag clear;
	// the addresses change places, which the sum does not notice.
	ident := uint32(w.nextIdent())
	addresses := be64(ip[ipSrc:])
	acc := uint64(be32(ip)) + uint64(ident<<16) + ttlICMP + addresses>>32 + addresses&0xffffffff
	put32(ip[ipIdent:], ident<<16)
	put32(ip[ipTTL:], ttlICMP|uint32(^fold(acc)))
	put64(ip[ipSrc:], bits.RotateLeft64(addresses, 32))
	putAddresses(frame, peer, l.mac)
	w.send(l, frame[:l3+len(ip)], c)
	return EchoAnswered, true
}

// ttlICMP is the third word of an ICMP reply's header without its checksum.
const ttlICMP = ttl<<24 | protoICMP<<16

// echoReply turns an echo request with a right checksum into its reply, RFC 792
// and RFC 1122 3.2.2.6: all of it comes back, the code too.
func echoReply(m []byte) {
	// RFC 1624: the sum changes by what the first word changes, 0x0800.
	check := uint32(be16(m[icmpChecksum:])) + icmpEcho<<8
	check += check >> 16
	m[icmpType] = icmpEchoReply
	put16(m[icmpChecksum:], uint16(check))
	if uint16(check) == 0xffff {
		sumEcho(m)
	}
}

// sumEcho sums an echo reply anew: where its request's sum is unfinished, or where
// the derived one is one of the two zeros and only the data tell which. Where they
// are all zero it is 0xffff; Linux sends 0x0000 there, which is wrong.
func sumEcho(m []byte) {
	put16(m[icmpChecksum:], 0)
	putChecksum(m[icmpChecksum:], sum(0, m))
}

// echo answers any other echo request.
func (w *Worker) echo(p *packet, m []byte) Verdict {
	if !w.limits.echo(p.l, w.now) {
		return EchoLimited
	}
	echoReply(m)
	if !p.ready {
		sumEcho(m)
	}
	return w.reply(p, m, EchoAnswered)
}

// timestamp answers with the time of day in milliseconds since midnight UTC,
// RFC 792. A request that is cut off within its timestamps is answered too, as
// long as the originate time is there.
func (w *Worker) timestamp(p *packet, m []byte) Verdict {
	if len(m) < icmpLen+4 {
		return ICMPShort
	}
	var answer [timestampLen]byte
	copy(answer[:], m[:icmpLen+4])
	answer[icmpType], answer[icmpCode] = icmpTimestampReply, 0
	clock := w.timeOfDay()
	put32(answer[icmpLen+4:], clock)
	put32(answer[icmpLen+8:], clock)
	put16(answer[icmpChecksum:], 0)
	putChecksum(answer[icmpChecksum:], sum(0, answer[:]))
	return w.reply(p, answer[:], TimestampAnswered)
}

// timeOfDay is the ICMP and IP option clock: milliseconds since midnight UTC.
func (w *Worker) timeOfDay() uint32 {
	const day = 24 * 60 * 60 * 1000
	return uint32(w.now / 1e6 % day)
}

// reply sends an ICMP message back to whom p came from: TOS as asked, DF clear
// (Linux's ping replies are not subject to path MTU discovery), the options
// that are echoed. m may be p's own payload, already turned into the answer.
func (w *Worker) reply(p *packet, m []byte, v Verdict) Verdict {
	if !p.returns() {
		return NoReturn
	}
	opts, ok := w.echoOptions(p)
	if !ok {
		return NoReturn
	}
	return w.sendDatagram(p, p.ip[ipTOS], opts, protoICMP, m, v)
}

// returns tells whether an IP answer to p may go out: to somebody else's unicast
// address, and in reflect mode to somebody else's MAC.
func (p *packet) returns() bool {
	if bogon(p.to) || p.l.table.lookup(p.to) != unknown {
		return false
	}
	return p.l.reply == Routed || p.l.mayReach(mac48(p.frame[ethSrc:]))
}
