// Ipaliasd answers ARP and ICMP on a network card for addresses that the
// kernel knows nothing of.
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

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/version"
)

// Exit status.
const (
	done   = 0
	failed = 1
	misuse = 2 // the command line or the configuration is wrong
)

// An env is what the program takes from outside.
type env struct {
	args           []string // without the program's name
	stdout, stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on the next one ends the program as if it were not caught.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, env{args: os.Args[1:], stdout: os.Stdout, stderr: os.Stderr}))
}

// run is the program; it returns the exit status.
func run(ctx context.Context, e env) int {
	cmd := command(e)
	cmd.SetArgs(e.args)
	cmd.SetOut(e.stdout)
	cmd.SetErr(e.stderr)
	err := cmd.ExecuteContext(ctx)
	var wrong config.Errors
	switch {
	case err == nil:
		return done
	case errors.As(err, new(usageError)):
		// Whoever mistyped one flag, of a unit even, shall find what is wrong with it.
		// The whole usage would fill the journal, and bury the line that says what is wrong.
		help := "Try 'ipaliasd --help'.\n"
		if len(e.args) == 0 {
			help = "\n" + cmd.UsageString()
		}
		fmt.Fprintf(e.stderr, "ipaliasd: %v\n%s", err, help)
		return misuse
	case errors.As(err, &wrong):
		fmt.Fprintln(e.stderr, wrong) // a line each, which begins with its place
		return misuse
	}
	fmt.Fprintf(e.stderr, "ipaliasd: %v\n", err)
	return failed
}

// A usageError is about the command line.
type usageError struct{ error }

func badCommandLine(text string, args ...any) error {
	return usageError{fmt.Errorf(text, args...)}
}

const example = `  ipaliasd -c /etc/ipalias/ipalias.toml
  ipaliasd -i eth0 -a 172.16.3.10 -a 10.64.0.0/16`

func command(e env) *cobra.Command {
	var file, card string
	var aliases []string
	var o options
	cmd := &cobra.Command{
		Use:   "ipaliasd {-c FILE | -i CARD [-a ADDRESS]...}",
		Short: "Answer for many addresses on one network card",
		Long: `Ipaliasd answers ARP and ICMP on a network card for a table of alias addresses
that the kernel knows nothing of. It runs in the foreground until SIGINT or
SIGTERM; a second signal ends it at once. SIGHUP has it read its configuration
again; one that is wrong is refused as a whole, and the old one goes on.`,
		Example:               example,
		Version:               version.String(),
		SilenceErrors:         true,
		DisableFlagsInUseLine: true,
		SilenceUsage:          true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return badCommandLine("unexpected argument %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(file, card, aliases)
			if err != nil {
				return err
			}
			again := func() (*config.Config, error) {
				// At the start a pipe is as good as a file; later nobody writes to it any more, and a
				// reload would wait for somebody with the table locked.
				if file != "" {
					return config.LoadAgain(file)
				}
				return config.FromFlags(card, aliases)
			}
			return serve(cmd.Context(), e, cfg, again, o)
		},
	}
	cmd.SetVersionTemplate(version.Line("ipaliasd"))
	flags := cmd.Flags()
	flags.StringVarP(&file, "config", "c", "", "read the configuration from `FILE`")
	flags.StringVarP(&card, "interface", "i", "", "listen on `CARD`; without -a for nothing yet")
	flags.StringArrayVarP(&aliases, "alias", "a", nil, "answer for `ADDRESS`, a range a-b, a prefix a/n or those in @FILE; may be repeated")
	o.flags(cmd)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return badCommandLine("%w", err) })
	return cmd
}

// load makes the configuration of a file or of the command line.
func load(file, card string, aliases []string) (*config.Config, error) {
	switch {
	case file != "" && (card != "" || len(aliases) > 0):
		return nil, badCommandLine("-c and -i exclude each other: the file says which cards and aliases")
	case file == "" && card == "" && len(aliases) > 0:
		return nil, badCommandLine("-a needs the card to answer on: -i CARD")
	case file == "" && card == "":
		return nil, badCommandLine("nothing to do: need -c FILE or -i CARD")
	}
	if file != "" {
		return config.Load(file)
	}
	return config.FromFlags(card, aliases)
}
