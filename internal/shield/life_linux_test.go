package shield

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/responder"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// childEnv has the test binary be a process that raises a shield and never lowers
// it; its value says whether the shield is bound to the process.
const childEnv = "IPALIAS_SHIELD_CHILD"

func TestMain(m *testing.M) {
	if kind := os.Getenv(childEnv); kind != "" {
		t, err := child(kind)
		fmt.Println(err)
		os.Stdin.Read(make([]byte, 1)) // until killed, or until the test is gone
		runtime.KeepAlive(t)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func child(kind string) (*table, error) {
	nets, err := plan(ours())
	if err != nil {
		return nil, err
	}
	t, err := newTable(netlab.CardA, kind == "owned")
	if err != nil {
		return nil, err
	}
	return t, t.replace(nets)
}

// startChild returns when the child's shield stands.
func (l *lab) startChild(t *testing.T, kind string) *exec.Cmd {
	t.Helper()
	cmd := l.host.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+kind)
	in, err := cmd.StdinPipe() // never written to
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	said := make([]byte, 256)
	n, err := out.Read(said)
	if string(bytes.TrimSpace(said[:n])) != "<nil>" {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("child: %s, %v", said[:n], err)
	}
	return cmd
}

// kill is kill -9, and the wait for the end of the process.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.String() != "signal: killed" {
		t.Fatalf("child ended otherwise: %v", err)
	}
}

func TestKilledLeavesNothing(t *testing.T) {
	l := newLab(t)
	cmd := l.startChild(t, "owned")
	if got := l.tables(t); !slices.Equal(got, []string{"ipalias-v0"}) {
		t.Errorf("tables %q while the child lives", got)
	}
	l.in(t, l.host, func() error {
		if _, err := Raise(netlab.CardA); !errors.Is(err, ErrBusy) {
			t.Errorf("raise beside a living process: %v, want ErrBusy", err)
		}
		return nil
	})
	if heard := l.hear(t, ip(offLink.String())); len(heard) > 0 {
		t.Errorf("the kernel sent %x in spite of the child's shield", heard)
	}
	kill(t, cmd)
	if got := l.tables(t); len(got) > 0 {
		t.Errorf("tables %q after the child was killed", got)
	}
}

// On a kernel without owners, what is left is removed at the next start.
func TestSweep(t *testing.T) {
	l := newLab(t)
	sweep := func() error { return Sweep(netlab.CardA) }
	l.in(t, l.host, sweep) // nothing there
	for what, remove := range map[string]func() error{
		"Sweep": sweep,
		"Raise": func() error {
			s, err := Raise(netlab.CardA)
			if err != nil {
				return err
			}
			return s.Lower()
		},
	} {
		kill(t, l.startChild(t, "unowned"))
		if got := l.tables(t); !slices.Equal(got, []string{"ipalias-v0"}) {
			t.Fatalf("tables %q after the child was killed, so this tests nothing", got)
		}
		l.in(t, l.host, remove)
		if got := l.tables(t); len(got) > 0 {
			t.Errorf("tables %q after %s", got, what)
		}
	}
}

// Updates one after the other, between all kinds of shields, cost the host no
// frame of its own.
func TestUpdateLosesNothing(t *testing.T) {
	l := newLab(t)
	netlab.Need(t, "ping")
	s := l.raise(t, ours()...)
	ping := l.peer.Command("ping", "-n", "-q", "-f", "-c", "20000", "-w", "20", hostIP.String())
	ended := make(chan struct{})
	var out []byte
	var err error
	go func() {
		defer close(ended)
		out, err = ping.CombinedOutput()
	}()
	updates := 0
	for running := true; running; updates++ {
		kinds := [][]responder.Interface{ours(), nil, {scattered(300)}, ours()[:1]}
		update(t, s, kinds[updates%len(kinds)]...)
		select {
		case <-ended:
			running = false
		default:
		}
	}
	if err != nil || !strings.Contains(string(out), " 0% packet loss") {
		t.Errorf("%v\n%s", err, out)
	}
	if updates < 8 {
		t.Errorf("only %d updates while the ping ran", updates)
	}
	t.Logf("%d updates", updates)
}

// No frame finds the shield open while an update replaces it.
func TestUpdateHasNoGap(t *testing.T) {
	l := newLab(t)
	s := l.raise(t, ours()...)
	stop, ended := make(chan struct{}), make(chan int)
	go func() {
		updates := 0
		for {
			select {
			case <-stop:
				ended <- updates
				return
			default:
			}
			updates++
			if err := s.Update(ours()[:1+updates%3]); err != nil {
				t.Error(err)
			}
			if err := s.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}()
	before := l.count.read(t)
	for range 20000 {
		l.send(t, ip(offLink.String()))
	}
	close(stop)
	if updates := <-ended; updates < 8 {
		t.Errorf("only %d updates while the frames came", updates)
	}
	l.hear(t)
	if got := l.count.read(t) - before; got != 0 {
		t.Errorf("%d frames passed", got)
	}
}

// Nothing of old generations stays behind.
func TestUpdateLeavesNothingBehind(t *testing.T) {
	l := newLab(t)
	s := l.raise(t, ours()...)
	count := func() (chains, sets int) {
		chainList, err := l.count.conn.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
		if err != nil {
			t.Fatal(err)
		}
		setList, err := l.count.conn.GetSets(s.table.nft)
		if err != nil {
			t.Fatal(err)
		}
		return len(chainList) - 1, len(setList)
	}
	chains, sets := count()
	for range 5 {
		update(t, s, ours()[1:]...)
		update(t, s, ours()...)
	}
	if c, n := count(); c != chains || n != sets {
		t.Errorf("%d chains and %d sets after updates, %d and %d before", c, n, chains, sets)
	}
	update(t, s)
	if c, n := count(); c != 1 || n != 0 {
		t.Errorf("%d chains and %d sets of an empty shield, want the base chain alone", c, n)
	}
}

func TestTenThousandIntervals(t *testing.T) {
	l := newLab(t)
	s := l.raise(t)
	start := time.Now()
	update(t, s, scattered(MaxIntervals))
	t.Logf("%d intervals loaded in %v", MaxIntervals, time.Since(start))
	start = time.Now()
	update(t, s, scattered(MaxIntervals-1))
	t.Logf("and replaced in %v", time.Since(start))
	last := address(0x0a000000 + 2*(MaxIntervals-2))
	before := l.count.read(t)
	l.hear(t, ip(last.String()), ip(last.Next().String()), ip(last.Next().Next().String()))
	if got := l.count.read(t) - before; got != 2 {
		t.Errorf("%d frames passed, want those to both neighbours of the last alias", got)
	}
	if err := s.Update([]responder.Interface{scattered(MaxIntervals + 1)}); !errors.As(err, new(*TooManyError)) {
		t.Fatalf("one too many: %v", err)
	}
	wait(t, s)
	if l.hear(t, ip(last.String())); l.count.read(t)-before != 3 {
		t.Error("the old shield stands although it is out of date")
	}
}

func TestManyVLANs(t *testing.T) {
	l := newLab(t)
	all := make([]responder.Interface, 600)
	for n := range all {
		all[n] = untagged("10.100.0.1")
		all[n].Tags = []uint16{uint16(n + 1)}
	}
	start := time.Now()
	l.raise(t, all...)
	t.Logf("%d VLANs loaded in %v", len(all), time.Since(start))
	before := l.count.read(t)
	l.hear(t, tag(ip("10.100.0.1"), 1), tag(ip("10.100.0.1"), 600), tag(ip("10.100.0.1"), 601))
	if got := l.count.read(t) - before; got != 1 {
		t.Errorf("%d frames passed, want that of VLAN 601", got)
	}
}

// Without the capability the error says what to do.
func TestUnprivileged(t *testing.T) {
	l := newLab(t)
	l.in(t, l.host, func() error {
		return netlab.WithoutCapabilities(func() error {
			_, err := Raise(netlab.CardA)
			if !errors.Is(err, ErrPrivilege) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") ||
				!strings.Contains(err.Error(), "setcap cap_net_raw,cap_net_admin+ep "+os.Args[0]) {
				t.Errorf("%v; want ErrPrivilege, the capability and the setcap line", err)
			}
			return nil
		})
	})
}

func TestRaiseErrors(t *testing.T) {
	l := newLab(t)
	s := l.raise(t, ours()...)
	l.in(t, l.host, func() error {
		if _, err := Raise(netlab.CardA); !errors.Is(err, ErrBusy) {
			t.Errorf("the same card again: %v, want ErrBusy", err)
		}
		if _, err := Raise("nosuch"); err == nil || !strings.Contains(err.Error(), "nosuch: ") {
			t.Errorf("no such card: %v", err)
		}
		other, err := Raise("lo")
		if err != nil {
			return err
		}
		return other.Lower()
	})
	if heard := l.hear(t, ip(offLink.String())); len(heard) > 0 {
		t.Error("the shield that stood is gone")
	}
	if err := s.Lower(); err != nil {
		t.Error(err)
	}
	if err := s.Wait(t.Context()); err != nil {
		t.Errorf("wait for what was in force already: %v", err)
	}
	s.Update(nil)
	if err := s.Wait(t.Context()); err != ErrLowered {
		t.Errorf("wait for an update of a lowered shield: %v", err)
	}
}

// A firewall that is reloaded takes everything down but what has an owner.
func TestFlushRulesetSparesTheShield(t *testing.T) {
	l := newLab(t)
	s := l.raise(t, ours()...)
	l.count.conn.FlushRuleset()
	if err := l.count.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := l.tables(t); !slices.Equal(got, []string{"ipalias-v0"}) {
		t.Errorf("tables %q after a flush of everything", got)
	}
	update(t, s, ours()[:1]...)
}

// Without an owner somebody else can remove the table. The next update finds out,
// and the shield says so.
func TestRemovedByOthers(t *testing.T) {
	l := newLab(t)
	s := l.raise(t)
	l.in(t, l.host, func() (err error) {
		if err := s.table.remove(); err != nil {
			return err
		}
		s.table, err = newTable(netlab.CardA, false)
		return err
	})
	update(t, s, ours()...)
	l.count.conn.DelTable(s.table.nft)
	if err := l.count.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	case <-time.After(deadline):
		t.Fatal("the shield has not ended")
	}
	if err := s.Err(); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "v0") {
		t.Errorf("ended with %v", err)
	}
	if err := s.Wait(t.Context()); err != s.Err() {
		t.Errorf("wait: %v", err)
	}
}

func TestCardGone(t *testing.T) {
	l := newLab(t)
	s := l.raise(t, ours()...)
	l.in(t, l.host, func() error {
		link, err := netlink.LinkByName(netlab.CardA)
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
	if err := s.Lower(); err != nil {
		t.Errorf("lower: %v", err)
	}
	if got := l.tables(t); len(got) > 0 {
		t.Errorf("tables left: %q", got)
	}
}
