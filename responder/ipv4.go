package responder

// An IPv4 header, RFC 791 3.1.
const (
	ipVersionIHL = 0
	ipTOS        = ipVersionIHL + 1
	ipTotalLen   = ipTOS + 1
	ipIdent      = ipTotalLen + 2
	ipFragment   = ipIdent + 2
	ipTTL        = ipFragment + 2
	ipProtocol   = ipTTL + 1
	ipChecksum   = ipProtocol + 1
	ipSrc        = ipChecksum + 2
	ipDst        = ipSrc + 4
	ipMinLen     = ipDst + 4
	ipMaxLen     = 60

	flagDF       = 0x4000
	flagMF       = 0x2000
	offsetMask   = 0x1fff // in units of 8 bytes
	maxDatagram  = 65535
	minMTU       = 68 // RFC 791: every link carries so much
	ttl          = 64 // RFC 1700, and what Linux sends
	protoICMP    = 1
	protoIGMP    = 2
	protoTCP     = 6
	protoUDP     = 17
	protoPIM     = 103
	protoUDPLite = 136
)

// A packet is an IPv4 datagram for an alias while it is answered.
type packet struct {
	l     *link
	row   *row   // what it is counted in
	frame []byte // the frame, from its destination MAC on
	l3    int    // where the IPv4 header begins in it
	ip    []byte // the datagram: header and payload, without trailing bytes
	ihl   int    // header length
	src   uint32
	dst   uint32
	to    uint32  // where the answer goes: src, but for a source route
	opt   options // what the header's options ask for
	group bool    // the frame came to a group MAC
	ready bool    // transport checksums are computed and can be verified
	whole bool    // reassembled: ip is not in frame
}

// payload is what follows the header.
func (p *packet) payload() []byte { return p.ip[p.ihl:] }

// ipv4 answers a datagram for an alias. The checks come in the order of Linux's
// ip_rcv and ip_route_input, so that a datagram that is wrong in two ways is
// silent or refused just as there.
func (w *Worker) ipv4(l *link, frame []byte, l3 int, flags uint8) Verdict {
	ip := frame[l3:]
	if len(ip) < ipMinLen {
		return IPShort
	}
	if ip[ipVersionIHL]>>4 != 4 {
		return IPVersion
	}
	ihl := int(ip[ipVersionIHL]&15) * 4
	if ihl < ipMinLen {
		return IPHeaderLength
	}
	acc := header20(ip)
	if ihl > ipMinLen {
		if ihl > len(ip) {
			return IPShort
		}
		acc = sum(acc, ip[ipMinLen:ihl])
	}
	if !right(acc) {
		return IPChecksum
	}
	total := int(be16(ip[ipTotalLen:]))
	if total > len(ip) || total < ihl {
		return IPLength
	}
	src, dst := be32(ip[ipSrc:]), be32(ip[ipDst:])
	c := w.received(l, dst, len(frame))
	if c == nil {
		return IPNotAlias
	}
	// A sender that is an alias, or the host itself, is forged, or a second owner
	// that ARP will tell of.
	from := l.table.lookup(src)
	if bogon(src) || from == isAlias || from == hostOwn {
		return IPSource
	}
	if l.choosy && !l.allows(dst, src) {
		return NotFrom
	}
	ip = ip[:total:total]
	if ihl == ipMinLen && from == unknown && flags&ChecksumNotReady == 0 && be16(ip[ipFragment:])&(flagMF|offsetMask) == 0 && ip[ipProtocol] == protoICMP {
		if v, done := w.echoInPlace(l, frame, l3, ip, c); done {
			if v != EchoAnswered {
				w.fault(l, dst, v)
			}
			return v
		}
	}
	p := packet{
		l: l, row: c, frame: frame, l3: l3, ip: ip, ihl: ihl, src: src, dst: dst, to: src,
		group: frame[ethDst]&1 != 0, ready: flags&ChecksumNotReady == 0,
	}
	v := w.datagram(&p)
	w.fault(l, dst, v)
	return v
}

// datagram treats options and fragments, then hands the payload to its protocol.
func (w *Worker) datagram(p *packet) Verdict {
	if p.ihl > ipMinLen {
		if bad := w.parseOptions(p); bad != 0 {
			return w.refuse(p, icmpParameter, 0, uint32(bad)<<24, IPOptionRefused)
		}
		if p.opt.sourceRoute != 0 {
			return IPSourceRoute
		}
	}
	if be16(p.ip[ipFragment:])&(flagMF|offsetMask) != 0 {
		if v, done := w.reassemble(p); !done {
			return v
		}
	}
	return w.transport(p)
}

// transport answers a whole datagram.
func (w *Worker) transport(p *packet) Verdict {
	switch p.ip[ipProtocol] {
	case protoICMP:
		return w.icmp(p)
	case protoUDP:
		return w.udp(p)
	case protoUDPLite:
		return w.udpLite(p)
	case protoTCP:
		return w.tcp(p)
	case protoIGMP, protoPIM:
		return ProtocolSilent // Linux has a handler for these that wants no such datagram
	}
	return w.refuse(p, icmpUnreachable, codeProtocol, 0, ProtocolRefused)
}

// closed tells whether a refusal about the alias p is for may be sent.
func (p *packet) closed() Closed {
	if p.l.table.special {
		return p.l.table.labelOf(p.dst).closed
	}
	return p.l.closed
}

// pseudo sums the pseudo header of UDP and TCP (RFC 768, RFC 9293 3.1) for a
// payload of n bytes.
func (p *packet) pseudo(protocol uint8, n int) uint64 {
	return sum(swap(uint16(protocol))+swap(uint16(n)), p.ip[ipSrc:ipMinLen])
}

// putHeader writes an IPv4 header without options at h.
func putHeader(h []byte, tos uint8, total int, ident, fragment uint16, protocol uint8, src, dst uint32) {
	h = h[:ipMinLen]
	h[ipVersionIHL], h[ipTOS] = 4<<4|ipMinLen/4, tos
	put16(h[ipTotalLen:], uint16(total))
	put16(h[ipIdent:], ident)
	put16(h[ipFragment:], fragment)
	h[ipTTL], h[ipProtocol] = ttl, protocol
	put16(h[ipChecksum:], 0)
	put32(h[ipSrc:], src)
	put32(h[ipDst:], dst)
	putChecksum(h[ipChecksum:], header20(h))
}
