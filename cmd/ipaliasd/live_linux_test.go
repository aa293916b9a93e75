package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ipalias/ipalias/internal/netlab"
)

// The HOWTO's table. What it calls the card's own address is the kernel's.
const howto = `
[interface.v0.aliases]
"v0:0" = "172.16.3.10"
"v0:1" = "172.16.3.100"
`

// lab makes the HOWTO's network: the daemon's host with 172.16.3.1 in a, its
// gateway 172.16.3.200 in b.
func lab(t *testing.T, tools ...string) (a, b *netlab.Namespace) {
	t.Helper()
	netlab.Need(t, append(tools, "ip")...)
	a, b = netlab.Pair(t)
	address(t, a, b)
	return a, b
}

func address(t *testing.T, a, b *netlab.Namespace) {
	t.Helper()
	must(t, a, "ip", "addr", "add", "172.16.3.1/24", "dev", netlab.CardA)
	must(t, b, "ip", "addr", "add", "172.16.3.200/24", "dev", netlab.CardB)
	must(t, a, "ip", "route", "add", "default", "via", "172.16.3.200")
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ipalias.toml")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestHOWTO(t *testing.T) {
	a, b := lab(t, "ping", "arping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	want := "ipaliasd: v0 (02:00:00:00:03:01): answering for 2 addresses: 172.16.3.10 (v0:0), 172.16.3.100 (v0:1)\n"
	if got := p.stdout.String(); got != want {
		t.Errorf("first line %q, want %q", got, want)
	}
	// Side by side, because arping waits a second between its two requests.
	t.Run("clients", func(t *testing.T) {
		for _, alias := range []string{"172.16.3.1", "172.16.3.10", "172.16.3.100"} {
			t.Run(alias, func(t *testing.T) {
				t.Parallel()
				answered(t, b, alias)
			})
		}
		t.Run("no alias", func(t *testing.T) {
			t.Parallel()
			if out, ok := client(b, "arping", "-I", netlab.CardB, "-c", "1", "-w", "1", "172.16.3.50"); ok {
				t.Errorf("arping 172.16.3.50: want silence\n%s", out)
			}
		})
	})
	p.interrupt(t)
}

// answered fails unless address answers each ARP request and each ping once:
// the main address is the kernel's alone, an alias the daemon's alone.
func answered(t *testing.T, b *netlab.Namespace, address string) {
	t.Helper()
	out, ok := client(b, "arping", "-I", netlab.CardB, "-c", "2", "-w", "10", address)
	if !ok || !strings.Contains(out, "Received 2 response") {
		t.Errorf("arping %s: want two answers to two requests\n%s", address, out)
	}
	// For a reply that is the last to come ping waits no longer than for the interval,
	// whatever -W says.
	out, ok = client(b, "ping", "-c", "3", "-i", "0.2", "-W", "5", address)
	if !ok || !strings.Contains(out, " 3 received") || strings.Contains(out, "duplicate") {
		t.Errorf("ping %s: want three answers to three requests\n%s", address, out)
	}
	if neighbour := must(t, b, "ip", "neigh", "show", address); !strings.Contains(neighbour, netlab.MACA.String()) {
		t.Errorf("%s is %s, want the MAC address %s", address, neighbour, netlab.MACA)
	}
}

func TestScanners(t *testing.T) {
	a, b := lab(t, "fping", "nmap", "arp-scan")
	ipaliasd(t, a, "-c", file(t, howto))
	found := regexp.MustCompile(`172\.16\.3\.\d+`)
	want := []string{"172.16.3.1", "172.16.3.10", "172.16.3.100"}
	for _, scanner := range [][]string{
		{"fping", "-a", "-q", "-r", "0", "-t", "500", "-i", "1", "-g", "172.16.3.1", "172.16.3.110"},
		{"nmap", "-n", "-sn", "-oG", "-", "--max-retries", "1", "172.16.3.1-110"},
		{"arp-scan", "-q", "--plain", "--retry=1", "-I", netlab.CardB, "172.16.3.1-172.16.3.110"},
	} {
		// fping and arp-scan end with an error where some host is silent.
		out, _ := client(b, scanner...)
		var got []string
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "#") { // nmap repeats its command line
				continue
			}
			if host := found.FindString(line); host != "" {
				got = append(got, host)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s found %q, want %q\n%s", scanner[0], got, want, out)
		}
	}
}

func promiscuity(t *testing.T, n *netlab.Namespace) (count int) {
	t.Helper()
	err := n.Do(func() error {
		card, err := netlink.LinkByName(netlab.CardA)
		if err == nil {
			count = card.Attrs().Promisc
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func TestInterrupt(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	if promiscuity(t, a) == 0 {
		t.Error("the card is not promiscuous while the daemon runs")
	}
	must(t, b, "ping", "-c", "3", "-i", "0.2", "-W", "5", "172.16.3.10")
	p.interrupt(t)
	if n := promiscuity(t, a); n != 0 {
		t.Errorf("the card was left promiscuous (%d)", n)
	}
	totals := p.stdout.String()
	for _, want := range []string{`(?m)^v0: \d+ frames? received, \d+ sent, 0 dropped, 0 not sent$`, `(?m)^  arp-answered +1$`, `(?m)^  echo-answered +3$`} {
		if !regexp.MustCompile(want).MatchString(totals) {
			t.Errorf("no line %s in\n%s", want, totals)
		}
	}
	if out, ok := client(b, "ping", "-c", "1", "-W", "1", "172.16.3.10"); ok {
		t.Errorf("answered after the end:\n%s", out)
	}
}

func TestSixteenMillion(t *testing.T) {
	a, b := lab(t, "ping")
	must(t, b, "ip", "route", "add", "10.0.0.0/8", "dev", netlab.CardB)
	p := ipaliasd(t, a, "-i", netlab.CardA, "-a", "10.0.0.0/8")
	if got := p.stdout.String(); !strings.Contains(got, "answering for 16777216 addresses in 1 label") {
		t.Errorf("first line %q", got)
	}
	for _, address := range []string{"10.0.0.0", "10.127.255.1", "10.255.255.255"} {
		must(t, b, "ping", "-c", "1", "-W", "5", address)
	}
}

func TestEmptyTable(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-i", netlab.CardA)
	if got := p.stdout.String(); !strings.Contains(got, "answering for no address yet") {
		t.Errorf("first line %q", got)
	}
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.1")
	p.interrupt(t)
}

// The capability that the error message of an unprivileged start names is all
// that it takes.
func TestCapabilityIsEnough(t *testing.T) {
	a, b := lab(t, "setpriv", "ping")
	p := start(t, a.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		"--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw", "--bounding-set=-all,+net_raw",
		binary, "-i", netlab.CardA, "-a", "172.16.3.10"))
	p.wait(t, p.stdout, "answering for 1 address", 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	p.interrupt(t)
}

// What keeps the daemon from starting is said in one line that helps.
func TestStartErrors(t *testing.T) {
	a, _ := lab(t, "setpriv")
	unprivileged := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"}
	for _, tc := range []struct {
		name    string
		command []string
		status  int
		want    []string
	}{
		{"no such card", []string{binary, "-i", "eth7", "-a", "172.16.3.10"}, failed, []string{`"eth7"`, netlab.CardA}},
		{"not Ethernet", []string{binary, "-i", "lo", "-a", "172.16.3.10"}, failed, []string{"lo", "not Ethernet"}},
		{"no privilege", append(unprivileged, binary, "-i", netlab.CardA, "-a", "172.16.3.10"), failed, []string{"CAP_NET_RAW", "setcap cap_net_raw"}},
		{"one card of two is missing", []string{binary, "-c", file(t, howto+"[interface.eth7.aliases]\n\"eth7:0\" = \"172.16.4.1\"\n")}, failed, []string{`"eth7"`}},
	} {
		p := start(t, a.Command(tc.command[0], tc.command[1:]...))
		if got := p.status(t); got != tc.status {
			t.Errorf("%s: exit status %d, want %d", tc.name, got, tc.status)
		}
		message := p.stderr.String()
		for _, want := range tc.want {
			if !strings.Contains(message, want) {
				t.Errorf("%s: no %q in %q", tc.name, want, message)
			}
		}
		if p.stdout.String() != "" {
			t.Errorf("%s: claims to answer: %s", tc.name, p.stdout)
		}
		if strings.Count(message, "\n") != 1 {
			t.Errorf("%s: more than a line:\n%s", tc.name, message)
		}
	}
}

// What is an alias on one card is none on another one.
func TestTwoCards(t *testing.T) {
	a, b := lab(t, "arping")
	err := netlab.Veth(netlab.End{Namespace: a, Name: "v2"}, netlab.End{Namespace: b, Name: "v3"})
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, a.Command(binary, "-c", file(t, howto+"[interface.v2.aliases]\n\"v2:0\" = \"172.16.4.10\"\n")))
	p.wait(t, p.stdout, "answering for", 2)
	for _, tc := range []struct {
		card, address string
		answered      bool
	}{
		{netlab.CardB, "172.16.3.10", true},
		{netlab.CardB, "172.16.4.10", false},
		{"v3", "172.16.4.10", true},
		{"v3", "172.16.3.10", false},
	} {
		// -D asks as 0.0.0.0, and so needs no address on the card; it fails where somebody answers.
		out, silent := client(b, "arping", "-D", "-I", tc.card, "-c", "1", "-w", "1", tc.address)
		if silent == tc.answered {
			t.Errorf("%s on %s: answered %v, want %v\n%s", tc.address, tc.card, !silent, tc.answered, out)
		}
	}
	p.interrupt(t)
}
