package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/capture"
)

// replayOptions are the flags of replay.
type replayOptions struct {
	config, card, out, expect string
	json                      bool
}

func replayCommand(e env) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay -c FILE [-w OUT] IN",
		Short: "Say what the daemon would have answered to a capture file",
		Long: `Replay puts the frames of a capture file to the code that the daemon answers
with, and writes the answers to another, each with the time of the frame that
caused it. It reads pcap and pcapng of Ethernet; IN may be - for standard input.
OUT is classic pcap unless its name ends in .pcapng; - is standard output, and
then the tables go to standard error.

It takes the configuration alone: no privilege, no card, no look at the host.
So mac must be given; mtu is 1500, network and gateway are empty unless given.
All interfaces on one card are replayed together, as they share its frames; with
several cards -i says which one. Time is that of the capture: whatever the daemon
would have waited for happens then. The default limits on ICMP errors are lifted,
to see what each frame deserves; a configuration that sets limits keeps them.

With --expect the answers are compared with those in another capture, frame by
frame in order. Times are not compared, nor is the identification of an IPv4
datagram that may be fragmented: the sender chooses it. But pieces that share one
must do so in both. The first difference is shown field by field.

Exit status: 0 whatever the frames hold, 1 if IN is damaged (what was good before
that is still answered) or the answers differ, 2 for the configuration.`,
		Example: `  ipalias replay -c howto.toml -w answers.pcap requests.pcap
  ipalias replay -c howto.toml --expect golden.pcap requests.pcap
  tcpdump -i eth0 -c 1000 -w - | ipalias replay -c howto.toml -
  ipalias replay -c howto.toml -w - requests.pcap | tcpdump -r -`,
		Args: oneCapture,
		RunE: func(cmd *cobra.Command, args []string) error { return replay(e, o, args[0]) },
	}
	configFlag(cmd, &o.config)
	interfaceFlag(cmd, &o.card)
	cmd.Flags().StringVarP(&o.out, "write", "w", "", "write the answers to `OUT`")
	cmd.Flags().StringVar(&o.expect, "expect", "", "compare the answers with those in `GOLDEN`")
	jsonFlag(cmd, &o.json, `a JSON document: "frames", "answers", "verdicts", "aliases" and, with --expect, "expect"`)
	return cmd
}

func replay(e env, o replayOptions, path string) error {
	s, err := newSubject(o.config, o.card)
	if err != nil {
		return err
	}
	in, err := openSource(e, path)
	if err != nil {
		return err
	}
	defer in.Close()
	var want *source
	if o.expect != "" {
		if want, err = openSource(e, o.expect); err != nil {
			return err
		}
		defer want.Close()
	}
	// Creating the file empties it, before a frame is read. By the file, not by the name: a
	// link or ./ before it would do the same.
	if o.out != "" && in.is(o.out) || want != nil && want.is(o.out) {
		return badCommandLine("-w %s would overwrite what is read", o.out)
	}
	// Last of all that can fail: a mistake in the other arguments must not have emptied it.
	out, tables, err := createOut(e, o.out)
	if err != nil {
		return err
	}

	// What stopped the frames is kept apart from err, of the tables: they are printed after a
	// failure too, and a failure is not also told as a difference.
	report := replayReport{In: in.name, Out: o.out}
	var failure error
	if want == nil {
		failure = s.put(in, out)
	} else {
		compared := newComparison(out, want, s)
		failure = s.put(in, compared)
		report.Expect = &compared.report
		failure = errors.Join(failure, compared.err)
	}
	report.fill(s, failure)
	if o.json {
		err = printJSON(tables, report)
	} else {
		err = report.print(tables)
	}
	if err == nil && report.Expect != nil && !report.Expect.Same && failure == nil {
		err = fmt.Errorf("the answers are not those of %s", want.name)
	}
	// What was answered before the damage is told all the same, and then the damage.
	return errors.Join(failure, err)
}

// createOut creates the file that answers go to, none for "", and says where the
// tables go: not into a capture on standard output, which tcpdump would refuse with
// them. out is closed by put.
func createOut(e env, path string) (out capture.FrameWriter, tables io.Writer, err error) {
	switch path {
	case "":
		return nil, e.stdout, nil
	case "-":
		return capture.NewPcapWriter(e.stdout), e.stderr, nil
	}
	if out, err = capture.CreateWriter(path); err != nil {
		return nil, nil, fmt.Errorf("write answers: %w", err)
	}
	return out, e.stdout, nil
}

// put hands the frames of in to the subject and the answers to out, and closes
// out, after an error too, so that what was answered until then is a whole file. out may be
// nil. An interrupt ends it between two frames: one that killed the program would leave a
// file that ends in the middle of a frame, and no table.
func (s *subject) put(in *source, out capture.FrameWriter) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // the next one ends the program as if it were not caught

	reader, err := capture.NewReader(in)
	if err == nil {
		// The port that stands in for a card, not a loop of ours: time, timers and batches are then
		// as the daemon's code has them elsewhere.
		port := capture.NewFile(reader, out)
		err = port.Run(ctx, s)
		s.answers = port.Stats().Sent
		// Run takes the end of ctx for a good one. Here half a capture would pass for all of it.
		if err == nil && ctx.Err() != nil {
			err = fmt.Errorf("interrupted after %s", count(uint64(s.frames), "frame", "frames"))
		}
	}
	err = in.damage(err)
	if out != nil {
		// A full disk may be noticed only here. In a comparison this also finds what is missing.
		err = errors.Join(err, out.Close())
	}
	return err
}
