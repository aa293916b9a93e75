// Ipalias is everything about ipalias that is not the daemon: it looks at a running
// one and changes it, checks a configuration, tells what the daemon would answer to a
// capture file and why, does what ifconfig and route did in 1996, measures, and makes
// a network to try it in.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/version"
)

// Exit status. Scripts tell by it whether to try again: misuse fails the same way each time.
const (
	done   = 0
	failed = 1
	misuse = 2 // the command line or the configuration is wrong
)

// An env is what the program takes from outside, beside its arguments. Nothing else here reads
// os.Stdin or writes os.Stdout, or tests could not see it.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}))
}

// run is the program; it returns the exit status. args are without the
// program's name.
func run(args []string, e env) int {
	// Commands are made anew for each run and hold no state outside: tests call run as often
	// as they like, with streams of their own.
	root := rootCommand(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	// What cobra refuses before a command runs is about the command line.
	// There is no type for it: cobra's errors are plain text. No command may have a
	// PersistentPreRun of its own, for cobra runs the nearest alone.
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	cmd, err := root.ExecuteC()
	if cmd.Name() == "help" {
		cmd = root // whose help lists what there is help for
	}

	// In this order: mistakes in a configuration go before the command line, though both may be
	// in one chain, since usage does not help who has to mend a file.
	var wrong config.Errors
	switch {
	case err == nil:
		return done
	case errors.Is(err, syscall.EPIPE):
		return failed // whoever read our output wants no more, and no message either
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(e.stderr, "ipalias: interrupted") // by ^C: nothing here cancels but that
		return failed
	case errors.As(err, &wrong):
		fmt.Fprintln(e.stderr, wrong) // a line each, which begins with its place
		return misuse
	case errors.Is(err, errNoCommand):
		fmt.Fprintf(e.stderr, "ipalias: %v\n\n%s", err, root.UsageString())
		return misuse
	case !started || errors.As(err, new(usageError)):
		fmt.Fprintf(e.stderr, "ipalias: %v\nTry '%s --help'.\n", err, cmd.CommandPath())
		return misuse
	}
	fmt.Fprintf(e.stderr, "ipalias: %v\n", err)
	return failed
}

// errNoCommand is for somebody who does not know the commands, and gets all of usage with it.
// It is a failure: a script whose command came out empty has done nothing.
var errNoCommand = errors.New("need a command")

// A usageError is about the command line. It is told from others by its type alone, wrapped or
// not, and ends with misuse and a hint at --help.
type usageError struct{ error }

func badCommandLine(text string, args ...any) error {
	return usageError{fmt.Errorf(text, args...)}
}

func rootCommand(e env) *cobra.Command {
	root := &cobra.Command{
		Use:   "ipalias",
		Short: "One network card, as many IP addresses as you like",
		Long: `Ipalias goes with ipaliasd, the daemon that answers ARP and ICMP on a network
card for a table of alias addresses that the kernel knows nothing of. It shows what
a running daemon answers for, counts and sees, and changes it; it checks
configurations, and tells what the daemon would answer to the frames of a capture
file and why; it takes the commands of the IP Alias mini-HOWTO; it measures, and
makes a network to try all of it in.

Exit status: 0 done, 1 it failed, 2 the command line or the configuration is
wrong.`,
		Example: `  ipalias show
  ipalias add eth0:2 172.16.3.11
  ipalias top
  ipalias check -c howto.toml
  ipalias replay -c howto.toml -w answers.pcap requests.pcap
  ipalias explain -c howto.toml requests.pcap
  sudo ipalias lab`,
		Version: version.String(),
		// Errors and usage are printed by run, which also chooses the exit status: cobra would print
		// the whole usage below every mistake, and knows no status but 1.
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errNoCommand
		},
	}
	root.SetVersionTemplate(version.Line("ipalias")) // as the command version prints it
	root.AddCommand(
		checkCommand(e),
		replayCommand(e),
		explainCommand(e),
		benchCommand(e),
		labCommand(e),
		versionCommand(e),
		completionCommand(e),
		ifconfigCommand(e),
		routeCommand(e),
		procCommand(e),
	)
	root.AddCommand(daemonCommands(e)...)
	root.SetFlagErrorFunc(badFlag)
	root.CompletionOptions.DisableDefaultCmd = true // ours has an example, and no PowerShell
	// Cobra would add the command help only when it runs, too late for what is changed of it here.
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Example = "  ipalias help replay"
			c.Args, c.Run, c.RunE = knownTopic, nil, func(cmd *cobra.Command, args []string) error {
				topic, _, _ := root.Find(args) // knownTopic was asked
				return topic.Help()
			}
		}
	}
	return root
}

// badFlag says what is wrong with a flag's value in the words of people: pflag does in those of
// package strconv. A kind of flag that is not listed keeps pflag's.
func badFlag(_ *cobra.Command, err error) error {
	var wrong *pflag.InvalidValueError
	if !errors.As(err, &wrong) {
		return err
	}
	expected := map[string]string{"duration": "a time such as 10s", "int": "a whole number", "uint64": "a whole number that is not negative", "bool": "true or false"}
	kind := wrong.GetFlag().Value.Type()
	if expected[kind] == "" {
		return err
	}
	return badCommandLine("--%s is %q, expected %s", wrong.GetFlag().Name, wrong.GetValue(), expected[kind])
}

// knownTopic is for help: cobra's own says of what it does not know that it does not, and
// that this went well.
func knownTopic(cmd *cobra.Command, args []string) error {
	_, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) > 0 {
		err = badCommandLine("unexpected argument %q: expected a command to be explained", rest[0])
	}
	return err
}

// noArguments is for commands that take none. Cobra's own would call the argument an unknown
// command.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return badCommandLine("unexpected argument %q", args[0])
	}
	return nil
}

// oneCapture is for commands that read one capture file.
func oneCapture(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return badCommandLine("need a capture file, or - for standard input")
	case 1:
		return nil
	}
	return badCommandLine("unexpected argument %q: one capture file at a time", args[1])
}

// configFlag adds -c to a command. There is no default: what is checked or replayed is most often
// not yet the file that the daemon has, and to take that one silently would mislead.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "", "read the configuration from `FILE`")
	cmd.MarkFlagFilename("config", "toml")
}

// interfaceFlag adds -i to a command. A capture does not say on which card it was taken.
func interfaceFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVarP(name, "interface", "i", "", "which card or interface of the configuration saw the capture, `NAME`; needed if there are several cards")
}

// jsonFlag adds --json to a command; what says what comes, so that jq can be written from the help.
func jsonFlag(cmd *cobra.Command, on *bool, what string) {
	cmd.Flags().BoolVar(on, "json", false, "print "+what)
}

var errNoConfig = badCommandLine("need a configuration: -c FILE")

// loadConfig reads the configuration that -c names. The flag is not marked as required, which
// cobra would refuse in words of its own. Mistakes in the file come as config.Errors.
func loadConfig(file string) (*config.Config, error) {
	if file == "" {
		return nil, errNoConfig
	}
	return config.Load(file)
}
