package responder

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// slowBucket is the token bucket of the textbook: it holds at most burst tokens,
// gains one every 1/rate seconds, and an answer takes one. Counted in
// nanoseconds times rate, so that nothing is rounded.
type slowBucket struct {
	level, last int64 // level in units of 1/step of a token
	step, burst int64 // ns a token takes
	begun       bool
}

func (b *slowBucket) take(now int64) bool {
	full := b.step * b.burst
	if !b.begun {
		b.level, b.last, b.begun = full, now, true
	}
	b.level = min(full, b.level+now-b.last)
	b.last = now
	if b.level < b.step {
		return false
	}
	b.level -= b.step
	return true
}

// TestBucketAgainstModel: same answers to the same askers, whatever the rhythm.
func TestBucketAgainstModel(t *testing.T) {
	for _, c := range []struct{ rate, burst int }{{1, 1}, {1, 6}, {1000, 50}, {3, 2}, {7, 0}, {1000000, 1}} {
		t.Run(fmt.Sprintf("%d a second, %d at once", c.rate, c.burst), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(c.rate), uint64(c.burst)))
			step := int64(1e9) / int64(c.rate)
			var fast bucket
			slow := slowBucket{step: step, burst: int64(max(c.burst, 1))}
			now := int64(1700000000e9)
			for n := range 20000 {
				switch r.IntN(20) {
				case 0:
					now += step * int64(r.IntN(max(c.burst, 1)*2+1)) // a pause
				case 1, 2, 3:
					now += step
				case 4:
					now += step - 1
				default:
					now += r.Int64N(step/2 + 1)
				}
				if got, want := fast.take(now, c.rate, c.burst), slow.take(now); got != want {
					t.Fatalf("question %d: %v, the model says %v", n, got, want)
				}
			}
		})
	}
}

// TestBucketRate: who asks all the time gets the burst and then the rate, exactly.
func TestBucketRate(t *testing.T) {
	const rate, burst, seconds = 1000, 50, 20
	var b bucket
	got := 0
	start := int64(1700000000e9)
	for now := start; now < start+seconds*1e9; now += 1e5 {
		if b.take(now, rate, burst) {
			got++
		}
	}
	if want := burst + rate*seconds - 1; got != want {
		t.Errorf("%d answers in %d s, want %d", got, seconds, want)
	}
}

// TestBucketClockBack: a clock that jumps back must not silence us for as long as
// it jumped.
func TestBucketClockBack(t *testing.T) {
	var b bucket
	start := int64(1700000000e9)
	b.take(start, 1, 1)
	back := start - 3600e9
	for now := back; now < back+10e9; now += 1e9 {
		if b.take(now, 1, 1) {
			return
		}
	}
	t.Error("an hour back, the bucket gave nothing for ten seconds at one a second")
}

// TestBucketMomentBehind: a worker whose clock is a moment behind that of the one that took the
// last token gets no second burst.
func TestBucketMomentBehind(t *testing.T) {
	for _, behind := range []int64{1, 1e6, 999e6} {
		var b bucket
		now, got := int64(1700000000e9), 0
		for n := range 20 {
			if b.take(now-behind*int64(n/10), 1, 6) {
				got++
			}
		}
		if got != 6 {
			t.Errorf("%d ns behind: %d answers at once, want 6", behind, got)
		}
	}
}

// TestLimiterPeers: a destination that used its share up costs the others
// nothing, neither of their own nor of the common one.
func TestLimiterPeers(t *testing.T) {
	l := &link{limits: Limits{ErrorRate: 10, ErrorBurst: 10, PeerRate: 1, PeerBurst: 6}}
	var m limiter
	now := int64(1700000000e9)
	sent := 0
	for range 1000 {
		if m.icmpError(l, 0x0a000001, now) {
			sent++
		}
	}
	if sent != 6 {
		t.Errorf("%d errors to one destination at once, want 6", sent)
	}
	second := uint32(0x0a000002)
	for hash(second)>>22 == hash(0x0a000001)>>22 { // once in 1024 runs: the hash has a key of its own in each
		second++
	}
	other := 0
	for range 1000 {
		if m.icmpError(l, second, now) {
			other++
		}
	}
	if other != 4 {
		t.Errorf("%d errors to another destination, want the 4 that the common limit leaves", other)
	}
}

// TestLimiterPeersFold: destinations that share a place share its tokens: a flood
// of forged sources gets at most a burst for each place.
func TestLimiterPeersFold(t *testing.T) {
	l := &link{limits: Limits{PeerRate: 1, PeerBurst: 6}}
	var m limiter
	sent := 0
	for a := range uint32(100000) {
		if m.icmpError(l, 0x0a000000+a*7919, int64(1700000000e9)) {
			sent++
		}
	}
	if most := len(m.peers) * 6; sent > most || sent < most/2 {
		t.Errorf("%d errors to 100000 destinations at once, want at most %d", sent, most)
	}
}
