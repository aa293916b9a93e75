package responder_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// TestTimeExceeded: after 30 s whoever sent the first piece is told, once, with
// that piece quoted; Wake says when.
func TestTimeExceeded(t *testing.T) {
	pieces := framegen.IPv4{TOS: 0x1c, ID: 9, Protocol: framegen.ICMP, Payload: ping(1, count(100))}.Cut(64)
	r := newResponder(t)
	if _, wake := tick(r, noon); wake != 0 {
		t.Errorf("nothing waits, but wake is %d", wake)
	}
	if v, out := put(t, r, noon, ask(pieces[0]), 0); v != responder.FragmentHeld || len(out) != 0 {
		t.Fatalf("the first piece: %v, %d answers", v, len(out))
	}
	due := noon + 30*second
	out, wake := tick(r, due-1)
	if len(out) != 0 || wake != due {
		t.Errorf("a nanosecond before: %d answers, wake %d, want 0 and %d", len(out), wake, due)
	}
	out, wake = tick(r, due)
	if wake != 0 {
		t.Errorf("nothing waits any more, but wake is %d", wake)
	}
	checkAnswers(t, out, [][]byte{answer(framegen.IPv4{
		TOS:      0xc0 | 0x1c,
		Protocol: framegen.ICMP,
		Payload:  framegen.ICMPMessage(11, 1, 0, ask(pieces[0])[14:]),
	})})
	if got := r.Total("v0"); got.TxPackets != 1 || got.TxBytes != uint64(len(out[0])) {
		t.Errorf("it is not counted for the alias: %+v", got)
	}
	if out, _ = tick(r, due+60*second); len(out) != 0 {
		t.Errorf("told again: %x", out)
	}
}

// TestTimeExceededQuote: a first piece that is larger than an error may be is
// quoted up to 576 bytes.
func TestTimeExceededQuote(t *testing.T) {
	pieces := framegen.IPv4{ID: 9, Protocol: framegen.ICMP, Payload: ping(1, count(3000))}.Cut(1480)
	r := newResponder(t)
	put(t, r, noon, ask(pieces[0]), 0)
	out, _ := tick(r, noon+30*second)
	checkAnswers(t, out, [][]byte{answer(framegen.IPv4{
		TOS:      0xc0,
		Protocol: framegen.ICMP,
		Payload:  framegen.ICMPMessage(11, 1, 0, ask(pieces[0])[14:][:576-28]),
	})})
}

// TestTimeoutIsSilent where RFC 1122 3.2.2 or the table want it so.
func TestTimeoutIsSilent(t *testing.T) {
	pieces := framegen.IPv4{ID: 9, Protocol: framegen.ICMP, Payload: ping(1, count(100))}.Cut(64)
	broken := framegen.IPv4{ID: 9, Protocol: framegen.ICMP, Payload: framegen.ICMPMessage(3, 1, 0, count(100))}.Cut(64)
	for name, c := range map[string]struct {
		frame  []byte
		before func(*testing.T, *responder.Responder)
	}{
		"the first piece was never seen": {frame: ask(pieces[1])},
		"it came to everybody":           {frame: askAt(framegen.Broadcast, pieces[0])},
		"it is about an error":           {frame: ask(broken[0])},
		"the alias is gone": {frame: ask(pieces[0]), before: func(t *testing.T, r *responder.Responder) {
			i := lab()
			i.Aliases = i.Aliases[2:]
			if _, err := r.Publish([]responder.Interface{i}); err != nil {
				t.Fatal(err)
			}
		}},
		"the interface is gone": {frame: ask(pieces[0]), before: func(t *testing.T, r *responder.Responder) {
			if _, err := r.Publish(nil); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResponder(t)
			if v, _ := put(t, r, noon, c.frame, 0); v != responder.FragmentHeld {
				t.Fatalf("verdict %v", v)
			}
			if c.before != nil {
				c.before(t, r)
			}
			if out, _ := tick(r, noon+30*second); len(out) != 0 {
				t.Errorf("answers %x", out)
			}
		})
	}
}

// TestTimerStartsWithTheFirstToCome: a later piece does not prolong the wait, and
// the whole is not late as long as the time is not over.
func TestTimerStartsWithTheFirstToCome(t *testing.T) {
	frames := echoPieces(10, 100, 40, 80)
	r := newResponder(t)
	put(t, r, noon, frames[0], 0)
	put(t, r, noon+20*second, frames[1], 0)
	if _, wake := tick(r, noon+21*second); wake != noon+30*second {
		t.Errorf("wake is %d s after the first piece", (wake-noon)/second)
	}
	if v, _ := put(t, r, noon+30*second-1, frames[2], 0); v != responder.EchoAnswered {
		t.Errorf("in the last nanosecond: %v", v)
	}
	if _, wake := tick(r, noon+30*second-1); wake != 0 {
		t.Errorf("nothing waits, but wake is %d", wake)
	}
}

// TestEvictionTakesTheOldest: with more datagrams in the making than there is
// room for, those that came last are still there and the first is not.
func TestEvictionTakesTheOldest(t *testing.T) {
	const datagrams = 1025 // one more than reassembly.go has room for
	r := newResponder(t)
	second := make([][]byte, datagrams)
	for n := range datagrams {
		d := framegen.IPv4{ID: uint16(n), Protocol: framegen.ICMP, Src: fromMany(n), Payload: ping(1, count(24))}
		pieces := d.Cut(16)
		second[n] = ask(pieces[1])
		if v, _ := put(t, r, noon+int64(n), ask(pieces[0]), 0); v != responder.FragmentHeld {
			t.Fatalf("datagram %d: %v", n, v)
		}
	}
	for n := datagrams - 1; n > 0; n-- {
		if v, _ := put(t, r, noon+datagrams, second[n], 0); v != responder.EchoAnswered {
			t.Fatalf("datagram %d: %v", n, v)
		}
	}
	if v, _ := put(t, r, noon+datagrams, second[0], 0); v != responder.FragmentHeld {
		t.Errorf("the oldest was still there: %v", v)
	}
}

// TestFloodThenPing: a flood of pieces that never become whole neither stops a large
// ping that comes after it nor makes memory grow.
func TestFloodThenPing(t *testing.T) {
	floods := map[string]func(n int) framegen.IPv4{
		"first pieces": func(n int) framegen.IPv4 {
			return framegen.IPv4{ID: uint16(n), Flags: framegen.MoreFragments, Src: fromMany(n), Protocol: framegen.ICMP, Payload: count(1480)}
		},
		"spread over all their memory": func(n int) framegen.IPv4 {
			return framegen.IPv4{ID: uint16(n / 30), Flags: framegen.MoreFragments, Offset: n % 30 * 2048, Src: fromMany(n / 30), Protocol: framegen.ICMP, Payload: count(8)}
		},
		"last pieces": func(n int) framegen.IPv4 {
			return framegen.IPv4{ID: uint16(n), Offset: 64000, Src: fromMany(n), Protocol: framegen.ICMP, Payload: count(700)}
		},
	}
	for name, piece := range floods {
		t.Run(name, func(t *testing.T) {
			r := newResponder(t)
			w := r.Worker(0)
			var before, after runtime.MemStats
			var frame []byte
			for n := range 20000 {
				frame = ask(piece(n))
				w.Handle(noon+int64(n), [][]byte{frame}, nil, nil)
				if n == 1000 {
					runtime.GC()
					runtime.ReadMemStats(&before)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 256<<10 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			v, answers := putAll(t, r, noon+20000, echoPieces(1, 65507, everyN(1480, 65515)...))
			if v != responder.EchoAnswered || !bytes.Equal(rejoin(t, answers, 1500), pong(1, count(65507))) {
				t.Errorf("a ping of 65507 bytes afterwards: %v", v)
			}
		})
	}
}

// TestPingWithinFlood: the same ping with a few of the flood's frames between any two
// of its pieces.
func TestPingWithinFlood(t *testing.T) {
	r := newResponder(t)
	frames := echoPieces(1, 65507, everyN(1480, 65515)...)
	n := 0
	var v responder.Verdict
	for _, f := range frames {
		for range 20 {
			n++
			put(t, r, noon, ask(framegen.IPv4{ID: uint16(n), Flags: framegen.MoreFragments, Src: fromMany(n), Protocol: framegen.ICMP, Payload: count(1480)}), 0)
		}
		v, _ = put(t, r, noon, f, 0)
	}
	if v != responder.EchoAnswered {
		t.Errorf("%v with %d pieces of others between", v, n)
	}
}

// TestTinyPieces: a datagram of many runs is given up, not searched forever; the
// kernel's own ping at the smallest MTU makes fewer.
func TestTinyPieces(t *testing.T) {
	r := newResponder(t)
	sawBad := false
	for n := range 1000 {
		v, _ := put(t, r, noon, ask(framegen.IPv4{ID: 2, Flags: framegen.MoreFragments, Offset: n * 16, Protocol: framegen.ICMP, Payload: count(8)}), 0)
		sawBad = sawBad || v == responder.FragmentBad
	}
	if !sawBad {
		t.Error("a thousand separate pieces of one datagram were all held")
	}
	v, _ := putAll(t, r, noon, echoPieces(3, 65507, everyN(48, 65515)...))
	if v != responder.EchoAnswered {
		t.Errorf("65507 bytes in pieces of 48, in order: %v", v)
	}
	// Last first, as some hosts send: nothing is joined, but MTU 576 has room.
	frames := echoPieces(4, 65507, everyN(552, 65515)...)
	for i, j := 0, len(frames)-1; i < j; i, j = i+1, j-1 {
		frames[i], frames[j] = frames[j], frames[i]
	}
	if v, _ := putAll(t, r, noon, frames); v != responder.EchoAnswered {
		t.Errorf("65507 bytes in pieces of 552, last first: %v", v)
	}
}
