package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is sent on is read as what it was, and its mistakes stand where they stood.
func TestSent(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	absolute := write("other.txt", "# one\n10.0.1.1\n")
	write("list.txt", "10.0.0.1\n\n10.0.0.9 # nine\n")
	file := write("a.toml", "# a comment\n[interface.eth0.aliases]\n\"eth0:0\" = [\"@list.txt\", \"@"+absolute+"\"]\n\"eth0:1\" = \"172.16.3.10\"\n")
	text, files, err := LoadToSend(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSent(file, text, files)
	if err != nil {
		t.Fatal(err)
	}
	for n := range want.Interfaces[0].Aliases {
		a, b := &want.Interfaces[0].Aliases[n], &got.Interfaces[0].Aliases[n]
		if a.Label != b.Label || !a.Ranges.Equal(b.Ranges) {
			t.Errorf("%s has %v, want %v", b.Label, b.Ranges, a.Ranges)
		}
	}

	files["list.txt"] = "10.0.0.1\n10.0.0.300\n"
	text += "\"eth0:1\" = \"172.16.3.11\"\n"
	places := func(err error) (list []string) {
		for _, e := range AsErrors(err) {
			list = append(list, e.Place.String())
		}
		return list
	}
	_, err = ParseSent(file, text, files)
	if diff := cmp.Diff([]string{filepath.Join(dir, "list.txt") + ":2:1", file + ":5:1"}, places(err)); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	// What was not sent is not read, whoever may read it.
	delete(files, "list.txt")
	if _, err := ParseSent(file, text, files); err == nil || !strings.Contains(err.Error(), "reads no file for others") {
		t.Errorf("without its file: %v", err)
	}
	// Whoever sends it is told before.
	write("list.txt", "10.0.0.300\n")
	if _, _, err := LoadToSend(file); err == nil || !strings.Contains(err.Error(), "list.txt:1:1") {
		t.Errorf("a wrong list: %v", err)
	}
}
