package responder_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// The hosts of the tests, as in the recordings of the kernel: see lab.
var (
	ourMAC   = framegen.MAC{2, 0, 0, 0, 3, 1}
	peerMAC  = framegen.MAC{2, 0, 0, 0, 3, 0xc8}
	otherMAC = framegen.MAC{2, 0, 0, 0, 3, 0xc9}
	nobody   = framegen.MAC{}

	alias   = addr("172.16.3.10")
	alias2  = addr("172.16.3.100")
	noAlias = addr("172.16.3.50")
	peer    = addr("172.16.3.200")
)

// noon is 12:00:00.000 UTC of some day, in nanoseconds: clocks in answers then read 43200000.
const (
	noon   = int64(19000*24+12) * 3600 * 1e9
	noonMs = 12 * 3600 * 1000
	second = int64(1e9)
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// ask puts a datagram into a frame from the peer to us. Its addresses are the
// peer's and the alias's where d leaves them out.
func ask(d framegen.IPv4) []byte { return askAt(ourMAC, d) }

func askAt(dst framegen.MAC, d framegen.IPv4) []byte {
	if !d.Src.IsValid() {
		d.Src = peer
	}
	if !d.Dst.IsValid() {
		d.Dst = alias
	}
	return framegen.Ether(dst, peerMAC, framegen.TypeIPv4, d.Bytes())
}

// answer is the way back of ask.
func answer(d framegen.IPv4) []byte {
	d.Src, d.Dst = alias, peer
	return framegen.Ether(peerMAC, ourMAC, framegen.TypeIPv4, d.Bytes())
}

// arp puts an ARP message of the peer into a frame.
func arp(dst framegen.MAC, a framegen.ARP) []byte {
	return framegen.Ether(dst, peerMAC, framegen.TypeARP, a.Bytes())
}

// whoHas is an ordinary ARP request of the peer.
func whoHas(target netip.Addr) []byte {
	return arp(framegen.Broadcast, framegen.ARP{SenderMAC: peerMAC, Sender: peer, Target: target})
}

// ping and pong are an echo request and its reply.
func ping(seq uint16, payload []byte) []byte {
	return framegen.ICMPMessage(8, 0, 0x1234<<16|uint32(seq), payload)
}

func pong(seq uint16, payload []byte) []byte {
	return framegen.ICMPMessage(0, 0, 0x1234<<16|uint32(seq), payload)
}

// count gives n bytes that tell where they stand.
func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// patch overwrites bytes of a copy of a frame and leaves checksums as they were.
func patch(frame []byte, at int, with ...byte) []byte {
	f := bytes.Clone(frame)
	copy(f[at:], with)
	return f
}

// fixed makes the checksums of a copy right.
func fixed(frame []byte) []byte {
	f := bytes.Clone(frame)
	framegen.FixChecksums(f)
	return f
}

// single is one address, span a run of them.
func single(s string) responder.Range { return responder.Range{First: addr(s), Last: addr(s)} }

func span(first, last string) responder.Range {
	return responder.Range{First: addr(first), Last: addr(last)}
}

// newResponder publishes the lab, changed by with, to one worker.
func newResponder(t testing.TB, with ...func(*responder.Interface)) *responder.Responder {
	t.Helper()
	i := lab()
	for _, change := range with {
		change(&i)
	}
	r := responder.New(responder.Config{Workers: 1})
	if _, err := r.Publish([]responder.Interface{i}); err != nil {
		t.Fatal(err)
	}
	return r
}

const slack = 0xa5

// put hands one frame to worker 0, in a buffer with slack on both sides, and gives copies of the
// answers. Nothing outside the frame may be written, and an answer lies
// either in the frame or nowhere near it.
func put(t testing.TB, r *responder.Responder, now int64, frame []byte, flags uint8) (v responder.Verdict, answers [][]byte) {
	t.Helper()
	const margin = 96
	buf := bytes.Repeat([]byte{slack}, margin+len(frame)+margin)
	copy(buf[margin:], frame)
	out, _ := r.Worker(0).Handle(now, [][]byte{buf[margin : margin+len(frame)]}, []uint8{flags}, nil)
	for _, o := range out {
		answers = append(answers, bytes.Clone(o))
	}
	around := append(bytes.Clone(buf[:margin]), buf[margin+len(frame):]...)
	if !bytes.Equal(around, bytes.Repeat([]byte{slack}, 2*margin)) {
		t.Errorf("bytes beside the frame were written:\n%x\n%x", buf[:margin], buf[margin+len(frame):])
	}
	if n := len(r.Worker(0).Verdicts()); n != 1 {
		t.Fatalf("%d verdicts for one frame", n)
	}
	return r.Worker(0).Verdicts()[0], answers
}

// tick calls the worker's timers and gives copies of what they send.
func tick(r *responder.Responder, now int64) (answers [][]byte, wake int64) {
	out, wake := r.Worker(0).Handle(now, nil, nil, nil)
	for _, o := range out {
		answers = append(answers, bytes.Clone(o))
	}
	return answers, wake
}

// withIdent gives an IPv4 frame the identification of another: the one field of
// an answer that a test cannot foresee.
func withIdent(frame, from []byte) []byte {
	at := network(frame)
	if be16(frame[at-2:]) != framegen.TypeIPv4 || len(from) < at+20 {
		return frame
	}
	return framegen.Renumber([][]byte{frame}, be16(from[at+4:])-be16(frame[at+4:]))[0]
}

// network is where the network header of a frame begins.
func network(frame []byte) int {
	at := 14
	for len(frame) >= at+4 && (be16(frame[at-2:]) == framegen.TypeVLAN || be16(frame[at-2:]) == framegen.TypeQinQ) {
		at += 4
	}
	return at
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// checkAnswers compares answers byte for byte, but for the IPv4 identification of those that
// have DF clear; a reset, which has it set, has identification 0.
func checkAnswers(t testing.TB, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d: %x", len(got), len(want), got)
	}
	for i := range want {
		expect := want[i]
		if at := network(expect); be16(expect[at-2:]) == framegen.TypeIPv4 && be16(expect[at+6:])&framegen.DontFragment == 0 {
			expect = withIdent(expect, got[i])
		}
		if !bytes.Equal(got[i], expect) {
			t.Errorf("answer %d:\n got %x\nwant %x", i, got[i], expect)
		}
	}
}
