package busiest

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// Against exact counts: nobody is below the truth by what the entry says, nobody above
// it, and who has more than a set's share is there.
func TestSketchKeepsItsPromise(t *testing.T) {
	for _, tc := range []struct {
		name       string
		keys, draw int
		skew       float64 // 0: all alike
	}{
		{"few", 100, 50_000, 0},
		{"many, all alike", 200_000, 500_000, 0},
		{"many, some busy", 200_000, 500_000, 1.2},
	} {
		random := rand.New(rand.NewPCG(1, 2))
		next := func() uint64 { return random.Uint64N(uint64(tc.keys)) }
		if tc.skew > 0 {
			next = rand.NewZipf(random, tc.skew, 1, uint64(tc.keys-1)).Uint64
		}
		s := newSketch()
		truth, replied := map[Key]uint64{}, map[Key]uint64{}
		load := map[uint64]uint64{} // by set
		for range tc.draw {
			k := Key(present | next())
			answer := uint32(random.IntN(2))
			s.add(k, answer)
			truth[k]++
			replied[k] += uint64(answer)
			load[uint64(k)*s.seed>>(64-setBits)]++
		}
		got := map[Key]*Entry{}
		s.collect(got)
		exact := 0
		for k, e := range got {
			if e.Frames > truth[k] || e.AtMost < truth[k] || e.Answered > replied[k] {
				t.Fatalf("%s: %d has %d to %d frames, %d answered; truth %d, %d", tc.name, k, e.Frames, e.AtMost, e.Answered, truth[k], replied[k])
			}
			if e.Frames == e.AtMost {
				exact++
			}
		}
		for k, n := range truth {
			if n > load[uint64(k)*s.seed>>(64-setBits)]/ways && got[k] == nil {
				t.Errorf("%s: %d with %d frames is missing", tc.name, k, n)
			}
		}
		if tc.keys == 100 && exact != len(truth) {
			t.Errorf("%s: %d of %d counts are exact", tc.name, exact, len(truth))
		}
	}
}

func TestWho(t *testing.T) {
	from, to := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("172.16.3.10")
	const f, o = Key(0x0a010203) | present, Key(0xac10030a) | present
	arp := framegen.Ether(framegen.Broadcast, framegen.MAC{2}, framegen.TypeARP, framegen.ARP{Operation: 1, Sender: from, Target: to}.Bytes())
	ip := framegen.Ether(framegen.Broadcast, framegen.MAC{2}, framegen.TypeIPv4, framegen.IPv4{Protocol: framegen.ICMP, Src: from, Dst: to}.Bytes())
	tag := func(frame []byte, id uint16) []byte { return framegen.Tag(frame, framegen.TypeVLAN, id) }
	for _, tc := range []struct {
		name  string
		frame []byte
		want  parties
		tags  []uint16
	}{
		{"ARP", arp, parties{f, o}, nil},
		{"IPv4", ip, parties{f, o}, nil},
		{"a VLAN", tag(ip, 0xe000|100), parties{f | 100<<32, o | 100<<32}, []uint16{100}},
		{"a priority", tag(arp, 0xe000), parties{f, o}, nil},
		{"two tags", tag(tag(arp, 200), 4094), parties{f | 4094<<32 | 200<<44, o | 4094<<32 | 200<<44}, []uint16{4094, 200}},
		{"a priority within a VLAN", tag(tag(arp, 0xe000), 100), parties{f | 100<<32, o | 100<<32}, []uint16{100}},
		{"three tags", tag(tag(tag(ip, 1), 2), 3), parties{}, nil},
		{"another type", framegen.Ether(framegen.Broadcast, framegen.MAC{2}, 0x86dd, make([]byte, 60)), parties{}, nil},
	} {
		if got := who(tc.frame); got != tc.want {
			t.Errorf("%s: %x, want %x", tc.name, got, tc.want)
		}
		if got := tc.want.to.Tags(); !cmp.Equal(got, tc.tags) {
			t.Errorf("%s: tags %v, want %v", tc.name, got, tc.tags)
		}
		for n := range tc.frame { // whatever it is cut to
			if got := who(tc.frame[:n:n]); got != (parties{}) && got != tc.want {
				t.Errorf("%s cut to %d bytes: %x", tc.name, n, got)
			}
		}
	}
}

// Each verdict is either of those that nobody asked, or on purpose not.
func TestKinds(t *testing.T) {
	for v := range responder.Verdict(responder.NumVerdicts) {
		if v.Answered() && kinds[v] != answered|asks|ofAlias {
			t.Errorf("%s is answered, and does not count for an alias", v)
		}
	}
}

// table answers for 172.16.3.0/25, and counts what a worker sees.
func table(t testing.TB) (*Counter, capture.Handler) {
	r := responder.New(responder.Config{Workers: 1})
	prefix := netip.MustParsePrefix("172.16.3.0/25")
	_, err := r.Publish([]responder.Interface{{Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, 1}, Networks: []netip.Prefix{prefix},
		Aliases: []responder.Alias{{Label: "eth0:0", Ranges: responder.RangesOf(responder.PrefixRange(prefix))}}}})
	if err != nil {
		t.Fatal(err)
	}
	w := r.Worker(0)
	c := NewCounter(w.Verdicts)
	return c, c.Around(handle(func(b *capture.Batch) { b.Out, b.Wake = w.Handle(b.Time, b.Frames, b.Flags, b.Out) }))
}

type handle func(*capture.Batch)

func (h handle) Handle(b *capture.Batch) { h(b) }

func ask(from, to netip.Addr) []byte {
	return framegen.Ether(framegen.Broadcast, framegen.MAC{2, 9}, framegen.TypeARP, framegen.ARP{SenderMAC: framegen.MAC{2, 9}, Sender: from, Target: to}.Bytes())
}

func TestCounter(t *testing.T) {
	alias, none, busy, other := netip.MustParseAddr("172.16.3.10"), netip.MustParseAddr("172.16.4.10"), netip.MustParseAddr("172.16.3.200"), netip.MustParseAddr("172.16.3.201")
	m := &capture.Memory{Frames: [][]byte{ask(busy, alias), ask(busy, none), ask(other, alias), ask(busy, alias), make([]byte, 9)}, Batch: 2, Collect: true}
	c, h := table(t)
	run := func() { m.Run(t.Context(), h) }
	turn := func() (sum Sum) {
		sum = Sum{Askers: map[Key]*Entry{}, Aliases: map[Key]*Entry{}}
		c.Turn(&sum)
		return sum
	}
	run()
	if sum := turn(); len(sum.Askers) > 0 {
		t.Errorf("counted while nobody looked: %v", sum)
	}
	c.Begin()
	const b, o, a = Key(0xac1003c8) | present, Key(0xac1003c9) | present, Key(0xac10030a) | present
	want := Sum{
		Askers:  map[Key]*Entry{b: {b, 3, 3, 2}, o: {o, 1, 1, 1}},
		Aliases: map[Key]*Entry{a: {a, 3, 3, 3}},
	}
	for round := range 3 { // each window begins anew
		run()
		if diff := cmp.Diff(want, turn()); diff != "" {
			t.Errorf("window %d (-want +got):\n%s", round, diff)
		}
	}
	c.End()
	run()
	if sum := turn(); len(sum.Askers) > 0 {
		t.Errorf("counted after the end: %v", sum)
	}
	if got := len(m.Answers()); got != 15 {
		t.Errorf("%d answers, want 15: counting must not stand in the way", got)
	}
}

// Nothing is counted twice while somebody reads, and what is missing is told.
func TestCounterIsReadWhileItCounts(t *testing.T) {
	const batches, each = 2000, 64
	alias := netip.MustParseAddr("172.16.3.10")
	frames := make([][]byte, each)
	for i := range frames {
		frames[i] = ask(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), alias)
	}
	c, h := table(t)
	c.Begin()
	sum := Sum{Askers: map[Key]*Entry{}, Aliases: map[Key]*Entry{}}
	var worker sync.WaitGroup
	ended := make(chan struct{})
	worker.Go(func() {
		defer close(ended)
		(&capture.Memory{Frames: frames, Rounds: batches}).Run(t.Context(), h)
	})
	for reading := true; reading; {
		select {
		case <-ended:
			reading = false
		default:
		}
		c.Turn(&sum)
	}
	worker.Wait()
	c.Turn(&sum) // both windows
	c.Turn(&sum)
	total := sum.Missed
	for _, e := range sum.Askers {
		total += e.Frames
	}
	if total != batches*each || len(sum.Askers) != each {
		t.Errorf("%d frames of %d askers, %d missed; want %d of %d", total, len(sum.Askers), sum.Missed, batches*each, each)
	}
}

func TestCounterDoesNotAllocate(t *testing.T) {
	m := &capture.Memory{Frames: [][]byte{ask(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("172.16.3.10"))}, Rounds: 100}
	c, h := table(t)
	for _, looked := range []bool{false, true} {
		if looked {
			c.Begin()
		}
		if n := testing.AllocsPerRun(100, func() { m.Run(t.Context(), h) }); n > 0 {
			t.Errorf("looked at %v: 100 frames allocate %v times", looked, n)
		}
	}
}

func BenchmarkCounter(b *testing.B) {
	for _, askers := range []int{16, 1 << 20} {
		random := rand.New(rand.NewPCG(1, 2))
		frames := make([][]byte, 1<<14)
		for i := range frames {
			n := random.IntN(askers)
			frames[i] = ask(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), netip.AddrFrom4([4]byte{172, 16, 3, byte(1 + i%100)}))
		}
		for _, looked := range []bool{false, true} {
			name := map[int]string{16: "askers=16", 1 << 20: "askers=1Mi"}[askers] + map[bool]string{false: "/nobody", true: "/looked-at"}[looked]
			b.Run(name, func(b *testing.B) {
				m := &capture.Memory{Frames: frames}
				c, h := table(b)
				if looked {
					c.Begin()
				}
				b.ReportAllocs()
				for b.Loop() {
					m.Run(b.Context(), h)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)), "ns/frame")
			})
		}
	}
}
