package responder

// IP options, RFC 791 3.1, as Linux treats them: record route and timestamp are
// filled on the way in and again on the way out, CIPSO comes back unchanged in
// errors, the rest is passed over (RFC 7126 says which may be).
const (
	optEnd         = 0
	optNop         = 1
	optRecordRoute = 7
	optTimestamp   = 68
	optLooseRoute  = 131
	optCIPSO       = 134
	optStrictRoute = 137
	optRouterAlert = 148

	optCopied = 0x80 // in the option's type: also in later fragments

	tsOnly         = 0 // flags of the timestamp option
	tsAddress      = 1
	tsPrespecified = 3
)

// options is what parseOptions found in a header. The numbers are offsets from
// the header's first byte, 0 for none: where Linux keeps inet_skb_parm.
type options struct {
	recordRoute, timestamp, sourceRoute, cipso int

	fillRoute             bool // the route had room: record the way out too
	fillAddress, fillTime bool // the same of the timestamp option
}

// parseOptions checks the options of p and fills in, in place, what a host that
// receives the datagram records. bad is the offset of the offending byte, 0 if
// there is none; p.opt holds what came before it.
//
// Linux 6.18, net/ipv4/ip_options.c, is what this does step by step: the order of
// the checks decides where the pointer of a Parameter Problem points.
func (w *Worker) parseOptions(p *packet) (bad int) {
	h := p.ip[:p.ihl]
	for at := ipMinLen; at < len(h); {
		switch h[at] {
		case optEnd:
			clear(h[at:])
			return 0
		case optNop:
			at++
			continue
		}
		if len(h)-at < 2 || h[at+1] < 2 || int(h[at+1]) > len(h)-at {
			return at
		}
		o := h[at : at+int(h[at+1])]
		offset := 0
		switch o[0] {
		case optLooseRoute, optStrictRoute:
			offset = parseSourceRoute(p, o, at)
		case optRecordRoute:
			offset = parseRecordRoute(p, o, at)
		case optTimestamp:
			offset = w.parseTimestamp(p, o, at)
		case optRouterAlert:
			if len(o) < 4 { // RFC 2113
				offset = 1
			}
		case optCIPSO:
			if p.opt.cipso != 0 {
				return at
			}
			p.opt.cipso = at
			offset = parseCIPSO(o)
		}
		switch {
		case offset == again:
			return at
		case offset != 0:
			return at + offset
		}
		at += len(o)
	}
	return 0
}

// again is the offset, other than 0 for none, of an option's own first byte: it
// may not come twice.
const again = -1

func parseSourceRoute(p *packet, o []byte, at int) (bad int) {
	switch {
	case len(o) < 3:
		return 1
	case o[2] < 4:
		return 2
	case p.opt.sourceRoute != 0:
		return again
	}
	p.opt.sourceRoute = at
	return 0
}

func parseRecordRoute(p *packet, o []byte, at int) (bad int) {
	switch {
	case p.opt.recordRoute != 0:
		return again
	case len(o) < 3:
		return 1
	case o[2] < 4:
		return 2
	}
	if next := int(o[2]); next <= len(o) {
		if next+3 > len(o) {
			return 2
		}
		put32(o[next-1:], p.dst)
		o[2] += 4
		p.opt.fillRoute = true
	}
	p.opt.recordRoute = at
	return 0
}

func (w *Worker) parseTimestamp(p *packet, o []byte, at int) (bad int) {
	switch {
	case p.opt.timestamp != 0:
		return again
	case len(o) < 4:
		return 1
	case o[2] < 5:
		return 2
	}
	if next := int(o[2]); next <= len(o) {
		if next+3 > len(o) {
			return 2
		}
		flags := o[3] & 15
		if (flags == tsAddress || flags == tsPrespecified) && next+7 > len(o) {
			return 2
		}
		w.stamp(p, o, next, flags)
	} else if o[3]&15 != tsPrespecified {
		if o[3]>>4 == 15 {
			return 3
		}
		o[3] += 1 << 4 // one more host that found no room
	}
	p.opt.timestamp = at
	return 0
}

// stamp fills the next slot of a timestamp option, at next (counted from 1).
func (w *Worker) stamp(p *packet, o []byte, next int, flags byte) {
	switch flags {
	case tsOnly:
		put32(o[next-1:], w.timeOfDay())
		o[2] += 4
	case tsAddress:
		put32(o[next-1:], p.dst)
		put32(o[next+3:], w.timeOfDay())
		o[2] += 8
		p.opt.fillAddress = true
	case tsPrespecified:
		if !p.l.isLocal(be32(o[next-1:])) {
			return
		}
		put32(o[next+3:], w.timeOfDay())
		o[2] += 8
	default:
		return // Linux lets unknown flags pass
	}
	p.opt.fillTime = true
}

// isLocal tells whether a is anything but somebody else's unicast address, as
// inet_addr_type does.
func (l *link) isLocal(a uint32) bool { return bogon(a) || l.table.lookup(a) != unknown }

// parseCIPSO points at what is wrong with a Commercial IP Security Option: its
// length, or its domain of interpretation, since a host like this one knows none.
func parseCIPSO(o []byte) (bad int) {
	if len(o) < 8 {
		return 1
	}
	return 2
}
