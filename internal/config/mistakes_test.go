package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is said now to testdata/mistakes.txt, to be read before it is kept")

// says is how the name of a section ends that holds an error.
const says = ": says"

// A section is a part of testdata/mistakes.txt, behind a line "-- name --".
type section struct{ name, text string }

func sections(t testing.TB) (intro string, list []section) {
	t.Helper()
	text, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	intro, rest, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), "\n-- ")
	for part := range strings.SplitSeq(rest, "\n-- ") {
		name, body, ok := strings.Cut(part, " --\n")
		if !ok {
			t.Fatalf("section without a body: %q", part)
		}
		list = append(list, section{name, body})
	}
	return intro, list
}

// Every mistake in testdata/mistakes.txt, with the whole text of the error.
func TestMistakes(t *testing.T) {
	intro, list := sections(t)
	want := map[string]string{}
	for _, s := range list {
		want[s.name] = s.text
	}
	var updated strings.Builder
	updated.WriteString(intro)
	for _, s := range list {
		if strings.HasSuffix(s.name, says) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			_, err := Parse("x.toml", []byte(s.text), "testdata")
			if err == nil {
				t.Fatal("no error")
			}
			fmt.Fprintf(&updated, "\n-- %s --\n%s\n-- %s%s --\n%s", s.name, s.text, s.name, says, err)
			if diff := cmp.Diff(want[s.name+says], err.Error()); diff != "" && !*update {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	updated.WriteString("\n")
	if *update {
		if err := os.WriteFile("testdata/mistakes.txt", []byte(updated.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A text that is nothing but mistakes is not read to its end.
func TestBombs(t *testing.T) {
	var tables strings.Builder
	for i := range 1 << 17 {
		fmt.Fprintf(&tables, "[interface.eth%d]\n", i)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"a long key":    {strings.Repeat("a.", 100000) + "b = 1\n", "the key is too long"},
		"a long header": {"[" + strings.Repeat("a.", 100000) + "b]\n", "the key is too long"},
		"a deep array":  {"a = " + strings.Repeat("[", 1<<20), "too deep: found more than 16"},
		"one key":       {strings.Repeat("x=1\n", 1<<20), "duplicate key x"},
		"many tables":   {tables.String(), "too many tables"},
	} {
		_, err := Parse("bomb.toml", []byte(tc.text), ".")
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %.200v, want %q", name, err, tc.want)
		}
		var list Errors
		if errors.As(err, &list); len(list) > maxErrors+1 {
			t.Errorf("%s: %d mistakes are told", name, len(list))
		}
	}
}
