package responder

// maxError is how long an ICMP error may be with its IP header, RFC 1812 4.3.2.3.
const maxError = 576

// refuse sends an ICMP error about p, RFC 792 and RFC 1122 3.2.2, quoting as
// much of it as fits. v is the verdict if it goes out. info is the second word: the
// pointer of a Parameter Problem in its first byte.
func (w *Worker) refuse(p *packet, typ, code uint8, info uint32, v Verdict) Verdict {
	if typ == icmpUnreachable && p.closed() == Drop {
		return ClosedDropped
	}
	if p.noError() {
		if typ == icmpParameter {
			return IPOptionBad
		}
		return GroupSilent // a later fragment or an ICMP error gets no other refusal
	}
	opts, ok := w.echoOptions(p)
	if !ok {
		return IPOptionBad
	}
	if !p.returns() {
		return NoReturn
	}
	if !w.limits.icmpError(p.l, p.to, w.now) {
		return ErrorLimited
	}
	var m [maxError]byte
	quote := min(len(p.ip), min(maxError, p.l.mtu)-ipMinLen-len(opts)-icmpLen)
	n := icmpLen + copy(m[icmpLen:], p.ip[:quote])
	m[icmpType], m[icmpCode] = typ, code
	put32(m[icmpRest:], info)
	putChecksum(m[icmpChecksum:], sum(0, m[:n]))
	return w.sendDatagram(p, p.ip[ipTOS]&0x1e|0xc0, opts, protoICMP, m[:n], v)
}

// noError tells whether RFC 1122 3.2.2 forbids an error about p: one that came to
// a group, a later fragment, or another error. A type that Linux does not know
// counts as an error.
func (p *packet) noError() bool {
	if p.group || be16(p.ip[ipFragment:])&offsetMask != 0 {
		return true
	}
	if p.ip[ipProtocol] != protoICMP {
		return false
	}
	m := p.payload()
	if len(m) == 0 {
		return true
	}
	switch m[icmpType] {
	case icmpEchoReply, icmpEcho, icmpTimestamp, icmpTimestampReply, 15, 16, 17, 18: // RFC 6918's retired queries too
		return false
	}
	return true
}

// sendDatagram sends payload to whom p came from, in as many pieces as the MTU
// asks for. All of it lies in scratch memory.
func (w *Worker) sendDatagram(p *packet, tos uint8, opts []byte, protocol uint8, payload []byte, v Verdict) Verdict {
	head := ipMinLen + len(opts)
	room := p.l.mtu - head
	step := room &^ 7 // every piece but the last is a multiple of 8 bytes
	if (len(payload)/step+1)*(p.l3+head)+len(payload) > len(w.scratch) {
		return NoRoom
	}
	ident := w.nextIdent()
	for offset := 0; ; offset += step {
		part, fragment := payload[offset:], uint16(offset/8)
		if len(part) > room {
			part, fragment = part[:step], fragment|flagMF
		}
		frame := w.take(p.l3 + head + len(part))
		w.putDatagram(p, frame, tos, opts, ident, fragment, protocol)
		copy(frame[p.l3+head:], part)
		verdict := w.deliver(p, frame, v)
		if verdict == Unresolved || fragment&flagMF == 0 {
			return verdict
		}
		laterOptions(opts)
	}
}

// putDatagram writes the Ethernet and IPv4 headers of an answer to p.
func (w *Worker) putDatagram(p *packet, frame []byte, tos uint8, opts []byte, ident, fragment uint16, protocol uint8) {
	copy(frame, p.frame[:p.l3])
	putAddresses(frame, mac48(frame[ethSrc:]), p.l.mac)
	h := frame[p.l3 : p.l3+ipMinLen+len(opts)]
	copy(h[ipMinLen:], opts)
	putHeader(h, tos, len(frame)-p.l3, ident, fragment, protocol, p.dst, p.to)
	if len(opts) > 0 {
		h[ipVersionIHL] = byte(4<<4 | len(h)/4)
		put16(h[ipChecksum:], 0)
		putChecksum(h[ipChecksum:], sum(0, h))
	}
}
