package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/control"
)

func logLevelCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "log-level [debug | info | warn | error]",
		Short: "Say what the daemon logs, or change it",
		Long: `Log-level tells from which level on a running daemon logs, or changes it until the
daemon ends: --log-level of ipaliasd says what it begins with. Info, the default, is
changes of state, and summaries once a minute; debug adds what it is asked and what
the kernel tells it of its cards. No level logs single frames: see ipalias record.`,
		Example: `  ipalias log-level
  ipalias log-level debug`,
		ValidArgs: []string{"debug", "info", "warn", "error"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return badCommandLine("unexpected argument %q: one level", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			// Looking and setting are two requests, and only the second takes the right to change.
			level, err := r.client().LogLevel(cmd.Context())
			if len(args) == 1 && err == nil {
				level, err = r.client().SetLogLevel(cmd.Context(), control.LogLevel{Level: args[0]})
			}
			switch {
			case err != nil:
				return refused(err)
			case r.asJSON:
				return printJSON(e.stdout, level)
			}
			_, err = fmt.Fprintln(e.stdout, level.Level)
			return err
		},
	}
	r.flags(cmd, `a JSON document: "level"`)
	return cmd
}
