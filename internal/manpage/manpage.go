// Package manpage reads what a manual page in mdoc tells of a program's commands
// and flags. It is for tests: nobody has to remember what a page must say.
package manpage

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Page is the flags that a page names, by command: those that stand in the item
// ".It Ic COMMAND". Under "" are those of all other items.
type Page map[string][]string

// Read reads a page.
func Read(path string) (Page, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read manual page: %w", err)
	}
	p, command := Page{}, ""
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] != '.' {
			continue
		}
		words[0] = words[0][1:]
		switch {
		case words[0] == "Sh" || words[0] == "Ss":
			command = ""
		case words[0] == "It" && len(words) > 2 && words[1] == "Ic":
			command = name(words[2:])
			p[command] = append(p[command], flags(words)...)
			continue
		}
		if command != "" || words[0] == "It" {
			p[command] = append(p[command], flags(words)...)
		}
	}
	return p, nil
}

var macro = regexp.MustCompile(`^[A-Z][a-z]{1,2}$`)

// name is the words up to the next macro.
func name(words []string) string {
	if n := slices.IndexFunc(words, macro.MatchString); n >= 0 {
		words = words[:n]
	}
	return strings.Join(words, " ")
}

// flags are the words behind Fl: "c" of ".Fl c", "-json" of ".Op Fl -json".
func flags(words []string) (list []string) {
	for n, w := range words[:len(words)-1] {
		if w == "Fl" {
			list = append(list, words[n+1])
		}
	}
	return list
}

// Compare tells how the page's item of a command differs from the command's flags.
// One that has two names may be called by either, unless both are wanted.
func (p Page) Compare(item string, cmd *cobra.Command, both bool) (differences []string) {
	told, ok := p[item]
	if !ok {
		return []string{fmt.Sprintf("no item for %q", item)}
	}
	known := []string{}
	visit := func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" && item != "" {
			return // every command has it: it is told once
		}
		long, short := slices.Contains(told, "-"+f.Name), slices.Contains(told, f.Shorthand)
		known = append(known, "-"+f.Name, f.Shorthand)
		if !long && (both || !short) || both && f.Shorthand != "" && !short {
			differences = append(differences, fmt.Sprintf("%q: nothing is told of --%s", item, f.Name))
		}
	}
	cmd.LocalFlags().VisitAll(visit)
	for _, flag := range told {
		if !slices.Contains(known, flag) {
			differences = append(differences, fmt.Sprintf("%q: there is no flag -%s", item, flag))
		}
	}
	return differences
}
