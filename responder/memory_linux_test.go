package responder

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
	"weak"
)

// resident is how much of what mapMemory gave is in memory, in bytes. It is asked page by
// page (Documentation/admin-guide/mm/pagemap.rst): neighbouring mappings may be one area.
func resident[T any](t *testing.T, s []T) (bytes int) {
	t.Helper()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var first int64
	if _, err := fmt.Sscanf(fmt.Sprintf("%p", s), "0x%x", &first); err != nil {
		t.Fatal(err)
	}
	const entry, inMemory, inSwap = 8, 1 << 63, 1 << 62
	page := os.Getpagesize()
	pages := make([]byte, (len(bytesOf(s))+page-1)/page*entry)
	if _, err := f.ReadAt(pages, first/int64(page)*entry); err != nil {
		t.Fatal(err)
	}
	for ; len(pages) > 0; pages = pages[entry:] {
		if binary.NativeEndian.Uint64(pages)&(inMemory|inSwap) != 0 {
			bytes += page
		}
	}
	return bytes
}

// An index has no more memory than its slots take, to a page, and the one before it has
// none when all has moved, whatever pages the system hands out. Rows have one large page
// more at most.
func TestIndexIsNoLargerThanItsSlots(t *testing.T) {
	const page, few = 4096, 16
	l, err := newLedger(DefaultMaxCounted)
	if err != nil {
		t.Fatal(err)
	}
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
		rows := resident(t, l.rows)
		if most := 24*(int(n)+1) + hugePage + few*page; rows > most {
			t.Errorf("%d rows: %d bytes of them, want at most %d", n+1, rows, most)
		}
		if each := (now + rows) / (int(n) + 1); each > 32 && n+1 == 1<<20 {
			t.Errorf("%d rows: %d bytes each", n+1, each)
		}
	}
}

// What nobody has any more is unmapped: the table before, also where Amend was at it, and
// the counters of a responder that is gone.
func TestMappedMemoryGoes(t *testing.T) {
	const patience = time.Minute
	gone := func(what string, is func() bool) {
		t.Helper()
		for begin := time.Now(); !is(); runtime.GC() {
			if time.Since(begin) > patience {
				t.Fatalf("%s is still there after %v", what, patience)
			}
		}
	}
	r, l := oneLink(t)
	if _, err := r.Amend("v0", nil, []Alias{{Label: "v0:y", Ranges: RangesOf(Range{v4addr(0x0b000001), v4addr(0x0b000001)})}}); err != nil {
		t.Fatal(err)
	}
	before := weak.Make(l.table.memory)
	if _, err := r.Publish(r.ifs); err != nil {
		t.Fatal(err)
	}
	r.workers[0].set, l = nil, nil
	gone("the table of before", func() bool { return before.Value() == nil })

	l = r.set.Load().untagged
	r.workers[0].set = r.set.Load()
	for a := uint32(0x0a000000); a < 0x0a000000+1<<20; a++ {
		r.workers[0].row(l, a)
	}
	own := weak.Make(l.ledgers[0])
	counters := l.ledgers[0].rows
	full := resident(t, counters)
	used := status(t, "RssAnon")
	r, l = nil, nil
	gone("the ledger", func() bool { return own.Value() == nil })
	gone("the memory of the counters", func() bool { return status(t, "RssAnon") < used-full/2 })
}

// TestFailedPublishLeavesNothing: what a Publish reserved before it failed is given back at
// once, also if the collector never comes.
func TestFailedPublishLeavesNothing(t *testing.T) {
	r, _ := oneLink(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	name := func(n int) string { return "v0." + string(rune('a'+n%26)) }
	one := func(a uint32) Ranges { return rangesOf4([]run4{{a, a}}) }
	areas := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(maps), "\n")
	}
	before, begin := status(t, "VmSize"), areas()
	for n := range 10_000 {
		fresh := Interface{Name: name(n), Tags: []uint16{1}, MAC: [6]byte{2}, Aliases: []Alias{{Label: "x", Ranges: one(0x0a000001)}}}
		twice := fresh
		switch n % 4 {
		case 0: // the second of a name
		case 1: // the second that answers the same frames
			twice.Name = name(n + 1)
		case 2: // two labels with one address
			twice.Name, twice.Tags = name(n+1), nil
			twice.Aliases = append(twice.Aliases, twice.Aliases...)
		case 3:
			twice.Name, twice.Tags, twice.MTU = name(n+1), nil, 1
		}
		if _, err := r.Publish([]Interface{fresh, twice}); err == nil {
			t.Fatal("no error")
		}
		if _, err := r.Amend("v0", nil, []Alias{{Label: "v0:y", Ranges: one(0x0a000001)}}); err == nil {
			t.Fatal("an overlap was taken")
		}
		if _, err := Check(&fresh); err != nil {
			t.Fatal(err)
		}
	}
	// What the collector would free is among it: tables' own parts, some KB each.
	const slack = 2 << 30
	if grown := status(t, "VmSize") - before; grown > slack {
		t.Errorf("%d MiB more of address space are reserved", grown>>20)
	}
	if n := areas() - begin; n > 1000 {
		t.Errorf("%d more areas are mapped", n)
	}
}

// status is what the system says of the process's memory, in bytes.
func status(t *testing.T, field string) (bytes int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), field+":")
	if _, err := fmt.Sscan(rest, &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes << 10
}
