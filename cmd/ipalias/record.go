package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/control"
)

func recordCommand(e env) *cobra.Command {
	var r remote
	var file, card string
	var count uint64
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "record -w FILE [-i CARD] [-c COUNT] [--time TIME]",
		Short: "Capture what the daemon sees and answers, with its verdicts",
		Long: `Record has a running daemon capture the frames that it sees and those that it
sends, each with a comment: the verdict, or what was sent. It ends at ^C, after COUNT
frames or after TIME, whichever comes first, and the file is whole then. Frames are
lost, and counted, where this end can't take them as fast as they come; answering
never waits. It takes the right to change the table: frames are not for everybody.

The file is pcapng. Wireshark and tshark show the verdict as frame.comment, the
direction as frame.packet_flags_direction.`,
		Example: `  ipalias record -w eth0.pcapng -i eth0 -c 1000
  ipalias record -w - --time 10s | tshark -r - -T fields -e frame.comment -e eth.src -e frame.protocols
  ipalias record -w - | tshark -r - -Y 'frame.comment == "arp-not-alias"'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case file == "":
				return badCommandLine("need a file to write to: -w FILE, or -w - for standard output")
			// To the daemon 0 is no limit, as is a flag that was left out. Whoever types a 0 means
			// something else, and would wait for an end that does not come.
			case length < 0 || length == 0 && cmd.Flags().Changed("time"):
				return badCommandLine("--time is %v, expected more than 0; without it there is no limit", length)
			case count == 0 && cmd.Flags().Changed("count"): // as tcpdump has it
				return badCommandLine("-c is 0, expected at least 1; without it there is no limit")
			}
			// Before the file is made: from here on ^C ends the recording, not the program.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return recordTo(ctx, e, r, file, control.Recording{Card: card, Frames: count, Seconds: length.Seconds()})
		},
	}
	cmd.Flags().StringVarP(&file, "write", "w", "", "write the capture to `FILE`, - for standard output")
	cmd.Flags().StringVarP(&card, "interface", "i", "", "only frames of `CARD` (default all cards)")
	cmd.Flags().Uint64VarP(&count, "count", "c", 0, "end after `COUNT` frames, answers included")
	cmd.Flags().DurationVar(&length, "time", 0, "end after `TIME`, such as 10s")
	cmd.MarkFlagFilename("write", "pcapng")
	r.flags(cmd, `how it went as a JSON document, "frames" and "lost", to standard error`)
	return cmd
}

// recordTo writes a recording to a file and tells how it went. The end of ctx is a good end: ^C
// is how most recordings stop, and the file is whole then.
func recordTo(ctx context.Context, e env, r remote, name string, what control.Recording) error {
	// Standard output may be a pipe to tshark: what is said about the recording must not get
	// into it, and goes to standard error with -w FILE too.
	out := e.stdout
	if name != "-" {
		out = &lateFile{name: name}
	}
	done, err := r.client().Record(ctx, what, out)
	// An error before that of Close is most often its cause, and is told alone. Without a file
	// the daemon sent no byte.
	if f, ok := out.(*lateFile); ok && f.file != nil {
		if e := f.file.Close(); err == nil && e != nil {
			err = fmt.Errorf("write recording: %w", e)
		}
	}
	switch {
	case done == nil: // refused, or broken off: how many there were is not known
	case r.asJSON:
		printJSON(e.stderr, done)
	default:
		fmt.Fprintf(e.stderr, "%s recorded", count(done.Frames, "frame", "frames"))
		// Lost frames don't fail the recording, and are never passed over: who looks for an answer in
		// the file must know that it may have been among them.
		if done.Lost > 0 {
			fmt.Fprintf(e.stderr, ", %d lost: they came faster than they could be written", done.Lost)
		}
		fmt.Fprintln(e.stderr)
	}
	return refused(err)
}

// A lateFile is created with the first write: what is refused must not empty the
// recording of yesterday. It is the caller's alone to read: frames hold what others said to
// each other. A file that was there before keeps its mode, and whoever made it chose that.
type lateFile struct {
	name string
	file *os.File
}

func (l *lateFile) Write(b []byte) (int, error) {
	if l.file == nil {
		f, err := os.OpenFile(l.name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return 0, err
		}
		l.file = f
	}
	return l.file.Write(b)
}
