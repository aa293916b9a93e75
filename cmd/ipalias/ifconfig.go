package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/nettools"
)

func ifconfigCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "ifconfig [-a] [NAME [ADDRESS] [netmask MASK] [broadcast ADDRESS] [up | down]]",
		Short: "The HOWTO's ifconfig: list cards and aliases, set and delete aliases",
		Long: `Ifconfig without a NAME lists the cards that are up, with -a all of them, and under
each its aliases with what they counted; with a NAME that one.

With an alias such as eth0:0 it changes the running daemon's table: an ADDRESS (or a
range, a prefix, @FILE) takes the place of what the label had; "down" deletes the label;
"up" brings back one of the configuration that was deleted. An alias has the netmask and
the broadcast address of the network on link that holds it, 255.255.255.255 where
there is none: "netmask" and "broadcast" are checked, and refused if they differ.

With a card such as eth0 it asks the kernel, with the privileges of whoever runs it: an
ADDRESS for a card that has none, "up" and "down". What is so already succeeds and
changes nothing. What would take an address away, and all else that ifconfig(8)
can do to a card, is refused with the ip command that does it. Without a netmask an
address gets 255.255.255.0, as in the HOWTO's listing; a loopback one 255.0.0.0.`,
		Example: `  ipalias ifconfig
  ipalias ifconfig eth0:0 172.16.3.10
  ipalias ifconfig eth0:0
  ipalias ifconfig eth0:0 down
  sudo ipalias ifconfig eth0 172.16.3.1 netmask 255.255.255.0 up`,
		DisableFlagParsing: true, // "-a" and "-arp" are words of ifconfig's
		RunE: ofThen(func(cmd *cobra.Command, words []string) error {
			all := len(words) > 0 && words[0] == "-a"
			if all {
				words = words[1:]
			}
			switch {
			case len(words) == 0:
				return ifconfigList(cmd.Context(), e, r, all)
			case len(words) == 1:
				return ifconfigShow(cmd.Context(), e, r, words[0])
			}
			q, err := parseIfconfig(words)
			if err != nil {
				return err
			}
			if isAlias(q.name) {
				return q.alias(cmd.Context(), e, r)
			}
			return q.card(e, r)
		}),
	}
	r.flags(cmd, `a JSON document: "interfaces"; after a change "changed", "changes" and "warnings"`)
	return cmd
}

// isAlias tells an alias' label from a card: no card has a colon in its name.
func isAlias(name string) bool { return strings.Contains(name, ":") }

// ofThen wraps a command whose words are those of a program from before there were
// flags with two dashes: it takes ours out of the command line and gives run the rest.
// Cobra would read "-arp" as short flags, so its parsing is off for these commands and
// on for our flags alone. A wrong flag is a wrong command line then, as everywhere else.
func ofThen(run func(cmd *cobra.Command, words []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		own, words := splitFlags(args)
		// ParseFlags does nothing while it is set.
		cmd.DisableFlagParsing = false
		if err := cmd.ParseFlags(own); err != nil {
			return badCommandLine("%w", err)
		}
		if help, _ := cmd.Flags().GetBool("help"); help {
			return cmd.Help()
		}
		return run(cmd, words)
	}
}

// splitFlags tells our own flags from the words of a command line.
// No word of ifconfig(8) or route(8) as understood here begins with two dashes, so ours can
// stand anywhere. "-a" and "-n" stay words.
func splitFlags(args []string) (own, words []string) {
	for n := 0; n < len(args); n++ {
		switch a := args[n]; {
		case a == "-h":
			own = append(own, "--help")
		// The one flag of ours with a value of its own word.
		case a == "--socket" && n+1 < len(args):
			own = append(own, a, args[n+1])
			n++
		case strings.HasPrefix(a, "--"):
			own = append(own, a)
		default:
			words = append(words, a)
		}
	}
	return own, words
}

// The way of a command line: ofThen takes our own flags out, parseIfconfig
// (ifconfig_words.go) reads the rest into an ifRequest, and that goes to the daemon
// (ifconfig_alias.go) or to the kernel (ifconfig_card.go). The listing is in
// ifconfig_print.go. docs/howto.md says line by line what became of the HOWTO's lines.

// ifconfigList prints the cards, and the daemon's aliases under theirs.
func ifconfigList(ctx context.Context, e env, r remote, all bool) error {
	cards, err := nettools.Cards()
	if err != nil && !errors.Is(err, nettools.ErrUnsupported) {
		return err
	}
	// A daemon that does not run is no reason not to list cards, as ifconfig always did;
	// but the command fails in the end, for scripts that look for an alias.
	stats, asked := r.client().Stats(ctx) // of which interfaces there are
	if asked != nil {
		stats = &control.Stats{}
	}
	out := newIfList(e, r)
	shown := map[string]bool{}
	under := func(c nettools.Card, i control.InterfaceStats) bool {
		own := slices.ContainsFunc(cards, func(c nettools.Card) bool { return c.Name == i.Name })
		// The aliases of such a VLAN go under the card that its frames go through; under its own
		// name they would come last, as if they were somewhere else.
		return i.Name == c.Name || i.Card == c.Name && !own // a VLAN that only the daemon knows
	}
	err = func() error {
		for _, c := range cards {
			if c.Up || all {
				if err := out.entries(cardEntries(c)...); err != nil {
					return err
				}
			}
			for _, i := range stats.Interfaces {
				if !under(c, i) {
					continue
				}
				shown[i.Name] = true
				if !c.Up && !all {
					continue
				}
				if err := out.aliases(ctx, r, i.Name); err != nil {
					return err
				}
			}
		}
		// The daemon may live in another network namespace than we do.
		for _, i := range stats.Interfaces {
			if !shown[i.Name] {
				if err := out.aliases(ctx, r, i.Name); err != nil {
					return err
				}
			}
		}
		return nil
	}()
	// What was listed is written before any complaint: the cards are right without a daemon.
	// An error of the output goes first, since then not even they were seen.
	if err := out.end(err); err != nil {
		return err
	}
	if asked != nil {
		return fmt.Errorf("the aliases are not listed: %w", asked)
	}
	return nil
}

// aliases prints the aliases of an interface of the daemon's.
// One request for an interface, and not one for all: the kernel's order of cards is not the
// daemon's, and a million labels are not kept here to be sorted.
func (l ifList) aliases(ctx context.Context, r remote, iface string) error {
	_, err := r.client().Labels(ctx, iface, control.ShowReader{Label: func(i *control.InterfaceShow, label *control.LabelShow) error {
		if entry, ok := aliasEntry(i, label); ok {
			return l.entries(entry)
		}
		return nil
	}})
	return refused(err)
}

// ifconfigShow prints one card, or one alias.
func ifconfigShow(ctx context.Context, e env, r remote, name string) error {
	cards, err := nettools.Cards()
	if err != nil && !errors.Is(err, nettools.ErrUnsupported) {
		return err
	}
	// The kernel is asked first: an alias that it has itself is shown even with no daemon, as
	// ifconfig(8) shows it.
	for _, c := range cards {
		for n, entry := range cardEntries(c) {
			if entry.Name == name && (n == 0 || isAlias(name)) { // also an alias of the kernel's
				out := newIfList(e, r)
				return out.end(out.entries(entry))
			}
		}
	}
	if !isAlias(name) {
		return noCard(name, cards)
	}
	show, err := r.client().Show(ctx, name)
	if err != nil {
		return refused(err)
	}
	var list []ifEntry
	for n := range show.Interfaces {
		i := &show.Interfaces[n]
		for m := range i.Labels {
			if entry, ok := aliasEntry(i, &i.Labels[m]); ok {
				list = append(list, entry)
			}
		}
	}
	// The daemon knows the label, else it had refused: all of it was removed or set aside.
	if len(list) == 0 {
		return fmt.Errorf("%s is down: ipalias ifconfig %[1]s up brings it back", name)
	}
	out := newIfList(e, r)
	return out.end(out.entries(list...))
}

// noCard is the error for a card that does not exist, with those that do.
func noCard(name string, cards []nettools.Card) error {
	var names []string
	for _, c := range cards {
		names = append(names, c.Name)
	}
	return fmt.Errorf("%w %q; those that exist: %s", nettools.ErrNoCard, name, strings.Join(names, ", "))
}

// maskOf gives the netmask and the broadcast address of the network on link that
// holds all of first to last: of a label 255.255.255.255 where none does, and of a
// network too small for one the limited broadcast (RFC 3021).
// The narrowest network wins, as in a kernel's table. The one of all bits stands for none,
// so that even 0.0.0.0/0 is better. A range over the border of two networks is in neither:
// one mask for both ends would be wrong for one of them.
func maskOf(networks []string, first, last netip.Addr) (mask, broadcast netip.Addr) {
	best := netip.PrefixFrom(first, 32)
	for _, text := range networks {
		p, err := netip.ParsePrefix(text)
		if err == nil && p.Contains(first) && p.Contains(last) && (p.Bits() > best.Bits() || best.Bits() == 32) {
			best = p
		}
	}
	return netmask(best.Bits()), broadcastOf(best)
}

// netmask writes a prefix's length as it was written in 1996.
func netmask(bits int) netip.Addr {
	return netip.AddrFrom4([4]byte(net.CIDRMask(bits, 32)))
}

// bitsOf is the length of a netmask; ok is false for one with holes.
// A mask with holes was legal before CIDR, but no kernel takes one for an address today.
func bitsOf(mask netip.Addr) (bits int, ok bool) {
	bits, size := net.IPMask(mask.AsSlice()).Size()
	return bits, size == 32
}

// broadcastOf gives the last address of a network.
func broadcastOf(p netip.Prefix) netip.Addr {
	// A /31 has two hosts and a /32 one: the last address is somebody's, RFC 3021 2.1.
	if p.Bits() > 30 {
		return netmask(32)
	}
	a, mask := p.Addr().As4(), netmask(p.Bits()).As4()
	for n := range a {
		a[n] |= ^mask[n]
	}
	return netip.AddrFrom4(a)
}
