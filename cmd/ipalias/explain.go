package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/dissect"
	"github.com/ipalias/ipalias/responder"
)

// An explanation is a line of "explain --json". Its members are named as the columns are
// meant; scripts select by them, so a name that is out stays. What is not known of a frame is
// left out rather than empty.
type explanation struct {
	Frame     int    `json:"frame"` // from 1
	Time      string `json:"time"`
	What      string `json:"what"`
	Captured  int    `json:"captured"` // bytes in the file
	Length    int    `json:"length"`   // bytes on the wire
	Interface string `json:"interface,omitempty"`
	Address   string `json:"address,omitempty"` // that it is about
	Verdict   string `json:"verdict"`
	Meaning   string `json:"meaning"`
	Answers   int    `json:"answers"`
	Alias     string `json:"alias,omitempty"`  // the label
	Rule      string `json:"rule,omitempty"`   // what of the configuration holds the address
	Reason    string `json:"reason,omitempty"` // why the address is not answered for

	clock string // Time for people
	// Taken from the frame before its answer is written over it, as the verdict, which says
	// which of the two counts, is known only after. The zero Addr: the frame has none.
	source, target netip.Addr
}

func explainCommand(e env) *cobra.Command {
	var file, card string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain -c FILE IN",
		Short: "Say what becomes of each frame of a capture file, and why",
		Long: `Explain prints a line for each frame of a capture file: its number and time
(UTC), what it is, the verdict of the code that the daemon answers with, and the
alias and rule of the configuration that hold its address, or why it is none.
"ipalias replay" says what the verdicts mean, and under which conditions frames are
looked at: no privilege, no card, mac must be given.

Frames are described in the terms of tcpdump. IN may be - for standard input.

Exit status: 0 whatever the frames hold, 1 if IN is damaged, 2 for the
configuration.`,
		Example: `  ipalias explain -c howto.toml requests.pcap
  ipalias explain -c howto.toml requests.pcap | grep -v answered
  tcpdump -i eth0 -U -w - | ipalias explain -c howto.toml -
  ipalias explain -c howto.toml --json requests.pcap | jq -r 'select(.answers == 0).verdict'`,
		Args: oneCapture,
		RunE: func(_ *cobra.Command, args []string) error { return explain(e, file, card, asJSON, args[0]) },
	}
	configFlag(cmd, &file)
	interfaceFlag(cmd, &card)
	jsonFlag(cmd, &asJSON, `JSON lines, one for each frame: "frame", "time", "what", "verdict", "alias", "rule", "reason" and more`)
	return cmd
}

func explain(e env, file, card string, asJSON bool, path string) error {
	s, err := newSubject(file, card)
	if err != nil {
		return err
	}
	in, err := openSource(e, path)
	if err != nil {
		return err
	}
	defer in.Close()
	reader, err := capture.NewReader(in)
	if err != nil {
		return in.damage(err)
	}
	out := &lines{w: bufio.NewWriter(e.stdout), hold: heldLines, json: asJSON}
	if in.file == nil {
		// Somebody may be watching, with tcpdump before the pipe: a page may take a day to fill.
		// Columns then widen as they must.
		out.hold = 1
	}
	err = s.explain(reader, out.add)
	// The end alone: a file cut in the middle of a frame has an error of its own, which is told.
	if err == io.EOF {
		err = nil
	}
	// Lines that are held are printed after an error too: what was good before it is explained.
	return errors.Join(in.damage(err), out.flush())
}

// explain hands every frame to print. It is capture.File's loop without the
// answers: File tells a Handler nothing but the frame, and here its own time and
// length matter too.
func (s *subject) explain(in *capture.Reader, print func(*explanation) error) error {
	// Nanoseconds since the epoch, as stamps are. A wake of 0: no timer is set.
	var now, wake int64
	// A frame at a time, where the daemon takes many: Verdicts are those of the last call, and
	// each frame is to have its own. The slices are used again for each.
	frames, answers := make([][]byte, 1), [][]byte(nil)
	for {
		frame, err := in.Next()
		if err != nil {
			return err
		}
		now = max(now, frame.Time) // stamps may run backwards, the responder's time does not
		// Timers run out between frames, at the time that they were set for: a reassembly that was
		// given up must not be completed by a piece that came a minute later.
		for wake != 0 && wake <= now {
			before := wake
			// A wake that does not move on would be one for ever: capture.File has the same guard.
			if _, wake = s.worker.Handle(before, nil, nil, nil); wake <= before {
				break
			}
		}
		s.frames++
		// Before Handle: the answer is written over the request.
		x := s.describe(frame)
		frames[0] = frame.Data
		answers, wake = s.worker.Handle(now, frames, nil, answers[:0])
		v := s.worker.Verdicts()[0]
		x.Verdict, x.Meaning, x.Answers = v.String(), v.Help(), len(answers)
		s.match(x, v)
		if err := print(x); err != nil {
			return err
		}
	}
}

// describe says what can be said of a frame before it is overwritten with its answer. It
// needs s.frames counted already, and leaves the verdict and what follows from it.
func (s *subject) describe(f capture.Frame) *explanation {
	x := &explanation{Frame: s.frames, Time: stamp(f.Time), clock: clock(f.Time), What: dissect.Line(f.Data), Captured: len(f.Data), Length: f.Length}
	// A snapshot length cuts frames, and a cut echo request is refused as too short. Who does
	// not see that it was cut looks for the fault in the sender.
	if f.Length > len(f.Data) {
		x.What += fmt.Sprintf(" [captured %d of %d bytes]", len(f.Data), f.Length)
	}
	x.source, _ = dissect.Source(f.Data)
	x.target, _ = dissect.Target(f.Data)
	tags := dissect.Tags(f.Data)
	// By all tags in order: VLAN 5 within 7 is not VLAN 7. None fits: the frame belongs to no
	// interface and Interface stays empty.
	for _, i := range s.interfaces {
		if slices.Equal(i.Tags, tags) {
			x.Interface = i.Name
		}
	}
	return x
}

// match says what the table thinks of the address that a verdict is about. It asks for the
// frame's interface alone: another VLAN may have the same address for somebody else.
func (s *subject) match(x *explanation, v responder.Verdict) {
	a := x.target
	switch v {
	case responder.ARPReply, responder.ARPConflict, responder.ARPOwn, responder.ARPSpoofed:
		a = x.source // who says it has an address, not who asks for one
	}
	if x.Interface == "" || !a.IsValid() {
		return
	}
	m := s.responder.Explain(x.Interface, a)
	if v == responder.OtherHost && !m.Answered {
		return // nobody wonders why it is not answered
	}
	x.Address, x.Alias, x.Rule, x.Reason = a.String(), m.Label, m.Rule, m.Reason
}

// heldLines is how many lines are laid out together: enough that the first page has seen the
// usual widths, few enough that a capture of any length fits.
const heldLines = 256

// maxWhat bounds the column that says what a frame is; some, which quote others,
// go beyond.
const maxWhat = 90

// A lines prints explanations, for people in columns that grow as they must.
type lines struct {
	w    *bufio.Writer
	json bool
	hold int // explanations, before they are printed
	held []*explanation
	what int // width of the column; 0 before the first
}

func (l *lines) add(x *explanation) error {
	l.held = append(l.held, x)
	// Columns never get narrower: lines of several pages are read as one table.
	l.what = max(l.what, min(len(x.What), maxWhat))
	if len(l.held) < l.hold {
		return nil
	}
	return l.flush()
}

func (l *lines) flush() error {
	// A line each and not one document: jq and grep begin while the capture still runs.
	encoder := json.NewEncoder(l.w)
	encoder.SetEscapeHTML(false)
	for _, x := range l.held {
		if l.json {
			if err := encoder.Encode(x); err != nil {
				return err
			}
			continue
		}
		line := fmt.Sprintf("%5d  %s  %-*s  %-18s  %s", x.Frame, x.clock, l.what, x.What, x.Verdict, x.why())
		if _, err := fmt.Fprintln(l.w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	l.held = l.held[:0]
	// Past the buffer too, or who watches a pipe sees nothing for 4 KiB.
	return l.w.Flush()
}

// why is the alias and its rule, and the reason why there is none.
func (x *explanation) why() string {
	switch {
	case x.Alias == "":
		return x.Reason
	case x.Reason == "":
		return fmt.Sprintf("%s (%s)", x.Alias, x.Rule)
	}
	return fmt.Sprintf("%s (%s), but %s", x.Alias, x.Rule, x.Reason)
}
