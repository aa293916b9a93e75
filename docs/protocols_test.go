// Package docs keeps what the documents say of the code true.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that protocols.md names is where it says.
func TestProtocolsNamesTests(t *testing.T) {
	text, err := os.ReadFile("protocols.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\[((?:Test|Fuzz)\w+)\]\(([^)]*)\)`)
	named := link.FindAllStringSubmatch(string(text), -1)
	if len(named) < 100 {
		t.Errorf("%d tests are named, want at least 100", len(named))
	}
	for _, m := range named {
		source, err := os.ReadFile(filepath.FromSlash(m[2]))
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		if !strings.HasSuffix(m[2], "_test.go") || !strings.Contains(string(source), "\nfunc "+m[1]+"(") {
			t.Errorf("there is no %s in %s", m[1], m[2])
		}
	}
	rest := link.ReplaceAllString(string(text), "")
	if bare := regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`).FindAllString(rest, -1); len(bare) > 0 {
		t.Errorf("named without their file: %q", bare)
	}
}
