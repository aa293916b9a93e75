package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/internal/shield"
)

const shielded = "[interface.v0]\nshield = true\n" + howto + "\"v0:2\" = \"10.64.0.0/16\"\n"

// router makes a's kernel do with frames for aliases all that it can: forward them,
// redirect whoever sent them, refuse them.
func router(t *testing.T, a, b *netlab.Namespace) {
	t.Helper()
	for _, key := range []string{"ip_forward", "conf/all/send_redirects", "conf/v0/send_redirects"} {
		if err := a.SetSysctl("net/ipv4/"+key, "1"); err != nil {
			t.Fatal(err)
		}
	}
	must(t, a, "ip", "route", "add", "unreachable", "10.64.7.0/24")
	must(t, b, "ip", "route", "add", "10.64.0.0/16", "via", "172.16.3.1")
}

// counters are what a namespace's kernel counted, from /proc/net/snmp: "Ip.InReceives".
func counters(t *testing.T, n *netlab.Namespace) map[string]int {
	t.Helper()
	found := map[string]int{}
	lines := strings.Split(must(t, n, "cat", "/proc/net/snmp"), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for k := 1; k < len(names) && k < len(values); k++ {
			found[strings.TrimSuffix(names[0], ":")+"."+names[k]], _ = strconv.Atoi(values[k])
		}
	}
	return found
}

// moved tells which of the counters that frames for aliases would move did.
func moved(before, after map[string]int) (names []string) {
	for _, name := range []string{"Ip.InReceives", "Ip.ForwDatagrams", "Ip.OutNoRoutes", "Icmp.OutMsgs", "Icmp.OutRedirects", "Icmp.OutDestUnreachs"} {
		if d := after[name] - before[name]; d != 0 {
			names = append(names, fmt.Sprintf("%s by %d", name, d))
		}
	}
	return names
}

// pingAliases has b ask aliases on link, behind a's router, and where a has no route.
func pingAliases(t *testing.T, b *netlab.Namespace, aliases ...string) {
	t.Helper()
	for _, alias := range append(aliases, "172.16.3.10", "10.64.1.1", "10.64.7.9") {
		must(t, b, "ping", "-c", "2", "-i", "0.2", "-W", "5", alias)
	}
}

// tables lists a's shields.
func tables(t *testing.T, a *netlab.Namespace) (names []string) {
	t.Helper()
	err := a.Do(func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		list, err := conn.ListTablesOfFamily(nftables.TableFamilyNetdev)
		for _, table := range list {
			names = append(names, table.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// shieldIs waits until the daemon says that its shield is so.
func (p *process) shieldIs(t *testing.T, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		stats, err := p.client().Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got = stats.Cards[0].Shield; got == want {
			return
		}
	}
	t.Fatalf("the shield is %q, want %q", got, want)
}

// With a shield the kernel hears nothing of aliases, neither the first ones nor those
// added later, while they and the host itself are answered for. It goes with the
// daemon, however that ends.
func TestShield(t *testing.T) {
	a, b := lab(t, "ping")
	router(t, a, b)
	p := ipaliasd(t, a, "-c", file(t, strings.Replace(shielded, "shield = true", "shield = false", 1)))
	before := counters(t, a)
	pingAliases(t, b)
	if names := moved(before, counters(t, a)); len(names) < 4 {
		t.Fatalf("without a shield the kernel moved only %q: this test shows nothing", names)
	}
	p.interrupt(t)
	// What the kernel still looks for in order to forward to it, it would give up, and tell
	// so, while the next is counted.
	must(t, a, "ip", "neighbour", "flush", "dev", netlab.CardA, "nud", "all")

	name := file(t, shielded)
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		p := ipaliasd(t, a, "-c", name)
		p.wait(t, p.stderr, "the shield is up", 1)
		before := counters(t, a)
		pingAliases(t, b)
		p.edit(t, control.Add, "v0:3", "10.65.0.1-10.65.0.9")
		must(t, b, "ip", "route", "replace", "10.65.0.0/16", "via", "172.16.3.1")
		p.shieldIs(t, control.ShieldUp)
		pingAliases(t, b, "10.65.0.5")
		if names := moved(before, counters(t, a)); len(names) > 0 {
			t.Errorf("the kernel worked on frames for aliases: it moved %q", names)
		}
		must(t, b, "ping", "-c", "2", "-i", "0.2", "-W", "5", "172.16.3.1")
		if got := counters(t, a)["Ip.InReceives"] - before["Ip.InReceives"]; got != 2 {
			t.Errorf("the kernel received %d datagrams for the host's own address, want 2", got)
		}
		if got := tables(t, a); len(got) != 1 {
			t.Errorf("tables %q while the daemon runs, want one", got)
		}
		p.edit(t, control.Delete, "v0:3")
		p.shieldIs(t, control.ShieldUp)
		p.cmd.Process.Signal(end)
		p.status(t)
		if got := tables(t, a); len(got) != 0 {
			t.Errorf("after %v there is left: %q", end, got)
		}
	}
}

// The card is made anew, and its shield with it; reload takes it away.
func TestShieldFollows(t *testing.T) {
	a, b := lab(t, "ping")
	router(t, a, b)
	name := file(t, strings.Replace(shielded, "\n", "\nwait = true\n", 1))
	p := ipaliasd(t, a, "-c", name)
	p.wait(t, p.stderr, "the shield is up", 1)
	must(t, a, "ip", "link", "del", netlab.CardA)
	p.wait(t, p.stderr, "the card does not exist", 1)
	if err := netlab.Veth(netlab.End{Namespace: a, Name: netlab.CardA, MAC: netlab.MACA}, netlab.End{Namespace: b, Name: netlab.CardB, MAC: netlab.MACB}); err != nil {
		t.Fatal(err)
	}
	address(t, a, b)
	must(t, b, "ip", "route", "add", "10.64.0.0/16", "via", "172.16.3.1")
	p.wait(t, p.stderr, "the card is up", 1)
	p.shieldIs(t, control.ShieldUp)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	before := counters(t, a)
	pingAliases(t, b)
	if names := moved(before, counters(t, a)); len(names) > 0 {
		t.Errorf("behind the new card the kernel moved %q", names)
	}
	if err := os.WriteFile(name, []byte("[interface.v0]\nwait = true\n"+howto), 0o644); err != nil {
		t.Fatal(err)
	}
	const down = "the shield is down"
	earlier := strings.Count(p.stderr.String(), down) // with the old card, if it was seen in time
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.wait(t, p.stderr, down, earlier+1)
	if got := tables(t, a); len(got) != 0 {
		t.Errorf("after the reload there is left: %q", got)
	}
	p.interrupt(t)
}

// Without the capability, or with aliases too scattered, there is a warning and
// everything is answered.
func TestNoShield(t *testing.T) {
	a, b := lab(t, "ping", "setpriv", "curl")
	p := start(t, a.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		"--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw", binary, "-c", openFile(t, shielded)))
	p.wait(t, p.stdout, "answering for", 1)
	p.wait(t, p.stderr, "takes the capability CAP_NET_ADMIN", 1)
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	stats, err := p.client().Stats(t.Context())
	if err != nil || !strings.Contains(stats.Cards[0].Shield, "CAP_NET_ADMIN") {
		t.Errorf("stats %+v, %v, want them to say why there is no shield", stats, err)
	}
	health, err := exec.Command("curl", "-sS", "--unix-socket", p.socket, "http://ipalias/v1/healthz").Output()
	if err != nil || !strings.Contains(string(health), "no shield") {
		t.Errorf("health %s, %v, want it to tell of the shield", health, err)
	}
	p.interrupt(t)

	var many strings.Builder
	for i := range shield.MaxIntervals {
		fmt.Fprintf(&many, "10.65.%d.%d\n", i*2>>8, i*2&255)
	}
	for mac, want := range map[string]string{"": "at most 10000 can be; give the interface a MAC address of its own", "mac = \"02:00:00:00:03:99\"\n": "the kernel ignores IP frames to the aliases' own MAC"} {
		list := file(t, many.String())
		text := strings.Replace(shielded, "\n", "\n"+mac, 1) + "\"v0:3\" = \"@" + list + "\"\n"
		p := ipaliasd(t, a, "-c", file(t, text))
		p.wait(t, p.stderr, want, 1)
		must(t, b, "ip", "neigh", "flush", "dev", netlab.CardB) // of the MAC address before
		must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
		p.edit(t, control.Delete, "v0:3")
		p.shieldIs(t, control.ShieldUp)
		p.interrupt(t)
	}
}
