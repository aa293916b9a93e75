package framegen

import "net/netip"

// network tells where the IPv4 header of a frame starts; VLAN tags are
// passed over. ok is false if it holds no IPv4 header whose length makes sense.
func network(f []byte) (at, headerLen int, ok bool) {
	if len(f) < etherLen {
		return 0, 0, false
	}
	at = etherLen
	typ := be.Uint16(f[12:])
	for (typ == TypeVLAN || typ == TypeQinQ) && len(f) >= at+4 {
		typ = be.Uint16(f[at+2:])
		at += 4
	}
	if typ != TypeIPv4 || len(f) < at+ipv4Len {
		return at, 0, false
	}
	headerLen = int(f[at]&15) * 4
	return at, headerLen, headerLen >= ipv4Len && at+headerLen <= len(f)
}

// FixChecksums makes the checksums of an IPv4 frame right, in place: that of the
// header, and that of the message inside, if the frame holds all of it.
func FixChecksums(f []byte) {
	at, hl, ok := network(f)
	if !ok {
		return
	}
	h := f[at:]
	be.PutUint16(h[10:], 0)
	be.PutUint16(h[10:], ^sum(0, h[:hl]))
	total := int(be.Uint16(h[2:]))
	if total < hl || total > len(h) || be.Uint16(h[6:])&(MoreFragments|0x1fff) != 0 {
		return
	}
	fixMessage(h[9], netip.AddrFrom4([4]byte(h[12:16])), netip.AddrFrom4([4]byte(h[16:20])), h[hl:total])
}

// fixMessage makes the checksum of a whole transport message right.
// What has no checksum or none that it knows is left alone, also what is too short for one.
func fixMessage(protocol byte, src, dst netip.Addr, m []byte) {
	var place int // of the checksum
	start, covered := pseudo(src, dst, protocol, len(m)), len(m)
	switch protocol {
	case ICMP:
		place, start = 2, 0
	case TCP:
		place = 16
	case UDP:
		place = 6
		if len(m) >= 8 && be.Uint16(m[6:]) == 0 {
			return // there is none, and that is right
		}
		// As hosts do: by UDP's own length, which may be less than IP's.
		if len(m) >= 8 && int(be.Uint16(m[4:])) <= len(m) {
			covered = int(be.Uint16(m[4:]))
			start = pseudo(src, dst, protocol, covered)
		}
	case UDPLite:
		place = 6
		if len(m) >= 8 {
			if c := int(be.Uint16(m[4:])); c != 0 && c < covered {
				covered = c
			}
		}
	default:
		return
	}
	if len(m) < place+2 || covered < place+2 {
		return
	}
	be.PutUint16(m[place:], 0)
	c := ^sum(start, m[:covered])
	// UDP and UDP-Lite write 0 as 0xffff, RFC 768 and 3828 3.1.
	if c == 0 && protocol != ICMP && protocol != TCP {
		c = 0xffff
	}
	be.PutUint16(m[place:], c)
}

// Renumber adds n to the IPv4 identifications of copies of the frames, so that
// pieces do not meet those that a host still keeps from before. A header
// checksum that is right stays right, a wrong one stays wrong.
func Renumber(frames [][]byte, n uint16) [][]byte {
	copies := Clone(frames)
	for _, f := range copies {
		at, _, ok := network(f)
		if !ok {
			continue
		}
		h := f[at:]
		old := be.Uint16(h[4:])
		be.PutUint16(h[4:], old+n)
		// RFC 1624: HC' = ~(~HC + ~m + m')
		// Not computed anew: that would make a wrong one right.
		s := uint32(^be.Uint16(h[10:])) + uint32(^old) + uint32(old+n)
		for s > 0xffff {
			s = s>>16 + s&0xffff
		}
		be.PutUint16(h[10:], ^uint16(s))
	}
	return copies
}

// Clone copies a sequence of frames.
func Clone(frames [][]byte) [][]byte {
	copies := make([][]byte, len(frames))
	for i, f := range frames {
		copies[i] = append([]byte(nil), f...)
	}
	return copies
}
