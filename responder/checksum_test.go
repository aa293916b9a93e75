package responder

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// slowSum is RFC 1071 4.1 as it stands there: 16 bits at a time, in network
// order, an odd byte padded with zero, carries folded at the end.
func slowSum(b []byte) uint16 {
	var s uint64
	for i := 0; i+1 < len(b); i += 2 {
		s += uint64(b[i])<<8 | uint64(b[i+1])
	}
	if len(b)%2 == 1 {
		s += uint64(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// networkOrder gives a folded sum as the number that slowSum counts in.
func networkOrder(v uint16) uint16 { return v>>8 | v<<8 }

// TestSumAgainstRFC1071: every length that has a path of its own, at every
// alignment, with contents that carry everywhere and nowhere.
func TestSumAgainstRFC1071(t *testing.T) {
	r := rand.New(rand.NewPCG(1071, 0))
	contents := map[string]func() byte{
		"random":   func() byte { return byte(r.Uint32()) },
		"all ones": func() byte { return 0xff },
		"zero":     func() byte { return 0 },
		"sparse":   func() byte { return byte(r.Uint32()&1) * 0xff },
	}
	for name, next := range contents {
		buf := make([]byte, 308)
		for i := range buf {
			buf[i] = next()
		}
		for align := range 8 {
			for n := range 301 {
				b := buf[align : align+n]
				want := slowSum(b)
				if got := networkOrder(fold(sum(0, b))); got != want {
					t.Fatalf("%s, %d bytes at alignment %d: %04x, want %04x", name, n, align, got, want)
				}
			}
		}
	}
}

// TestSumContinues: a sum may be made in parts, each but the last of an even
// length, and from an accumulator that is nearly full.
func TestSumContinues(t *testing.T) {
	r := rand.New(rand.NewPCG(1071, 1))
	for range 2000 {
		b := make([]byte, r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		cut := r.IntN(len(b)/2+1) * 2
		if got, want := fold(sum(sum(0, b[:cut]), b[cut:])), fold(sum(0, b)); got != want {
			t.Fatalf("%d+%d bytes: %04x, want %04x", cut, len(b)-cut, got, want)
		}
		// 2^64-1 is one of the two zeros: it changes nothing but that zero itself.
		full := fold(sum(1<<64-1, b))
		if want := fold(sum(0, b)); full != want && (want != 0 || full != 0xffff) {
			t.Fatalf("%x on a full accumulator: %04x, want %04x", b, full, want)
		}
	}
}

// TestFold holds fold against division: 2^16 is 1 modulo 2^16-1, so folding
// keeps the remainder, and gives zero for zero alone.
func TestFold(t *testing.T) {
	r := rand.New(rand.NewPCG(1071, 2))
	values := []uint64{0, 1, 0xfffe, 0xffff, 0x10000, 0xffff0000, 0xffffffff, 0x100000000, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1}
	for range 10000 {
		values = append(values, r.Uint64()>>r.IntN(64))
	}
	for _, v := range values {
		got := uint64(fold(v))
		if got%0xffff != v%0xffff || (got == 0) != (v == 0) {
			t.Errorf("fold(%#x) = %#x, want %#x modulo 0xffff", v, got, v%0xffff)
		}
	}
}

// TestHeader20 holds the unrolled header sum against the plain one.
func TestHeader20(t *testing.T) {
	r := rand.New(rand.NewPCG(1071, 3))
	for i := range 2000 {
		h := make([]byte, 20)
		for i := range h {
			h[i] = byte(r.Uint32())
		}
		if i%4 == 0 {
			copy(h, bytes.Repeat([]byte{0xff}, i%21))
		}
		if got, want := networkOrder(fold(header20(h))), slowSum(h); got != want {
			t.Fatalf("%x: %04x, want %04x", h, got, want)
		}
	}
}

// TestRight: a stored checksum proves the data, and every flipped bit is noticed.
func TestRight(t *testing.T) {
	r := rand.New(rand.NewPCG(1071, 4))
	for range 300 {
		b := make([]byte, 4+r.IntN(100))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		binary.BigEndian.PutUint16(b[2:], 0)
		putChecksum(b[2:], sum(0, b))
		if slowSum(b) != 0xffff {
			t.Fatalf("%x: the checksum is not what RFC 1071 wants", b)
		}
		if !right(sum(0, b)) {
			t.Fatalf("%x: a right checksum is called wrong", b)
		}
		bit := r.IntN(len(b) * 8)
		b[bit/8] ^= 1 << (bit % 8)
		if right(sum(0, b)) {
			t.Fatalf("%x: bit %d was flipped unnoticed", b, bit)
		}
	}
	if right(0) {
		t.Error("all zeros, checksum included, prove nothing: RFC 1071 wants all ones")
	}
}

// TestSwap: a field summed as a number is the field summed as bytes.
func TestSwap(t *testing.T) {
	for _, v := range []uint16{0, 1, 0x0100, 0x1234, 0xffff} {
		b := binary.BigEndian.AppendUint16(nil, v)
		if got, want := fold(swap(v)), fold(sum(0, b)); got != want {
			t.Errorf("swap(%04x) sums to %04x, want %04x", v, got, want)
		}
	}
}
