package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/overlay"
	"github.com/ipalias/ipalias/responder"
)

// ranges reads addresses, prefixes and runs a-b as a configuration has them.
func ranges(t *testing.T, list ...string) (out responder.Ranges) {
	t.Helper()
	for _, s := range list {
		first, last, isRun := strings.Cut(s, "-")
		switch {
		case isRun:
			out = out.Append(responder.Range{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)})
		case strings.Contains(s, "/"):
			out = out.Append(responder.PrefixRange(netip.MustParsePrefix(s)))
		default:
			out = out.Append(responder.Range{First: netip.MustParseAddr(s), Last: netip.MustParseAddr(s)})
		}
	}
	return out
}

var ourMAC = [6]byte{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20}

// eth0 is an interface with a label for each list of addresses.
func eth0(t *testing.T, labels ...[]string) responder.Interface {
	t.Helper()
	i := responder.Interface{
		Name:     "eth0",
		MAC:      ourMAC,
		Networks: []netip.Prefix{netip.MustParsePrefix("172.16.3.0/24")},
		Host:     []netip.Addr{netip.MustParseAddr("172.16.3.1")},
	}
	for n, list := range labels {
		i.Aliases = append(i.Aliases, responder.Alias{Label: fmt.Sprintf("eth0:%d", n), Ranges: ranges(t, list...)})
	}
	return i
}

// view is that of an interface without run-time changes.
func view(i *responder.Interface) *overlay.View {
	return new(overlay.Overlay).View(i.Name, overlay.NewFile(i.Aliases))
}

func published(t *testing.T, i responder.Interface) *responder.Responder {
	t.Helper()
	r := responder.New(responder.Config{Workers: 1})
	if _, err := r.Publish([]responder.Interface{i}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		name   string
		labels [][]string
		tags   []uint16
		want   string
	}{
		{"nothing", nil, nil, "eth0 (00:8e:b8:83:19:20): answering for no address yet"},
		{"one", [][]string{{"172.16.3.10"}}, nil, "eth0 (00:8e:b8:83:19:20): answering for 1 address: 172.16.3.10 (eth0:0)"},
		{"the HOWTO", [][]string{{"172.16.3.10"}, {"172.16.3.100"}}, nil,
			"eth0 (00:8e:b8:83:19:20): answering for 2 addresses: 172.16.3.10 (eth0:0), 172.16.3.100 (eth0:1)"},
		{"one is the host's", [][]string{{"172.16.3.1"}, {"172.16.3.100"}}, nil,
			"eth0 (00:8e:b8:83:19:20): answering for 1 address: 172.16.3.100 (eth0:1)"},
		{"a prefix", [][]string{{"10.0.0.0/16"}, {"172.16.3.100"}}, nil,
			"eth0 (00:8e:b8:83:19:20): answering for 65537 addresses in 2 labels"},
		{"too many to list", [][]string{{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9"}}, nil,
			"eth0 (00:8e:b8:83:19:20): answering for 9 addresses in 1 label"},
		{"observing", [][]string{{"172.16.3.10"}}, nil, "eth0 (00:8e:b8:83:19:20): observing, not answering for 1 address: 172.16.3.10 (eth0:0)"},
		{"a VLAN", [][]string{{"172.16.3.10"}}, []uint16{100, 200},
			"eth0 (00:8e:b8:83:19:20, VLAN 100, VLAN 200): answering for 1 address: 172.16.3.10 (eth0:0)"},
	} {
		i := eth0(t, tc.labels...)
		i.Tags = tc.tags
		if got := describe(published(t, i), &i, view(&i), strings.Contains(tc.want, "observing")); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestPrintTotals(t *testing.T) {
	i := eth0(t, []string{"172.16.3.10"})
	r := published(t, i)
	r.Worker(0).Handle(1, [][]byte{make([]byte, 3)}, []uint8{0}, nil) // too short for anything
	var b strings.Builder
	printTotals(&b, "eth0", capture.Stats{Received: 1, Sent: 2, Dropped: 3, SendErr: 4}, r, []responder.Interface{i})
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines, want 5:\n%s", len(lines), b.String())
	}
	if want := "eth0: 1 frame received, 2 sent, 3 dropped, 4 not sent"; lines[0] != want {
		t.Errorf("%q, want %q", lines[0], want)
	}
	if want := "eth0: 0 packets (0 bytes) for aliases, 0 answers (0 bytes)"; lines[1] != want {
		t.Errorf("%q, want %q", lines[1], want)
	}
	if f := strings.Fields(lines[3]); !slices.Equal(f, []string{"eth0:0", "172.16.3.10", "0", "0", "0", "0"}) {
		t.Errorf("%q, want the alias and its counters", lines[3])
	}
	// The frame was nobody's, and is told all the same.
	if f := strings.Fields(lines[4]); len(f) != 2 || f[1] != "1" {
		t.Errorf("%q, want a verdict and 1", lines[4])
	}
}
