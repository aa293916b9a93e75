package responder_test

import (
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/ipalias/ipalias/responder"
)

// TestRangesInOrder: a list is what was appended, whatever the family, and IPv4
// stands before what is none.
func TestRangesInOrder(t *testing.T) {
	four := []responder.Range{single("10.0.0.9"), span("10.0.0.1", "10.0.0.4"), single("10.0.0.9")}
	six := single("2001:db8::1")
	l := responder.RangesOf(four[0], six, four[1]).Append(four[2])
	var got []responder.Range
	for n, r := range l.All() {
		if l.At(n) != r {
			t.Errorf("At(%d) is %s, All says %s", n, l.At(n), r)
		}
		got = append(got, r)
	}
	if want := append(four, six); !slices.Equal(got, want) || l.Len() != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if first := l.First(2); !first.Equal(responder.RangesOf(four[:2]...)) {
		t.Errorf("the first two are %s", first)
	}
	if text := l.First(9).String(); text != "10.0.0.9, 10.0.0.1-10.0.0.4, 10.0.0.9, 2001:db8::1" {
		t.Errorf("written as %s", text)
	}
	if !l.Join(responder.Ranges{}).Same(l) || !(responder.Ranges{}).Join(l).Same(l) || l.Join(l).Len() != 8 {
		t.Error("joined wrongly")
	}
}

// TestAppendLeavesOthersAlone: two who append to one list do not see each other.
func TestAppendLeavesOthersAlone(t *testing.T) {
	l := responder.RangesOf(single("10.0.0.1"), single("10.0.0.2"), single("10.0.0.3")).Clip()
	a, b := l.Append(single("10.0.0.4")), l.Append(single("10.0.0.5"))
	if a.At(3) != single("10.0.0.4") || b.At(3) != single("10.0.0.5") || l.Len() != 3 {
		t.Errorf("%s and %s of %s", a, b, l)
	}
}

// TestRangesAreSmall: a million addresses are four megabytes.
func TestRangesAreSmall(t *testing.T) {
	const n = 1 << 16
	var list responder.Ranges
	// What is in use, not what was ever taken: under the race detector slices.Grow makes
	// a slice that it throws away.
	inUse := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := inUse()
	list = list.Grow(n)
	for range n {
		list = list.Append(single10)
	}
	const room = n / 2 // for what the runtime takes meanwhile
	if bytes := inUse() - before; bytes > 4*n+room || unsafe.Sizeof(list) > 56 {
		t.Errorf("%d ranges took %d bytes", n, bytes)
	}
	allocs := testing.AllocsPerRun(10, func() {
		if list.Sorted().Shared(responder.Ranges{}).Len() != 0 || !list.Same(list.Sorted()) {
			t.Fatal("sorted anew what was sorted")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a look", allocs)
	}
}

var single10 = single("10.0.0.1")

func TestRangesAsJSON(t *testing.T) {
	l := responder.RangesOf(single("10.0.0.9"), span("10.0.0.1", "10.0.0.4"), span("10.1.0.0", "10.1.255.255"))
	text, err := json.Marshal(l)
	if want := `["10.0.0.9","10.0.0.1-10.0.0.4","10.1.0.0/16"]`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
	var again responder.Ranges
	if err := json.Unmarshal(text, &again); err != nil || !again.Equal(l) {
		t.Errorf("read back: %s, %v", again, err)
	}
	for _, wrong := range []string{`["10.0.0.9-10.0.0.1"]`, `["10.0.0"]`, `["10.0.0.0/33"]`, `[""]`, `"10.0.0.1"`, `[1]`} {
		if json.Unmarshal([]byte(wrong), &again) == nil {
			t.Errorf("%s was read as %s", wrong, again)
		}
	}
}

// TestRangesAgainstSets holds what lists do as sets against sets of 32 addresses, the
// last of which is the last there is: arithmetic must not run over the end.
func TestRangesAgainstSets(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	address := func(n int) responder.Range {
		return single([]string{"255.255.255.", "0.0.0."}[n/16] + []string{"240", "241", "242", "243", "244", "245", "246", "247", "248", "249", "250", "251", "252", "253", "254", "255",
			"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"}[n])
	}
	random := func(apart bool) (l responder.Ranges) {
		for n := rng.IntN(4); n < 32; n += 1 + rng.IntN(8) {
			last := min(n+rng.IntN(5), n|15)
			l = l.Append(responder.Range{First: address(n).First, Last: address(last).First})
			if apart {
				n = last
			}
		}
		return l
	}
	set := func(l responder.Ranges) (bits uint32) {
		for n := range 32 {
			for _, r := range l.All() {
				if r.Contains(address(n).First) {
					bits |= 1 << n
				}
			}
		}
		return bits
	}
	for range 3000 {
		l, few := random(false), random(true).Sorted()
		for what, pair := range map[string][2]uint32{
			"shared":  {set(l.Shared(few)), set(l) & set(few)},
			"without": {set(l.Without(few)), set(l) &^ set(few)},
			"union":   {set(l.Union(few)), set(l) | set(few)},
		} {
			if pair[0] != pair[1] {
				t.Fatalf("%s of %s and %s: %032b, want %032b", what, l, few, pair[0], pair[1])
			}
		}
		u := l.Union(few)
		for n := 1; n < u.Len(); n++ {
			if !u.At(n - 1).Last.Less(u.At(n).First) {
				t.Fatalf("the union of %s and %s is not sorted and apart: %s", l, few, u)
			}
		}
	}
}

// TestRangesAgainstSlices holds the compact form of a list against a slice of what was
// appended: lists of single addresses, of ranges, and of both, short ones and such as are
// sorted by digits.
func TestRangesAgainstSlices(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		var want []responder.Range
		size, long := rng.IntN(40), rng.IntN(4)
		if round%20 == 0 {
			size += 2000
		}
		for range size {
			a := 1<<24 + rng.Uint32N(1<<30)
			r := responder.Range{First: number(a), Last: number(a)}
			if rng.IntN(3) < long {
				r.Last = number(a + rng.Uint32N(9))
			}
			want = append(want, r)
		}
		l := responder.Ranges{}.Grow(rng.IntN(8)).Append(want...)
		same := func(what string, got responder.Ranges, want []responder.Range) {
			t.Helper()
			if got.Len() != len(want) || !got.Equal(responder.RangesOf(want...)) {
				t.Fatalf("%s: got %s, want %s", what, got, responder.RangesOf(want...))
			}
			for n, r := range got.All() {
				if r != want[n] || got.At(n) != want[n] {
					t.Fatalf("%s: number %d is %s and %s, want %s", what, n, r, got.At(n), want[n])
				}
			}
		}
		cut := rng.IntN(size + 1)
		same("appended", l, want)
		same("clipped", l.Clip(), want)
		same("the first", l.First(cut), want[:cut])
		same("joined", l.First(cut).Join(responder.RangesOf(want[cut:]...)), want)
		addresses := uint64(0)
		for _, r := range want {
			addresses += uint64(value(r.Last)-value(r.First)) + 1
		}
		if got := l.Addresses(); got != addresses {
			t.Fatalf("%d addresses, want %d", got, addresses)
		}
		sorted := slices.Clone(want)
		slices.SortStableFunc(sorted, func(a, b responder.Range) int { return a.First.Compare(b.First) })
		same("sorted", l.Sorted(), sorted)
		same("left alone", l, want)
	}
}
