package configtext

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ipalias/ipalias/internal/config"
)

// everyKey is a configuration that has them all: another test sees to that.
func everyKey(t *testing.T) string {
	text, err := os.ReadFile("../config/testdata/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What is written is read back as what it was.
func TestRoundTrip(t *testing.T) {
	for name, text := range map[string]string{
		"HOWTO": `
[interface.eth0]
mac     = "00:8e:b8:83:19:20"
network = ["172.16.3.0/24"]
gateway = ["172.16.3.200"]
mtu     = 1500
exclude = ["172.16.3.1", "10.64.0.0-10.64.0.9"]
from    = ["0.0.0.0/0"]

[interface.eth0.aliases]
"eth0:0"   = "172.16.3.10"
"eth0:lab" = ["10.64.0.0/16", "10.65.0.1-10.65.0.200"]
"eth0:many" = ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5"]
"eth0:vip" = { address = ["172.16.3.20"], closed = "drop", from = ["10.0.0.0/8"] }
"eth0:odd" = { address = ["172.16.3.21", "172.16.3.22", "172.16.3.23", "172.16.3.24", "172.16.3.25"], closed = "refuse" }
"eth0:\"a\\b\" ü" = "172.16.3.30"
`,
		"every key": everyKey(t),
		"others": `
[interface."eth0.100"]
network = []
gateway = []
closed = "drop"
reply = "routed"
mode = "observe"
wait = true
limit = { error_rate = 0, peer_burst = 9, echo_rate = 100, echo_burst = 7 }
[interface.eth1]
`,
	} {
		if name == "others" {
			text = strings.Replace(text, "network = []", `network = ["172.16.3.0/24"]`, 1) // a routed interface needs one
		}
		want, err := config.Parse("a.toml", []byte(text), "../config/testdata")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var out strings.Builder
		for n := range want.Interfaces {
			Interface(&out, &want.Interfaces[n], want.Interfaces[n].Aliases)
		}
		got, err := config.Parse("b.toml", []byte(out.String()), ".")
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out.String())
		}
		diff := cmp.Diff(want.Interfaces, got.Interfaces, cmpopts.IgnoreUnexported(config.Interface{}), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}))
		if diff != "" {
			t.Errorf("%s: (-want +got):\n%s\n%s", name, diff, out.String())
		}
		for n := range want.Interfaces {
			if d := Differences(Settings(&want.Interfaces[n]), Settings(&got.Interfaces[n])); d != nil {
				t.Errorf("%s: %q", name, d)
			}
		}
	}
}

func TestDifferences(t *testing.T) {
	a := []Setting{{"mtu", "1500"}, {"wait", "true"}, {"mac", "x"}}
	b := []Setting{{"mac", "x"}, {"mtu", "9000"}, {"closed", `"drop"`}}
	want := []string{"mtu: 1500 -> 9000", "wait: true -> not set", `closed: not set -> "drop"`}
	if diff := cmp.Diff(want, Differences(a, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
