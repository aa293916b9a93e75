package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
)

// silentLab is a pair of namespaces whose first one has no address at all, so that
// whatever comes from there is the daemon's.
func silentLab(t *testing.T, tools ...string) (a, b *netlab.Namespace) {
	t.Helper()
	netlab.Need(t, append(tools, "ip", "sysctl")...)
	a, b = netlab.Pair(t)
	for _, n := range []struct {
		*netlab.Namespace
		card string
	}{{a, netlab.CardA}, {b, netlab.CardB}} {
		must(t, n.Namespace, "sysctl", "-qw", "net.ipv6.conf."+n.card+".disable_ipv6=1")
	}
	must(t, b, "ip", "addr", "add", "172.16.3.200/24", "dev", netlab.CardB)
	return a, b
}

const silentNetwork = "network = [\"172.16.3.0/24\"]\ngateway = [\"172.16.3.200\"]\n"

// waiting gives what came and nobody has read yet.
func (w *wire) waiting() (frames [][]byte) {
	w.t.Helper()
	for {
		buf := make([]byte, 1<<17)
		var n int
		var got error
		err := w.raw.Read(func(fd uintptr) bool {
			n, got = unix.Read(int(fd), buf)
			return true
		})
		if errors.Is(got, unix.EAGAIN) {
			return frames
		}
		if err := errors.Join(err, got); err != nil {
			w.t.Fatal(err)
		}
		frames = append(frames, buf[:n])
	}
}

// stats waits until the daemon has counted what want looks for.
func (p *process) stats(t *testing.T, want func(*control.Stats) bool) *control.Stats {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s, err := p.client().Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("not counted within %v: %+v", patience, s)
		}
	}
}

// Not one frame leaves whatever comes, and all is counted as if it were answered.
func TestObserve(t *testing.T) {
	for _, reply := range []string{"reflect", "routed"} {
		t.Run(reply, func(t *testing.T) {
			a, b := silentLab(t, "ping", "arping", "traceroute")
			cfg := file(t, "[interface.v0]\nmode = \"observe\"\nreply = \""+reply+"\"\n"+silentNetwork+howto)
			w := tap(t, b)
			p := ipaliasd(t, a, "-c", cfg)
			client(b, "arping", "-I", netlab.CardB, "-c", "1", "-w", "1", "172.16.3.10")
			client(b, "arping", "-D", "-I", netlab.CardB, "-c", "1", "-w", "1", "172.16.3.100")
			must(t, b, "ip", "neigh", "replace", "172.16.3.10", "lladdr", netlab.MACA.String(), "dev", netlab.CardB, "nud", "permanent")
			client(b, "ping", "-c", "3", "-i", "0.01", "-W", "0.1", "172.16.3.10")
			client(b, "ping", "-c", "1", "-s", "4000", "-W", "0.1", "172.16.3.10")
			client(b, "traceroute", "-n", "-q", "1", "-m", "2", "-w", "0.1", "172.16.3.10")
			w.put(syn(v0alias), udp(gateway, v0alias), datagram(peerMAC, framegen.IPv4{Protocol: 47, Src: gateway, Dst: v0alias}))

			s := p.stats(t, func(s *control.Stats) bool {
				v := s.Interfaces[0].Verdicts
				return v["protocol-refused"] == 1 || v["resolving"]+v["unresolved"] >= 9
			})
			if got := w.waiting(); len(got) > 0 {
				t.Errorf("%d frames left the card, the first is %x", len(got), got[0])
			}
			i, c := s.Interfaces[0], s.Cards[0]
			if i.Mode != control.Observe || c.Sent != 0 {
				t.Errorf("mode %q, %d frames sent; want observe and none", i.Mode, c.Sent)
			}
			want := map[string]uint64{"arp-answered": 1, "arp-probe-answered": 1}
			if reply == "reflect" {
				want["echo-answered"], want["tcp-reset"], want["udp-refused"] = 4, 1, 3
			}
			for verdict, n := range want {
				if i.Verdicts[verdict] != n {
					t.Errorf("%d frames counted as %s, want %d", i.Verdicts[verdict], verdict, n)
				}
			}
			if i.Counters.TxPackets == 0 || c.Withheld < i.Counters.TxPackets {
				t.Errorf("%d answers counted, %d frames withheld", i.Counters.TxPackets, c.Withheld)
			}
			p.interrupt(t)
			if got := w.waiting(); len(got) > 0 {
				t.Errorf("%d frames left the card at the end", len(got))
			}
			for _, text := range []struct{ where, got, want string }{
				{"first line", p.stdout.String(), "observing, not answering for 2 addresses"},
				{"totals", p.stdout.String(), "withheld: observing"},
				{"log", p.stderr.String(), `msg="observing: frames are counted, nothing is sent"`},
			} {
				if !strings.Contains(text.got, text.want) {
					t.Errorf("%s: no %q in %s", text.where, text.want, text.got)
				}
			}
		})
	}
}

// The mode changes with the file, to and fro: announced is what is answered for
// from now on, and nothing leaves after the change has been acknowledged.
func TestObserveAndReload(t *testing.T) {
	a, b := silentLab(t, "arping")
	watch := "[interface.v0]\nmode = \"observe\"\n" + silentNetwork + howto
	cfg := file(t, watch)
	p := ipaliasd(t, a, "-c", cfg)
	conn := socket(t, b)
	reload := func(text string) *control.Result {
		t.Helper()
		if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		result, err := p.client().Reload(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	result := reload(strings.Replace(watch, "observe", "answer", 1))
	if got, want := strings.Join(result.Changes, "; "), `~ v0 mode: "observe" -> not set`; got != want {
		t.Errorf("changes %q, want %q", got, want)
	}
	awaitAnnouncements(t, conn, "172.16.3.10", "172.16.3.100")
	must(t, b, "arping", "-I", netlab.CardB, "-c", "1", "-w", "10", "172.16.3.10")

	reload(watch)
	w := tap(t, b)
	w.put(whoHas(peerMAC, gateway, v0alias))
	before := p.stats(t, func(*control.Stats) bool { return true }).Cards[0].Sent
	p.stats(t, func(s *control.Stats) bool { return s.Interfaces[0].Verdicts["arp-answered"] == 2 })
	p.edit(t, control.Add, "v0:2", "172.16.3.11") // would be announced
	w.put(whoHas(peerMAC, gateway, v0alias))
	s := p.stats(t, func(s *control.Stats) bool { return s.Interfaces[0].Verdicts["arp-answered"] == 3 })
	if got := w.waiting(); len(got) > 0 || s.Cards[0].Sent != before {
		t.Errorf("%d frames left the card, %d counted, after it was told to observe", len(got), s.Cards[0].Sent-before)
	}
	p.interrupt(t)
	if log := p.stderr.String(); strings.Count(log, "observing: frames are counted") != 2 || strings.Count(log, "answering, no longer observing") != 1 {
		t.Errorf("changes of mode in the log:\n%s", log)
	}
}

// What the command line says no configuration can take back.
func TestObserveAll(t *testing.T) {
	a, b := silentLab(t)
	p := ipaliasd(t, a, "--observe", "-i", netlab.CardA, "-a", "172.16.3.10")
	w := tap(t, b)
	source := control.Source{Name: "b.toml", Text: "[interface.v0]\nmode = \"answer\"\n" + silentNetwork + howto}
	if _, err := p.client().Replace(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	w.put(whoHas(peerMAC, gateway, v0alias), question(peerMAC, v1alias, 1, nil))
	s := p.stats(t, func(s *control.Stats) bool {
		v := s.Interfaces[0].Verdicts
		return v["arp-answered"] == 1 && v["echo-answered"] == 1
	})
	if got := w.waiting(); len(got) > 0 {
		t.Errorf("%d frames left the card, the first is %x", len(got), got[0])
	}
	if s.Interfaces[0].Mode != control.Observe {
		t.Errorf("mode %q, want observe", s.Interfaces[0].Mode)
	}
	show, err := p.client().Show(t.Context(), "")
	if err != nil || show.Interfaces[0].Mode != control.Observe {
		t.Errorf("show: %+v, %v; want observe", show, err)
	}
	match, err := p.client().Address(t.Context(), "172.16.3.10")
	if err != nil {
		t.Fatal(err)
	}
	// One request came, and one answer would have gone out.
	m := match.Interfaces[0]
	if !m.Answered || m.Mode != control.Observe || m.Counters.RxPackets != 1 || m.Counters.TxPackets != 1 {
		t.Errorf("show 172.16.3.10: %+v", m)
	}
	if status, _ := get(t, p.socket, "/v1/healthz"); status != http.StatusOK {
		t.Errorf("health %d: to observe is no fault", status)
	}
}

// One VLAN of a card only watches while the others answer.
func TestObserveOneVLAN(t *testing.T) {
	a, b := silentLab(t)
	text := strings.Replace(howtoVLANs, `[interface."v0.100".aliases]`, "[interface.\"v0.100\"]\nmode = \"observe\"\n"+`[interface."v0.100".aliases]`, 1)
	p := start(t, a.Command(binary, "-c", file(t, text)))
	p.wait(t, p.stdout, "answering for", 3)
	w := tap(t, b)
	const c = framegen.TypeVLAN
	for _, tc := range []struct {
		tags    [][2]uint16
		answers int
	}{{nil, 2}, {[][2]uint16{{c, 100}}, 0}, {[][2]uint16{{c, 100}, {c, 0xe000}}, 0}, {[][2]uint16{{c, 100}, {c, 200}}, 2}} {
		got := w.answers(tagged(whoHas(peerMAC, gateway, v0alias), tc.tags...), tagged(question(peerMAC, v0alias, 1, nil), tc.tags...))
		if len(got) != tc.answers || len(got) > 0 && !bytes.HasPrefix(got[0][12:], tagged(make([]byte, 14), tc.tags...)[12:12+4*len(tc.tags)]) {
			t.Errorf("tags %x: %d answers, want %d", tc.tags, len(got), tc.answers)
		}
	}
	p.interrupt(t)
	p.hasTotal(t, "arp-answered", 4)
}
