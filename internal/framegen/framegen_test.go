package framegen

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
)

func TestDeterministic(t *testing.T) {
	a, b, other := New(Lab(), 7), New(Lab(), 7), New(Lab(), 8)
	same := true
	for range 2000 {
		x, y, z := a.Next(), b.Next(), other.Next()
		if x.Group != y.Group || !slices.EqualFunc(x.Frames, y.Frames, bytes.Equal) {
			t.Fatal("one seed made two different sequences")
		}
		same = same && slices.EqualFunc(x.Frames, z.Frames, bytes.Equal)
	}
	if same {
		t.Error("two seeds made the same sequences")
	}
}

func TestEveryGroup(t *testing.T) {
	g := New(Lab(), 1)
	seen := map[string]int{}
	mutated, right := 0, 0
	const n = 20000
	for range n {
		s := g.Next()
		seen[s.Group]++
		if s.Mutated {
			mutated++
		}
		if !slices.ContainsFunc(s.Frames, func(f []byte) bool { return !checksumsRight(f) }) {
			right++
		}
	}
	for _, name := range Groups() {
		if seen[name] < n/40 {
			t.Errorf("%d of %d sequences are of group %s", seen[name], n, name)
		}
	}
	if mutated < n/3 || mutated > n*2/3 {
		t.Errorf("%d of %d sequences are mutated, want about half", mutated, n)
	}
	if right < n/2 || right == n {
		t.Errorf("%d of %d sequences have right checksums, want most of them", right, n)
	}
}

func checksumsRight(f []byte) bool {
	c := bytes.Clone(f)
	FixChecksums(c)
	return bytes.Equal(c, f)
}

var (
	src = netip.MustParseAddr("172.16.3.200")
	dst = netip.MustParseAddr("172.16.3.10")
)

// The builders and FixChecksums compute checksums in two ways.
func TestBuildersAreRight(t *testing.T) {
	h := Lab()
	odd := []byte("odd length!")
	for name, d := range map[string]IPv4{
		"ICMP":             {Protocol: ICMP, Payload: ICMPMessage(8, 0, 0x10001, odd)},
		"UDP":              {Protocol: UDP, Payload: UDPMessage(src, dst, 1, 2, odd)},
		"UDP-Lite":         {Protocol: UDPLite, Payload: UDPLiteMessage(src, dst, 1, 2, 0, odd)},
		"UDP-Lite, part":   {Protocol: UDPLite, Payload: UDPLiteMessage(src, dst, 1, 2, 9, odd)},
		"TCP":              {Protocol: TCP, Payload: TCPSegment{From: 1, To: 2, Flags: syn, Options: []byte{2, 4, 5, 0xb4, 1}, Payload: odd}.Bytes(src, dst)},
		"options":          {Protocol: 253, Options: []byte{7, 7, 4, 0, 0, 0, 0}, Payload: odd},
		"too many options": {Protocol: 253, Options: make([]byte, 50), Payload: odd},
	} {
		d.Src, d.Dst = src, dst
		f := Ether(h.MAC, h.From, TypeIPv4, d.Bytes())
		if !checksumsRight(f) {
			t.Errorf("%s: wrong checksum in %x", name, f)
		}
		for i := etherLen + 1; i < etherLen+ipv4Len; i++ { // the first byte is the header's length
			broken := bytes.Clone(f)
			broken[i] ^= 0x10
			if checksumsRight(broken) {
				t.Errorf("%s: byte %d is in no checksum", name, i)
			}
		}
	}
	// RFC 1071 has no vector of a header; this one was sent by a kernel.
	want := uint16(0x1719)
	b := IPv4{Protocol: ICMP, ID: 0x04d2, Src: src, Dst: dst, Payload: make([]byte, 12)}.Bytes()
	if got := be.Uint16(b[10:]); got != want {
		t.Errorf("header checksum %#04x, want %#04x", got, want)
	}
}

func TestCut(t *testing.T) {
	d := IPv4{Protocol: ICMP, ID: 3, Src: src, Dst: dst, Payload: []byte("0123456701234567012")}
	pieces := d.Cut(8, 16)
	var whole []byte
	for i, p := range pieces {
		if p.Offset != len(whole) || (p.Flags&MoreFragments != 0) != (i < 2) || p.ID != 3 {
			t.Errorf("piece %d: offset %d, flags %#x", i, p.Offset, p.Flags)
		}
		whole = append(whole, p.Payload...)
	}
	if len(pieces) != 3 || !bytes.Equal(whole, d.Payload) {
		t.Errorf("%d pieces of %q", len(pieces), whole)
	}
}

func TestRenumber(t *testing.T) {
	g := New(Lab(), 3)
	for range 2000 {
		frames := g.Next().Frames
		for _, n := range []uint16{1, 0xffff, 0x8000} {
			again := Renumber(frames, n)
			back := Renumber(again, -n)
			for i, f := range frames {
				at, _, ok := network(f)
				if !ok {
					continue
				}
				if be.Uint16(again[i][at+4:]) != be.Uint16(f[at+4:])+n {
					t.Fatalf("%x became %x", f, again[i])
				}
				if headerRight(f) != headerRight(again[i]) {
					t.Fatalf("checksum of %x: %v, of %x: %v", f, headerRight(f), again[i], headerRight(again[i]))
				}
				if headerRight(f) && be.Uint16(f[at+10:])%0xffff != 0 && !bytes.Equal(f, back[i]) {
					t.Fatalf("there and back: %x became %x", f, back[i])
				}
			}
		}
	}
}

func headerRight(f []byte) bool {
	at, hl, ok := network(f)
	return ok && sum(0, f[at:at+hl]) == 0xffff
}

func TestShrink(t *testing.T) {
	h := Lab()
	echo := Ether(h.MAC, h.From, TypeIPv4, IPv4{Protocol: ICMP, ID: 77, TOS: 0x20, Src: src, Dst: dst,
		Options: []byte{7, 7, 4, 0, 0, 0, 0}, Payload: ICMPMessage(8, 3, 0x10001, make([]byte, 500))}.Bytes())
	other := Ether(h.MAC, h.From, TypeARP, ARP{Sender: src, Target: dst}.Bytes())
	// What fails is a code of 3 in an ICMP message whose checksums are right.
	tried := 0
	small := Shrink([][]byte{other, echo, other}, 5000, func(frames [][]byte) bool {
		tried++
		return slices.ContainsFunc(frames, func(f []byte) bool {
			at, hl, ok := network(f)
			return ok && len(f) >= at+hl+8 && f[at+9] == ICMP && f[at+hl+1] == 3 && checksumsRight(f) && len(f) == at+int(be.Uint16(f[at+2:]))
		})
	})
	if len(small) != 1 || len(small[0]) > etherLen+ipv4Len+8+8 { // the options may stay
		t.Fatalf("shrank to %x", small)
	}
	at, hl, _ := network(small[0])
	if small[0][at+hl+1] != 3 || small[0][at+1] != 0 || be.Uint16(small[0][at+4:]) != 0 {
		t.Errorf("shrank to %x", small)
	}
	if tried > 5001 {
		t.Errorf("%d tries", tried)
	}
}

// Whatever fails always shrinks to an empty frame of zeros.
func TestShrinkToNothing(t *testing.T) {
	g := New(Lab(), 5)
	for range 200 {
		frames := g.Next().Frames
		small := Shrink(frames, 10000, func([][]byte) bool { return true })
		if len(frames) > 0 && (len(small) != 1 || len(small[0]) > max(etherLen, 1)) {
			t.Fatalf("%x shrank to %x", frames, small)
		}
	}
}

func TestShrinkIsBounded(t *testing.T) {
	tried := 0
	Shrink([][]byte{make([]byte, 1500)}, 100, func([][]byte) bool { tried++; return tried%2 == 0 })
	if tried > 102 {
		t.Errorf("%d tries, want 100", tried)
	}
}
