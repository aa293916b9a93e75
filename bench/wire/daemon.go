package wire

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/ipalias/ipalias/bench"
)

// CPU at rest is watched for idleTime, once what a start leaves to be done is done.
const (
	idleTime = 10 * time.Second
	settling = 2 * time.Second
)

// A DaemonReport is what RunDaemon found of ipaliasd. Memory is RssAnon and RssShmem
// of the process, in bytes, which leaves out the rings of its packet sockets: they are
// the kernel's, 25 MiB for each worker.
type DaemonReport struct {
	Machine bench.Machine `json:"machine"`

	// With three single addresses, the HOWTO's size of table.
	Start Spread `json:"start_ms"` // from its start to its first answer
	// Once the daemon has been at rest for a while, and has given back what its start took.
	Memory float64 `json:"memory_bytes"`
	Idle   float64 `json:"idle_percent"` // of one core, over IdleTime without traffic

	// With a /8: what it takes more than with three addresses, for all 16 Mi.
	Range float64 `json:"range_bytes"`

	// With a million scattered single addresses, from a file.
	MillionStart Spread  `json:"million_start_ms"`
	Reload       Spread  `json:"million_reload_ms"`       // of the same file, by the control socket
	PerAddress   float64 `json:"bytes_an_address"`        // more than with three
	PerUsed      float64 `json:"bytes_an_address_asked"`  // more than that, once each has been asked for
	Add          Spread  `json:"add_ms"`                  // one more, from the request to its first answer
	Asked        int     `json:"asked_meanwhile"`         // how often another address was asked for while some were added
	Lost         int     `json:"asked_meanwhile_lost"`    // without an answer
	Longest      float64 `json:"asked_meanwhile_high_us"` // the longest round trip
	Undisturbed  float64 `json:"asked_before_high_us"`    // the longest of as many before
}

// WriteText writes the report for people.
func (r *DaemonReport) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s\nipaliasd on a veth pair; times are medians, lowest and highest in parentheses\n\n", r.Machine)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	ms := func(s Spread) string { return fmt.Sprintf("%.1f ms (%.1f-%.1f)", s.Median, s.Low, s.High) }
	for _, line := range [][2]string{
		{"three addresses: start to first answer", ms(r.Start)},
		{"three addresses: memory", fmt.Sprintf("%.1f MB", r.Memory/1e6)},
		{"three addresses: CPU at rest", fmt.Sprintf("%.4f %% of a core over %v", r.Idle, idleTime)},
		{"a /8 instead: memory more", fmt.Sprintf("%.2f MB", r.Range/1e6)},
		{"a million scattered: start to first answer", ms(r.MillionStart)},
		{"a million scattered: the file read again", ms(r.Reload)},
		{"a million scattered: memory more, an address", fmt.Sprintf("%.1f bytes", r.PerAddress)},
		{"each asked once: memory more, an address", fmt.Sprintf("%.1f bytes", r.PerUsed)},
		{"one more: request to first answer", ms(r.Add)},
		{"another address asked meanwhile", fmt.Sprintf("%d times, %d without an answer, longest %.0f us (%.0f us before)", r.Asked, r.Lost, r.Longest, r.Undisturbed)},
	} {
		fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
	}
	return t.Flush()
}
