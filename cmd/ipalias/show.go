package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/responder"
)

func showCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "show [LABEL | ADDRESS]",
		Short: "Say what the daemon answers for",
		Long: `Show lists the aliases of a running daemon with their counters, and where they come
from: file (the configuration), added (at run time), removed (from the
configuration, at run time), aside (added, but the configuration has it now). Of a
label it lists every entry; of an address it says who has it and what it counted, or
why it is not answered for.`,
		Example: `  ipalias show
  ipalias show eth0:lab
  ipalias show 172.16.3.10
  ipalias show --json | jq '.interfaces[].labels[] | select(.from != "file")'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return badCommandLine("unexpected argument %q: one label or address at a time", args[1])
			}
			if len(args) == 1 {
				// An IPv6 address has colons as labels have: the daemon would say that there is no such
				// label.
				if a, err := netip.ParseAddr(args[0]); err == nil && !a.Is4() {
					return badCommandLine("found %q, an IPv6 address, expected an IPv4 one such as 172.16.3.10; IPv6 aliases are not answered yet", args[0])
				}
			}
			// Every label has a colon: "there is no alias 999.1.1.1" would not say what is wrong.
			if len(args) == 1 && !strings.Contains(args[0], ":") {
				if _, err := netip.ParseAddr(args[0]); err != nil {
					return badCommandLine("found %q, expected a label such as eth0:0 or an address such as 172.16.3.10", args[0])
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return showAll(cmd.Context(), e, r)
			}
			// No label is an address: that has a colon only as an IPv6 one, which was refused above.
			if _, err := netip.ParseAddr(args[0]); err == nil {
				return showAddress(cmd.Context(), e, r, args[0])
			}
			return showLabel(cmd.Context(), e, r, args[0])
		},
	}
	r.flags(cmd, `a JSON document: "source" and "interfaces" with their "labels", or of an address "interfaces"`)
	cmd.ValidArgsFunction = r.labels
	return cmd
}

// showAll lists all aliases as they come: a table of a million fills no memory here. As JSON
// the daemon's document goes through as it is: to decode it and encode it again would
// only take time, and lose what a newer daemon tells.
func showAll(ctx context.Context, e env, r remote) error {
	if r.asJSON {
		return refused(r.client().CopyShow(ctx, e.stdout))
	}
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	p := labelPrinter{out: out, most: maxRanges}
	show, err := r.client().Labels(ctx, "", control.ShowReader{Begin: p.begin, Label: p.label})
	// Also after an error: what came before it is true, and shows how far it went. The error of
	// the stream comes first; a failed write of ours is most often why it was broken off.
	p.end(show)
	if flushed := out.Flush(); err == nil {
		return flushed
	}
	return refused(err)
}

// showLabel lists all of one label, every entry of it: whoever names one label wants to see
// what the overview leaves out. An answer of that size is held whole.
func showLabel(ctx context.Context, e env, r remote, label string) error {
	show, err := r.client().Show(ctx, label)
	if err != nil {
		return refused(err)
	}
	if r.asJSON {
		return printJSON(e.stdout, show)
	}
	var text bytes.Buffer
	p := labelPrinter{out: &text, most: math.MaxInt}
	for n := range show.Interfaces {
		i := &show.Interfaces[n]
		p.begin(show, i)
		for m := range i.Labels {
			p.label(i, &i.Labels[m])
		}
	}
	p.end(show)
	_, err = e.stdout.Write(text.Bytes())
	return err
}

// A labelPrinter prints labels interface by interface. The order of calls is begin, label for
// each of its labels, begin of the next, and end once; end may come alone if there is none.
type labelPrinter struct {
	out    io.Writer // keeps its error: only the last Flush or Write is looked at
	most   int       // entries of a label; of a prefix with holes there may be thousands
	labels *grid     // of the interface in hand; nil: there was none yet
}

// page is how many labels are lined up with each other, and so how many are held here. All
// were once: the daemon made three copies of a million labels, 1.8 GB, and the tool as many
// more. A thousand rows fill any screen, and columns that widen between are hardly seen.
const page = 1000

// begin is called before the labels of each interface. What is left of the one before is
// printed first, with its own widths.
func (p *labelPrinter) begin(show *control.Show, i *control.InterfaceShow) error {
	switch {
	case p.labels != nil:
		p.labels.print(p.out, "  ")
		fmt.Fprintln(p.out)
	// Once, at the very top: who edits the daemon's file must learn first that it does not
	// hold at present.
	case show.Replaced:
		fmt.Fprintf(p.out, "as %s said when it replaced the daemon's file\n\n", show.Source)
	}
	// Empty as long as the card has not been found.
	mac := ""
	if i.MAC != "" {
		mac = " (" + i.MAC + ")"
	}
	// In the first line: who only sees that aliases are listed takes them to be answered.
	answers := "answers for"
	if i.Mode == control.Observe {
		answers = "observes and sends nothing, would answer for"
	}
	fmt.Fprintf(p.out, "%s%s %s %s; %s\n", i.Name, mac, answers, count(i.Addresses, "address", "addresses"), i.State)
	p.labels = &grid{titles: []string{"label", "from", ">addresses", ">rx packets", ">tx packets", "entries"}}
	return nil
}

// label takes one label, and prints a page when it is full: all columns of a million
// labels could be aligned only by holding all of them.
func (p *labelPrinter) label(_ *control.InterfaceShow, l *control.LabelShow) error {
	p.labels.add(l.Label, l.From, fmt.Sprint(l.Addresses), fmt.Sprint(l.Counters.RxPackets), fmt.Sprint(l.Counters.TxPackets), entries(l, p.most))
	if len(p.labels.rows) < page {
		return nil
	}
	return p.labels.print(p.out, "  ")
}

// end prints what is left, and then what belongs to no interface. show is what was told
// beside the labels, and complete only now: a stream tells of strays after the interfaces.
func (p *labelPrinter) end(show *control.Show) {
	if p.labels != nil {
		p.labels.print(p.out, "  ")
	}
	// Kept and not dropped, as the interface may be back with the next reload. But nobody would
	// find why the address is not answered for, so it is said here.
	for _, s := range show.Strays {
		fmt.Fprintf(p.out, "\n%s was changed at run time, but its interface is not configured\n", s)
	}
	if show.Frozen != "" {
		fmt.Fprintf(p.out, "\nrun-time changes are refused until they can be kept: %s\n", show.Frozen)
	}
}

// entries writes the entries of a label, the first most of them. Where they
// differ each says where it comes from: the column before says it of the label,
// and to repeat that for each would hide the one that differs. The daemon itself
// cuts long lists; More counts what it left out.
func entries(l *control.LabelShow, most int) string {
	var words []string
	for _, entry := range l.Entries[:min(len(l.Entries), most)] {
		word := entry.Range
		if entry.From != l.From {
			word += " (" + entry.From + ")"
		}
		if entry.Reason != "" {
			word += " (" + entry.Reason + ")"
		}
		words = append(words, word)
	}
	text := strings.Join(words, ", ")
	if more := len(l.Entries) - len(words) + l.More; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// showAddress says who has an address, or for each interface why it is not answered for:
// "why is there no answer" is what people come with.
func showAddress(ctx context.Context, e env, r remote, address string) error {
	show, err := r.client().Address(ctx, address)
	if err != nil {
		return refused(err)
	}
	if r.asJSON {
		return printJSON(e.stdout, show)
	}
	var text bytes.Buffer
	// Every interface has a line: the same address may be an alias in one VLAN and somebody
	// else's in the next.
	for _, m := range show.Interfaces {
		if !m.Answered {
			// A range may have it and still not answer: network and broadcast addresses are left out,
			// and so is what was removed. Without this people look for a typing error in the range.
			within := ""
			if m.Rule != "" {
				within = fmt.Sprintf(", though %s has %s", m.Label, m.Rule)
			}
			fmt.Fprintf(&text, "%s is not answered for on %s: %s%s\n", show.Address, m.Interface, m.Reason, within)
			continue
		}
		is := "is"
		if m.Mode == control.Observe {
			is = "would be"
		}
		fmt.Fprintf(&text, "%s %s answered for on %s as %s, by %s (%s); %s\n", show.Address, is, m.Interface, m.Label, m.Rule, m.From, traffic(m.Counters)+withLabel(m)+observing(m.Mode)+contested(m))
	}
	_, err = e.stdout.Write(text.Bytes())
	return err
}

// traffic writes counters as ifconfig names them: RX is what was asked of an alias, TX what
// was answered in its name.
func traffic(c responder.Counters) string {
	return fmt.Sprintf("RX %s (%d bytes), TX %s (%d bytes)", count(c.RxPackets, "packet", "packets"), c.RxBytes, count(c.TxPackets, "packet", "packets"), c.TxBytes)
}

// withLabel says where an address is counted that has no counters of its own. Their number
// has a ceiling, or a /8 asked at random would fill memory. A zero must not be read as "nobody
// asked".
func withLabel(m control.AddressMatch) string {
	if m.WithLabel {
		return "; as many addresses are counted one by one as may be, so it is counted with " + m.Label
	}
	return ""
}

// contested says who else claims an address, by its MAC. It was in the log alone, of which
// weeks had to be searched.
func contested(m control.AddressMatch) string {
	if m.ClaimedBy != "" {
		return "; another host claims it, " + m.ClaimedBy
	}
	return ""
}

// observing says what the counters of an interface mean that sends nothing: they count as if
// it answered, since that is what is rehearsed, and would be believed.
func observing(mode string) string {
	if mode == control.Observe {
		return "; it observes: what is counted as TX was not sent"
	}
	return ""
}

func statsCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Say what the daemon did",
		Long: `Stats tells what a running daemon received, answered and refused since it was
started, by verdict; docs/verdicts.md says what each means.`,
		Example: `  ipalias stats
  ipalias stats --json | jq '.interfaces[].verdicts'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stats, err := r.client().Stats(cmd.Context())
			switch {
			case err != nil:
				return refused(err)
			case r.asJSON:
				return printJSON(e.stdout, stats)
			}
			_, err = e.stdout.Write(statsText(stats))
			return err
		},
	}
	r.flags(cmd, `a JSON document: "cards", "interfaces", "store" and "reload"`)
	return cmd
}

// statsText writes what stats prints. What is zero and stays zero for nearly everybody,
// such as what was withheld, has no line: a line that is there is worth reading.
func statsText(s *control.Stats) []byte {
	var text bytes.Buffer
	// The daemon's version, not ours: after an upgrade they differ until it is started anew.
	fmt.Fprintf(&text, "ipaliasd %s, for %s\n", s.Version, (time.Duration(s.Seconds) * time.Second).String())
	for _, c := range s.Cards {
		fmt.Fprintf(&text, "\ncard %s: %s; %s received, %d sent, %d dropped, %d not sent\n", c.Name, c.State, count(c.Received, "frame", "frames"), c.Sent, c.Dropped, c.SendErr)
		if c.Withheld > 0 {
			fmt.Fprintf(&text, "  %s withheld: observing\n", count(c.Withheld, "frame", "frames"))
		}
		if c.Shield != "" {
			fmt.Fprintf(&text, "  shield: %s\n", c.Shield)
		}
		if c.Conflicts > 0 {
			fmt.Fprintf(&text, "  other hosts claim %s: %s\n", count(c.Conflicts, "alias", "aliases"), claims(c.Claims))
		}
		// Those of frames that reached no interface, such as of a VLAN that is not configured.
		// Those of the interfaces come below, and no frame is in both.
		verdicts(&text, c.Verdicts)
	}
	for _, i := range s.Interfaces {
		fmt.Fprintf(&text, "\n%s: %s in %s; %s\n", i.Name, count(i.Addresses, "address", "addresses"), count(uint64(i.Labels), "label", "labels"), traffic(i.Counters)+observing(i.Mode))
		verdicts(&text, i.Verdicts)
	}
	fmt.Fprintf(&text, "\nchanged at run time: %s added, %s\n", count(uint64(s.Store.Added), "entry", "entries"), count(uint64(s.Store.Removed), "removal", "removals"))
	// The same sentences as in the daemon's health: an alert and this must not differ.
	for _, trouble := range control.Troubles(s.Store, s.Reload) {
		fmt.Fprintln(&text, trouble)
	}
	return text.Bytes()
}

// claims names the first of those who claim aliases. The number of all stands before it, and
// --json has them all; a cloned machine may claim thousands, and its first few tell enough.
func claims(list []control.Claim) string {
	const most = 5
	var words []string
	for _, c := range list[:min(len(list), most)] {
		words = append(words, fmt.Sprintf("%s (%s, %s)", c.Address, c.Interface, c.Theirs))
	}
	text := strings.Join(words, ", ")
	if more := len(list) - len(words); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// verdicts writes those that occurred, by name, so that two outputs can be compared
// line by line.
func verdicts(text *bytes.Buffer, counts map[string]uint64) {
	g := grid{titles: []string{"", ">"}}
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		g.add(v, fmt.Sprint(counts[v]))
	}
	g.print(text, "  ")
}
