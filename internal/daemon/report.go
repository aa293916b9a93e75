package daemon

import (
	"fmt"
	"io"
	"net"
	"strings"
	"text/tabwriter"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// What the daemon prints: a line for each interface when it begins to answer, and totals at
// the end. Both are for the person at the terminal; programs ask the control socket.

// maxListed is how many addresses the first line names one by one.
const maxListed = 8

// describe says what an interface answers for, in one line:
// "172.16.3.10 (eth0:0), 172.16.3.100 (eth0:1)" or "65536 addresses in 3 labels".
func describe(r *responder.Responder, i *responder.Interface, v *overlay.View, observed bool) string {
	where := net.HardwareAddr(i.MAC[:]).String()
	for _, tag := range i.Tags {
		where += fmt.Sprintf(", VLAN %d", tag)
	}
	size := r.Size(i.Name)
	verb := "answering"
	if observed {
		verb = "observing, not answering"
	}
	if size == 0 {
		return fmt.Sprintf("%s (%s): %s for no address yet", i.Name, where, verb)
	}
	line := fmt.Sprintf("%s (%s): %s for %s", i.Name, where, verb, count(size, "address", "addresses"))
	if listed := list(r, i.Name, v); uint64(len(listed)) == size {
		return line + ": " + strings.Join(listed, ", ")
	}
	return fmt.Sprintf("%s in %s", line, count(uint64(v.Len()), "label", "labels"))
}

// list names the single addresses that are answered for, at most maxListed.
func list(r *responder.Responder, iface string, v *overlay.View) []string {
	var names []string
	for a := range singles(v) {
		if r.Answers(iface, a.addr) {
			names = append(names, fmt.Sprintf("%s (%s)", a.addr, a.label))
		}
		if len(names) > maxListed {
			return nil
		}
	}
	return names
}

func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// printTotals tells what a card did from start to end: its frames, and the
// verdicts on them that occurred, an interface at a time.
func printTotals(w io.Writer, card string, stats capture.Stats, r *responder.Responder, interfaces []responder.Interface) {
	fmt.Fprintf(w, "%s: %s received, %d sent, %d dropped, %d not sent", card, count(stats.Received, "frame", "frames"), stats.Sent, stats.Dropped, stats.SendErr)
	if stats.Withheld > 0 {
		fmt.Fprintf(w, ", %d withheld: observing", stats.Withheld)
	}
	fmt.Fprintln(w)
	for _, i := range interfaces {
		c := r.Total(i.Name)
		fmt.Fprintf(w, "%s: %s (%d bytes) for aliases, %s (%d bytes)\n",
			i.Name, count(c.RxPackets, "packet", "packets"), c.RxBytes, count(c.TxPackets, "answer", "answers"), c.TxBytes)
		printLabels(w, r.Labels(i.Name))
		printVerdicts(w, r.VerdictCounts(i.Name))
	}
	const noInterface = "" // whose frames these are
	// Frames for VLANs that are not configured, or too short to say.
	printVerdicts(w, r.VerdictCounts(noInterface))
}

// maxLabels is how many labels the totals list.
const maxLabels = 50

// printLabels prints the table with its counters.
func printLabels(w io.Writer, labels []responder.LabelInfo) {
	if len(labels) == 0 || len(labels) > maxLabels {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "alias\taddress\trx packets\trx bytes\ttx packets\ttx bytes\t")
	for _, l := range labels {
		address := count(l.Addresses, "address", "addresses")
		if l.Ranges.Len() == 1 {
			address = l.Ranges.At(0).String()
		}
		c := l.Counters
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t\n", l.Label, address, c.RxPackets, c.RxBytes, c.TxPackets, c.TxBytes)
	}
	t.Flush()
}

// The order is the enum's, which is that of the checks.
func printVerdicts(w io.Writer, counts [responder.NumVerdicts]uint64) {
	for v, n := range counts {
		if n > 0 {
			fmt.Fprintf(w, "  %-28s %d\n", responder.Verdict(v), n)
		}
	}
}
