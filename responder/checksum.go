package responder

import (
	"encoding/binary"
	"math/bits"
)

// The Internet checksum, RFC 1071: the ones' complement sum of 16-bit words.
//
// Sums are kept in the byte order of little-endian loads, whatever the machine
// (RFC 1071 2B: the sum does not care), in 64 bits with end-around carry; fold
// brings them to 16 bits, and only store and the header fields themselves see
// the order. An unsummed 16-bit field v in network order is added as swap(v).

// sum adds the bytes of b to acc.
func sum(acc uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 64 {
		// One slice with a known end makes the compiler drop the bounds checks, and
		// one unbroken chain of Add64 becomes one of ADC.
		c := b[:64:64]
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c), 0)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[8:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[16:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[24:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[32:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[40:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[48:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[56:]), carry)
		acc += carry // cannot carry again: the sum before was at most 2^64-2
		b = b[64:]
	}
	if len(b) >= 32 {
		c := b[:32:32]
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c), 0)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[8:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[16:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(c[24:]), carry)
		acc += carry
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc += carry
		b = b[8:]
	}
	if len(b) > 0 {
		acc, carry = bits.Add64(acc, tail(b), 0)
		acc += carry
	}
	return acc
}

// sumLong sums what has at least eight bytes. Its tail is the upper part of a load of
// the last eight: no branch depends on how many bytes are left.
func sumLong(b []byte) uint64 {
	last := binary.LittleEndian.Uint64(b[len(b)-8:])
	odd := len(b) & 7
	acc, carry := bits.Add64(sum(0, b[:len(b)-odd]), last>>8>>(56-8*odd&63), 0)
	return acc + carry
}

// tail loads the last 1 to 7 bytes, zeros after them (RFC 1071: an odd byte is
// padded with zero).
func tail(b []byte) (v uint64) {
	if len(b) >= 4 {
		v = uint64(binary.LittleEndian.Uint32(b))
		if len(b) > 4 {
			v |= tail3(b[4:]) << 32
		}
		return v
	}
	return tail3(b)
}

// tail3 loads 1 to 3 bytes.
func tail3(b []byte) uint64 {
	v := uint64(b[0])
	if len(b) > 1 {
		v |= uint64(b[1]) << 8
	}
	if len(b) > 2 {
		v |= uint64(b[2]) << 16
	}
	return v
}

// header20 sums an IPv4 header without options. It inlines.
func header20(h []byte) uint64 {
	h = h[:20:20]
	a, c := bits.Add64(binary.LittleEndian.Uint64(h), binary.LittleEndian.Uint64(h[8:]), 0)
	a, c = bits.Add64(a, uint64(binary.LittleEndian.Uint32(h[16:])), c)
	return a + c
}

// fold brings a sum to 16 bits.
func fold(acc uint64) uint16 {
	high, carry := bits.Add32(uint32(acc>>32), uint32(acc), 0)
	high += carry // at most 2^32-1: both halves all ones gave 2^32-2 and the carry
	low := high&0xffff + high>>16
	return uint16(low + low>>16)
}

// right tells whether a sum over data and its checksum field proves the data
// undamaged: every bit set.
func right(acc uint64) bool { return fold(acc) == 0xffff }

// swap turns a field in network order into the order of sums.
func swap(v uint16) uint64 { return uint64(bits.ReverseBytes16(v)) }

// putChecksum stores the checksum of acc at b[0:2].
func putChecksum(b []byte, acc uint64) { binary.LittleEndian.PutUint16(b, ^fold(acc)) }
