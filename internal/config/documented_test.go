package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/responder"
)

// The reference configuration and the manual page, which people read instead of
// keys.go.
const (
	installed = "../../packaging/ipalias.toml"
	page      = "../../packaging/man/ipalias.toml.5"
)

// documented are the keys by the table that they belong to, as the page calls it.
func documented() map[string][]string {
	return map[string][]string{
		"":                       keysOf(topKeys),
		"[interface.CARD]":       keysOf(interfaceKeys),
		"[interface.CARD.limit]": keysOf(limitKeys),
		"A label":                keysOf(aliasKeys),
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// uncommented is the reference configuration with every key that it has as a
// comment: "#key = value".
func uncommented(t *testing.T) string {
	return regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(readFile(t, installed), "$1")
}

// As it is installed the reference is a configuration that answers for nothing.
func TestInstalledAnswersForNothing(t *testing.T) {
	c, err := Load(installed)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Interfaces) != 1 || len(c.Interfaces[0].Aliases) != 0 {
		t.Errorf("it answers for something: %+v", c.Interfaces)
	}
}

// With the comment signs taken away it has every key there is, and no other.
func TestInstalledHasEveryKey(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "addresses.txt"), []byte("10.65.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := uncommented(t)
	c, err := Parse(installed, []byte(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.Warnings {
		t.Errorf("a warning: %s", w)
	}
	got := map[string][]string{}
	collect := func(where string, t *table) {
		for _, e := range t.entries {
			got[where] = append(got[where], e.key)
		}
	}
	root := newDecoder(installed, []byte(text), beside(dir)).document()
	collect("", root)
	for _, i := range root.index["interface"].value.table.entries {
		collect("[interface.CARD]", i.value.table)
		for _, e := range i.value.table.entries {
			if e.key == "limit" {
				collect("[interface.CARD.limit]", e.value.table)
			}
			if e.key != "aliases" {
				continue
			}
			for _, label := range e.value.table.entries {
				if label.value.kind == unstable.Table {
					collect("A label", label.value.table)
				}
			}
		}
	}
	for table, keys := range documented() {
		for _, key := range keys {
			if !slices.Contains(got[table], key) {
				t.Errorf("%s: the key %s is not in %s", table, key, installed)
			}
		}
	}
	// Where the default is not the card's to say, the value is the default.
	plain, err := Load(installed)
	if err != nil {
		t.Fatal(err)
	}
	example, defaults := c.Interfaces[0], plain.Interfaces[0]
	defaults.MAC, defaults.MTU, defaults.Networks, defaults.Gateways = example.MAC, example.MTU, example.Networks, example.Gateways
	defaults.Exclude, defaults.From, defaults.Aliases = example.Exclude, example.From, example.Aliases
	defaults.Limits.EchoBurst = burst // which matters only with a rate
	defaults.Listening = Listening{Workers: 1, Ring: capture.DefaultSlots, Spin: capture.DefaultSpin, Counters: responder.DefaultMaxCounted}
	if diff := cmp.Diff(defaults, example, compare); diff != "" {
		t.Errorf("what is shown as a default is none:\n%s", diff)
	}
}

// The page has an item for each key in the section of its table, and no other.
func TestPageHasEveryKey(t *testing.T) {
	got := map[string][]string{}
	table := ""
	for line := range strings.Lines(readFile(t, page)) {
		line = strings.TrimSuffix(line, "\n")
		switch macro, rest, _ := strings.Cut(line, " "); macro {
		case ".Sh", ".Ss":
			table = rest
		case ".It":
			if key, ok := strings.CutPrefix(rest, "Va "); ok {
				key, _, _ = strings.Cut(key, " ")
				got[table] = append(got[table], key)
			}
		}
	}
	want := documented()
	delete(want, "") // "interface" is told with the tables
	for _, table := range slices.Sorted(maps.Keys(got)) {
		slices.Sort(got[table])
		slices.Sort(want[table])
		if !slices.Equal(got[table], want[table]) {
			t.Errorf("%s: the page has the keys\n%q\nbut there are\n%q", table, got[table], want[table])
		}
		delete(want, table)
	}
	for table := range want {
		t.Errorf("the page has no section %q", table)
	}
}
