package wire

import (
	"bytes"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/internal/netlab"
)

// testLab makes a lab for the length of the test, with the given cards or a veth pair.
func testLab(t *testing.T, card, peer string) *lab {
	t.Helper()
	l, err := newLab(card, peer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Every peer answers, from live frames and step by step, and every reply of the
// sample is right.
func TestPeersAnswer(t *testing.T) {
	netlab.Need(t, "farpd")
	l := testLab(t, "", "")
	peers, err := all(Options{Daemon: daemon(t)})
	if err != nil {
		t.Fatal(err)
	}
	err = l.gen.ns.Do(func() error {
		for _, arp := range []bool{false, true} {
			for _, a := range []aim{few, large} {
				if testing.Short() && a.targets == large.targets {
					continue
				}
				q, err := l.question(arp, a)
				if err != nil {
					return err
				}
				for i := range peers {
					if p := &peers[i]; p.asks(q) {
						l.testPeer(t, p, q)
					}
				}
				if err := q.close(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) testPeer(t *testing.T, p *peer, q *question) {
	what := p.name + ", " + q.kind() + ", " + q.a.name
	if err := l.goLive(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if !l.live {
		t.Error("no live frames over veth")
	}
	l.manner = p.manner
	stop, err := p.start(l, q.a)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	time.Sleep(p.late)
	got, err := l.sendSome(t, p, q)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if answers := got.replies > 0; answers != (p.name != nobody) || answers && got.checked == 0 {
		t.Errorf("%s: %+v", what, got)
	}
	if err := l.goPlain(); err != nil {
		t.Fatal(err)
	}
	// The same without live frames, as for a card that has none.
	if got, err = l.sendSome(t, p, q); err != nil || got.replies == 0 && p.name != nobody {
		t.Errorf("%s, in bursts: %+v, %v", what, got, err)
	}
	if err := stop(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if p.program {
		return
	}
	var row Row
	if err := l.oneCore(t.Context(), p, &row, q); err != nil || len(row.OneCore) != 1 {
		t.Errorf("%s, step by step: %v", what, err)
	}
}

// sendSome sends until a reply comes: on a busy machine a responder may not get its
// turn at first.
func (l *lab) sendSome(t *testing.T, p *peer, q *question) (got tally, err error) {
	for range 20 {
		got, err = l.send(t.Context(), q, 20_000, 50*time.Millisecond)
		if err != nil || p.name == nobody || got.replies > 0 && got.checked > 0 {
			break
		}
	}
	return got, err
}

func TestCheckReplySeesWrongOnes(t *testing.T) {
	l := &lab{dut: end{mac: netlab.MACA}, gen: end{mac: netlab.MACB}}
	target := netip.MustParseAddr("172.16.3.11")
	for _, arp := range []bool{false, true} {
		expect := func(target netip.Addr) []byte {
			return bench.Expect(l.request(arp, target, 7), [6]byte(netlab.MACA))
		}
		reply := expect(target)
		if err := l.checkReply(reply, few); err != nil {
			t.Fatal(err)
		}
		for i := range reply {
			if !arp && (i == icmpSeq || i == icmpSeq+1) {
				continue // says itself what it answers; the checksum tells
			}
			wrong := bytes.Clone(reply)
			wrong[i] ^= 4
			if l.checkReply(wrong, few) == nil {
				t.Errorf("byte %d of %x may be anything", i, reply)
			}
		}
		if l.checkReply(expect(netip.MustParseAddr("172.16.3.13")), few) == nil {
			t.Error("a reply from an address that nobody asked for is taken")
		}
	}
}

// daemon builds ipaliasd.
func daemon(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ipaliasd")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/ipaliasd").CombinedOutput(); err != nil {
		t.Fatalf("build ipaliasd: %v\n%s", err, out)
	}
	return path
}

// The daemon's figures are there, and of the right order; their goals are the
// page's matter, not a test's.
func TestRunDaemon(t *testing.T) {
	netlab.Need(t)
	r, err := RunDaemon(t.Context(), daemon(t))
	if err != nil {
		t.Fatal(err)
	}
	for what, v := range map[string]float64{
		"start": r.Start.Median, "start with a million": r.MillionStart.Median, "reload": r.Reload.Median, "add": r.Add.Median,
		"memory": r.Memory, "an address": r.PerAddress, "an address asked for": r.PerUsed, "asked": float64(r.Asked),
	} {
		if v <= 0 {
			t.Errorf("%s: %v", what, v)
		}
	}
	if r.Memory < 1<<20 || r.Memory > 1<<30 || r.Idle < 0 || r.Idle > 100 {
		t.Errorf("memory %v bytes, %v %% at rest", r.Memory, r.Idle)
	}
}
