package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/kernelref"
)

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"ipalias": main})
}

// testHome is a directory that lasts as long as the tests.
var testHome string

type suite struct{ *testing.M }

// Run is not called where testscript runs this program as ipalias.
func (s suite) Run() int {
	var err error
	if testHome, err = os.MkdirTemp("", "ipalias-test"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(testHome)
	return s.M.Run()
}

// TestScripts runs the scripts of testdata/script, which use ipalias as people do.
// Beside testscript's commands they have
//
//	record FILE [GROUP[/NAME]]   write the frames of the kernel recording's cases, a second apart
//	cut FILE N                   cut a file to N bytes
//	mkpcap FILE                  write an ARP request untagged, in VLAN 100 and in VLAN 7
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"record": func(ts *testscript.TestScript, _ bool, args []string) {
				what := ""
				if len(args) > 1 {
					what = strings.Join(args[1:], " ")
				}
				ts.Check(record(ts.MkAbs(args[0]), what))
			},
			"mkpcap": taggedRequests,
			"cut": func(ts *testscript.TestScript, _ bool, args []string) {
				var n int64
				for _, d := range args[1] {
					n = n*10 + int64(d-'0')
				}
				ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
			},
		},
	})
}

// start is the time of a recording's first frame: a date that is easy to see.
const start = 1_000_000_000 * 1_000_000_000

// record writes the frames of the recorded cases of a group, of one case
// ("group/name"), or of all ("").
func record(path, what string) error {
	w, err := capture.CreateWriter(path)
	if err != nil {
		return err
	}
	defer w.Close()
	at := int64(start)
	for _, c := range kernelref.Recorded() {
		if what != "" && what != c.Group && what != c.Group+"/"+c.Name {
			continue
		}
		for _, f := range c.In {
			if err := w.WriteFrame(at, f, ""); err != nil {
				return err
			}
		}
		at += 1e9
	}
	return w.Flush()
}

// labToml is the host that the kernel recording was made of.
const labToml = `[interface.v0]
mac = "02:00:00:00:03:01"
network = ["172.16.3.0/24"]
gateway = ["172.16.3.200"]

[interface.v0.aliases]
"v0:main" = "172.16.3.1"
"v0:0" = "172.16.3.10"
"v0:1" = "172.16.3.100"
`

// TestReplayIsTheKernel replays each recorded IPv4 case on its own: the answers
// are the kernel's, but for those that come when a datagram's time runs out, which
// the recordings do not hold.
func TestReplayIsTheKernel(t *testing.T) {
	dir := t.TempDir()
	toml := filepath.Join(dir, "v0.toml")
	if err := os.WriteFile(toml, []byte(labToml), 0o644); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, c := range kernelref.Recorded() {
		if strings.HasSuffix(c.Group, "6") || c.Group == "nd" {
			continue // IPv6
		}
		t.Run(c.Group+"/"+c.Name, func(t *testing.T) {
			in, out := filepath.Join(dir, "in.pcap"), filepath.Join(dir, "out.pcap")
			if err := record(in, c.Group+"/"+c.Name); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			if status := run([]string{"replay", "-c", toml, "-w", out, in}, env{stdout: &stdout, stderr: &stderr}); status != done {
				t.Fatalf("exit status %d: %s", status, &stderr)
			}
			if diff, ok := kernelref.Compare(c.Out, answers(t, out), c.In, c.Mask, kernelref.Lab()); !ok {
				t.Error(diff)
			}
			compared++
		})
	}
	if compared < 200 {
		t.Errorf("only %d cases were compared", compared)
	}
}

// answers reads the answers that came at once.
func answers(t *testing.T, path string) (list [][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := capture.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := r.Next()
		if err != nil {
			return list
		}
		if frame.Time == start {
			list = append(list, bytes.Clone(frame.Data))
		}
	}
}
