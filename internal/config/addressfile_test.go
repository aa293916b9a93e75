package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// loadFile reads an address file of lines under the label a:0.
func loadFile(t testing.TB, lines string) *Interface {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "list"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse("x.toml", []byte("[interface.a.aliases]\n\"a:0\" = [\"192.0.2.1\", \"@list\", \"192.0.2.2\"]"), dir)
	if err != nil {
		t.Fatal(err)
	}
	return &c.Interfaces[0]
}

// Each range of a file has the place where it stands, whatever lines and spaces
// are between.
func TestPlacesInAddressFile(t *testing.T) {
	lines := []string{
		"10.0.0.1", "10.0.0.2", "", "# a comment", "10.0.0.3 # another", "  10.0.0.4", "  10.0.0.5", "\t10.0.0.8-10.0.0.10",
		"10.0.1.0/24", "10.0.0.6", "", "10.0.0.7", "é # no address", "", "10.0.0.20\r", "10.0.0.11",
	}
	lines[12] = "# é"
	i := loadFile(t, "\ufeff"+strings.Join(lines, "\n"))
	at := 1 // the range behind 192.0.2.1
	for n, line := range lines {
		text, _, _ := strings.Cut(line, "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		place := i.Place(responder.EntryRef{Alias: 0, Range: at})
		column := 1 + strings.Index(line, text)
		if r := i.Aliases[0].Ranges.At(at); place.Line != n+1 || place.Column != column || r.String() != text || filepath.Base(place.File) != "list" {
			t.Errorf("range %d, %s, stands at %s, want %s at %d:%d", at, r, place, text, n+1, column)
		}
		at++
	}
	for n, r := range map[int]string{0: "192.0.2.1", at: "192.0.2.2"} {
		if place := i.Place(responder.EntryRef{Alias: 0, Range: n}); place.File != "x.toml" || i.Aliases[0].Ranges.At(n).String() != r {
			t.Errorf("%s stands at %s", r, place)
		}
	}
}

// What a file of an address a line costs for places does not grow with it.
func TestPlacesAreFew(t *testing.T) {
	var lines strings.Builder
	lines.WriteString("# scattered\n")
	for n := range 100_000 {
		if n == 50_000 {
			lines.WriteString("\n# the second half, indented\n")
		}
		fmt.Fprintf(&lines, "%s10.%d.%d.%d\n", strings.Repeat(" ", n/50_000), n%3, n>>8&255, n&255)
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "list"), []byte(lines.String()), 0o600)
	d := decoder{open: beside(dir)}
	var a alias
	d.addresses("@list", mark{}, &a)
	if len(d.errs) > 0 || a.Ranges.Len() != 100_000 {
		t.Fatalf("%d ranges, %v", a.Ranges.Len(), d.errs)
	}
	if n := len(a.pieces[0].from.lines); n != 2 {
		t.Errorf("%d spots for two runs of lines", n)
	}
	if m := a.mark(99_999); m.Line != 100_003 || m.Column != 2 {
		t.Errorf("the last one stands at %s", m)
	}
	// No text of an address becomes a string on the heap.
	allocs := testing.AllocsPerRun(1, func() {
		var a alias
		d.addresses("@list", mark{}, &a)
	})
	if allocs > 51_000 { // the indented half takes the slow way
		t.Errorf("%v allocations for 50,000 plain lines", allocs)
	}
}
