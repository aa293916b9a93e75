package responder

import "sync/atomic"

// A bucket is a token bucket in time: it is empty at the time full minus what
// all its tokens take, and an answer moves it by what one takes.
//
// The workers share it, or a limit would hold for each of them. They write to it
// for what may go out, which is as seldom as the limit says; a flood beyond that
// only reads, and a line that is only read costs nobody anything.
type bucket struct {
	next atomic.Int64 // when the next answer would be due if they came one by one
}

// take tells whether an answer may go out at now, at so many a second and so many at once.
func (b *bucket) take(now int64, rate, burst int) bool {
	step := int64(1e9) / int64(rate)
	full := now - step*int64(max(burst, 1)-1)
	for {
		was := b.next.Load()
		next := was
		// An answer moves next at most a second (rate 1) beyond the now of its worker, whose
		// clock may be a moment ahead of ours. Further away it is only where the clock was
		// set back, which must not silence us as long.
		if next < full || next > now+2e9 {
			next = full
		}
		if next > now {
			return false
		}
		if b.next.CompareAndSwap(was, next+step) {
			return true
		}
	}
}

// limiter bounds what is sent, see Limits. Destinations are remembered in
// a table of fixed size; those that fall on one place share their tokens, so
// that forged sources can at worst silence errors, never multiply them.
type limiter struct {
	errors bucket
	echoes bucket
	peers  [1024]bucket
}

// icmpError asks for leave to send an ICMP error to peer. The destination is asked
// first: one that is over its limit takes nothing from the others.
func (m *limiter) icmpError(l *link, peer uint32, now int64) bool {
	if r := l.limits.PeerRate; r > 0 && !m.peers[hash(peer)>>22].take(now, r, l.limits.PeerBurst) {
		return false
	}
	r := l.limits.ErrorRate
	return r == 0 || m.errors.take(now, r, l.limits.ErrorBurst)
}

// echo asks for leave to send an echo reply.
func (m *limiter) echo(l *link, now int64) bool {
	r := l.limits.EchoRate
	return r == 0 || m.echoes.take(now, r, l.limits.EchoBurst)
}
