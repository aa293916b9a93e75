package responder

import "encoding/binary"

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

// echo turns an echo request into its reply, RFC 792 and RFC 1122 3.2.2.6: all of
// the message comes back, the code too.
func (w *Worker) echo(p *packet, m []byte) Verdict {
	if !w.limits.echo(p.l, w.now) {
		return EchoLimited
	}
	// RFC 1624: the sum changes by what the first word changes, 0x0800.
	check := uint32(be16(m[icmpChecksum:])) + icmpEcho<<8
	check += check >> 16
	m[icmpType] = icmpEchoReply
	put16(m[icmpChecksum:], uint16(check))
	if uint16(check) == 0xffff || !p.ready {
		// Either there was nothing to derive from, or the sum is one of the two zeros
		// and only the data tell which. Where they are all zero it is 0xffff; Linux
		// sends 0x0000 there, which is wrong.
		put16(m[icmpChecksum:], 0)
		putChecksum(m[icmpChecksum:], sum(0, m))
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
	inPlace := &m[0] == &p.payload()[0] && !p.whole
	if inPlace && p.ihl == ipMinLen && len(p.ip) <= p.l.mtu {
		w.replyInPlace(p)
		return w.deliver(p, p.frame[:p.l3+len(p.ip)], v)
	}
	opts, ok := w.echoOptions(p)
	if !ok {
		return NoReturn
	}
	return w.sendDatagram(p, p.ip[ipTOS], opts, protoICMP, m, v)
}

// replyInPlace makes p's own header that of the answer.
func (w *Worker) replyInPlace(p *packet) {
	h := p.ip[:ipMinLen:ipMinLen]
	binary.BigEndian.PutUint32(h[ipIdent:], uint32(w.nextIdent())<<16) // DF and the reserved flag clear
	put32(h[ipTTL:], ttl<<24|protoICMP<<16)                            // checksum 0
	put32(h[ipSrc:], p.dst)
	put32(h[ipDst:], p.src)
	putChecksum(h[ipChecksum:], header20(h))
	turn(p.frame, &p.l.mac)
}

// returns tells whether an IP answer may go where p came from.
func (p *packet) returns() bool {
	if p.l.isBroadcast(p.src) {
		return false
	}
	return p.l.reply == Routed || p.l.mayReach(mac48(p.frame[ethSrc:]))
}
