package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/control"
)

// Of the kernel that the HOWTO was written for.
// IPv4 was the only family there, and is the only one here: the columns stay for the form.
const (
	familyInet = 2 // AF_INET
	typeName   = "ip"
)

// A label without any address in force is not in the table: a device of 1996 that was down
// was deleted.
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
			if len(args) != 1 {
				return badCommandLine("need one table: %s", strings.Join(tables, " or "))
			}
			if !slices.Contains(tables, args[0]) {
				return badCommandLine("unknown table %q: expected %s", args[0], strings.Join(tables, " or "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == tables[0] {
				return procAliases(cmd.Context(), e, r)
			}
			return procTypes(cmd.Context(), e, r)
		},
	}
	r.flags(cmd, `a JSON document: "aliases" or "alias_types"`)
	return cmd
}

// eachProcAlias hands the labels that are in force to do, as they come.
// A label at a time, never a list: there may be a million. An error of do's ends it.
func eachProcAlias(ctx context.Context, r remote, do func(procAlias) error) error {
	_, err := r.client().Labels(ctx, "", control.ShowReader{Label: func(_ *control.InterfaceShow, l *control.LabelShow) error {
		a := procAlias{Device: l.Label, Family: familyInet, More: l.More}
		for _, entry := range inForce(l) {
			a.Addresses = append(a.Addresses, entry.Range)
		}
		if len(a.Addresses) == 0 {
			return nil
		}
		return do(a)
	}})
	return refused(err)
}

func procAliases(ctx context.Context, e env, r remote) error {
	list := newListing(e.stdout, r.asJSON, "aliases")
	// The HOWTO's heading, whose columns do not stand above the values: it was so.
	if !r.asJSON {
		fmt.Fprintln(list.out, "device         family    address")
	}
	err := eachProcAlias(ctx, r, func(a procAlias) error { return list.add(a, a.print) })
	return list.end(err)
}

// print cuts a long list of entries: a line of a table is to stay one. --json has all.
func (a *procAlias) print(w io.Writer) {
	first := a.Addresses[:min(len(a.Addresses), maxRanges)]
	address := strings.Join(first, ", ")
	if more := len(a.Addresses) - len(first) + a.More; more > 0 {
		address += fmt.Sprintf(" and %d more", more)
	}
	fmt.Fprintf(w, "%-16s %-6d %s\n", a.Device, a.Family, address)
}

// procTypes counts labels here, not addresses: in 1996 each alias was a device of its own
// with one address, and n_attach counted devices.
func procTypes(ctx context.Context, e env, r remote) error {
	ip := procType{Type: familyInet, Name: typeName}
	err := eachProcAlias(ctx, r, func(procAlias) error {
		ip.Attached++
		return nil
	})
	switch {
	case err != nil:
		return err
	case r.asJSON:
		return printJSON(e.stdout, map[string][]procType{"alias_types": {ip}})
	}
	_, err = fmt.Fprintf(e.stdout, "type    name            n_attach\n%-7d %-15s %d\n", ip.Type, ip.Name, ip.Attached)
	return err
}
