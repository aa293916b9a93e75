package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/bench"
)

func benchCommand(e env) *cobra.Command {
	var asJSON bool
	var rounds int
	var plot string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast this machine answers",
		Long: `Bench measures what answering a frame costs on one core of this machine, in
memory: ARP and echo requests with random targets, frames for others, mixtures and
damaged frames, against tables of three to 16 Mi aliases. Every frame is written
anew; what writing costs is measured apart. It says which line rates that is,
frames back to back, and how many cores they take.

It needs about 800 MB and half a minute.`,
		Example: `  ipalias bench
  ipalias bench --json | jq '.rows[] | {workload, table, net_ns}'
  ipalias bench --plot bench.svg
  sudo ipalias bench wire
  sudo ipalias bench daemon`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := checkRounds(rounds); err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			r, err := bench.Run(ctx, rounds)
			if err != nil {
				return err
			}
			return printReport(e, r, asJSON, plot)
		},
	}
	roundsFlag(cmd, &rounds, bench.Rounds)
	jsonFlag(cmd, &asJSON, `a JSON document: "machine" and "rows"`)
	cmd.Flags().StringVar(&plot, "plot", "", "draw cost against table and frame size into `FILE`, an SVG")
	cmd.MarkFlagFilename("plot", "svg")
	cmd.AddCommand(benchWireCommand(e), benchDaemonCommand(e))
	return cmd
}

func roundsFlag(cmd *cobra.Command, rounds *int, usual int) {
	cmd.Flags().IntVar(rounds, "rounds", usual, "measure everything `N` times, in turn")
}

func checkRounds(rounds int) error {
	if rounds < 1 {
		return badCommandLine("--rounds %d: need at least 1", rounds)
	}
	return nil
}

// interruptible is a context that ^C ends: namespaces and programs must be taken away first.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// A report is what a measurement ends in.
// bench and bench/wire have one each.
type report interface {
	WriteText(io.Writer) error
	WritePlot(io.Writer) error
}

// printReport draws a report where that is asked for, and prints it.
func printReport(e env, r report, asJSON bool, plot string) error {
	if plot != "" {
		if err := writePlot(r, plot); err != nil {
			return fmt.Errorf("draw plot: %w", err)
		}
	}
	if asJSON {
		return printJSON(e.stdout, r)
	}
	return r.WriteText(e.stdout)
}

// writePlot draws r into a file.
func writePlot(r report, name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(r.WritePlot(f), f.Close())
}
