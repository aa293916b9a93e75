package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
)

// What the HOWTO says, section 2, with what each line changes where only the
// namespaces are there. insmod has nothing to load; what it changed is ipaliasd's start.
var howtoCommands = []struct{ line, says string }{
	{"/sbin/ifconfig lo 127.0.0.1", "nothing changed: it was so already\n"},
	{"/sbin/ifconfig eth0 up", "~ eth0 is up\n"},
	{"/sbin/ifconfig eth0 172.16.3.1", "+ eth0 172.16.3.1/24 brd 172.16.3.255\n"},
	{"/sbin/ifconfig eth0:0 172.16.3.10", "+ eth0:0 172.16.3.10\n"},
	{"/sbin/ifconfig eth0:1 172.16.3.100", "+ eth0:1 172.16.3.100\n"},
	{"/sbin/route add -net 127.0.0.0", "nothing changed: it was so already\n"},
	{"/sbin/route add -net 172.16.3.0 dev eth0", "nothing changed: it was so already\n"},
	{"/sbin/route add -host 172.16.3.1 dev eth0", "nothing changed: it was so already\n"},
	{"/sbin/route add -host 172.16.3.10 dev eth0:0", "nothing changed: it was so already\n"},
	{"/sbin/route add -host 172.16.3.100 dev eth0:1", "nothing changed: it was so already\n"},
	{"/sbin/route add default gw 172.16.3.200", "+ default via 172.16.3.200\n"},
}

const howtoIfconfig = `
lo        Link encap:Local Loopback
               inet addr:127.0.0.1  Bcast:127.255.255.255  Mask:255.0.0.0
                         UP BROADCAST LOOPBACK RUNNING  MTU:3584  Metric:1
                    RX packets:5088 errors:0 dropped:0 overruns:0
                    TX packets:5088 errors:0 dropped:0 overruns:0

eth0      Link encap:10Mbps Ethernet  HWaddr 00:8E:B8:83:19:20
                    inet addr:172.16.3.1  Bcast:172.16.3.255  Mask:255.255.255.0
                    UP BROADCAST RUNNING PROMISC MULTICAST  MTU:1500  Metric:1
                    RX packets:334036 errors:0 dropped:0 overruns:0
                    TX packets:11605 errors:0 dropped:0 overruns:0
                    Interrupt:7 Base address:0x378

eth0:0    Link encap:10Mbps Ethernet  HWaddr 00:8E:B8:83:19:20
                    inet addr:172.16.3.10  Bcast:172.16.3.255  Mask:255.255.255.0
                    UP BROADCAST RUNNING  MTU:1500  Metric:1
                    RX packets:0 errors:0 dropped:0 overruns:0
                    TX packets:0 errors:0 dropped:0 overruns:0

eth0:1    Link encap:10Mbps Ethernet  HWaddr 00:8E:B8:83:19:20
                    inet addr:172.16.3.100  Bcast:172.16.3.255  Mask:255.255.255.0
                    UP BROADCAST RUNNING  MTU:1500  Metric:1
                    RX packets:1 errors:0 dropped:0 overruns:0
                    TX packets:0 errors:0 dropped:0 overruns:0
`

const howtoAliases = `device         family    address
eth0:0           2      172.16.3.10
eth0:1           2      172.16.3.100
`

const howtoTypes = `type    name            n_attach
2       ip              2
`

// since is what the HOWTO's listing would be today, where the kernel's own cards
// are concerned: its loopback has no broadcast and another MTU, a virtual card no interrupt.
var since = strings.NewReplacer(
	"127.0.0.1  Bcast:127.255.255.255", "127.0.0.1",
	"UP BROADCAST LOOPBACK", "UP LOOPBACK",
	"MTU:3584", "MTU:65536",
	"Interrupt:7 Base address:0x378", "",
)

var (
	counted = regexp.MustCompile(`(packets|bytes):\d+( \([^)]*\))?`)
	bytes60 = regexp.MustCompile(`(?m)^RX bytes:.*\n`)
	indent  = regexp.MustCompile(`(?m)^ +`)
)

// plain takes out of a listing what the HOWTO's text can't have: what was counted,
// and the line about bytes, which net-tools printed later. The HOWTO's own
// indentation is not to be trusted: HTML has had its way with it.
func plain(listing string) string {
	listing = counted.ReplaceAllString(indent.ReplaceAllString(listing, ""), "$1:N")
	listing = bytes60.ReplaceAllString(listing, "")
	return strings.TrimSpace(regexp.MustCompile(`\n\n+`).ReplaceAllString(listing, "\n\n"))
}

// A site is the HOWTO's network, with a daemon.
type site struct {
	host, peer *netlab.Namespace
	program    string
	socket     string
	daemon     *netlab.Output
}

// newSite makes it with a daemon that answers for nothing yet. The card has no
// address and is down, as after a boot in 1996.
func newSite(t *testing.T, tools ...string) *site {
	t.Helper()
	s := emptySite(t, tools...)
	s.must(t, s.host, "ip", "link", "set", "eth0", "down")
	s.start(t, "-i", "eth0")
	s.says(t, "the card is down, waiting")
	return s
}

// emptySite makes the network alone.
func emptySite(t *testing.T, tools ...string) *site {
	t.Helper()
	netlab.Need(t, append(tools, "ip")...)
	dir, err := os.MkdirTemp("", "ipalias") // t.TempDir may be longer than a socket's name can be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{host: netlab.Make(t, "host"), peer: netlab.Make(t, "peer"), program: buildPrograms(t), socket: filepath.Join(dir, "control.sock")}
	err = netlab.Veth(
		netlab.End{Namespace: s.host, Name: "eth0", MAC: net.HardwareAddr{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20}},
		netlab.End{Namespace: s.peer, Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.3.200/24")}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts the daemon; it ends with the test.
func (s *site) start(t *testing.T, args ...string) {
	t.Helper()
	args = append(args, "--socket", s.socket, "--state", s.socket+".state")
	daemon := s.host.Command(filepath.Join(filepath.Dir(s.program), "ipaliasd"), args...)
	s.daemon = new(netlab.Output)
	daemon.Stdout, daemon.Stderr = s.daemon, s.daemon
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("ipaliasd said\n%s", s.daemon)
		}
	})
}

// says waits until the daemon says text.
func (s *site) says(t *testing.T, text string) {
	t.Helper()
	s.daemon.Wait(t, text, 1, nil)
}

// must runs a command that has to succeed.
func (s *site) must(t *testing.T, n *netlab.Namespace, command ...string) string {
	t.Helper()
	out, err := n.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", command, err, out)
	}
	return string(out)
}

// ipalias runs it on the host.
func (s *site) ipalias(args ...string) (stdout, stderr string, status int) {
	cmd := s.host.Command(s.program, args...)
	cmd.Env = append(os.Environ(), control.SocketEnv+"="+s.socket)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (s *site) good(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, status := s.ipalias(args...)
	if status != done || stderr != "" {
		t.Fatalf("%q: exit status %d\n%s%s", args, status, stdout, stderr)
	}
	return stdout
}

// howto types the HOWTO's lines.
func (s *site) howto(t *testing.T) {
	t.Helper()
	for _, c := range howtoCommands {
		words := strings.Fields(strings.TrimPrefix(c.line, "/sbin/"))
		if got := s.good(t, words...); got != c.says {
			t.Errorf("%s: says %q, want %q", c.line, got, c.says)
		}
	}
}

// TestHOWTOLineByLine types what the HOWTO says, resolves and pings what it set up
// from outside, and holds the three listings against the HOWTO's.
func TestHOWTOLineByLine(t *testing.T) {
	s := newSite(t, "ping", "arping")
	s.howto(t)
	for _, address := range []string{"172.16.3.1", "172.16.3.10", "172.16.3.100"} {
		out := s.must(t, s.peer, "arping", "-I", "eth0", "-c", "1", "-w", "5", address)
		if !strings.Contains(out, "00:8E:B8:83:19:20") {
			t.Errorf("arping %s: %s", address, out)
		}
		if out := s.must(t, s.peer, "ping", "-c", "3", "-i", "0.2", "-W", "5", address); strings.Contains(out, "duplicate") {
			t.Errorf("ping %s: %s", address, out)
		}
	}
	if got, want := plain(s.good(t, "ifconfig")), plain(since.Replace(howtoIfconfig)); got != want {
		t.Errorf("ifconfig printed\n%s\nwant\n%s", got, want)
	}
	if got := s.good(t, "proc", "aliases"); got != howtoAliases {
		t.Errorf("proc aliases printed\n%s\nwant\n%s", got, howtoAliases)
	}
	if got := s.good(t, "proc", "alias_types"); got != howtoTypes {
		t.Errorf("proc alias_types printed\n%s\nwant\n%s", got, howtoTypes)
	}
	for _, c := range howtoCommands { // all of it is so now
		words := strings.Fields(strings.TrimPrefix(c.line, "/sbin/"))
		if got := s.good(t, words...); got != "nothing changed: it was so already\n" {
			t.Errorf("%s, typed again: says %q", c.line, got)
		}
	}
	s.counters(t)
}

// counters holds what ifconfig says of eth0:0 against what was sent to it.
func (s *site) counters(t *testing.T) {
	t.Helper()
	before := s.entry(t, "eth0:0").Counters
	s.must(t, s.peer, "ping", "-c", "5", "-i", "0.2", "-s", "1000", "-W", "5", "172.16.3.10")
	after, other := s.entry(t, "eth0:0").Counters, s.entry(t, "eth0:1").Counters
	const frame = 14 + 20 + 8 + 1000
	rx, tx := after.RxPackets-before.RxPackets, after.TxPackets-before.TxPackets
	if rx < 5 || rx > 7 || rx != tx { // the peer may ask by ARP meanwhile
		t.Errorf("eth0:0 counted %d packets and %d answers of five pings", rx, tx)
	}
	if n := after.RxBytes - before.RxBytes; n < 5*frame || n > 5*frame+2*60 {
		t.Errorf("eth0:0 counted %d bytes, want about %d", n, 5*frame)
	}
	if after.RxErrors != 0 || after.TxDropped != 0 {
		t.Errorf("eth0:0 has faults of nobody's: %+v", after)
	}
	const broken = 3
	s.sendBroken(t, broken)
	for deadline := time.Now().Add(startLimit); after.RxErrors < broken && time.Now().Before(deadline); {
		after = s.entry(t, "eth0:0").Counters
	}
	if got := s.good(t, "ifconfig", "eth0:0"); !strings.Contains(got, " errors:3 dropped:0 overruns:0\n") {
		t.Errorf("after three broken pings ifconfig printed\n%s", got)
	}
	if got := s.entry(t, "eth0:1").Counters.RxErrors; got != 0 {
		t.Errorf("eth0:1 has %d errors of eth0:0", got)
	}
	if other.RxPackets == 0 || other.RxPackets == after.RxPackets {
		t.Errorf("eth0:1 has %d packets, eth0:0 has %d: want counters of their own", other.RxPackets, after.RxPackets)
	}
}

// sendBroken sends echo requests with a wrong checksum to eth0:0.
func (s *site) sendBroken(t *testing.T, times int) {
	t.Helper()
	err := s.peer.Do(func() error {
		conn, err := net.Dial("ip4:icmp", "172.16.3.10")
		if err != nil {
			return err
		}
		defer conn.Close()
		for range times {
			if _, err := conn.Write([]byte{8, 0, 0xba, 0xd0, 0, 1, 0, 1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// entry is what ifconfig says of one card or alias.
func (s *site) entry(t *testing.T, name string) ifEntry {
	t.Helper()
	var list struct{ Interfaces []ifEntry }
	if err := json.Unmarshal([]byte(s.good(t, "ifconfig", name, "--json")), &list); err != nil || len(list.Interfaces) != 1 {
		t.Fatalf("ifconfig %s --json: %v, %d entries", name, err, len(list.Interfaces))
	}
	return list.Interfaces[0]
}

// TestMillionAliases: the HOWTO's "The max is defined to be 256".
func TestMillionAliases(t *testing.T) {
	s := newSite(t, "ping")
	s.howto(t)
	const many = 1_000_000
	var text bytes.Buffer
	for n := range many {
		a := uint32(10<<24 + n*3) // scattered: no two make a range
		fmt.Fprintf(&text, "%d.%d.%d.%d\n", a>>24, a>>16&255, a>>8&255, a&255)
	}
	file := filepath.Join(t.TempDir(), "addresses.txt")
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s.good(t, "add", "eth0:big", "@"+file)
	t.Logf("added in %v", time.Since(begin))
	s.must(t, s.peer, "ip", "route", "add", "10.0.0.0/8", "dev", "eth0")
	for _, address := range []string{"10.0.0.0", "10.22.227.96", "10.45.198.189"} { // the first, one between, the last
		s.must(t, s.peer, "ping", "-c", "1", "-W", "5", address)
	}
	if out, err := s.peer.Command("ping", "-c", "1", "-W", "1", "10.0.0.1").CombinedOutput(); err == nil {
		t.Errorf("10.0.0.1 is between two aliases and was answered:\n%s", out)
	}
	begin = time.Now()
	s.good(t, "ifconfig", "eth0:3", "172.16.3.12")
	t.Logf("one more in %v", time.Since(begin))
	s.must(t, s.peer, "ping", "-c", "1", "-W", "5", "172.16.3.12")
	if got, want := s.good(t, "proc", "alias_types"), strings.Replace(howtoTypes, " 2\n", " 4\n", 1); got != want {
		t.Errorf("proc alias_types printed\n%s\nwant\n%s", got, want)
	}
	if got := s.good(t, "ifconfig", "eth0:big"); !strings.Contains(got, "and 999996 more\n") {
		t.Errorf("ifconfig eth0:big printed\n%s", got)
	}
}
