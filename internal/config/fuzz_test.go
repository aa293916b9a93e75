package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// Whatever the text, Parse returns; its errors lie inside the text; and it takes
// nothing that the TOML decoder refuses, whose rules on duplicates and
// numbers are not ours.
func FuzzParse(f *testing.F) {
	_, list := sections(f)
	for _, s := range list {
		f.Add([]byte(s.text))
	}
	text, err := os.ReadFile("testdata/reference.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("@/")) || bytes.Contains(text, []byte("..")) || bytes.Contains(text, []byte(`\`)) {
			return // no files but those of testdata
		}
		_, err := Parse("x.toml", text, "testdata")
		if err == nil {
			var any map[string]any
			if err := toml.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &any); err != nil {
				t.Fatalf("accepted, but: %v", err)
			}
			return
		}
		lines := bytes.Split(bytes.TrimPrefix(text, []byte("\ufeff")), []byte("\n"))
		for _, e := range AsErrors(err) {
			if e.File != "x.toml" {
				continue
			}
			if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > utf8.RuneCount(lines[e.Line-1])+1 {
				t.Errorf("%s lies outside", e)
			}
		}
	})
}

// A bad address gets a message, a good one none, and neither a panic.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.0/8", "::1", "10.0.0.*", "a-b", "1-2", "/", "10.0.0.1/8", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, wrong := parseRange(s)
		a, ok := plain([]byte(s + "\n"))
		if ok && (wrong != "" || a != r.First || !r.Single()) {
			t.Fatalf("%q is %s on a line of its own, elsewhere %s %s", s, a, r, wrong)
		}
		if wrong != "" {
			return
		}
		if r.Single() && s == r.String() && !ok {
			t.Fatalf("%q is not read as a plain line", s)
		}
		if !r.First.Is4() || !r.Last.Is4() || r.Last.Less(r.First) {
			t.Fatalf("%q gives %v", s, r)
		}
		if again, wrong := parseRange(r.String()); wrong != "" || again != r {
			t.Fatalf("%q gives %s, which gives %s, %s", s, r, again, wrong)
		}
	})
}

// Loading a million scattered addresses, each on a line of its own.
func BenchmarkLoadMillion(b *testing.B) {
	dir := b.TempDir()
	var text bytes.Buffer
	for n := range 1_000_000 {
		scattered := uint32(n) * 0x9e3779b1 >> 8 // odd: no two are equal in 24 bits
		fmt.Fprintf(&text, "10.%d.%d.%d\n", scattered>>16, scattered>>8&255, scattered&255)
	}
	if err := os.WriteFile(filepath.Join(dir, "big.txt"), text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c, err := Parse("x.toml", []byte("[interface.a.aliases]\n\"a:0\" = \"@big.txt\""), dir)
		if err != nil || c.Interfaces[0].Aliases[0].Ranges.Len() != 1_000_000 {
			b.Fatal(err)
		}
	}
}
