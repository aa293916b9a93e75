package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/control"
)

// Of the kernel that the HOWTO was written for.
const (
	familyInet = 2 // AF_INET
	typeName   = "ip"
)

type procAlias struct {
	Device    string   `json:"device"`
	Family    int      `json:"family"`
	Addresses []string `json:"addresses"`      // single ones, ranges, prefixes
	More      int      `json:"more,omitempty"` // entries that are left out
}

type procType struct {
	Type     int    `json:"type"`
	Name     string `json:"name"`
	Attached int    `json:"n_attach"`
}

func procCommand(e env) *cobra.Command {
	var r remote
	tables := []string{"aliases", "alias_types"}
	cmd := &cobra.Command{
		Use:   "proc {" + strings.Join(tables, " | ") + "}",
		Short: "The HOWTO's /proc/net/aliases and /proc/net/alias_types",
		Long: `Proc prints one of the two tables that the kernel of the HOWTO showed in /proc/net:
each alias with its address (family 2 is IPv4), or how many there are. A label with
several ranges is one alias.`,
		Example: `  ipalias proc aliases
  ipalias proc alias_types
  ipalias proc aliases --json | jq -r '.aliases[].device'`,
		ValidArgs: tables,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] != tables[0] && args[0] != tables[1] {
				return badCommandLine("need one table: %s", strings.Join(tables, " or "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			show, err := r.client().Show(cmd.Context(), "")
			if err != nil {
				return refused(err)
			}
			aliases := procAliases(show)
			if args[0] == tables[0] {
				return printProcAliases(e, r, aliases)
			}
			return printProcTypes(e, r, []procType{{familyInet, typeName, len(aliases)}})
		},
	}
	r.flags(cmd, `a JSON document: "aliases" or "alias_types"`)
	return cmd
}

// procAliases lists the labels that are in force.
func procAliases(show *control.Show) []procAlias {
	list := []procAlias{}
	for _, i := range show.Interfaces {
		for _, l := range i.Labels {
			a := procAlias{Device: l.Label, Family: familyInet, More: l.More}
			for _, entry := range inForce(l) {
				a.Addresses = append(a.Addresses, entry.Range)
			}
			if len(a.Addresses) > 0 {
				list = append(list, a)
			}
		}
	}
	return list
}

func printProcAliases(e env, r remote, list []procAlias) error {
	if r.asJSON {
		return printJSON(e.stdout, map[string][]procAlias{"aliases": list})
	}
	var text bytes.Buffer
	fmt.Fprintln(&text, "device         family    address")
	for _, a := range list {
		first := a.Addresses[:min(len(a.Addresses), maxRanges)]
		address := strings.Join(first, ", ")
		if more := len(a.Addresses) - len(first) + a.More; more > 0 {
			address += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(&text, "%-16s %-6d %s\n", a.Device, a.Family, address)
	}
	_, err := e.stdout.Write(text.Bytes())
	return err
}

func printProcTypes(e env, r remote, list []procType) error {
	if r.asJSON {
		return printJSON(e.stdout, map[string][]procType{"alias_types": list})
	}
	var text bytes.Buffer
	fmt.Fprintln(&text, "type    name            n_attach")
	for _, t := range list {
		fmt.Fprintf(&text, "%-7d %-15s %d\n", t.Type, t.Name, t.Attached)
	}
	_, err := e.stdout.Write(text.Bytes())
	return err
}
