package responder

// The options of an answer, as Linux's ip_options_echo and ip_options_build make
// them from those of the request.

// echoOptions gives the options of an answer to p: record route, timestamp, source
// route and CIPSO, in this order whatever the request's, padded to 4 bytes. They are valid until the
// next call. Linux gives up the answer where an option has become inconsistent: ok
// is false.
func (w *Worker) echoOptions(p *packet) (opts []byte, ok bool) {
	opts = w.optBuf[:0]
	if at := p.opt.recordRoute; at != 0 {
		o := p.ip[at : at+int(p.ip[at+1])]
		n := len(opts)
		opts = append(opts, o...)
		if next := int(o[2]); p.opt.fillRoute && next <= len(o) {
			if next+3 > len(o) {
				return nil, false
			}
			put32(opts[n+next-1:], p.dst)
			opts[n+2] += 4
		}
	}
	if at := p.opt.timestamp; at != 0 {
		n := len(opts)
		opts = append(opts, p.ip[at:at+int(p.ip[at+1])]...)
		if !w.echoTimestamp(p, opts[n:]) {
			return nil, false
		}
	}
	if at := p.opt.sourceRoute; at != 0 {
		opts = reverseRoute(p, p.ip[at:at+int(p.ip[at+1])], opts)
	}
	if at := p.opt.cipso; at != 0 {
		opts = append(opts, p.ip[at:at+int(p.ip[at+1])]...)
	}
	for len(opts)&3 != 0 {
		opts = append(opts, optEnd)
	}
	return opts, true
}

// echoTimestamp fills the slot that the way out takes in the copy o of p's
// timestamp option.
func (w *Worker) echoTimestamp(p *packet, o []byte) (ok bool) {
	next := int(o[2])
	if next > len(o) {
		return true
	}
	address, clock := p.opt.fillAddress, p.opt.fillTime
	if address {
		if next+3 > len(o) {
			return false
		}
		next += 4
	}
	if clock {
		if next+3 > len(o) {
			return false
		}
		if o[3]&15 != tsPrespecified {
			next += 4
		} else {
			clock = next+7 <= len(o) && p.l.isLocal(be32(o[next-1:]))
			if clock {
				next += 8
			}
		}
	}
	o[2] = byte(next)
	if address {
		put32(o[next-9:], p.dst)
	}
	if clock {
		put32(o[next-5:], w.timeOfDay())
	}
	return true
}

// reverseRoute appends to opts the way back along a source route, RFC 1122 3.2.1.8:
// the hops that were passed, the last first, and the sender at the end. The
// answer then goes to the last of them. Only an error about a later option ever
// carries one, since nothing else that is source routed is answered.
func reverseRoute(p *packet, o, opts []byte) []byte {
	// The pointer counts from 1 and stands behind the last hop; it need not be aligned.
	next := min(int(o[2]), len(o)+1) - 1
	hops := (next - 3) / 4
	if oldest := next - 4*hops; hops > 0 && be32(o[oldest:]) == p.src {
		hops-- // RFC 1812 5.3.13.4: the sender had put itself at the head
	}
	if hops == 0 {
		return opts
	}
	p.to = be32(o[next-4:])
	opts = append(opts, o[0], byte(3+4*hops), 4)
	for i := 2; i <= hops; i++ {
		opts = append(opts, o[next-4*i:next-4*i+4]...)
	}
	return append(opts, byte(p.src>>24), byte(p.src>>16), byte(p.src>>8), byte(p.src))
}

// laterOptions turns the options of a first fragment into those of the later
// ones: what is not to be copied becomes no-operation, RFC 791 3.1.
func laterOptions(opts []byte) {
	for at := 0; at < len(opts) && opts[at] != optEnd; {
		if opts[at] == optNop {
			at++
			continue
		}
		end := at + int(opts[at+1])
		if opts[at]&optCopied == 0 {
			for i := at; i < end; i++ {
				opts[i] = optNop
			}
		}
		at = end
	}
}
