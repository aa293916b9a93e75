package responder_test

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// counted is what Used tells of the received packets.
func counted(r *responder.Responder) map[netip.Addr]uint64 {
	used := map[netip.Addr]uint64{}
	last := addr("0.0.0.0")
	r.Used("v0", func(a netip.Addr, _ string, c responder.Counters) bool {
		if !last.Less(a) {
			panic("Used is not in the order of addresses")
		}
		used[a], last = c.RxPackets, a
		return true
	})
	return used
}

// TestCountersStay: an address that stays keeps its counters whatever its label,
// range and neighbours become; one that comes, or comes back, begins at zero.
func TestCountersStay(t *testing.T) {
	r := newResponder(t, with(span("10.0.0.10", "10.0.0.20")))
	ask := func(addrs ...string) {
		for _, a := range addrs {
			if !asked(t, r, addr(a)) {
				t.Fatalf("%s is not answered for", a)
			}
		}
	}
	ask("10.0.0.10", "10.0.0.15", "10.0.0.15", "10.0.0.20")
	for _, c := range []struct {
		name   string
		change func(*responder.Interface)
		want   map[string]uint64
	}{
		{"split", with(span("10.0.0.10", "10.0.0.14"), single("10.0.0.15"), span("10.0.0.16", "10.0.0.20")), map[string]uint64{"10.0.0.10": 1, "10.0.0.15": 2, "10.0.0.20": 1}},
		{"joined and longer on both sides", with(span("10.0.0.1", "10.0.0.99")), map[string]uint64{"10.0.0.10": 1, "10.0.0.15": 2, "10.0.0.20": 1}},
		{"a hole in the middle", with(span("10.0.0.1", "10.0.0.14"), span("10.0.0.16", "10.0.0.99")), map[string]uint64{"10.0.0.10": 1, "10.0.0.20": 1}},
		{"the hole filled again", with(span("10.0.0.1", "10.0.0.99")), map[string]uint64{"10.0.0.10": 1, "10.0.0.20": 1}},
		{"excluded", func(i *responder.Interface) {
			with(span("10.0.0.1", "10.0.0.99"))(i)
			i.Exclude = []responder.Range{span("10.0.0.1", "10.0.0.12")}
		}, map[string]uint64{"10.0.0.20": 1}},
		{"nothing", with(), nil},
		{"all again", with(span("10.0.0.1", "10.0.0.99")), nil},
	} {
		i := lab()
		c.change(&i)
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
		want := map[netip.Addr]uint64{}
		for a, n := range c.want {
			want[addr(a)] = n
		}
		if got := counted(r); !maps.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", c.name, got, want)
		}
	}
}

// TestCountersAgainstModel: the same for random tables and random questions; every
// count is exact, and the two workers' are added.
func TestCountersAgainstModel(t *testing.T) {
	random := rand.New(rand.NewPCG(4711, 0))
	r := responder.New(responder.Config{Workers: 2})
	want := map[netip.Addr]uint64{}
	published := 0
	for range 400 {
		i := randomInterface(random)
		m := newModel(&i)
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			continue // nothing has changed then: the next comparison shows it
		}
		published++
		maps.DeleteFunc(want, func(a netip.Addr, _ uint64) bool { return m.label[a] == "" })
		for range 100 {
			a := everyAddress[random.IntN(len(everyAddress))]
			r.Worker(random.IntN(2)).Handle(noon, [][]byte{whoHas(a)}, nil, nil)
			if m.label[a] != "" {
				want[a]++
			}
		}
		if got := counted(r); !maps.Equal(got, want) {
			t.Fatalf("after %d tables: %v, want %v", published, got, want)
		}
	}
	if published < 100 {
		t.Errorf("only %d tables were published", published)
	}
}

// TestBackBeforeCleanedUp: an address that is back before its removal is carried out is
// answered in every batch, also where the next removal comes meanwhile, and what is gone
// in none. Its counters begin anew, once.
func TestBackBeforeCleanedUp(t *testing.T) {
	all, left, leftOfAll := span("10.0.0.0", "10.0.15.255"), span("10.0.0.0", "10.0.7.255"), span("10.0.4.0", "10.0.15.255")
	back, gone, never := addr("10.0.12.1"), addr("10.0.1.1"), addr("10.0.5.1")
	r := newResponder(t, with(all))
	for a := all.First; a.Compare(all.Last) <= 0; a = a.Next() {
		asked(t, r, a)
	}
	publish := func(rng responder.Range) {
		t.Helper()
		i := lab()
		with(rng)(&i)
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Fatal(err)
		}
	}
	publish(left)
	if asked(t, r, back) {
		t.Fatal("it is answered after it was removed")
	}
	publish(all)
	asks := func(times int, goneToo bool) {
		t.Helper()
		for n := range times {
			if !asked(t, r, back) || !asked(t, r, never) || asked(t, r, gone) == goneToo {
				t.Fatalf("batch %d: answered wrongly", n)
			}
		}
	}
	asks(5, false)
	publish(leftOfAll)
	asks(5, true) // the first removal is not carried out yet, and the second begins
	asks(100, true)
	used := counted(r)
	if used[back] != 110 || used[never] != 111 || used[gone] != 0 {
		t.Errorf("counted %d, %d and %d", used[back], used[never], used[gone])
	}
}

// TestPublishAllOrNothing: whatever is wrong with one interface, nothing of the
// others is taken, and what was answered and counted before goes on.
func TestPublishAllOrNothing(t *testing.T) {
	backwards := responder.Range{First: addr("10.0.0.9"), Last: addr("10.0.0.1")}
	six := single("2001:db8::1")
	for name, spoil := range map[string]func(*responder.Interface){
		"overlap":                            with(single("10.0.0.1"), single("10.0.0.1")),
		"a range that ends before it begins": with(backwards),
		"an IPv6 address":                    with(six),
		"no address":                         with(responder.Range{}),
		"no MAC":                             func(i *responder.Interface) { i.MAC = [6]byte{} },
		"a group's MAC":                      func(i *responder.Interface) { i.MAC[0] |= 1 },
		"a tiny MTU":                         func(i *responder.Interface) { i.MTU = 67 },
		"three tags":                         func(i *responder.Interface) { i.Tags = []uint16{1, 2, 3} },
		"an IPv6 from":                       func(i *responder.Interface) { i.From = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")} },
		"an invalid from":                    func(i *responder.Interface) { i.Aliases[0].From = []netip.Prefix{{}} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newResponder(t)
			asked(t, r, alias)
			good, bad := lab(), lab()
			good.Aliases = []responder.Alias{{Label: "v0:new", Ranges: responder.RangesOf(single("10.5.5.5"))}}
			bad.Name, bad.Tags = "v0.100", []uint16{100}
			spoil(&bad)
			if _, err := r.Publish([]responder.Interface{good, bad}); err == nil {
				t.Fatal("no error")
			}
			if asked(t, r, addr("10.5.5.5")) || !asked(t, r, alias) {
				t.Error("a part of it was taken")
			}
			if got := counted(r)[alias]; got != 2 {
				t.Errorf("%v counted %d, want 2", alias, got)
			}
			if r.Size("v0.100") != 0 {
				t.Error("the bad interface answers")
			}
		})
	}
}

// TestPublishWhileHandling: tables change under a worker that never stops. An address
// that is in all of them is answered every time and counted exactly, and readers
// disturb nobody. It is most telling with -race.
func TestPublishWhileHandling(t *testing.T) {
	tables := []func(*responder.Interface){
		with(single("172.16.3.10")),
		with(span("172.16.3.1", "172.16.3.99")),
		with(span("172.16.3.1", "172.16.3.9"), single("172.16.3.10"), span("10.0.0.0", "10.9.255.255")),
		with(single("172.16.3.10"), single("172.16.3.11"), single("172.16.3.12")),
	}
	r := responder.New(responder.Config{Workers: 2})
	publish := func(n int) {
		i := lab()
		tables[n%len(tables)](&i)
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			t.Error(err)
		}
	}
	publish(0)
	const batches, size = 500, 16
	var workers, others sync.WaitGroup
	done := make(chan struct{})
	for n := range 2 {
		workers.Go(func() {
			for range batches {
				frames := slices.Grow([][]byte(nil), size)
				for range size {
					frames = append(frames, whoHas(alias))
				}
				if out, _ := r.Worker(n).Handle(noon, frames, nil, nil); len(out) != size {
					t.Errorf("%d of %d requests answered", len(out), size)
				}
			}
		})
	}
	others.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
				publish(n)
			}
		}
	})
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if m := r.Explain("v0", alias); !m.Answered {
				t.Errorf("Explain says %+v", m)
			}
			r.Conflicts()
			r.VerdictCounts("v0")
			i := lab()
			tables[1](&i)
			if _, err := responder.Check(&i); err != nil {
				t.Error(err)
			}
			if r.Size("v0") < 1000 { // Labels and Total read every counter
				r.Labels("v0")
				r.Total("v0")
			}
		}
	})
	workers.Wait()
	close(done)
	others.Wait()
	if got := counted(r)[alias]; got != 2*batches*size {
		t.Errorf("%v counted %d, want %d", alias, got, 2*batches*size)
	}
	if got := r.VerdictCounts("v0")[responder.ARPAnswered]; got != 2*batches*size {
		t.Errorf("%d answers counted, want %d", got, 2*batches*size)
	}
}
