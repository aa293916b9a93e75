package framegen

import "slices"

// mutate changes a sequence in one to three places. Checksums are made right
// again, more often than not: a wrong one hides all that comes after it.
func (g *Generator) mutate(frames [][]byte) [][]byte {
	for n := 1 + g.r.IntN(3); n > 0; n-- {
		if len(frames) > 1 && g.chance(6) {
			frames = g.reorder(frames)
			continue
		}
		i := g.r.IntN(len(frames))
		frames[i] = g.mutateFrame(frames[i])
	}
	if !g.chance(4) {
		for _, f := range frames {
			FixChecksums(f)
		}
	}
	return frames
}

// reorder moves, doubles or drops a frame of several.
func (g *Generator) reorder(frames [][]byte) [][]byte {
	i, j := g.r.IntN(len(frames)), g.r.IntN(len(frames))
	switch g.r.IntN(3) {
	case 0:
		frames[i], frames[j] = frames[j], frames[i]
	case 1:
		frames = slices.Insert(frames, j, slices.Clone(frames[i]))
	default:
		frames = slices.Delete(frames, i, i+1)
	}
	return frames
}

func (g *Generator) mutateFrame(f []byte) []byte {
	at, hl, isIPv4 := network(f)
	// Too short to have something in its header changed, as after a cut: it gets longer instead.
	if len(f) < at+8 || at == 0 {
		return append(f, g.bytes(8+g.r.IntN(32))...)
	}
	if !isIPv4 {
		// For all that is not IPv4 the length of an ARP message does.
		hl = min(28, len(f)-at)
	}
	switch g.r.IntN(12) {
	case 0: // any bit
		f[g.r.IntN(len(f))] ^= 1 << g.r.IntN(8)
	case 1, 2: // a bit of the headers
		f[at+g.r.IntN(min(len(f)-at, hl+20))] ^= 1 << g.r.IntN(8)
	case 3: // a byte
		f[at+g.r.IntN(min(len(f)-at, hl+20))] = pick(g, 0, 1, 2, 0x7f, 0x80, 0xff, byte(g.r.Uint32()))
	case 4: // a word
		i := at + g.r.IntN(min(len(f)-at, hl+20)-1)&^1
		be.PutUint16(f[i:], g.near(be.Uint16(f[i:])))
	case 5:
		return f[:g.r.IntN(len(f)+1)]
	case 6: // cut, and say so in the header
		f = f[:at+hl+g.r.IntN(len(f)-at-hl+1)]
		if isIPv4 {
			be.PutUint16(f[at+2:], uint16(len(f)-at))
		}
	case 7:
		f = append(f, g.bytes(1+g.r.IntN(32))...)
		if isIPv4 && g.chance(2) {
			be.PutUint16(f[at+2:], uint16(len(f)-at))
		}
	case 8:
		mac := g.oddMAC()
		copy(f[6*g.r.IntN(2):], mac[:])
	case 9, 10:
		g.mutateField(f, at, isIPv4)
	case 11: // header length
		if isIPv4 {
			f[at] = 4<<4 | byte(5+g.r.IntN(11))
		}
	}
	return f
}

// mutateField sets a field of an IPv4 header, or an address of an ARP message.
func (g *Generator) mutateField(f []byte, at int, isIPv4 bool) {
	h := f[at:]
	if !isIPv4 {
		if len(h) >= 28 {
			copy(h[pick(g, 14, 24):], g.oddAddress().AsSlice())
		}
		return
	}
	switch g.r.IntN(8) {
	case 0:
		h[1] = byte(g.r.Uint32())
	case 1:
		be.PutUint16(h[2:], g.near(be.Uint16(h[2:])))
	case 2:
		be.PutUint16(h[6:], pick[uint16](g, 0, 1, MoreFragments, MoreFragments|1, DontFragment, Reserved, 0x1fff, 0xffff))
	case 3:
		h[8] = pick[byte](g, 0, 1, 255)
	case 4:
		h[9] = pick[byte](g, ICMP, TCP, UDP, UDPLite, 2, 103, 132, byte(g.r.Uint32()))
	case 5:
		copy(h[12:], g.oddAddress().AsSlice())
	case 6:
		copy(h[16:], g.oddAddress().AsSlice())
	case 7:
		h[0] = byte(g.r.Uint32())
	}
}

// near is a value near v, or at an edge.
// Edges of lengths in headers, of signed words, and v in the wrong order of bytes.
func (g *Generator) near(v uint16) uint16 {
	return pick(g, v-1, v+1, v-8, v+8, v>>8|v<<8, 0, 1, 7, 8, 9, 20, 0x7fff, 0x8000, 0xffff, uint16(g.r.Uint32()))
}
