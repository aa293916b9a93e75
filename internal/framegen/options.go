package framegen

// The IPv4 options with a meaning to some host, RFC 791 and the registry.
const (
	optEnd       = 0
	optNop       = 1
	optRecord    = 7
	optTimestamp = 68
	optLSRR      = 131
	optSSRR      = 137
	optCIPSO     = 134
)

// options makes datagrams whose options are the point: mostly echo requests,
// which return them.
func (g *Generator) options() [][]byte {
	d := g.datagram(ICMP)
	d.Options = g.ipOptions()
	d.Payload = ICMPMessage(8, 0, g.r.Uint32(), g.bytes(g.r.IntN(32)))
	if g.chance(8) {
		d.Payload = ICMPMessage(13, 0, g.r.Uint32(), g.bytes(12))
	}
	return [][]byte{g.frame(d)}
}

func (g *Generator) ipOptions() []byte {
	var b []byte
	for n := 1 + g.r.IntN(3); n > 0; n-- {
		b = append(b, g.ipOption(40-len(b))...)
		if len(b) >= 40 {
			break
		}
	}
	return b[:min(len(b), 40)]
}

// ipOption makes one option, which tries to fit into so many bytes.
// It may not: what does not fit is cut, and its length then leads out of the header.
func (g *Generator) ipOption(room int) []byte {
	switch g.r.IntN(12) {
	case 0:
		return []byte{optNop}
	case 1:
		if g.chance(3) {
			return []byte{optEnd}
		}
		return []byte{optNop, optNop, optNop}
	case 2, 3, 4:
		return g.route(optRecord, room)
	case 5, 6, 7:
		return g.timestamp(room)
	case 8:
		return g.route(pick[byte](g, optLSRR, optSSRR), room)
	case 9:
		return g.cipso()
	}
	n := pick(g, 0, 1, 2, 3, 4, 4, 4, 8, 11, 40, g.r.IntN(256))
	b := append([]byte{pick[byte](g, 148, 130, 136, 133, 30, 82, 25, 0x5e, byte(g.r.Uint32())), byte(n)}, g.bytes(max(0, min(n-2, 38)))...)
	return b[:min(len(b), max(room, 2))]
}

// route makes a record route or source route option.
func (g *Generator) route(kind byte, room int) []byte {
	slots := g.r.IntN(1 + max(0, min(9, (room-3)/4)))
	n := 3 + 4*slots
	if g.chance(8) {
		n = max(2, n+pick(g, -1, 1, 2, 3))
	}
	// Pointers count from 1, at the kind: 4 is the first slot, and 5 in a timestamp option.
	b := append([]byte{kind, byte(n), 4}, make([]byte, max(0, n-3))...)
	if g.chance(3) {
		copy(b[3:], g.bytes(n)) // somebody was there before
		b[2] = byte(4 + 4*g.r.IntN(slots+2))
	}
	if g.chance(3) && slots > 0 {
		copy(b[3+4*g.r.IntN(slots):], pick(g, g.h.Aliases...).AsSlice())
	}
	return g.spoil(b)
}

// timestamp makes a timestamp option with any flag.
// RFC 791 3.1 knows the flags 0, 1 and 3. The upper half of their byte counts hosts that found
// no room: at 15 one more is an error.
func (g *Generator) timestamp(room int) []byte {
	flag := pick[byte](g, 0, 0, 1, 1, 3, 3, 2, byte(g.r.IntN(16)))
	step := 8
	if flag == 0 {
		step = 4
	}
	slots := g.r.IntN(1 + max(0, (room-4)/step))
	n := 4 + step*slots
	if g.chance(8) {
		n = max(2, n+pick(g, -2, -1, 1, 2, 3, 4))
	}
	b := append([]byte{optTimestamp, byte(n), 5, pick[byte](g, 0, 0, 0, 0x10, 0xe0, 0xf0) | flag}, make([]byte, max(0, n-4))...)
	for i := 4; flag == 3 && i+8 <= n; i += 8 { // prespecified addresses
		copy(b[i:], pick(g, pick(g, g.h.Aliases...), g.h.Gateway, g.oddAddress()).AsSlice())
	}
	if g.chance(4) {
		b[2] = byte(5 + step*g.r.IntN(slots+2))
	}
	return g.spoil(b)
}

// cipso makes a commercial security option, which hosts check closely.
// Linux does with or without NetLabel (cipso_v4_validate), and quotes it in errors.
func (g *Generator) cipso() []byte {
	n := g.r.IntN(12)
	b := append([]byte{optCIPSO, byte(6 + n), 0, 0, 0, byte(g.r.IntN(2))}, make([]byte, n)...)
	if n >= 4 {
		b[6], b[7] = pick[byte](g, 1, 2, 5, 6, 7, 128), pick(g, byte(n), 4, byte(g.r.Uint32()))
	}
	return g.spoil(b)
}

// spoil makes an option's length or pointer wrong, now and then.
func (g *Generator) spoil(b []byte) []byte {
	if g.chance(6) {
		b[1] = pick(g, 0, 1, 2, 3, b[1]-1, b[1]+1, b[1]+4, 40, 255)
	}
	if g.chance(6) && len(b) > 2 {
		b[2] = pick(g, 0, 1, 3, 4, 5, 6, 7, 8, 9, b[1]-3, b[1]-1, b[1], b[1]+1, b[1]+2, 255)
	}
	return b
}
