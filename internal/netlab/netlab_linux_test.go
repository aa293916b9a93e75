package netlab

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func interfaces(t *testing.T, n *Namespace) map[string]net.Interface {
	t.Helper()
	found := map[string]net.Interface{}
	err := n.Do(func() error {
		list, err := net.Interfaces()
		for _, i := range list {
			found[i.Name] = i
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPair(t *testing.T) {
	a, b := Pair(t)
	inA, inB := interfaces(t, a), interfaces(t, b)
	for _, tc := range []struct {
		where map[string]net.Interface
		name  string
		mac   net.HardwareAddr
	}{{inA, CardA, MACA}, {inB, CardB, MACB}, {inA, "lo", nil}, {inB, "lo", nil}} {
		card, ok := tc.where[tc.name]
		if !ok || card.Flags&net.FlagUp == 0 || card.HardwareAddr.String() != tc.mac.String() {
			t.Errorf("%s: found %v, %+v; want it up with MAC %s", tc.name, ok, card, tc.mac)
		}
	}
	if len(inA) != 2 || len(inB) != 2 {
		t.Errorf("interfaces %v and %v, want two each", inA, inB)
	}
	if here, err := net.InterfaceByName(CardA); err == nil && here.HardwareAddr.String() == MACA.String() {
		t.Error("the pair is in the test's own namespace")
	}
}

func TestAddressesAndMTU(t *testing.T) {
	Need(t)
	a, b := Make(t, "a"), Make(t, "b")
	err := Veth(
		End{Namespace: a, Name: "left", MTU: 9000, Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.3.1/24")}},
		End{Namespace: b, Name: "right", MTU: 1400, Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.3.200/24")}},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := interfaces(t, a)["left"].MTU; got != 9000 {
		t.Errorf("MTU %d, want 9000", got)
	}
	if got := interfaces(t, b)["right"].MTU; got != 1400 {
		t.Errorf("MTU %d, want 1400", got)
	}
	// A connection over the kernel's stacks proves addresses, link and ARP at once.
	var listener net.Listener
	err = a.Do(func() (err error) {
		listener, err = net.Listen("tcp4", "172.16.3.1:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = b.Do(func() error {
		c, err := net.Dial("tcp4", listener.Addr().String())
		if err != nil {
			return err
		}
		return c.Close()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCommandRunsInside(t *testing.T) {
	a, _ := Pair(t)
	out, err := a.Command("cat", "/proc/net/dev").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), CardA+":") {
		t.Errorf("no %s in\n%s", CardA, out)
	}
}

func TestDoComesBack(t *testing.T) {
	Need(t)
	n := Make(t, "n")
	outside, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var inside string
	if err := n.Do(func() (err error) { inside, err = os.Readlink("/proc/thread-self/ns/net"); return err }); err != nil {
		t.Fatal(err)
	}
	if inside == outside {
		t.Errorf("Do ran in %s, the test's own namespace", inside)
	}
	// Whichever thread runs now, it must be one of the outside.
	for range 100 {
		if err := onThread(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if now, _ := os.Readlink("/proc/thread-self/ns/net"); now != outside {
			t.Fatalf("in %s after Do, want %s", now, outside)
		}
	}
}

func TestSysctlIsTheNamespaces(t *testing.T) {
	Need(t)
	a, b := Make(t, "a"), Make(t, "b")
	const key = "net/ipv4/ip_default_ttl"
	if err := a.SetSysctl(key, "77"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		n    *Namespace
		want string
	}{{a, "77"}, {b, "64"}} {
		out, err := tc.n.Command("cat", "/proc/sys/"+key).Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != tc.want {
			t.Errorf("%s: %q, %v; want %s", tc.n.Name(), got, err, tc.want)
		}
	}
}

func TestNewErrors(t *testing.T) {
	Need(t)
	n := Make(t, "taken")
	if _, err := New(n.Name()); !os.IsExist(unwrapAll(err)) {
		t.Errorf("the same name again: %v, want that it exists", err)
	}
	if interfaces(t, n)["lo"].Flags&net.FlagUp == 0 {
		t.Error("the failed New broke the namespace that has the name")
	}
	for _, name := range []string{"", "a/b", ".."} {
		if _, err := New(name); err == nil {
			t.Errorf("New(%q) succeeded", name)
		}
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if _, ok := err.(*os.PathError); ok {
			return err
		}
		err = u.Unwrap()
	}
}

func TestSweep(t *testing.T) {
	Need(t)
	prefix := Unique("sweep")
	for _, suffix := range []string{"1", "2"} {
		if _, err := New(prefix + suffix); err != nil {
			t.Fatal(err)
		}
	}
	keep := Make(t, "keep")
	removed, err := Sweep(prefix)
	if err != nil || len(removed) != 2 {
		t.Errorf("removed %q, %v; want both", removed, err)
	}
	if _, err := os.Stat(filepath.Join(dir, keep.Name())); err != nil {
		t.Error(err)
	}
	// A process that has ended, and so a name nobody uses.
	dead, err := New(testPrefix + "4194304-1-dead") // above the largest process id that Linux gives
	if err != nil {
		t.Fatal(err)
	}
	sweepDead()
	if _, err := os.Stat(filepath.Join(dir, dead.Name())); err == nil {
		t.Error("the namespace of a dead process is still there")
		dead.Close()
	}
	if _, err := os.Stat(filepath.Join(dir, keep.Name())); err != nil {
		t.Errorf("swept the namespace of a live process: %v", err)
	}
}
