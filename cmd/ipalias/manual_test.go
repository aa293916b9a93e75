package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipalias/ipalias/internal/manpage"
)

// ipalias(8) tells of every command and of every flag of each, and of no others.
func TestManual(t *testing.T) {
	page, err := manpage.Read("../../packaging/man/ipalias.8")
	if err != nil {
		t.Fatal(err)
	}
	var named []string // flags
	var walk func(cmd *cobra.Command, path string)
	walk = func(cmd *cobra.Command, path string) {
		for _, c := range cmd.Commands() {
			item := strings.TrimSpace(path + " " + c.Name())
			for _, difference := range page.Compare(item, c, false) {
				t.Error(difference)
			}
			delete(page, item)
			c.LocalFlags().VisitAll(func(f *pflag.Flag) { named = append(named, "-"+f.Name, f.Shorthand) })
			walk(c, item)
		}
	}
	root := rootCommand(env{})
	root.InitDefaultVersionFlag()
	walk(root, "")
	root.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(page[""], "-"+f.Name) {
			t.Errorf("nothing is told of --%s", f.Name)
		}
		named = append(named, "-"+f.Name, f.Shorthand)
	})
	for _, flag := range page[""] { // the options of many commands
		if !slices.Contains(named, flag) && flag != "h" && flag != "-help" {
			t.Errorf("no command has the flag -%s", flag)
		}
	}
	delete(page, "")
	for item := range page {
		t.Errorf("there is no command %q", item)
	}
}
