package docs

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// read gives a document that has to be there.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents are those that people read, as paths from here.
func documents(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, pattern := range []string{"*.md", "../*.md", "../bench/peers/*.md", "../internal/*/testdata/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, found...)
	}
	return list
}

// Every link to a file, and to a heading in one, leads somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	links := 0
	for _, document := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, document), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := document
			if path != "" {
				target = filepath.Join(filepath.Dir(document), filepath.FromSlash(path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", document, m[1])
			} else if anchor != "" && !headings(read(t, target))[anchor] {
				t.Errorf("%s: %s has no heading #%s", document, target, anchor)
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links were looked at, want at least 100", links)
	}
}

// headings gives the anchors of a document's headings, as they are made of them
// where documents are shown: lower case, without punctuation, dashes for spaces.
func headings(text string) map[string]bool {
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return anchors
}

// The tables of architecture.md have each package and each module that go.mod
// requires, and nothing that is gone.
func TestArchitectureHasAll(t *testing.T) {
	text := read(t, "architecture.md")
	_, packages, _ := strings.Cut(text, "## Packages")
	packages, _, _ = strings.Cut(packages, "##")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(packages, -1) {
		listed[m[1]] = true
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Errorf("package %s is gone", m[1])
		}
	}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		if name == "docs" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != ".." {
			return fs.SkipDir
		}
		if p, err := build.ImportDir(path, 0); err == nil && len(p.GoFiles) > 0 && !listed[name] && !listed[parent(name)] {
			t.Errorf("no line for package %s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	_, modules, _ := strings.Cut(text, "## Dependencies")
	modules, _, _ = strings.Cut(modules, "##")
	required := regexp.MustCompile(`(?m)^\t(?:github\.com/)?(\S+) v\S+$`) // not what is indirect
	found := required.FindAllStringSubmatch(read(t, "../go.mod"), -1)
	for _, m := range found {
		if !strings.Contains(modules, "`"+m[1]+"`") {
			t.Errorf("no line for module %s", m[1])
		}
	}
	if len(listed) < 20 || len(found) < 10 {
		t.Errorf("%d packages and %d modules were looked at", len(listed), len(found))
	}
}

// parent is where a line stands for what lies below: the programs of bench/peers
// are a module of their own.
func parent(name string) string {
	if filepath.Dir(name) == "bench/peers" {
		return "bench/peers"
	}
	return name
}
