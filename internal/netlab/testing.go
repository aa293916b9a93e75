package netlab

import (
	"net"
	"os"
	"os/exec"
	"sync"
)

// TB is what is used here of testing.TB. Importing package testing would put
// it into every program that uses this package.
type TB interface {
	Helper()
	Cleanup(func())
	Error(args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// MustRunEnv is the environment variable that turns the skips of Need into
// failures when it is "1": for machines where the tests are known to run.
const MustRunEnv = "IPALIAS_MUST_RUN"

// What Pair makes. The addresses are those of the lab in which the kernel's
// behaviour was recorded.
const (
	CardA = "v0" // in the first namespace
	CardB = "v1" // in the second
)

// The MAC addresses of CardA and CardB.
var (
	MACA = net.HardwareAddr{0x02, 0x00, 0x00, 0x00, 0x03, 0x01}
	MACB = net.HardwareAddr{0x02, 0x00, 0x00, 0x00, 0x03, 0xc8}
)

// The probe and the sweep cost a few milliseconds: once a process is enough.
var once = sync.OnceValue(func() error {
	if err := usable(); err != nil {
		return err
	}
	sweepDead()
	return nil
})

// Need skips the test, and says why, where namespaces can't be made or one of
// the named programs is missing. With IPALIAS_MUST_RUN=1 it fails instead.
func Need(t TB, tools ...string) {
	t.Helper()
	if err := once(); err != nil {
		Miss(t, "needs root and network namespaces: %v", err)
	}
	for _, tool := range append([]string{"nsenter"}, tools...) {
		if _, err := exec.LookPath(tool); err != nil {
			Miss(t, "needs a program: %v", err)
		}
	}
}

// Miss skips the test for a reason, as Need does: with IPALIAS_MUST_RUN=1 it fails
// instead. It is for what can only be found out by trying.
func Miss(t TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(MustRunEnv) == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Make makes a namespace for the length of the test. what becomes a part of its name.
func Make(t TB, what string) *Namespace {
	t.Helper()
	n, err := New(Unique(what))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// Pair makes two namespaces for the length of the test and joins them: CardA in
// a with MACA, CardB in b with MACB, both up, without IP addresses. It calls Need.
func Pair(t TB) (a, b *Namespace) {
	t.Helper()
	Need(t)
	a, b = Make(t, "a"), Make(t, "b")
	err := Veth(
		End{Namespace: a, Name: CardA, MAC: MACA},
		End{Namespace: b, Name: CardB, MAC: MACB},
	)
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}
