package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/responder"
)

// canned is a control.Backend with answers of its own.
type canned struct{ source string }

var seen = responder.Counters{RxPackets: 3, RxBytes: 180, TxPackets: 2, TxBytes: 120}

var claimed = control.Claim{Interface: "eth0", Address: "172.16.3.10", Theirs: "02:00:00:00:00:09"}

func (canned) Show(_ context.Context, label, _ string) (*control.Show, error) {
	if label == "eth0:9" {
		return nil, control.Refuse(http.StatusNotFound, "there is no alias eth0:9")
	}
	return &control.Show{Frozen: "no room", Interfaces: []control.InterfaceShow{{Name: "eth0", State: "the card is up", MAC: "00:8e:b8:83:19:20", Addresses: 2, Labels: []control.LabelShow{
		{Label: "eth0:0", From: control.FromFile, Addresses: 1, Counters: seen, Entries: []control.EntryShow{{Range: "172.16.3.10", From: control.FromFile}}},
		{Label: "eth0:2", From: control.Mixed, Addresses: 1, More: 5, Entries: []control.EntryShow{
			{Range: "172.16.3.11", From: control.Added}, {Range: "172.16.3.12", From: control.SetAside, Reason: "eth0:5 has it"}}},
	}}}}, nil
}

func (canned) Settle() {}

func (canned) Address(_ context.Context, a string) (*control.AddressShow, error) {
	m := control.AddressMatch{Interface: "eth0", Reason: "no alias"}
	if a == "172.16.3.10" {
		m = control.AddressMatch{Interface: "eth0", Answered: true, Label: "eth0:0", Rule: a, From: control.FromFile, Counters: seen}
	}
	switch a {
	case "10.64.0.7":
		m = control.AddressMatch{Interface: "eth0", Label: "eth0:lab", Rule: "10.64.0.0/16", From: control.FromFile, Reason: "excluded"}
	case "10.64.0.9":
		m = control.AddressMatch{Interface: "eth0", Answered: true, Label: "eth0:lab", Rule: "10.64.0.0/16", From: control.FromFile, ClaimedBy: claimed.Theirs}
	case "10.64.0.8":
		m = control.AddressMatch{Interface: "eth0", Answered: true, Label: "eth0:lab", Rule: "10.64.0.0/16", From: control.FromFile, WithLabel: true, Mode: control.Observe}
	}
	return &control.AddressShow{Address: a, Interfaces: []control.AddressMatch{m}}, nil
}

func (canned) Stats(context.Context) (*control.Stats, error) {
	return &control.Stats{Version: "v1", Seconds: 3600,
		Cards:      []control.CardStats{{Name: "eth0", State: "the card is up", Conflicts: 7, Claims: slices.Repeat([]control.Claim{claimed}, 7), Verdicts: map[string]uint64{"too-short": 1}}},
		Interfaces: []control.InterfaceStats{{Name: "eth0", Addresses: 2, Labels: 1, Counters: seen, Verdicts: map[string]uint64{"arp-answered": 7}}},
		Reload:     control.ReloadStats{Error: "no such file"}}, nil
}

func (canned) Health(context.Context) *control.Health { return &control.Health{OK: true} }

func (canned) Edit(_ context.Context, _ control.Peer, e control.Edit) (*control.Result, error) {
	switch e.Label {
	case "eth0:same":
		return &control.Result{Durable: true}, nil
	case "eth0":
		return nil, control.Refuse(http.StatusBadRequest, "bad label")
	}
	return &control.Result{Changed: true, Changes: []string{e.Do + " " + e.Label + " " + strings.Join(e.Addresses, ",")}, Warnings: []string{"look out"}}, nil
}

func (canned) Reload(context.Context, control.Peer) (*control.Result, error) {
	return nil, config.Errors{{Place: config.Place{File: "a.toml", Line: 3, Column: 1}, Msg: "wrong"}}
}

func (canned) Replace(_ context.Context, _ control.Peer, s control.Source) (*control.Result, error) {
	return &control.Result{Changed: true, Changes: strings.Split(strings.TrimSpace(s.Text), "\n"), Durable: true}, nil
}

func (canned) Diff(_ context.Context, s *control.Source) (*control.Diff, error) {
	if s == nil {
		return &control.Diff{Same: true}, nil
	}
	return &control.Diff{Changes: []string{"+ eth0:2 172.16.3.11"}}, nil
}

func (c canned) Save(context.Context) (*control.Saved, error) {
	return &control.Saved{Source: c.source, Text: "# Written by ipalias save: x\nmtu = 1500\n"}, nil
}

func (canned) Record(_ context.Context, _ control.Peer, r control.Recording, begin func() io.Writer) (*control.Recorded, error) {
	if r.Card == "eth7" {
		return nil, control.Refuse(http.StatusNotFound, "there is no card eth7")
	}
	w := capture.NewPcapngWriter(begin(), "eth0")
	w.WriteFrame(1, make([]byte, 60), "arp-answered")
	w.Close()
	return &control.Recorded{Frames: 1, Lost: r.Frames}, nil
}

func (canned) Top(_ context.Context, most int) (*control.Top, error) {
	entries := []control.TopEntry{
		{Address: "172.16.3.100", Interface: "eth0", Label: "eth0:1", Frames: 40, AtMost: 40, Answered: 10},
		{Address: "172.16.3.10", Interface: "eth0", Label: "eth0:0", Frames: 30, AtMost: 31, Answered: 30},
	}
	return &control.Top{Seconds: 2, Uncounted: 4,
		Cards:      []control.TopCard{{Name: "eth0", State: "the card is up", Stats: capture.Stats{Received: 70, Sent: 40, Dropped: 6}, Verdicts: map[string]uint64{"vlan-other": 2}}},
		Interfaces: []control.TopInterface{{Name: "eth0", Mode: control.Observe, Verdicts: map[string]uint64{"arp-answered": 10, "echo-answered": 30}}},
		Aliases:    entries[:min(most, 2)], Askers: []control.TopEntry{{Address: "172.16.3.200", Interface: "eth0", Frames: 70, AtMost: 70, Answered: 40}}}, nil
}

const topOnce = `card eth0: 35/s received, 20/s sent, 3/s dropped; the card is up
no interface: vlan-other 1/s
eth0 (observing): echo-answered 15/s, arp-answered 5/s
2/s are not in what follows

frames/s  answers/s  alias         interface  label
      20          5  172.16.3.100  eth0       eth0:1
     15+         15  172.16.3.10   eth0       eth0:0

frames/s  answers/s  asker         interface
      35         20  172.16.3.200  eth0
`

func TestTopOrder(t *testing.T) {
	now, _ := canned{}.Top(context.Background(), 2)
	for _, tc := range []struct {
		o     order
		first string
	}{{byFrames, "172.16.3.100"}, {byAnswers, "172.16.3.10"}, {byUnanswered, "172.16.3.100"}, {byAddress, "172.16.3.10"}} {
		if got := sorted(now.Aliases, tc.o)[0].Address; got != tc.first {
			t.Errorf("by %s: %s first, want %s", tc.o, got, tc.first)
		}
	}
}

func (canned) LogLevel(context.Context) *control.LogLevel { return &control.LogLevel{Level: "info"} }

func (canned) SetLogLevel(_ context.Context, _ control.Peer, l control.LogLevel) (*control.LogLevel, error) {
	if l.Level == "loud" {
		return nil, control.Refuse(http.StatusBadRequest, "bad level")
	}
	return &l, nil
}

// daemonCommand is what is typed, and what comes of it.
type daemonCommand struct {
	command        string
	status         int
	stdout, stderr string // what they hold; "" for nothing at all
}

// tried runs commands one after the other, each with the daemon of serveCanned.
func tried(t *testing.T, commands []daemonCommand) {
	t.Helper()
	for _, tc := range commands {
		var stdout, stderr bytes.Buffer
		status := run(strings.Fields(tc.command), env{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr})
		if status != tc.status {
			t.Errorf("%s: exit status %d, want %d", tc.command, status, tc.status)
		}
		for _, out := range []struct{ name, got, want string }{{"stdout", stdout.String(), tc.stdout}, {"stderr", stderr.String(), tc.stderr}} {
			if !strings.Contains(out.got, out.want) || out.want == "" && out.got != "" {
				t.Errorf("%s: %s is %q, want %q", tc.command, out.name, out.got, out.want)
			}
		}
	}
}

// files makes what the commands read and write, and says where.
func files(t *testing.T) (in func(name string) string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipalias") // t.TempDir may be longer than a socket's name can be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	in = func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"own.toml":    "[interface.eth0]\n",
		"theirs.toml": "something\n",
		"more.txt":    "10.0.0.1\n10.0.0.8/30 # four\n",
		"none.txt":    "# nothing yet\n",
		"b.toml":      "[interface.eth0.aliases]\n\"eth0:b\" = \"@more.txt\"\n",
		"bad.toml":    "[interface.eth0]\nmtu = 1\n",
	} {
		if err := os.WriteFile(in(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"own.link": "own.toml", "here": ".", "nothing.link": "gone/new.toml", "new.link": "new.toml"} {
		if err := os.Symlink(to, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

func TestDaemonCommands(t *testing.T) {
	in := files(t)
	serveCanned(t, canned{in("own.toml")})
	for _, group := range []struct {
		name     string
		commands []daemonCommand
	}{
		{"show and stats", listings},
		{"add, del and reload", changes(in)},
		{"replace and diff", sources(in)},
		{"save", saves(in)},
		{"top and log-level", tops},
		{"completion", completions(in)},
		{"no daemon", deaf(in)},
	} {
		t.Run(group.name, func(t *testing.T) { tried(t, group.commands) })
	}
	t.Run("record", func(t *testing.T) {
		tried(t, recordings(in))
		// What was refused did not empty it.
		if info, err := os.Stat(in("a.pcapng")); err != nil || info.Size() < 100 || info.Mode() != 0o600 {
			t.Errorf("the recording: %v, %v", info, err)
		}
	})
	if to, err := os.Readlink(in("new.link")); err != nil || to != "new.toml" {
		t.Errorf("the link leads to %q now (%v)", to, err)
	}
	if text, err := os.ReadFile(in("own.toml")); err != nil || string(text) != "[interface.eth0]\n" {
		t.Errorf("the daemon's configuration is %q now (%v)", text, err)
	}
}

var listings = []daemonCommand{
	{"show", done, "\n\nrun-time changes are refused until they can be kept: no room\n", ""},
	{"show", done, "eth0:2  modified          1           0           0  172.16.3.11 (added), 172.16.3.12 (aside) (eth0:5 has it) and 5 more", ""},
	{"show eth0:0", done, "eth0:0  file              1           3           2  172.16.3.10", ""},
	{"show eth0:9", failed, "", "ipalias: there is no alias eth0:9"},
	{"show eth0:0 eth0:1", misuse, "", `unexpected argument "eth0:1"`},
	{"show 999.1.1.1", misuse, "", `found "999.1.1.1", expected a label such as eth0:0 or an address`},
	{"show 172.16.3.10", done, "172.16.3.10 is answered for on eth0 as eth0:0, by 172.16.3.10 (file); RX 3 packets (180 bytes), TX 2 packets (120 bytes)", ""},
	{"show 172.16.3.11", done, "172.16.3.11 is not answered for on eth0: no alias", ""},
	{"show 10.64.0.7", done, "10.64.0.7 is not answered for on eth0: excluded, though eth0:lab has 10.64.0.0/16\n", ""},
	{"show 10.64.0.8", done, "10.64.0.8 would be answered for on eth0 as eth0:lab, by 10.64.0.0/16 (file); RX 0 packets (0 bytes), TX 0 packets (0 bytes)" +
		"; as many addresses are counted one by one as may be, so it is counted with eth0:lab; it observes: what is counted as TX was not sent\n", ""},
	{"show 10.64.0.9", done, "TX 0 packets (0 bytes); another host claims it, 02:00:00:00:00:09\n", ""},
	{"show --json", done, `"from": "aside",`, ""},
	{"stats", done, "arp-answered  7", ""},
	{"stats", done, "other hosts claim 7 aliases: " + strings.Repeat("172.16.3.10 (eth0, 02:00:00:00:00:09), ", 4) + "172.16.3.10 (eth0, 02:00:00:00:00:09) and 2 more\n", ""},
	{"stats", done, "the configuration could not be read again: no such file", ""},
	{"stats --json", done, `"arp-answered": 7`, ""},
}

func changes(in func(name string) string) []daemonCommand {
	return []daemonCommand{
		{"add eth0:2 172.16.3.11 @" + in("more.txt"), done, "add eth0:2 172.16.3.11,10.0.0.1,10.0.0.8/30", "warning: look out"},
		{"add eth0:2 172.16.3.11", done, "add", "the daemon keeps nothing"},
		{"add eth0:same 172.16.3.11", done, "nothing changed", ""},
		{"add eth0:2 172.16.3.11 --json", done, `"changed": true`, ""},
		{"add eth0:2", misuse, "", "need a label and an address"},
		{"add eth0:2 172.16.3.300", misuse, "", "172.16.3.300: bad address"},
		{"add eth0 172.16.3.3", misuse, "", "bad label"},
		{"del eth0:2", done, "delete eth0:2", "warning"},
		{"del eth0:2 @" + in("none.txt"), misuse, "", "no address: found none in @" + in("none.txt")},
		{"add eth0:2 @" + in("none.txt"), misuse, "", "no address: found none in @" + in("none.txt")},
		{"del", misuse, "", "need a label"},
		{"reload", misuse, "", "a.toml:3:1: wrong"},
	}
}

func sources(in func(name string) string) []daemonCommand {
	return []daemonCommand{
		{"replace -c " + in("b.toml"), done, `"eth0:b" = "@more.txt"`, ""},
		{"replace -c " + in("bad.toml"), misuse, "", "bad.toml:2:7"},
		{"replace", misuse, "", "-c FILE"},
		{"diff", done, "nothing would change", ""},
		{"diff -c " + in("b.toml"), done, "+ eth0:2 172.16.3.11", ""},
		{"diff --json", done, `"same": true`, ""},
	}
}

func saves(in func(name string) string) []daemonCommand {
	return []daemonCommand{
		{"save -", done, "mtu = 1500", ""},
		{"save " + in("new.toml"), done, "", ""},
		{"save " + in("new.toml"), done, "", ""},
		{"save " + in("own.toml"), failed, "", "the daemon's own configuration"},
		{"save " + in("theirs.toml"), failed, "", "was not written by ipalias save"},
		{"save /dev/full", failed, "", "/dev/full is no regular file"},
		{"save " + in("here"), failed, "", "is no regular file"},
		{"save " + in("none/new.toml"), failed, "", "save " + in("none/new.toml") + ": no such file or directory\n"},
		// Through links, too; what a link leads to is written, not the link.
		{"save " + in("own.link"), failed, "", "the daemon's own configuration"},
		{"save " + in("here/own.toml"), failed, "", "the daemon's own configuration"},
		{"save " + in("nothing.link"), failed, "", "no such file or directory"},
		{"save " + in("new.link"), done, "", ""},
		{"save", misuse, "", "need one file"},
	}
}

var tops = []daemonCommand{
	{"top -n 1", done, topOnce, ""},
	{"top -n 2 --rows 1", done, "eth0:1\n\nfram", ""},
	{"top -n 1 --json", done, `"at_most": 31,`, ""},
	{"top -n -1", misuse, "", "expected not below 0"},
	{"top --rows 0", misuse, "", "--rows 0"},
	{"log-level", done, "info\n", ""},
	{"log-level debug", done, "debug\n", ""},
	{"log-level --json", done, `"level": "info"`, ""},
	{"log-level loud", misuse, "", "bad level"},
	{"log-level debug info", misuse, "", "unexpected argument"},
}

func recordings(in func(name string) string) []daemonCommand {
	return []daemonCommand{
		{"record -w -", done, "arp-answered", "1 frame recorded\n"},
		{"record -w " + in("a.pcapng") + " -c 7", done, "", "1 frame recorded, 7 lost"},
		{"record --json -w " + in("a.pcapng"), done, "", `"frames": 1`},
		{"record -w " + in("a.pcapng") + " -i eth7", failed, "", "there is no card eth7"},
		{"record -w " + in("none/a.pcapng"), failed, "", "no such file or directory"},
		{"record", misuse, "", "-w FILE"},
		{"record -w - --time -1s", misuse, "", "expected more than 0"},
	}
}

func completions(in func(name string) string) []daemonCommand {
	return []daemonCommand{
		{"__complete del eth0:", done, "eth0:0\neth0:2\n:4\n", "NoFileComp"},
		{"__complete show eth0:2", done, "eth0:2\n:4\n", "NoFileComp"},
		{"__complete add eth0:2 @", done, ":0\n", "Default"},
		{"__complete show --socket " + in("none") + " eth0:", done, ":4\n", "NoFileComp"},
	}
}

func deaf(in func(name string) string) []daemonCommand {
	return []daemonCommand{
		{"show --socket " + in("none"), failed, "", "no daemon listens on"},
		{"show --socket " + in("bad.toml"), failed, "", "bad.toml is no socket"},
		{"show --socket " + in("."), failed, "", "is no socket"},
	}
}
