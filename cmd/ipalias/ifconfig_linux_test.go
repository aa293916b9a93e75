package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const same = "nothing changed: it was so already"

// typed is a command line and what comes of it.
type typed struct {
	command string
	status  int
	says    string // on standard output if it is done, else on standard error
}

var aliasCommands = []typed{
	{"ifconfig eth0:0 172.16.3.11", done, "- eth0:0 172.16.3.10\n+ eth0:0 172.16.3.11\n"},
	{"ifconfig eth0:0 172.16.3.10/24", done, "+ eth0:0 172.16.3.10\n"},
	{"ifconfig eth0:0 172.16.3.10 netmask 255.255.255.0 broadcast 172.16.3.255 up", done, same},
	{"ifconfig eth0:0 inet 172.16.3.10 netmask 0xffffffff", done, same},
	{"ifconfig eth0:0 172.16.3.10 --json", done, `"changed": false`},
	{"ifconfig eth0:0 netmask 255.255.255.0", done, same},
	{"ifconfig eth0:0 up", done, same},
	{"ifconfig eth0:0 172.16.3.10 netmask 255.255.0.0", failed, "172.16.3.10 has netmask 255.255.255.0 and broadcast 172.16.3.255"},
	{"ifconfig eth0:0 broadcast 172.16.255.255", failed, "172.16.3.10 has netmask 255.255.255.0"},
	{"ifconfig eth0:r 10.64.0.0/16", done, "+ eth0:r 10.64.0.0/16\n"},
	{"ifconfig eth0:r", done, "inet addr:10.64.0.0/16  Bcast:255.255.255.255  Mask:255.255.255.255\n"},
	{"ifconfig eth0:r netmask 255.0.0.0", failed, "10.64.0.0/16 has netmask 255.255.255.255"},
	{"ifconfig eth0:r mtu 1500 hw ether 00:8E:B8:83:19:20 metric 0", done, same},
	{"ifconfig eth0:r mtu 1400", failed, "a matter of the card: ip link set dev eth0 mtu 1400"},
	{"ifconfig eth0:r hw ether 02:00:00:00:00:01", failed, "ip link set dev eth0 address 02:00:00:00:00:01"},
	{"ifconfig eth0:r -arp", failed, "ip link set dev eth0 arp off"},
	{"ifconfig eth0:r add 10.65.0.1", failed, "ipalias add eth0:r 10.65.0.1"},
	{"ifconfig eth0:r down", done, "- eth0:r 10.64.0.0/16\n"},
	{"ifconfig eth0:r down", failed, "there is no alias eth0:r"},
	{"ifconfig eth0:r up", failed, "there is no alias eth0:r"},
	{"ifconfig eth0:r", failed, "there is no alias eth0:r"},
	{"ifconfig eth1:0 172.16.3.12", failed, "there is no interface eth1 for eth1:0; those that are configured: eth0"},
}

var aliasMistakes = []typed{
	{"ifconfig eth0:0 172.16.3.300", misuse, "172.16.3.300: bad address"},
	{"ifconfig eth0:0 172.16.3.10 172.16.3.11", misuse, `unknown word "172.16.3.11"`},
	{"ifconfig eth0:0 172.16.3.10 down", misuse, "down excludes an address"},
	{"ifconfig eth0:0 fe80::1", misuse, "fe80::1: IPv6 address: found \"fe80::1\", expected an IPv4 address"},
	{"ifconfig eth0 fe80::1", misuse, "found \"fe80::1\", expected an IPv4 address"},
	{"ifconfig eth0:0 frobnicate", misuse, `unknown word "frobnicate"`},
	{"ifconfig eth0:0 netmask", misuse, "netmask: expected 1 word behind it"},
	{"ifconfig eth0:0 netmask 255.0.255.0", misuse, "without holes"},
	{"ifconfig eth0:0 inet6 fe80::1", misuse, "expected IPv4"},
	{"ifconfig eth0:0 hw ax25 x", misuse, "expected ether"},
	{"ifconfig -s eth0", misuse, "unknown option -s"},
	{"ifconfig --frobnicate", misuse, "unknown flag"},
}

var cardCommands = []typed{
	{"ifconfig lo", done, "lo        Link encap:Local Loopback\n          inet addr:127.0.0.1  Mask:255.0.0.0\n"},
	{"ifconfig eth0:k", done, "inet addr:172.16.3.40"},
	{"ifconfig eth0 172.16.3.40", done, same},
	{"ifconfig eth0 172.16.3.1 netmask 255.255.255.0 broadcast 172.16.3.255", done, same},
	{"ifconfig eth0 netmask 255.255.255.0", done, same},
	{"ifconfig eth0 172.16.3.1/16", failed, "ip addr del 172.16.3.1/24 dev eth0 && ip addr add 172.16.3.1/16 brd 172.16.255.255 dev eth0"},
	{"ifconfig eth0 netmask 255.255.0.0", failed, "ip addr del 172.16.3.1/24 dev eth0 && ip addr add 172.16.3.1/16 brd 172.16.255.255 dev eth0"},
	{"ifconfig eth0 172.16.3.2", failed, "ip addr del 172.16.3.1/24 dev eth0 && ip addr add 172.16.3.2/24 brd 172.16.3.255 dev eth0"},
	{"ifconfig eth0 mtu 1500 hw ether 00:8e:b8:83:19:20", done, same},
	{"ifconfig eth0 mtu 1400", failed, "mtu is not done here: ip link set dev eth0 mtu 1400"},
	{"ifconfig eth0 promisc", failed, "ip link set dev eth0 promisc on"},
	{"ifconfig eth0 irq 7", failed, "irq has no meaning on eth0 today"},
	{"ifconfig eth0 host.example.com", misuse, `unknown word "host.example.com"`},
	{"ifconfig eth9", failed, `no such card "eth9"; those that exist: lo, eth0`},
	{"ifconfig eth9 up", failed, `no such card "eth9"`},
}

var routeCommands = []typed{
	{"route -n", done, "172.16.3.100    0.0.0.0         255.255.255.255 UH    0      0        0 eth0:1\n"},
	{"route -n", done, "172.16.3.0      0.0.0.0         255.255.255.0   U     0      0        0 eth0\n"},
	{"route -n", done, "10.99.0.0       -               255.255.0.0     !     0      0        0 -\n"},
	{"route", done, "default         172.16.3.200    0.0.0.0         UG    0      0        0 eth0\n"},
	{"route add 172.16.3.10 eth0:0", done, same},
	{"route add -host 172.16.3.99 dev eth0:0", failed, "to have it do so: ipalias add eth0:0 172.16.3.99"},
	{"route del -host 172.16.3.10 dev eth0:0", failed, "ipalias del eth0:0 172.16.3.10"},
	{"route del -host 172.16.3.10", failed, "those of aliases go by ipalias del"},
	{"route add -net 172.16.3.0 dev eth0:0", failed, "ipalias route add -net 172.16.3.0 dev eth0"},
	{"route add default gw 172.16.3.200 dev eth0:0", failed, "ipalias route add default gw 172.16.3.200 dev eth0"},
	{"route add -net 10.0.0.0 gw 172.16.3.200", done, "+ 10.0.0.0/8 via 172.16.3.200\n"},
	{"route add -net 10.0.0.0 gw 172.16.3.200", done, same},
	{"route del -net 10.0.0.0", done, "- 10.0.0.0/8\n"},
	{"route del -net 10.0.0.0", failed, "there is no route to 10.0.0.0/8"},
	{"route add -host 10.1.2.3 metric 5 eth0", done, "+ 10.1.2.3/32 dev eth0 metric 5\n"},
	{"route delete 10.1.2.3", done, "- 10.1.2.3/32\n"},
	{"route add -host 172.16.3.1 dev eth0", done, same},
	{"route del -host 172.16.3.1 dev eth0", failed, "there is no route to 172.16.3.1/32 dev eth0"},
	{"route add default gw 172.16.3.201", failed, "ip route replace default via 172.16.3.201"},
	{"route add -net 10.2.0.0 netmask 255.255.0.0 gw 10.3.3.3", failed, "the gateway 10.3.3.3 is in no network of a card that is up"},
	{"route add -net 10.2.0.0 netmask 255.255.0.0 reject", failed, "ip route add unreachable 10.2.0.0/16"},
	{"route add -net 10.2.0.0/16 gw 172.16.3.200 mss 500", failed, "ip route add 10.2.0.0/16 via 172.16.3.200 advmss 500"},
}

var routeMistakes = []typed{
	{"route add -net 10.2.0.0 dev eth0", misuse, "need a netmask"},
	{"route add -net 10.2.3.0/16 dev eth0", misuse, "expected no host bits: 10.2.0.0/16"},
	{"route add -net 10.2.0.0/16", misuse, "need dev CARD or gw GATEWAY"},
	{"route add -net 10.2.0.0/16 dev eth9", failed, "no such card: eth9"},
	{"route add -host 10.2.0.0/16 dev eth0", misuse, "bad target"},
	{"route add default gw", misuse, "gw: expected a word behind it"},
	{"route add default gw 172.16.3.200 frob 3", misuse, `unknown word "frob"`},
	{"route add default gw 172.16.3.200 metric x", misuse, "bad metric"},
	{"route add", misuse, "need a target, as in: ipalias route add"},
	{"route del", misuse, "need a target, as in: ipalias route del"},
	{"route add -net 10.2.0.0/33 dev eth0", misuse, "found \"10.2.0.0/33\", expected default, an IPv4 address such as 172.16.3.1 or a prefix"},
	{"route flush", misuse, `unknown word "flush"`},
}

var listingCommands = []typed{
	{"proc nix", misuse, `unknown table "nix": expected aliases or alias_types`},
	{"proc", misuse, "need one table: aliases or alias_types"},
	{"proc aliases --json", done, `"device": "eth0:0"`},
	{"proc alias_types --json", done, `"n_attach": 2`},
	{"route --json", done, `"alias": true`},
	{"ifconfig --help", done, "ipalias ifconfig eth0:0 172.16.3.10"},
}

// TestIfconfigAndRoute goes on where the HOWTO ends, with what people type who
// know ifconfig(8) and route(8), line after line.
func TestIfconfigAndRoute(t *testing.T) {
	s := newSite(t)
	s.howto(t)
	s.must(t, s.host, "ip", "addr", "add", "172.16.3.40/24", "dev", "eth0", "label", "eth0:k")
	s.must(t, s.host, "ip", "route", "add", "unreachable", "10.99.0.0/16")
	for _, group := range []struct {
		name  string
		lines []typed
	}{
		{"aliases", aliasCommands},
		{"mistakes about aliases", aliasMistakes},
		{"cards", cardCommands},
		{"routes", routeCommands},
		{"mistakes about routes", routeMistakes},
		{"listings", listingCommands},
	} {
		t.Run(group.name, func(t *testing.T) { s.typed(t, group.lines) })
	}
}

func (s *site) typed(t *testing.T, lines []typed) {
	t.Helper()
	for _, tc := range lines {
		stdout, stderr, status := s.ipalias(strings.Fields(tc.command)...)
		where := stdout
		if tc.status != done {
			where = stderr
		}
		if status != tc.status || !strings.Contains(where, tc.says) {
			t.Errorf("%s: exit status %d, want %d; no %q in\n%s%s", tc.command, status, tc.status, tc.says, stdout, stderr)
		}
		if tc.status != done && stdout != "" {
			t.Errorf("%s: failed, but says\n%s", tc.command, stdout)
		}
	}
}

// A card that is down is listed with -a only, and its aliases with it.
func TestIfconfigOfACardThatIsDown(t *testing.T) {
	s := newSite(t)
	s.howto(t)
	s.good(t, "ifconfig", "eth0", "down")
	if got := s.good(t, "ifconfig"); strings.Contains(got, "eth0") {
		t.Errorf("listed without -a:\n%s", got)
	}
	got := s.good(t, "ifconfig", "-a")
	for _, want := range []string{"eth0      Link", "eth0:0    Link", "BROADCAST  MTU:1500"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "UP BROADCAST RUNNING  MTU") {
		t.Errorf("an alias of a card that is down is up:\n%s", got)
	}
}

// What needs no daemon works without one, and what does says so.
func TestIfconfigWithoutADaemon(t *testing.T) {
	s := newSite(t)
	s.socket += ".none"
	for _, tc := range []struct {
		command string
		status  int
		stdout  string
	}{
		{"ifconfig eth0 172.16.3.1", done, "+ eth0 172.16.3.1/24"},
		{"ifconfig lo", done, "lo        Link"},
		{"route add default gw 172.16.3.200", done, "+ default"},
		{"ifconfig", failed, "eth0      Link"},
		{"route -n", failed, "172.16.3.200"},
		{"ifconfig eth0:0 172.16.3.10", failed, ""},
		{"proc aliases", failed, ""},
	} {
		stdout, stderr, status := s.ipalias(strings.Fields(tc.command)...)
		if status != tc.status || !strings.Contains(stdout, tc.stdout) || tc.stdout == "" && stdout != "" {
			t.Errorf("%s: exit status %d, want %d; says\n%s%s", tc.command, status, tc.status, stdout, stderr)
		}
		if tc.status != done && !strings.Contains(stderr, "no daemon listens on "+s.socket) {
			t.Errorf("%s: %s", tc.command, stderr)
		}
	}
}

// Who may not change the card is told what would.
func TestIfconfigNeedsPrivilege(t *testing.T) {
	s := newSite(t, "setpriv")
	for _, tc := range []struct{ command, want string }{
		{"ifconfig eth0 up", "it needs CAP_NET_ADMIN; as root there is also: ip link set dev eth0 up"},
		{"ifconfig eth0 172.16.3.1", "ip addr add 172.16.3.1/24 brd 172.16.3.255 dev eth0"},
		{"route add -net 10.0.0.0 dev eth0", "ip route add 10.0.0.0/8 dev eth0"},
	} {
		args := append([]string{"--bounding-set=-all", "--inh-caps=-all", s.program}, strings.Fields(tc.command)...)
		out, err := s.host.Command("setpriv", args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: %v, %s; want %q", tc.command, err, out, tc.want)
		}
	}
}

const configured = `[interface.eth0.aliases]
"eth0:0" = "172.16.3.10"
"eth0:many" = ["172.16.3.20-172.16.3.30", "10.9.0.0/16", "10.8.0.1", "10.8.0.3", "10.8.0.5"]

[interface."eth0.100"]
network = ["192.168.5.0/24"]
mode = "observe"

[interface."eth0.100".aliases]
"eth0.100:0" = "192.168.5.9"
`

// Aliases of a configuration go down and come back up, and each is listed with
// what is true of it.
func TestIfconfigOfConfiguredAliases(t *testing.T) {
	s := emptySite(t)
	s.must(t, s.host, "ip", "addr", "add", "172.16.3.1/24", "dev", "eth0")
	file := filepath.Join(t.TempDir(), "ipalias.toml")
	if err := os.WriteFile(file, []byte(configured), 0o644); err != nil {
		t.Fatal(err)
	}
	s.start(t, "-c", file)
	s.says(t, "eth0.100 (00:8e:b8:83:19:20, VLAN 100)")

	for _, step := range []struct {
		command []string
		want    string
	}{
		{[]string{"ifconfig", "eth0:0", "down"}, "- eth0:0 172.16.3.10\n"},
		{[]string{"ifconfig", "eth0:0", "down"}, same},
		{[]string{"proc", "alias_types"}, "2       ip              2\n"},
		{[]string{"ifconfig", "eth0:0", "up"}, "+ eth0:0 172.16.3.10\n"},
		{[]string{"ifconfig", "eth0:0", "up"}, same},
		{[]string{"ifconfig", "eth0:0", "10.7.0.1"}, "- eth0:0 172.16.3.10\n+ eth0:0 10.7.0.1\n"},
		{[]string{"ifconfig", "eth0:0", "172.16.3.10"}, "- eth0:0 10.7.0.1\n+ eth0:0 172.16.3.10\n"},
	} {
		if got := s.good(t, step.command...); !strings.Contains(got, step.want) {
			t.Errorf("%q: says %q, want %q", step.command, got, step.want)
		}
	}

	// The host takes an alias for itself: nobody but the kernel answers for it now.
	s.must(t, s.host, "ip", "addr", "add", "172.16.3.10/32", "dev", "lo")
	s.says(t, "172.16.3.10 is never answered for")
	for _, want := range []string{`
eth0:0    Link encap:10Mbps Ethernet  HWaddr 00:8E:B8:83:19:20
          inet addr:172.16.3.10  Bcast:172.16.3.255  Mask:255.255.255.0
          BROADCAST RUNNING  MTU:1500  Metric:1
`, `
eth0:many Link encap:10Mbps Ethernet  HWaddr 00:8E:B8:83:19:20
          inet addr:172.16.3.20-172.16.3.30  Bcast:172.16.3.255  Mask:255.255.255.0
          inet addr:10.9.0.0/16  Bcast:255.255.255.255  Mask:255.255.255.255
          inet addr:10.8.0.1  Bcast:255.255.255.255  Mask:255.255.255.255
          inet addr:10.8.0.3  Bcast:255.255.255.255  Mask:255.255.255.255
          and 1 more
          UP BROADCAST RUNNING  MTU:1500  Metric:1
`, `
eth0.100:0 Link encap:10Mbps Ethernet  HWaddr 00:8E:B8:83:19:20
          inet addr:192.168.5.9  Bcast:192.168.5.255  Mask:255.255.255.0
          BROADCAST RUNNING  MTU:1500  Metric:1
`} {
		if got := s.good(t, "ifconfig"); !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}
