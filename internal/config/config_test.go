package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/responder"
)

var compare = cmp.Options{
	cmpopts.IgnoreUnexported(Interface{}),
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
}

func addrs(list ...string) []netip.Addr {
	out := []netip.Addr{}
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func prefixes(list ...string) []netip.Prefix {
	out := []netip.Prefix{}
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// ranges takes pairs of first and last.
func ranges(list ...string) responder.Ranges {
	var out responder.Ranges
	for n := 0; n < len(list); n += 2 {
		out = out.Append(responder.Range{First: netip.MustParseAddr(list[n]), Last: netip.MustParseAddr(list[n+1])})
	}
	return out
}

func single(a string) responder.Ranges { return ranges(a, a) }

func reference() []Interface {
	withBurst := responder.DefaultLimits
	withBurst.EchoRate, withBurst.EchoBurst = 10, 50
	return []Interface{
		{
			Name: "eth0", Card: "eth0",
			MAC:      [6]byte{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20},
			MTU:      9000,
			Networks: prefixes("172.16.3.0/24", "10.64.0.0/15"),
			Gateways: addrs("172.16.3.200"),
			Exclude: []responder.Range{
				ranges("172.16.3.1", "172.16.3.1").At(0), ranges("10.64.0.0", "10.64.0.9").At(0), ranges("10.64.9.0", "10.64.9.255").At(0),
			},
			From: prefixes("172.16.0.0/12", "192.0.2.7/32"),
			Wait: true, Reannounce: 300 * time.Second,
			Shield:    true,
			Listening: Listening{Workers: 4, Fanout: capture.ByCPU, Ring: 32768, Spin: 100 * time.Microsecond, Qdisc: true, Counters: 1_000_000},
			Limits:    responder.Limits{ErrorRate: 500, ErrorBurst: 25, PeerRate: 0, PeerBurst: 3, EchoRate: 1000, EchoBurst: 100},
			Aliases: []responder.Alias{
				{Label: "eth0:0", Ranges: single("172.16.3.10")},
				{Label: "eth0:1", Ranges: single("172.16.3.100")},
				{Label: "eth0:lab", Ranges: ranges("10.64.0.0", "10.64.255.255", "10.65.0.1", "10.65.0.200")},
				{Label: "eth0:big", Ranges: ranges("10.1.0.1", "10.1.0.1", "10.1.0.2", "10.1.0.2", "10.1.0.3", "10.1.0.9", "10.1.1.0", "10.1.1.255")},
				{Label: "eth0:vip", Ranges: ranges("172.16.3.20", "172.16.3.20", "172.16.3.21", "172.16.3.21"), Closed: responder.Drop, HasClosed: true, From: prefixes("10.0.0.0/8")},
				{Label: "eth0:x", Ranges: single("172.16.3.30")},
			},
		},
		{
			Name: "eth0.100", Card: "eth0", Tags: []uint16{100},
			Networks: prefixes(), Gateways: addrs(), Reply: responder.Routed, Observe: true, Limits: responder.DefaultLimits,
			Aliases: []responder.Alias{{Label: "eth0.100:0", Ranges: single("10.100.0.1")}},
		},
		{Name: "br-lan.x.100.200", Card: "br-lan.x", Tags: []uint16{100, 200}, Closed: responder.Drop, Limits: withBurst},
		{Name: "v0", Card: "v0", Limits: responder.DefaultLimits},
	}
}

func TestReference(t *testing.T) {
	c, err := Load("testdata/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path:       "testdata/reference.toml",
		Interfaces: reference(),
		Warnings: []Warning{
			{Place{"testdata/reference.toml", 45, 12}, `[interface."br-lan.x.100.200"] has no aliases: nothing is answered for until one is added`},
			{Place{"testdata/reference.toml", 49, 12}, "[interface.v0] has no aliases: nothing is answered for until one is added"},
		},
	}
	if diff := cmp.Diff(want, c, compare); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The reference shows every key: whoever adds one adds it there.
func TestReferenceHasEveryKey(t *testing.T) {
	text, err := os.ReadFile("testdata/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	keys := append(keysOf(topKeys), keysOf(interfaceKeys)...)
	keys = append(append(keys, keysOf(limitKeys)...), keysOf(aliasKeys)...)
	for _, k := range keys {
		if !bytes.Contains(text, []byte(k)) {
			t.Errorf("testdata/reference.toml does not have %s", k)
		}
	}
}

// Line ends and a byte order mark change neither values nor places.
func TestLineEnds(t *testing.T) {
	text, err := os.ReadFile("testdata/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	const mistake, says = "\n[interface.v1]\nmtu = 1\n", "x.toml:52:7: out of range: found 1, expected a whole number from 68 to 65535"
	for name, text := range map[string]string{
		"lf":         string(text),
		"crlf":       strings.ReplaceAll(string(text), "\n", "\r\n"),
		"bom":        "\ufeff" + string(text),
		"bom crlf":   "\ufeff" + strings.ReplaceAll(string(text), "\n", "\r\n"),
		"no newline": strings.TrimSuffix(string(text), "\n"),
	} {
		c, err := Parse("x.toml", []byte(text), "testdata")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(reference(), c.Interfaces, compare); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if name == "no newline" {
			text += "\n"
		}
		if _, err = Parse("x.toml", []byte(text+mistake), "testdata"); err == nil || err.Error() != says {
			t.Errorf("%s: a mistake at the end: %v, want %s", name, err, says)
		}
	}
	for text, want := range map[string]string{
		"\ufeffmtu = 1":              `x.toml:1:1: unknown key "mtu": it belongs in [interface.CARD]`,
		"\xff\xfe[\x00i\x00":         "x.toml:1:1: not UTF-8: found UTF-16, expected UTF-8 text; save the file as UTF-8",
		"[interface.a]\n\x7fELF\x00": "x.toml:2:5: not a text file: found a NUL byte, expected TOML",
		"[interface.a] # \xff":       "x.toml:1:17: syntax error: found a character that is no UTF-8, expected UTF-8 text",
		"[interface.a]\rmtu = 1":     "x.toml:1:14: syntax error: found a carriage return without a newline, expected the end of the line",
	} {
		if _, err := Parse("x.toml", []byte(text), "testdata"); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestMACNotations(t *testing.T) {
	for _, mac := range []string{"00:8e:b8:83:19:20", "00-8E-B8-83-19-20", "008e.b883.1920"} {
		c, err := Parse("x.toml", fmt.Appendf(nil, "[interface.a]\nmac = %q", mac), "")
		if err != nil || c.Interfaces[0].MAC != [6]byte{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20} {
			t.Errorf("%s: %v", mac, err)
		}
	}
}

func TestLoadWhatIsNoFile(t *testing.T) {
	for path, want := range map[string]string{
		"testdata/nowhere.toml": "testdata/nowhere.toml: cannot read the configuration: no such file or directory",
		"testdata/directory":    "testdata/directory: cannot read the configuration: is a directory",
		"":                      ": cannot read the configuration: no such file or directory",
	} {
		_, err := Load(path)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// A huge number of mistakes is cut, wherever it comes from, and counted.
func TestManyMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "many.txt")
	if err := os.WriteFile(file, bytes.Repeat([]byte("x\n"), 250), 0o600); err != nil {
		t.Fatal(err)
	}
	const head = "[interface.a.aliases]\n"
	for _, tc := range []struct {
		name, text, last string
	}{
		{"file", `"a:0" = "@many.txt"`, file + ":101:1: and 150 more mistakes from here on"},
		{"file and more", "\"a:0\" = \"@many.txt\"\n\"a:1\" = \"x\"", file + ":101:1: and 151 more mistakes from here on"},
		{"array", `"a:0" = [` + strings.Repeat(`"",`, 101) + "]", "x.toml:2:310: and one more mistake"},
		{"overlaps", `"a:0" = [` + strings.Repeat(`"10.0.0.1",`, 131) + "]", "x.toml:2:1110: and 30 more mistakes from here on"},
	} {
		_, err := Parse("x.toml", []byte(head+tc.text), dir)
		list := AsErrors(err)
		if len(list) != maxErrors+1 {
			t.Errorf("%s: %d errors", tc.name, len(list))
			continue
		}
		if got := list[maxErrors].Error(); got != tc.last {
			t.Errorf("%s: the last is %s\nwant %s", tc.name, got, tc.last)
		}
	}
}

func TestErrorsAsJSON(t *testing.T) {
	_, err := Parse("x.toml", []byte("[interface.a]\nmtu = 1"), "")
	got, jerr := json.Marshal(AsErrors(err))
	if jerr != nil {
		t.Fatal(jerr)
	}
	const want = `[{"file":"x.toml","line":2,"column":7,"message":"out of range: found 1, expected a whole number from 68 to 65535"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if AsErrors(nil) != nil {
		t.Error("mistakes where there is no error")
	}
	if other := AsErrors(fs.ErrExist); len(other) != 1 || other[0].Msg != fs.ErrExist.Error() {
		t.Errorf("another error: %v", other)
	}
	if wrapped := AsErrors(fmt.Errorf("check: %w", err)); len(wrapped) != 1 || wrapped[0].Line != 2 {
		t.Errorf("a wrapped error: %v", wrapped)
	}
	var one *Error
	if !errors.As(err, &one) || one.Column != 7 {
		t.Errorf("the first mistake: %v", one)
	}
}

func TestFromFlags(t *testing.T) {
	c, err := FromFlags("eth0.7", []string{"172.16.3.10", "10.64.0.0/16", "10.65.0.1-10.65.0.9"})
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{Interfaces: []Interface{{
		Name: "eth0.7", Card: "eth0", Tags: []uint16{7}, Limits: responder.DefaultLimits,
		Aliases: []responder.Alias{
			{Label: "eth0.7:0", Ranges: single("172.16.3.10")},
			{Label: "eth0.7:1", Ranges: ranges("10.64.0.0", "10.64.255.255")},
			{Label: "eth0.7:2", Ranges: ranges("10.65.0.1", "10.65.0.9")},
		},
	}}}
	if diff := cmp.Diff(want, c, compare); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if c, err := FromFlags("eth0", nil); err != nil || len(c.Interfaces) != 1 || len(c.Warnings) != 0 {
		t.Errorf("no aliases: %v, %v", c, err)
	}
	_, err = FromFlags("eth0:0", []string{"10.0.0.0/24", "10.0.0.1/8", "10.0.0.7", "@nowhere.txt"})
	const says = `-i eth0:0: bad interface name: found "eth0:0", expected a card without a colon such as "eth0"; with a colon it is a label of the card's aliases
-a 10.0.0.1/8: host bits set: found "10.0.0.1/8", expected the prefix "10.0.0.0/8" or the single address "10.0.0.1"
-a 10.0.0.7: overlap: found 10.0.0.7 in "eth0:0:2" and in "eth0:0:0" at -a 10.0.0.0/24, expected each address under one label
-a @nowhere.txt: cannot read the address file "nowhere.txt": no such file or directory`
	if err == nil || err.Error() != says {
		t.Errorf("got %v\nwant %s", err, says)
	}
}
