package main

import (
	"errors"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
)

// A remote is what the commands share that ask a running daemon.
type remote struct {
	socket string // as given; "": client finds it
	asJSON bool
}

// flags adds --socket and --json to a command. The flag has no default value: help would
// print the environment of the moment.
func (r *remote) flags(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&r.socket, "socket", "", "ask the daemon that listens on `PATH` (default "+control.DefaultSocket+", or "+control.SocketEnv+")")
	cmd.MarkFlagFilename("socket")
	jsonFlag(cmd, &r.asJSON, what)
}

// client goes by --socket, then by the environment, by which a lab or a test leads whole
// scripts to a daemon of its own, then to where the unit has it. Nothing is connected yet.
func (r *remote) client() *control.Client {
	socket := r.socket
	if socket == "" {
		socket = os.Getenv(control.SocketEnv)
	}
	if socket == "" {
		socket = control.DefaultSocket
	}
	return control.NewClient(socket)
}

// refused gives what the daemon refused the exit status that it would have here: 2 for what
// is wrong with the request or its configuration, so that a script need not know who read
// it. The mistakes are printed as check prints them, a line each with its place. nil and
// errors of the connection pass as they are.
func refused(err error) error {
	var e *control.Error
	switch {
	case !errors.As(err, &e):
		return err
	case len(e.Errors) > 0:
		return e.Errors
	case e.Status == http.StatusBadRequest:
		return badCommandLine("%w", err)
	}
	return err
}

// readAddresses reads addresses of the command line, "@FILE" too: files are read
// with the rights of whoever asks, not the daemon's. They come back as ranges in order, each
// once: that is what is sent, and a prefix of 16 million addresses stays one word.
// The result is never empty, for a deletion without addresses is that of the label.
func readAddresses(label string, args []string) ([]string, error) {
	ranges, err := config.Addresses(label, args)
	if err != nil {
		return nil, config.AsErrors(err)
	}
	if ranges.Len() == 0 { // of a file, whose lines may all be comments
		return nil, badCommandLine("no address: found none in %s, expected one for %s", strings.Join(args, " "), label)
	}
	list := make([]string, 0, ranges.Len())
	for _, r := range ranges.All() {
		list = append(list, r.String())
	}
	return list, nil
}

// daemonCommands are the commands that ask a running daemon.
func daemonCommands(e env) []*cobra.Command {
	// In the order of the manual page: first what only looks, then what changes.
	return []*cobra.Command{
		showCommand(e),
		statsCommand(e),
		topCommand(e),
		recordCommand(e),
		logLevelCommand(e),
		addCommand(e),
		delCommand(e),
		reloadCommand(e),
		replaceCommand(e),
		diffCommand(e),
		saveCommand(e),
	}
}
