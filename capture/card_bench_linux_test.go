package capture

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// generator sends frames from the peer's end, which hears nothing any more.
func generator(b *testing.B, l *cardLab) (gen *sender, frames [][]byte) {
	b.Helper()
	deaf := unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET}}
	if err := unix.SetsockoptSockFprog(l.peer, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &deaf); err != nil {
		b.Fatal(err)
	}
	gen = &sender{fd: l.peer}
	gen.prepare(false)
	for i := range batchSize {
		frames = append(frames, labFrame(i, 60, experimental...))
	}
	return gen, frames
}

// BenchmarkCardSwap has the sender on the other processor, if there is one. It
// keeps fewer frames on the way than the ring holds, so the slower of the two is measured.
func BenchmarkCardSwap(b *testing.B) {
	l := newCardLab(b, CardConfig{})
	l.run(b, swap)
	gen, frames := generator(b, l)
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += batchSize {
		for uint64(sent)-l.card.received.Load() > DefaultSlots/2 {
			runtime.Gosched()
		}
		gen.batch(frames[:min(batchSize, b.N-sent)])
	}
	for finished(l.card) < gen.sent.Load() {
		runtime.Gosched()
	}
	b.StopTimer()
	s := l.card.Stats()
	b.ReportMetric(float64(s.Sent)/b.Elapsed().Seconds(), "replies/s")
	b.ReportMetric(float64(s.Dropped+s.SendErr), "lost")
}

func finished(c *Card) uint64 {
	s := c.Stats()
	return s.Sent + s.SendErr + s.Dropped
}

// BenchmarkCardDrain is the cost of taking and answering alone, the way of the
// answer through the peer's kernel included: the frames are in the ring before
// the clock starts.
func BenchmarkCardDrain(b *testing.B) {
	l := newCardLab(b, CardConfig{})
	gen, frames := generator(b, l)
	for done := 0; done < b.N; {
		b.StopTimer()
		round := min(b.N-done, DefaultSlots)
		for left := round; left > 0; left -= batchSize {
			gen.batch(frames[:min(left, batchSize)])
		}
		done += round
		b.StartTimer()
		stop := l.run(b, swap)
		for finished(l.card) < gen.sent.Load() {
			runtime.Gosched()
		}
		stop()
	}
	b.ReportMetric(float64(l.card.Stats().Dropped+l.card.Stats().SendErr), "lost")
}

// BenchmarkCardRoundTrip has one frame on the way. The peer spins.
func BenchmarkCardRoundTrip(b *testing.B) {
	l := newCardLab(b, CardConfig{})
	l.run(b, swap)
	frame, buf := labFrame(1, 60, experimental...), make([]byte, 2048)
	if err := unix.SetNonblock(l.peer, true); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := unix.Write(l.peer, frame); err != nil {
			b.Fatal(err)
		}
		for {
			_, err := unix.Read(l.peer, buf)
			if err == nil {
				break
			}
			if err != unix.EAGAIN && err != unix.EINTR {
				b.Fatal(err)
			}
		}
	}
}
