package responder

import (
	"bufio"
	"fmt"
	"os"
	"testing"
)

// resident is how much of what mapMemory gave is in memory, in bytes.
func resident[T any](t *testing.T, s []T) (bytes int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var first uint64
	if _, err := fmt.Sscanf(fmt.Sprintf("%p", s), "0x%x", &first); err != nil {
		t.Fatal(err)
	}
	end, within, areas := first+uint64(len(bytesOf(s))), false, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uint64
		var kilobytes int
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			within = first <= from && to <= end
		} else if n, _ := fmt.Sscanf(lines.Text(), "Rss: %d kB", &kilobytes); n == 1 && within {
			bytes, areas = bytes+kilobytes<<10, areas+1
		}
	}
	if areas == 0 {
		t.Fatalf("nothing is mapped from %x to %x alone", first, end)
	}
	return bytes
}

// An index has no more memory than its slots take, to a page, and the one before it has
// none when all has moved, whatever pages the system hands out.
func TestIndexIsNoLargerThanItsSlots(t *testing.T) {
	const page, few = 4096, 16
	l, err := newLedger(DefaultMaxCounted)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		unmapMemory(l.rows)
		unmapMemory(l.regions[0])
		unmapMemory(l.regions[1])
	}()
	for n := uint32(0); n < 1<<20; n++ {
		a := 11<<24 + n*37
		l.add(a, hash(a))
		if l.old != nil || n%50_000 != 0 && n+1 != 1<<20 {
			continue
		}
		now, before := resident(t, l.regions[l.inRegion]), resident(t, l.regions[l.inRegion^1])
		if most := 4*len(l.index) + few*page; now > most || before > few*page {
			t.Errorf("%d rows: %d bytes of the index, want at most %d, and %d of the one before", n+1, now, most, before)
		}
		if each := (now + resident(t, l.rows)) / (int(n) + 1); each > 32 && n > 500_000 {
			t.Errorf("%d rows: %d bytes each", n+1, each)
		}
	}
}
