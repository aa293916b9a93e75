package responder_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// echoPieces is an echo request cut into pieces that end at the given places of
// its IP payload.
func echoPieces(id uint16, payload int, ends ...int) [][]byte {
	return cut(framegen.IPv4{ID: id, Protocol: framegen.ICMP, Payload: ping(1, count(payload))}, ends...)
}

func cut(d framegen.IPv4, ends ...int) (frames [][]byte) {
	for _, piece := range d.Cut(ends...) {
		frames = append(frames, ask(piece))
	}
	return frames
}

// everyN gives the places n, 2n, ... below total.
func everyN(n, total int) (ends []int) {
	for at := n; at < total; at += n {
		ends = append(ends, at)
	}
	return ends
}

// rejoin is a reassembler of its own, for the answers: pieces in order, each
// with a right header checksum, one identification, More Fragments on all but
// the last, none longer than the MTU.
func rejoin(t *testing.T, frames [][]byte, mtu int) (payload []byte) {
	t.Helper()
	for i, f := range frames {
		ip := f[network(f):]
		switch hl := int(ip[0]&15) * 4; {
		case int(be16(ip[2:])) != len(ip) || len(ip) > mtu:
			t.Fatalf("piece %d: length %d in a frame that carries %d, MTU %d", i, be16(ip[2:]), len(ip), mtu)
		case headerSum(ip[:hl]) != 0xffff:
			t.Fatalf("piece %d: the header checksum is wrong", i)
		case be16(ip[4:]) != be16(frames[0][network(f)+4:]):
			t.Fatalf("piece %d: another identification", i)
		case int(be16(ip[6:])&0x1fff)*8 != len(payload):
			t.Fatalf("piece %d: offset %d, %d bytes came before", i, int(be16(ip[6:])&0x1fff)*8, len(payload))
		case be16(ip[6:])&0xe000 != 0x2000 && i < len(frames)-1, be16(ip[6:])&0xe000 != 0 && i == len(frames)-1:
			t.Fatalf("piece %d of %d: flags %#x", i, len(frames), be16(ip[6:])&0xe000)
		default:
			payload = append(payload, ip[hl:]...)
		}
	}
	return payload
}

// headerSum adds 16 bits at a time, as RFC 1071 4.1 does.
func headerSum(b []byte) uint16 {
	s := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(be16(b[i:]))
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// putAll puts frames one by one and gives all answers and the last verdict.
func putAll(t *testing.T, r *responder.Responder, now int64, frames [][]byte) (v responder.Verdict, answers [][]byte) {
	t.Helper()
	for _, f := range frames {
		var out [][]byte
		v, out = put(t, r, now, f, 0)
		answers = append(answers, out...)
	}
	return v, answers
}

// TestLargeEcho: what came in pieces goes back in pieces, for every size near a
// boundary of pieces and of the reassembler's own memory, at several MTUs.
func TestLargeEcho(t *testing.T) {
	sizes := []int{0, 1, 7, 8, 9, 65499, 65500, 65506, 65507}
	for _, boundary := range []int{1472, 2 * 1480, 2040, 2048, 4096, 8192, 10 * 1480, 32768, 44 * 1480} {
		for d := -9; d <= 9; d++ {
			sizes = append(sizes, boundary+d)
		}
	}
	for _, mtu := range []int{68, 576, 1500, 9000} {
		r := newResponder(t, func(i *responder.Interface) { i.MTU = mtu })
		for n, size := range sizes {
			if size > 65507 || mtu == 68 && size > 9000 {
				continue
			}
			v, answers := putAll(t, r, noon, echoPieces(uint16(n), size, everyN(1480, size+8)...))
			if v != responder.EchoAnswered {
				t.Fatalf("MTU %d, %d bytes: %v", mtu, size, v)
			}
			if !bytes.Equal(rejoin(t, answers, mtu), pong(1, count(size))) {
				t.Fatalf("MTU %d, %d bytes: another payload came back", mtu, size)
			}
		}
	}
}

// TestAnyOrder: pieces of any sizes in any order, with duplicates, make the same
// whole.
func TestAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(815, 0))
	r := newResponder(t)
	for n := range 300 {
		size := 16 + random.IntN(5000)
		var ends []int
		for at := 8 * (1 + random.IntN(60)); at < size+8; at += 8 * (1 + random.IntN(60)) {
			ends = append(ends, at)
		}
		frames := echoPieces(uint16(n), size, ends...)
		for range min(random.IntN(3), len(frames)-1) { // too few to make a second whole
			frames = append(frames[:len(frames):len(frames)], frames[random.IntN(len(frames))])
		}
		random.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
		_, answers := putAll(t, r, noon, frames)
		if !bytes.Equal(rejoin(t, answers, 1500), pong(1, count(size))) {
			t.Fatalf("datagram %d, %d bytes cut at %v: another payload came back", n, size, ends)
		}
		tick(r, noon+31*second) // what duplicates left behind
	}
}

// TestDuplicateAndOverlap: a piece that says the same twice is passed over; one
// that covers a part of another kills its datagram, RFC 5722.
func TestDuplicateAndOverlap(t *testing.T) {
	whole := framegen.IPv4{ID: 3, Protocol: framegen.ICMP, Payload: ping(1, count(40))}
	pieces := whole.Cut(16, 32)
	piece := func(offset, n int) framegen.IPv4 {
		p := pieces[0]
		p.Offset, p.Payload = offset, whole.Payload[offset:offset+n]
		return p
	}
	for _, c := range []struct {
		name string
		odd  framegen.IPv4
		want responder.Verdict
	}{
		{"the same", pieces[1], responder.FragmentDuplicate},
		{"within it", piece(16, 8), responder.FragmentDuplicate},
		{"reaches before it", piece(8, 16), responder.FragmentOverlap},
		{"around it", piece(8, 32), responder.FragmentOverlap},
		{"reaches behind it", piece(24, 16), responder.FragmentOverlap},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newResponder(t)
			putAll(t, r, noon, [][]byte{ask(pieces[1])})
			if v, _ := put(t, r, noon, ask(c.odd), 0); v != c.want {
				t.Fatalf("verdict %v, want %v", v, c.want)
			}
			v, _ := putAll(t, r, noon, [][]byte{ask(pieces[2]), ask(pieces[0])})
			if whole := c.want == responder.FragmentDuplicate; (v == responder.EchoAnswered) != whole {
				t.Errorf("the rest then ends as %v", v)
			}
		})
	}
}

// TestContradictions: pieces that cannot belong to one datagram.
func TestContradictions(t *testing.T) {
	last := framegen.IPv4{ID: 4, Protocol: framegen.ICMP, Offset: 64, Payload: count(10)}
	more := func(offset, n int) framegen.IPv4 {
		return framegen.IPv4{ID: 4, Flags: framegen.MoreFragments, Protocol: framegen.ICMP, Offset: offset, Payload: count(n)}
	}
	shorter := last
	shorter.Payload = count(9)
	for _, c := range []struct {
		name          string
		first, second framegen.IPv4
	}{
		{"a last piece that ends elsewhere", last, shorter},
		{"a piece behind the last", last, more(80, 8)},
		{"a last piece before others", more(80, 8), last},
		{"no byte at all", more(0, 8), more(16, 0)},
		{"less than eight bytes", more(0, 8), more(16, 7)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newResponder(t)
			put(t, r, noon, ask(c.first), 0)
			if v, _ := put(t, r, noon, ask(c.second), 0); v != responder.FragmentBad {
				t.Errorf("verdict %v, want %v", v, responder.FragmentBad)
			}
		})
	}
}

// TestTooLong: a datagram that grows beyond 65535 bytes, the "ping of death", is
// thrown away when its pieces are there.
func TestTooLong(t *testing.T) {
	for _, size := range []int{65508, 65509, 65520} {
		d := framegen.IPv4{ID: 8, Protocol: framegen.ICMP, Payload: ping(1, count(size))}
		v, answers := putAll(t, newResponder(t), noon, cut(d, everyN(1480, size+8)...))
		if v != responder.FragmentBad || len(answers) != 0 {
			t.Errorf("%d bytes of payload: %v, %d answers", size, v, len(answers))
		}
	}
}

// TestKeys: only what agrees in source, destination, protocol and identification,
// and came by one interface, is one datagram (RFC 791 3.2).
func TestKeys(t *testing.T) {
	whole := framegen.IPv4{ID: 5, Protocol: framegen.ICMP, Payload: ping(1, count(24))}
	pieces := whole.Cut(16)
	change := func(f func(*framegen.IPv4)) []byte {
		p := pieces[1]
		f(&p)
		return ask(p)
	}
	for name, second := range map[string][]byte{
		"source":         change(func(d *framegen.IPv4) { d.Src = addr("172.16.3.201") }),
		"destination":    change(func(d *framegen.IPv4) { d.Dst = alias2 }),
		"identification": change(func(d *framegen.IPv4) { d.ID++ }),
		"protocol":       change(func(d *framegen.IPv4) { d.Protocol = framegen.UDP }),
		"VLAN":           framegen.Tag(ask(pieces[1]), framegen.TypeVLAN, 100),
	} {
		t.Run(name, func(t *testing.T) {
			r := responder.New(responder.Config{Workers: 1})
			untagged, tagged := lab(), lab()
			tagged.Name, tagged.Tags = "v0.100", []uint16{100}
			if _, err := r.Publish([]responder.Interface{untagged, tagged}); err != nil {
				t.Fatal(err)
			}
			put(t, r, noon, ask(pieces[0]), 0)
			if v, _ := put(t, r, noon, second, 0); v != responder.FragmentHeld {
				t.Fatalf("a piece of another %s: %v", name, v)
			}
			if v, _ := put(t, r, noon, ask(pieces[1]), 0); v != responder.EchoAnswered {
				t.Errorf("the piece that belongs there: %v", v)
			}
		})
	}
}

// TestECN: RFC 3168 5.3 on the pieces' code points.
func TestECN(t *testing.T) {
	const notECT, ect1, ect0, ce = 0, 1, 2, 3
	for _, c := range []struct {
		first, second, want byte
		lost                bool
	}{
		{first: notECT, second: notECT, want: notECT},
		{first: ect0, second: ect0, want: ect0},
		{first: ect0, second: ce, want: ce},
		{first: ce, second: ect1, want: ce},
		{first: ce, second: ce, want: ce},
		{first: notECT, second: ce, lost: true},
		{first: ect0, second: notECT, lost: true},
	} {
		t.Run(fmt.Sprintf("%d and %d", c.first, c.second), func(t *testing.T) {
			pieces := framegen.IPv4{ID: 6, Protocol: framegen.ICMP, Payload: ping(1, count(24))}.Cut(16)
			pieces[0].TOS, pieces[1].TOS = c.first, c.second
			v, answers := putAll(t, newResponder(t), noon, [][]byte{ask(pieces[0]), ask(pieces[1])})
			switch {
			case c.lost != (v == responder.FragmentBad):
				t.Errorf("verdict %v", v)
			case !c.lost && answers[0][15] != c.want:
				t.Errorf("the answer's TOS is %#x, want %#x", answers[0][15], c.want)
			}
		})
	}
}

// fromMany is an address of a flood.
func fromMany(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}
