package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/bench/wire"
)

const wireLong = `Wire joins two network namespaces with a veth pair, or takes two cards that can
reach each other and that nobody uses. At one end a generator asks as fast as
the kernel takes it; at the other, in turn, answer ipalias, without and with a
shield, the kernel with the same addresses, loops on mdlayher/packet and
mdlayher/arp, and farpd where it is installed. It counts replies, checks a sample
of them byte by byte, looks for the highest and the loss-free rate, measures round
trips, and what a reply costs where one core does everything.

A card is moved into a network namespace meanwhile, and comes back without what
was configured on it; one that has an address is refused.

A peer program is run with the arguments CARD, ADDRESSES (a prefix or first-last),
and the IP and MAC address of who will ask; it answers until it gets SIGTERM.

It needs root, Linux 6.6 and some minutes; ^C takes everything away.`

func benchWireCommand(e env) *cobra.Command {
	var asJSON bool
	var plot string
	var o wire.Options
	cmd := &cobra.Command{
		Use:   "wire",
		Short: "Measure answers through the kernel, against others",
		Long:  wireLong,
		Example: `  sudo ipalias bench wire
  sudo ipalias bench wire --rounds 1 --json
  sudo ipalias bench wire --card eth1 --peer eth2
  sudo ipalias bench wire --daemon bin/ipaliasd --peer-program bin/peers/gvisor`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := checkRounds(o.Rounds); err != nil {
				return err
			}
			// Either the pair is made, or both ends are given: half of each would ask nobody.
			if (o.Card == "") != (o.Peer == "") || o.Card != "" && o.Card == o.Peer {
				return badCommandLine("--card %q and --peer %q: need two cards, or neither", o.Card, o.Peer)
			}
			// To standard error, so that --json can be piped, and minutes of silence look like a hang.
			o.Progress = func(what string) { fmt.Fprintln(e.stderr, what) }
			ctx, stop := interruptible()
			defer stop()
			r, err := wire.Run(ctx, o)
			if err != nil {
				return err
			}
			return printReport(e, r, asJSON, plot)
		},
	}
	roundsFlag(cmd, &o.Rounds, wire.Rounds)
	jsonFlag(cmd, &asJSON, `a JSON document: "machine" and "rows"`)
	cmd.Flags().StringVar(&plot, "plot", "", "draw replies a second and round trips into `FILE`, an SVG")
	cmd.MarkFlagFilename("plot", "svg")
	cmd.Flags().StringVar(&o.Card, "card", "", "have the responders answer on `CARD`, which nobody uses")
	cmd.Flags().StringVar(&o.Peer, "peer", "", "ask from `CARD`, which nobody uses and which reaches the other")
	cmd.Flags().StringVar(&o.Daemon, "daemon", "", "measure this ipaliasd too, as a program of its own, `FILE`")
	cmd.Flags().StringArrayVar(&o.Programs, "peer-program", nil, "measure this program too, `FILE`; may be repeated")
	cmd.MarkFlagFilename("daemon")
	cmd.MarkFlagFilename("peer-program")
	return cmd
}

func benchDaemonCommand(e env) *cobra.Command {
	var asJSON bool
	daemon := "ipaliasd"
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Measure what a running ipaliasd takes",
		Long: `Daemon starts ipaliasd on a veth pair between two network namespaces, with three
addresses, a /8, and a million scattered ones, and measures its memory, the time
from its start to its first answer, the time that adding one address to a million
takes, and what it does at rest.

It needs root, Linux 6.6 and a minute; ^C takes everything away.`,
		Example: `  sudo ipalias bench daemon
  sudo ipalias bench daemon --daemon bin/ipaliasd --json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			ctx, stop := interruptible()
			defer stop()
			r, err := wire.RunDaemon(ctx, daemon)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(e.stdout, r)
			}
			return r.WriteText(e.stdout)
		},
	}
	jsonFlag(cmd, &asJSON, "a JSON document")
	cmd.Flags().StringVar(&daemon, "daemon", daemon, "`FILE` of ipaliasd")
	cmd.MarkFlagFilename("daemon")
	return cmd
}
