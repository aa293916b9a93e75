package main

import (
	"bytes"
	"encoding/binary"

	"github.com/ipalias/ipalias/internal/dissect"
)

// idents compares frames whose IPv4 identifications are the sender's to choose.
// It remembers those of the last pair, since the pieces of one datagram share
// theirs.
type idents struct{ want, got uint16 }

const dontFragment = 0x40 // in the first byte of flags and offset

// same compares want and got byte for byte, but for an identification that means
// something to nobody but the sender, and what it does to the header's checksum.
// Where DF is set there is none to choose: Linux sends 0 or the socket's.
func (p *idents) same(want, got []byte) bool {
	at, ok := dissect.IPv4Header(got)
	other, both := dissect.IPv4Header(want)
	if !ok || !both || at != other || got[at+6]&dontFragment != 0 {
		return bytes.Equal(want, got)
	}
	be := binary.BigEndian
	now := idents{want: be.Uint16(want[at+4:]), got: be.Uint16(got[at+4:])}
	before := *p
	*p = now
	if piece := be.Uint16(got[at+6:])&0x1fff != 0; piece && (now.want == before.want) != (now.got == before.got) {
		return false
	}
	// Made as got would be with the other identification, then compared whole: whatever else
	// differs is still found, the checksum included.
	as := bytes.Clone(got)
	be.PutUint16(as[at+4:], now.want)
	// RFC 1624: a checksum that was right stays so, a wrong one stays wrong.
	sum := uint32(^be.Uint16(got[at+10:])) + uint32(^now.got) + uint32(now.want)
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	be.PutUint16(as[at+10:], ^uint16(sum))
	return bytes.Equal(want, as)
}
