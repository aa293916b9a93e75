package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/netlab"
)

// The kernel's own alias on the daemon's card: what it says is what the daemon's
// aliases have to say.
const kernelAlias = "172.16.3.11"

// labMTU is lab with cards of another MTU and the kernel's alias.
func labMTU(t *testing.T, mtu int, tools ...string) (a, b *netlab.Namespace) {
	t.Helper()
	a, b = lab(t, tools...)
	for _, end := range []struct {
		n    *netlab.Namespace
		card string
	}{{a, netlab.CardA}, {b, netlab.CardB}} {
		must(t, end.n, "ip", "link", "set", end.card, "mtu", strconv.Itoa(mtu))
	}
	must(t, a, "ip", "addr", "add", kernelAlias+"/24", "dev", netlab.CardA)
	return a, b
}

// echoSizes are the payloads to try: all around every boundary of pieces, and the
// ends of what there can be.
func echoSizes(mtu int) []int {
	const most = 65535 - 20 - 8
	sizes := []int{0, 1, 2, 7, 8, 9, 15, 16, 17, 56, 1000, most - 1, most}
	piece := (mtu - 20) &^ 7
	step := max(1, most/piece/16) * piece // every boundary, or some sixteen of them
	for boundary := piece; boundary < most; boundary += step {
		for size := boundary - 8 - 9; size <= boundary-8+9; size++ {
			sizes = append(sizes, min(size, most))
		}
	}
	return sizes
}

// Echo requests of every size by the kernel's own stack, which cuts them and puts
// the answers together again, over cards with their offloads on.
func TestEchoSizes(t *testing.T) {
	for _, mtu := range []int{576, 1500, 9000} {
		t.Run(strconv.Itoa(mtu), func(t *testing.T) {
			a, b := labMTU(t, mtu, "ping")
			p := ipaliasd(t, a, "-c", file(t, howto))
			conn := icmpSocket(t, b)
			sizes := echoSizes(mtu)
			for seq, size := range sizes {
				echo(t, conn, seq, size)
			}
			for _, size := range []string{"0", "1472", "1473", "8972", "8973", "20000", "65507"} {
				must(t, b, "ping", "-c", "1", "-W", "5", "-s", size, "172.16.3.10")
			}
			p.interrupt(t)
			p.hasTotal(t, "echo-answered", len(sizes)+7)
		})
	}
}

// icmpSocket opens a raw ICMP socket in n.
func icmpSocket(t *testing.T, n *netlab.Namespace) *net.IPConn {
	t.Helper()
	var conn net.PacketConn
	err := n.Do(func() (err error) {
		conn, err = net.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.IPConn)
}

// echo sends one request of so many bytes and compares the reply.
func echo(t *testing.T, conn *net.IPConn, seq, size int) {
	t.Helper()
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(i ^ i>>8 ^ seq)
	}
	request := question(peerMAC, v0alias, 0xabcd<<16|uint32(seq), payload)[14+20:]
	if _, err := conn.WriteTo(request, &net.IPAddr{IP: v0alias.AsSlice()}); err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1<<16)
	n, from, err := conn.ReadFrom(buf)
	if err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	// All but type and checksum comes back; the kernel has checked neither.
	request[0] = 0
	if from.String() != v0alias.String() || !bytes.Equal(buf[:2], request[:2]) || !bytes.Equal(buf[4:n], request[4:]) {
		t.Fatalf("%d bytes: %d came back from %v, not the same ones", size, n-8, from)
	}
	if !rightSum(buf[:n]) {
		t.Fatalf("%d bytes: the reply's checksum is wrong", size)
	}
}

// rightSum tells whether b holds a right Internet checksum (RFC 1071).
func rightSum(b []byte) bool {
	sum := 0
	for i, v := range b {
		sum += int(v) << (8 * (1 - i&1))
	}
	return sum > 0 && sum%0xffff == 0
}

// alike fails unless a client writes the same about an alias and about the kernel's,
// but for what clean takes out of it.
func alike(t *testing.T, b *netlab.Namespace, clean func(out string) string, want string, command ...string) {
	t.Helper()
	about := func(address string) string {
		c := slices.Clone(command)
		for i := range c {
			c[i] = strings.ReplaceAll(c[i], "TARGET", address)
		}
		return clean(strings.ReplaceAll(must(t, b, c...), address, "TARGET"))
	}
	kernel, ours := about(kernelAlias), about("172.16.3.10")
	if kernel != ours {
		t.Errorf("%q: the kernel's alias:\n%s\nours:\n%s", command, kernel, ours)
	}
	if !strings.Contains(ours, want) {
		t.Errorf("%q: want\n%s\nin\n%s", command, want, ours)
	}
}

func TestPingOptions(t *testing.T) {
	a, b := labMTU(t, 1500, "ping")
	ipaliasd(t, a, "-c", file(t, howto))
	elapsed := regexp.MustCompile(`time.*|rtt.*`)
	clock := regexp.MustCompile(`(\d+) absolute`)
	passed := regexp.MustCompile(`(?m)\t-?\d+$`) // milliseconds since the one before
	clean := func(out string) string {
		for _, m := range clock.FindAllStringSubmatch(out, -1) {
			ms, _ := strconv.Atoi(m[1])
			midnight := time.Now().UTC().Truncate(24 * time.Hour)
			if apart := time.Since(midnight.Add(time.Duration(ms) * time.Millisecond)).Abs(); apart > time.Minute && apart < 24*time.Hour-time.Minute {
				t.Errorf("%d is no time of this minute", ms)
			}
		}
		out = elapsed.ReplaceAllString(out, "")
		return passed.ReplaceAllString(clock.ReplaceAllString(out, "CLOCK"), "\tPASSED")
	}
	for _, tc := range []struct {
		options string
		want    string
	}{
		{"-R", "RR: \t172.16.3.200\n\tTARGET\n\tTARGET\n\t172.16.3.200\n"},
		{"-T tsonly", "TS: \tCLOCK\n\tPASSED\n\tPASSED\n\tPASSED\n"},
		{"-T tsandaddr", "TS: \t172.16.3.200\tCLOCK\n\tTARGET\tPASSED\n\tTARGET\tPASSED\n\t172.16.3.200\tPASSED\n"},
		{"-R -s 4000", "4008 bytes from TARGET"},
		{"-T tsonly -s 4000", "4008 bytes from TARGET"},
		{"-Q 0xff", "64 bytes from TARGET"},
		{"-t 1", "ttl=64"},
		{"-M do -s 1472", "1480 bytes from TARGET"},
	} {
		alike(t, b, clean, tc.want, append(append([]string{"ping", "-c", "1", "-W", "5"}, strings.Fields(tc.options)...), "TARGET")...)
	}
	alike(t, b, clean, "TS: \tTARGET\tCLOCK\n", "ping", "-c", "1", "-W", "5", "-T", "tsprespec", "TARGET", "TARGET")
}

// Each of traceroute's ways ends at the alias, after one hop, at the first probe.
func TestTraceroute(t *testing.T) {
	a, b := labMTU(t, 1500, "traceroute")
	ipaliasd(t, a, "-c", file(t, howto))
	times := regexp.MustCompile(`[\d.]+ ms`)
	clean := func(out string) string { return times.ReplaceAllString(out, "TIME") }
	for _, method := range []string{"", "-I", "-T", "-T -p 443", "-U -p 53", "-UL", "-P 253"} {
		// One probe at a time: to more UDP than six at once the limit on errors answers "*".
		command := append([]string{"traceroute", "-n", "-q", "1", "-N", "1"}, strings.Fields(method)...)
		alike(t, b, clean, "\n 1  TARGET  TIME", append(command, "TARGET")...)
	}
}

// Scanners see the same closed ports as on an alias of the kernel's.
func TestPortScans(t *testing.T) {
	a, b := labMTU(t, 1500, "nmap")
	// What a scan may cost in errors is not what this is about.
	if err := a.SetSysctl("net/ipv4/icmp_ratelimit", "0"); err != nil {
		t.Fatal(err)
	}
	ipaliasd(t, a, "-c", file(t, howto+"[interface.v0.limit]\npeer_rate = 0\n"))
	// Of what nmap says, the states of the ports: whether a probe was repeated is chance.
	// The rest are the lines of a fingerprint that one closed port is enough for.
	state := regexp.MustCompile(`(?m)^(\d+(/\w+)? +\S+|Not shown:.*|(T[5-7]|U1|IE)\(.*)`)
	clean := func(out string) string { return strings.Join(state.FindAllString(out, -1), "\n") }
	for _, tc := range []struct{ scan, want string }{
		{"-sS -p 1-200", "Not shown: 200 closed tcp ports (reset)"},
		{"-sT -p 1-100", "Not shown: 100 closed tcp ports (conn-refused)"},
		{"-sA -p 1-100", "Not shown: 100 unfiltered tcp ports (reset)"},
		{"-sX -p 1-100", "Not shown: 100 closed tcp ports (reset)"},
		{"-sN -p 1-100", "Not shown: 100 closed tcp ports (reset)"},
		{"-sM -p 1-100", "Not shown: 100 closed tcp ports (reset)"},
		{"-sU -p 53,123,161", "53/udp  closed"},
		{"-sO -p 1,47,253", "47       closed"},
		{"-O -d -p 1-20 --max-os-tries 1", "T7(R=Y%DF=Y%T=40%W=0%S=Z%A=S+%F=AR%O=%RD=0%Q=)\nU1(R=Y%DF=N"},
	} {
		command := append([]string{"nmap", "-n", "-Pn", "-T5"}, strings.Fields(tc.scan)...)
		alike(t, b, clean, tc.want, append(command, "TARGET")...)
	}
}

// dial connects from n.
func dial(t *testing.T, n *netlab.Namespace, network string, to netip.AddrPort) (conn net.Conn, err error) {
	t.Helper()
	if inside := n.Do(func() error {
		conn, err = net.DialTimeout(network, to.String(), patience)
		return nil
	}); inside != nil {
		t.Fatal(inside)
	}
	if conn != nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// What the kernel's own stack sends has checksums that nobody has computed, and with
// UDP_SEGMENT it is larger than the MTU. Its refusals come all the same.
func TestUnfinishedChecksums(t *testing.T) {
	a, b := lab(t, "ethtool")
	if out := must(t, b, "ethtool", "-k", netlab.CardB); !strings.Contains(out, "tx-checksumming: on") {
		t.Fatalf("the offload that this is about is off:\n%s", out)
	}
	p := ipaliasd(t, a, "-c", file(t, howto+"[interface.v0.limit]\nerror_rate = 0\npeer_rate = 0\n"))
	for port := uint16(1); port <= 5; port++ {
		if _, err := dial(t, b, "tcp4", netip.AddrPortFrom(v0alias, port)); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("TCP to port %d: %v, want that it is refused", port, err)
		}
	}
	sizes := []int{0, 1, 7, 1000, 1471, 1472, 1473, 2960, 20000, 65507}
	for _, size := range sizes {
		refusedUDP(t, b, size, 0)
	}
	for _, segment := range []int{100, 1000, 1472} {
		refusedUDP(t, b, 20*segment+1, segment)
	}
	p.interrupt(t)
	p.hasTotal(t, "tcp-reset", 5)
	p.hasTotal(t, "udp-refused", len(sizes)+3)
}

// refusedUDP sends one datagram, or with segment many in one frame (UDP_SEGMENT), and
// waits for the refusal.
func refusedUDP(t *testing.T, n *netlab.Namespace, size, segment int) {
	t.Helper()
	conn, err := dial(t, n, "udp4", netip.AddrPortFrom(v0alias, 9))
	if err != nil {
		t.Fatal(err)
	}
	what := fmt.Sprintf("UDP of %d bytes, segments of %d", size, segment)
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, segment) })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("%s: %v, want that it is refused", what, err)
	}
}
