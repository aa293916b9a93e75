package config

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipalias/ipalias/responder"
)

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("x.toml", []byte(text), "testdata")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var machine = Host{
	MAC:       [6]byte{2, 0, 0, 0, 0, 1},
	MTU:       1400,
	Networks:  prefixes("172.16.3.1/24"),
	Gateways:  addrs("172.16.3.200"),
	Addresses: addrs("172.16.3.1", "10.9.9.9"),
}

func TestResolve(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		host       Host
		want       responder.Interface
	}{
		{"nothing given, nothing known", "[interface.a]", Host{}, responder.Interface{
			Name: "a", MTU: 1500, Limits: responder.DefaultLimits}},
		{"nothing given", "[interface.a]", machine, responder.Interface{
			Name: "a", MAC: machine.MAC, MTU: 1400, Networks: machine.Networks, Gateways: machine.Gateways,
			Host: machine.Addresses, Limits: responder.DefaultLimits}},
		{"all given", `interface.a = { mac = "02:00:00:00:00:02", mtu = 68, network = "10.0.0.0/8", gateway = "10.0.0.1" }`, machine, responder.Interface{
			Name: "a", MAC: [6]byte{2, 0, 0, 0, 0, 2}, MTU: 68, Networks: prefixes("10.0.0.0/8"), Gateways: addrs("10.0.0.1"),
			Host: machine.Addresses, Limits: responder.DefaultLimits}},
		{"given as none", `interface.a = { network = [], gateway = [] }`, machine, responder.Interface{
			Name: "a", MAC: machine.MAC, MTU: 1400, Networks: prefixes(), Gateways: addrs(),
			Host: machine.Addresses, Limits: responder.DefaultLimits}},
	} {
		got := parse(t, tc.text).Interfaces[0].Resolve(tc.host)
		if diff := cmp.Diff(tc.want, got, compare); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tc.name, diff)
		}
	}
}

func TestWarnings(t *testing.T) {
	const text = `[interface.eth0]
gateway = ["172.16.3.200", "192.0.2.1"]
mtu = 9000
exclude = ["172.16.3.50"]
[interface.eth0.aliases]
"eth0:0" = ["172.16.3.10", "172.16.3.255", "10.9.9.9"]
"eth0:1" = { address = "@good.txt" }
"eth0:2" = ["@empty.txt", "172.16.3.50"]
"eth0:3" = "127.0.0.1"
`
	texts := func(list []Warning) (out []string) {
		for _, w := range list {
			out = append(out, w.String())
		}
		return out
	}
	c := parse(t, text)
	want := []string{
		`x.toml:8:13: the address file "testdata/empty.txt" holds no address`,
		`x.toml:8:27: eth0:2: 172.16.3.50 is never answered for: excluded by 172.16.3.50`,
		`x.toml:9:12: eth0:3: 127.0.0.1 is never answered for: 127.0.0.0/8 is loopback`,
	}
	if diff := cmp.Diff(want, texts(c.Warnings)); diff != "" {
		t.Errorf("without a host: -want +got:\n%s", diff)
	}
	host := machine
	host.Addresses = append(host.Addresses, netip.MustParseAddr("10.1.0.2"))
	warnings, errs := c.Interfaces[0].Check(host)
	if errs != nil {
		t.Fatal(errs)
	}
	want = []string{
		`x.toml:6:28: eth0:0: 172.16.3.255 is never answered for: 172.16.3.255 is the broadcast address of 172.16.3.0/24`,
		`x.toml:6:44: eth0:0: 10.9.9.9 is never answered for: the host itself has 10.9.9.9`,
		`testdata/good.txt:3:3: eth0:1: 10.1.0.2 is never answered for: the host itself has 10.1.0.2`,
		`x.toml:8:27: eth0:2: 172.16.3.50 is never answered for: excluded by 172.16.3.50`,
		`x.toml:9:12: eth0:3: 127.0.0.1 is never answered for: 127.0.0.0/8 is loopback`,
		`x.toml:2:28: the gateway 192.0.2.1 is on none of the networks [172.16.3.1/24]`,
		`x.toml:3:7: the mtu 9000 is larger than the card's 1400: large answers cannot be sent`,
	}
	if diff := cmp.Diff(want, texts(warnings)); diff != "" {
		t.Errorf("on a host: -want +got:\n%s", diff)
	}
}

func TestPlace(t *testing.T) {
	c := parse(t, "[interface.a.aliases]\n\"a:0\" = [\"10.0.0.1\", \"@good.txt\", \"10.0.0.2\"]\n\"a:1\" = \"@empty.txt\"")
	for _, tc := range []struct {
		ref  responder.EntryRef
		want string
	}{
		{responder.EntryRef{Alias: 0, Range: 0}, "x.toml:2:10"},
		{responder.EntryRef{Alias: 0, Range: 1}, "testdata/good.txt:2:1"},
		{responder.EntryRef{Alias: 0, Range: 4}, "testdata/good.txt:6:1"},
		{responder.EntryRef{Alias: 0, Range: 5}, "x.toml:2:35"},
		{responder.EntryRef{Alias: 1, Range: 0}, "x.toml:3:1"},  // added later
		{responder.EntryRef{Alias: 2, Range: 0}, "x.toml:1:12"}, // a label that was added later
	} {
		if got := c.Interfaces[0].Place(tc.ref).String(); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.ref, got, tc.want)
		}
	}
}

func TestForReplay(t *testing.T) {
	const two = "[interface.eth0]\nmac = \"02:00:00:00:00:02\"\n[interface.\"eth0.100\"]\n"
	for _, tc := range []struct {
		name, text, pick, want, says string
	}{
		{"the only one", "[interface.v0]\nmac = \"02:00:00:00:00:02\"", "", "v0", ""},
		{"by name", two, "eth0", "eth0", ""},
		{"which", two, "", "", "x.toml: several interfaces: found eth0 or eth0.100, expected one of them with -i"},
		{"none such", two, "eht0", "", "-i eht0: no such interface: x.toml has eth0 or eth0.100; did you mean eth0?"},
		{"no mac", two, "eth0.100", "", `x.toml:3:12: no mac: [interface."eth0.100"] leaves it to the card, and here no card is looked at; expected mac = "00:8e:b8:83:19:20" in it`},
	} {
		c := parse(t, tc.text)
		c.Path = "x.toml"
		i, err := c.ForReplay(tc.pick)
		switch {
		case err != nil && err.Error() != tc.says, err == nil && tc.says != "":
			t.Errorf("%s: %v, want %s", tc.name, err, tc.says)
		case err == nil && i.Name != tc.want:
			t.Errorf("%s: %s, want %s", tc.name, i.Name, tc.want)
		}
	}
}

func TestUnchecked(t *testing.T) {
	c := parse(t, "[interface.a]\nwait = true\nmtu = 1500\ngateway = []\n[interface.b]\nmac = \"02:00:00:00:00:02\"\nnetwork = []")
	want := []string{
		"a: whether the card a exists (it is waited for)",
		"a: mac is not given: the card's own is answered with",
		"a: network is not given: the card's own are on link",
		"a: which aliases are addresses of the host itself, and so never answered for",
		"b: whether the card b exists",
		"b: gateway is not given: those of the kernel's default routes are never answered for",
		"b: mtu is not given: the card's is used",
		"b: which aliases are addresses of the host itself, and so never answered for",
	}
	if diff := cmp.Diff(want, c.Unchecked()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
