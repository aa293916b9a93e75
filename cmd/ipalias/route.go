package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/nettools"
)

func routeCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "route [-n] | route {add | del} [-net | -host] TARGET [netmask MASK] [gw GATEWAY] [metric N] [[dev] NAME]",
		Short: "The HOWTO's route: list routes, add and delete them",
		Long: `Route without a verb lists the kernel's routes, and one for each alias, with -n
without words for addresses.

"route add -host ADDRESS dev eth0:0" succeeds if the alias has that address, and changes
nothing: what an alias answers for needs no route. All other routes are the kernel's, and
added and deleted with the privileges of whoever runs it. A route that is there already
succeeds and changes nothing. What route(8) can do beside that is refused with the ip
command that does it. Without a netmask a network has that of the card's own network
of this name, else its class's.`,
		Example: `  ipalias route -n
  ipalias route add -host 172.16.3.10 dev eth0:0
  sudo ipalias route add -net 172.16.3.0 dev eth0
  sudo ipalias route add default gw 172.16.3.200`,
		DisableFlagParsing: true, // "-net" is a word of route's
		RunE: ofThen(func(cmd *cobra.Command, words []string) error {
			if len(words) == 0 || len(words) == 1 && words[0] == "-n" {
				return routeList(cmd.Context(), e, r, len(words) == 1)
			}
			q, err := parseRoute(words)
			if err != nil {
				return err
			}
			if isAlias(q.dev) {
				return q.alias(cmd.Context(), e, r)
			}
			return q.kernel(e, r)
		}),
	}
	r.flags(cmd, `a JSON document: "routes"; after a change "changed", "changes" and "warnings"`)
	return cmd
}

// A routeEntry is one line of route's listing.
// Those of aliases are listed because the HOWTO's reader looks for them: its commands set one
// for each. Nothing is set here: an alias sends answers only, and they need no route.
type routeEntry struct {
	Destination string `json:"destination"`
	Gateway     string `json:"gateway"`
	Mask        string `json:"mask"`
	Flags       string `json:"flags"`
	Metric      int    `json:"metric"`
	Interface   string `json:"interface"`
	Alias       bool   `json:"alias"` // the daemon's, which the kernel knows nothing of
}

const anyAddress = "0.0.0.0"

// routeList prints the routes. Those of aliases are more specific than the
// kernel's for the networks they are in, and come first.
func routeList(ctx context.Context, e env, r remote, numeric bool) error {
	// Off Linux the aliases can still be listed: the daemon may be elsewhere, by its socket.
	routes, err := nettools.Routes()
	if err != nil && !errors.Is(err, nettools.ErrUnsupported) {
		return err
	}
	out := newListing(e.stdout, r.asJSON, "routes")
	if !r.asJSON {
		fmt.Fprintln(out.out, "Kernel IP routing table, and ipaliasd's aliases")
		fmt.Fprintln(out.out, "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface")
	}
	add := func(k routeEntry) error { return out.add(k, func(w io.Writer) { k.print(w, numeric) }) }
	// What fails here is the daemon's answer and not our output: add keeps an error of writing
	// for end, which tells of it below, before this one.
	_, asked := r.client().Labels(ctx, "", control.ShowReader{Label: func(_ *control.InterfaceShow, l *control.LabelShow) error { return aliasRoutes(l, add) }})
	err = nil
	for n := 0; n < len(routes) && err == nil; n++ {
		// route(8) reads the main table only. The other would be three lines for each address.
		if !routes[n].Local {
			err = add(kernelRoute(routes[n]))
		}
	}
	if err := out.end(err); err != nil {
		return err
	}
	if asked != nil {
		return fmt.Errorf("the routes of aliases are not listed: %w", asked)
	}
	return nil
}

// aliasRoutes gives add a route for each entry of a label.
func aliasRoutes(l *control.LabelShow, add func(routeEntry) error) error {
	for _, entry := range inForce(l) {
		if err := add(aliasRoute(l.Label, entry.Range)); err != nil {
			return err
		}
	}
	// A line for those left out, in the Destination's column: who counts on a whole list must
	// see that it is none.
	if l.More == 0 {
		return nil
	}
	return add(routeEntry{Destination: fmt.Sprintf("%d more", l.More), Gateway: anyAddress, Mask: anyAddress, Flags: "U", Interface: l.Label, Alias: true})
}

// aliasRoute writes a prefix as a network; what is none keeps its own form.
// A range would take up to sixty prefixes to write as networks, and nobody would see in them
// what was configured.
func aliasRoute(label, entry string) routeEntry {
	out := routeEntry{Destination: entry, Gateway: anyAddress, Mask: netmask(32).String(), Flags: "UH", Interface: label, Alias: true}
	if p, err := netip.ParsePrefix(entry); err == nil && p.Bits() < 32 {
		out.Destination, out.Mask, out.Flags = p.Addr().String(), netmask(p.Bits()).String(), "U"
	}
	return out
}

func kernelRoute(k nettools.Route) routeEntry {
	out := routeEntry{Destination: k.Dst.Addr().String(), Gateway: anyAddress, Mask: netmask(k.Dst.Bits()).String(), Flags: "U", Metric: k.Metric, Interface: k.Card}
	if k.Gateway.IsValid() {
		out.Gateway, out.Flags = k.Gateway.String(), out.Flags+"G"
	}
	if k.Dst.Bits() == 32 {
		out.Flags += "H"
	}
	// As net-tools shows an unreachable route: no gateway, no card, and ! instead of U.
	// /proc/net/route has one flag for all three types, so they look alike there as well.
	if k.Reject {
		out.Gateway, out.Flags, out.Interface = "-", "!"+strings.TrimPrefix(out.Flags, "U"), "-"
	}
	return out
}

// print prints a route in route(8)'s columns.
func (k *routeEntry) print(w io.Writer, numeric bool) {
	destination, gateway := k.Destination, k.Gateway
	if !numeric && gateway == anyAddress {
		gateway = "*"
	}
	if !numeric && destination == anyAddress && k.Mask == anyAddress {
		destination = "default"
	}
	// Ref is not kept by Linux and Use was of its route cache, which is gone since 3.6: zeros,
	// so that Iface remains the eighth word of a line.
	fmt.Fprintf(w, "%-15s %-15s %-15s %-5s %-6d %-2d %7d %s\n", destination, gateway, k.Mask, k.Flags, k.Metric, 0, 0, k.Interface)
}

// alias does what is asked for with the device of an alias, which is to say
// nothing, or why.
// It succeeds with nothing done where the alias answers, and else fails: a script that goes
// on after a success relies on the address being reached.
func (q *routeRequest) alias(ctx context.Context, e env, r remote) error {
	card := cardName(q.dev)
	switch {
	// The kernel has no device of that name, and to use the card instead is another route than
	// the one that was asked for.
	case q.gateway.IsValid():
		return fmt.Errorf("a gateway is reached by the card, not by an alias: ipalias route %s %s gw %s dev %s", q.verb, q.words(), q.gateway, card)
	case q.target.Bits() != 32 || q.guessed:
		return fmt.Errorf("the route to a network is the card's, not an alias's: ipalias route %s %s dev %s", q.verb, q.words(), card)
	// To delete the route alone was to leave an alias that nothing reached.
	case q.verb == "del":
		return fmt.Errorf("an alias has no route that could go alone: ipalias del %s %s", q.dev, q.target.Addr())
	}
	show, err := r.client().Address(ctx, q.target.Addr().String())
	if err != nil {
		return refused(err)
	}
	for _, m := range show.Interfaces {
		switch {
		case m.Label == q.dev && m.Answered:
			return printResult(e, r, &control.Result{Changes: []string{}, Warnings: []string{}}, nil)
		case m.Label == q.dev:
			return fmt.Errorf("%s is not answered for: %s", show.Address, m.Reason)
		}
	}
	return fmt.Errorf("%s does not answer for %s; to have it do so: ipalias add %[1]s %[2]s; to reach that host: ipalias route add -host %[2]s dev %s", q.dev, show.Address, card)
}

// kernel adds or deletes a route of the kernel's.
// What is there is looked up before: the kernel's EEXIST does not tell the route that was
// asked for from another with the same target, and the one is a success and the other not.
// Unlike route(8), which fails with both: the HOWTO's lines come after the kernel has made
// these routes itself.
func (q *routeRequest) kernel(e env, r remote) error {
	routes, err := nettools.Routes()
	if err != nil {
		return err
	}
	if err := q.guess(routes); err != nil {
		return err
	}
	if q.other != "" {
		return q.refuse()
	}
	result := &control.Result{Changes: []string{}, Warnings: []string{}}
	there := slices.ContainsFunc(routes, q.fits)
	// A metric that is not said is 0, the kernel's own default for IPv4.
	want := nettools.Route{Dst: q.target, Gateway: q.gateway, Card: q.dev, Metric: max(q.metric, 0)}
	switch command := "ip route " + q.verb + " " + q.ipWords(); {
	case q.verb == "add" && there:
	case q.verb == "add":
		if q.dev == "" && !q.gateway.IsValid() {
			return badCommandLine("no card is in %s: need dev CARD or gw GATEWAY", q.target)
		}
		if err := nettools.AddRoute(want); err != nil {
			return routeNotDone(err, command, q)
		}
		result.Changes = append(result.Changes, "+ "+q.ipWords())
	case !there:
		return fmt.Errorf("there is no route to %s of the kernel's; ipalias route -n lists those that exist; those of aliases go by ipalias del", q.ipWords())
	default:
		// Done, other than for an address: the words name the route, and delete nothing else.
		if err := nettools.DeleteRoute(want); err != nil {
			return routeNotDone(err, command, q)
		}
		result.Changes = append(result.Changes, "- "+q.ipWords())
	}
	return printKernelResult(e, r, result)
}

// routeNotDone explains the kernel's short answers about routes.
func routeNotDone(err error, command string, q *routeRequest) error {
	switch {
	case errors.Is(err, syscall.EEXIST):
		return fmt.Errorf("there is another route to %s, and that is not taken away here: %s", q.target, strings.Replace(command, " add ", " replace ", 1))
	case errors.Is(err, syscall.ENETUNREACH) && q.gateway.IsValid():
		return fmt.Errorf("the gateway %s is in no network of a card that is up: %w", q.gateway, err)
	case errors.Is(err, syscall.ENETDOWN):
		return fmt.Errorf("%w: ipalias ifconfig %s up", err, q.dev)
	case errors.Is(err, syscall.ESRCH) && q.verb == "del":
		return fmt.Errorf("the kernel keeps the route to %s for its own address: it goes with the address", q.target)
	}
	return notDone(err, command)
}
