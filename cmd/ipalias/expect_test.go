package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/framegen"
)

var (
	ourMAC  = framegen.MAC{0x02, 0x00, 0x00, 0x00, 0x03, 0x01}
	peerMAC = framegen.MAC{0x02, 0x00, 0x00, 0x00, 0x03, 0xc8}
	alias   = netip.MustParseAddr("172.16.3.10")
	peer    = netip.MustParseAddr("172.16.3.200")
)

// writeCapture writes frames, a second apart.
func writeCapture(path string, frames ...[]byte) error {
	w, err := capture.CreateWriter(path)
	if err != nil {
		return err
	}
	for n, f := range frames {
		if err := w.WriteFrame(start+int64(n)*1e9, f, ""); err != nil {
			return err
		}
	}
	return w.Close()
}

// taggedRequests writes the same ARP request untagged, in VLAN 100 and in VLAN 7.
func taggedRequests(ts *testscript.TestScript, _ bool, args []string) {
	request := framegen.Ether(framegen.Broadcast, peerMAC, framegen.TypeARP,
		framegen.ARP{SenderMAC: peerMAC, Sender: peer, Target: alias}.Bytes())
	ts.Check(writeCapture(ts.MkAbs(args[0]), request,
		framegen.Tag(request, framegen.TypeVLAN, 100), framegen.Tag(request, framegen.TypeVLAN, 7)))
}

func echo(typ byte, from, to netip.Addr, d framegen.IPv4, payload string) []byte {
	d.Src, d.Dst, d.Protocol = from, to, framegen.ICMP
	d.Payload = framegen.ICMPMessage(typ, 0, 1<<16|1, []byte(payload))
	if from == alias {
		return framegen.Ether(peerMAC, ourMAC, framegen.TypeIPv4, d.Bytes())
	}
	return framegen.Ether(ourMAC, peerMAC, framegen.TypeIPv4, d.Bytes())
}

func reply(d framegen.IPv4, payload string) []byte { return echo(0, alias, peer, d, payload) }

// TestExpect replays one echo request against golden captures.
func TestExpect(t *testing.T) {
	dir := t.TempDir()
	toml, in, golden := filepath.Join(dir, "v0.toml"), filepath.Join(dir, "in.pcap"), filepath.Join(dir, "golden.pcap")
	if err := os.WriteFile(toml, []byte(labToml), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeCapture(in, echo(8, peer, alias, framegen.IPv4{}, "ping")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		golden [][]byte
		status int
		stdout []string
	}{
		{"the same but for the identification", [][]byte{reply(framegen.IPv4{ID: 4711}, "ping")}, done,
			[]string{"holds the same 1 answer\n"}},
		{"a field differs", [][]byte{reply(framegen.IPv4{TTL: 63}, "ping")}, failed, []string{
			"answer 1 differs from " + golden + "; it is the answer to frame 1\n",
			"\nexpected  01:46:40.000000  IP 172.16.3.10 > 172.16.3.200: ICMP echo reply, id 1, seq 1, length 12\n",
			"\ngot       01:46:40.000000  IP 172.16.3.10 > 172.16.3.200: ICMP echo reply, id 1, seq 1, length 12\n",
			"\n*  IP TTL                        63 ",
			"\n   IP source                     172.16.3.10 ",
		}},
		{"the payload differs", [][]byte{reply(framegen.IPv4{}, "pong")}, failed, []string{"\n*  ICMP payload"}},
		{"an answer too many", nil, failed, []string{"\nexpected  no answer\n", "\ngot       01:46:40.000000  IP "}},
		{"an answer missing", [][]byte{reply(framegen.IPv4{}, "ping"), reply(framegen.IPv4{}, "more")}, failed, []string{
			"answer 2 differs", "\nexpected  01:46:41.000000  IP ", "\ngot       no answer\n"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := writeCapture(golden, tc.golden...); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			status := run([]string{"replay", "-c", toml, "--expect", golden, in}, env{stdout: &stdout, stderr: &stderr})
			if status != tc.status || (stderr.Len() > 0) != (tc.status == failed) {
				t.Errorf("exit status %d, want %d; stderr: %s", status, tc.status, &stderr)
			}
			for _, want := range tc.stdout {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("no %q in\n%s", want, &stdout)
				}
			}
		})
	}
}

// TestIdents holds that only an identification may differ that its sender was
// free to choose.
func TestIdents(t *testing.T) {
	wrong := bytes.Clone(reply(framegen.IPv4{ID: 2}, "ping"))
	wrong[24] ^= 1 // header checksum
	first, last := framegen.IPv4{Flags: framegen.MoreFragments}, framegen.IPv4{Offset: 8}
	withID := func(d framegen.IPv4, id uint16) []byte {
		d.ID = id
		return reply(d, "ping")
	}
	type pair struct{ want, got []byte }
	for _, tc := range []struct {
		name  string
		pairs []pair
		same  bool // of the last pair; those before it are the same
	}{
		{"equal", []pair{{withID(first, 1), withID(first, 1)}}, true},
		{"identification", []pair{{withID(framegen.IPv4{}, 1), withID(framegen.IPv4{}, 0xfffe)}}, true},
		{"identification behind a tag", []pair{{framegen.Tag(withID(first, 1), framegen.TypeVLAN, 5), framegen.Tag(withID(first, 9), framegen.TypeVLAN, 5)}}, true},
		{"identification with DF", []pair{{reply(framegen.IPv4{Flags: framegen.DontFragment}, ""), reply(framegen.IPv4{Flags: framegen.DontFragment, ID: 1}, "")}}, false},
		{"checksum", []pair{{withID(framegen.IPv4{}, 1), wrong}}, false},
		{"length", []pair{{reply(framegen.IPv4{}, "ping"), append(reply(framegen.IPv4{ID: 1}, "ping"), 0)}}, false},
		{"pieces of one datagram", []pair{{withID(first, 1), withID(first, 7)}, {withID(last, 1), withID(last, 7)}}, true},
		{"pieces that fall apart", []pair{{withID(first, 1), withID(first, 7)}, {withID(last, 1), withID(last, 8)}}, false},
		{"no header", []pair{{wrong[:20], wrong[:21]}}, false},
	} {
		var p idents
		for n, x := range tc.pairs {
			want := tc.same || n < len(tc.pairs)-1
			if got := p.same(x.want, x.got); got != want {
				t.Errorf("%s, pair %d: got %t, want %t", tc.name, n, got, want)
			}
		}
	}
}

// A brokenPipe is read by nobody any more.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

func TestClosedPipe(t *testing.T) {
	dir := t.TempDir()
	toml, in := filepath.Join(dir, "v0.toml"), filepath.Join(dir, "in.pcap")
	if err := os.WriteFile(toml, []byte(labToml), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeCapture(in, reply(framegen.IPv4{}, "")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "-c", toml},
		{"check", "-c", toml, "--json"},
		{"replay", "-c", toml, in},
		{"explain", "-c", toml, in},
		{"explain", "-c", toml, "--json", in},
		{"version"},
		{"completion", "bash"},
	} {
		var stderr bytes.Buffer
		status := run(args, env{stdout: brokenPipe{}, stderr: &stderr})
		if status != failed || stderr.Len() > 0 {
			t.Errorf("%v: exit status %d, want %d without a word: %s", args, status, failed, &stderr)
		}
	}
}
