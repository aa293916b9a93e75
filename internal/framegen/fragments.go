package framegen

import "slices"

// fragments makes the pieces of datagrams: right ones, mostly, and everything
// that can be wrong with them.
func (g *Generator) fragments() [][]byte {
	d := g.whole()
	pieces := d.Cut(g.cuts(len(d.Payload))...)
	switch g.r.IntN(16) {
	case 0:
		g.r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	case 1:
		slices.Reverse(pieces)
	case 2: // a gap
		if i := g.r.IntN(len(pieces)); len(pieces) > 1 {
			pieces = slices.Delete(pieces, i, i+1)
		}
	case 3: // an exact duplicate
		pieces = slices.Insert(pieces, g.r.IntN(len(pieces)+1), pick(g, pieces...))
	// Three times as often, for here the cases are fine: an overlap throws the datagram away, a
	// piece that lies within another is a duplicate and does not (inet_frag_queue_insert).
	case 4, 5, 6:
		pieces = slices.Insert(pieces, g.r.IntN(len(pieces)+1), g.overlap(d, pieces))
	case 7: // ends beyond 65535, or nearly
		p := pick(g, pieces...)
		// 65528 is the highest offset there is: 13 bits of eight bytes.
		p.Offset = pick(g, 65528, 65520, 65512, 65488, 65504)
		pieces = slices.Insert(pieces, g.r.IntN(len(pieces)+1), p)
	// Linux cuts a piece that is not the last to whole units (ip_frag_queue).
	case 8: // no multiple of eight, or nothing at all
		p := &pieces[g.r.IntN(len(pieces))]
		p.Payload = p.Payload[:g.r.IntN(len(p.Payload)+1)]
	case 9: // a second end
		p := pick(g, pieces...)
		p.Flags &^= MoreFragments
		pieces = append(pieces, p)
	// The answer has the header of one of them, and their ECN put together (RFC 3168 5.3).
	case 10: // each piece with a header of its own kind
		for i := range pieces {
			pieces[i].TOS = pick[byte](g, 0, 1, 2, 3, 0x10, 0xb9)
			pieces[i].TTL = pick[byte](g, 1, 2, 64, 255)
			if g.chance(3) {
				pieces[i].Options = g.ipOptions()
			}
			pieces[i].Flags ^= pick[uint16](g, 0, 0, DontFragment, Reserved)
		}
	case 11: // two datagrams at once
		e := g.whole()
		other := e.Cut(g.cuts(len(e.Payload))...)
		for i, p := range other {
			pieces = slices.Insert(pieces, min(2*i, len(pieces)), p)
		}
	case 12:
		// Seldom, for it is 64 frames.
		if g.chance(8) {
			pieces = g.crowd(pieces)
		}
	}
	var frames [][]byte
	for _, p := range pieces {
		frames = append(frames, g.frame(p))
	}
	return frames
}

// crowd puts first pieces of many other datagrams between two pieces: Linux gives
// a datagram up once 64 others of its source came between (ipfrag_max_dist).
func (g *Generator) crowd(pieces []IPv4) []IPv4 {
	at := g.r.IntN(len(pieces) + 1)
	for n := pick(g, 62, 63, 64, 65); n > 0; n-- {
		p := pieces[0]
		g.id++
		p.ID, p.Offset, p.Flags, p.Payload = g.id, 0, MoreFragments, make([]byte, 8)
		pieces = slices.Insert(pieces, at, p)
	}
	return pieces
}

// whole is a datagram to be cut: of any kind, large now and then.
func (g *Generator) whole() IPv4 {
	n := pick(g, g.r.IntN(64), g.r.IntN(200), g.r.IntN(200), g.r.IntN(3000))
	if g.chance(40) {
		// With two headers 65507 makes 65535 bytes, the longest datagram; one more makes one that
		// no total length can say, and only pieces can carry.
		n = pick(g, 65507, 65508, 20000, 9000+g.r.IntN(1000))
	}
	d := g.datagram(pick[byte](g, ICMP, ICMP, ICMP, UDP, TCP, UDPLite, 253))
	d.Flags &^= Reserved
	from, to := g.ports()
	payload := g.bytes(n)
	switch d.Protocol {
	case ICMP:
		d.Payload = ICMPMessage(8, 0, g.r.Uint32(), payload)
	case UDP:
		d.Payload = UDPMessage(d.Src, d.Dst, from, to, payload)
	case TCP:
		d.Payload = TCPSegment{From: from, To: to, Seq: g.r.Uint32(), Flags: syn, Payload: payload}.Bytes(d.Src, d.Dst)
	case UDPLite:
		d.Payload = UDPLiteMessage(d.Src, d.Dst, from, to, 0, payload)
	default:
		d.Payload = payload
	}
	if g.chance(6) {
		d.Options = g.ipOptions()
	}
	return d
}

// cuts chooses where to cut so many bytes: at multiples of eight, so that each
// piece fits into a frame.
func (g *Generator) cuts(n int) []int {
	const most = 1440 // with 40 bytes of options in a frame of 1500
	var ends []int
	step := pick(g, 8, 16, 24, 32, 64, 200, 800, most)
	if n > 400 {
		step = max(step, 200)
	}
	if n > 4000 {
		step = most
	}
	for end := step; end < n; end += step {
		ends = append(ends, end)
		if g.chance(3) && step < most && n <= 4000 {
			step += 8
		}
	}
	return ends
}

// overlap makes a piece that shares bytes with some of the others.
// Half of them hold the very bytes that are there already: hosts are to go by places alone.
func (g *Generator) overlap(d IPv4, pieces []IPv4) IPv4 {
	p := pick(g, pieces...)
	start := max(0, p.Offset+pick(g, 0, 0, 0, -8, 8, -16, 16))
	n := max(0, len(p.Payload)+pick(g, 0, 0, -8, 8, 16, -1, 1))
	p.Offset = start
	p.Payload = make([]byte, min(n, 1440))
	if start < len(d.Payload) && g.chance(2) {
		copy(p.Payload, d.Payload[start:])
	}
	if g.chance(4) {
		p.Flags ^= MoreFragments
	}
	return p
}
