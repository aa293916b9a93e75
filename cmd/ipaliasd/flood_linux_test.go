package main

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
)

// firstPiece is the n-th of a flood of first pieces whose datagrams never become
// whole, each from a source of its own.
func firstPiece(n int) []byte {
	return datagram(peerMAC, framegen.IPv4{
		Protocol: framegen.ICMP,
		ID:       uint16(n),
		Flags:    framegen.MoreFragments,
		Src:      netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
		Dst:      v0alias,
		Payload:  make([]byte, 1480),
	})
}

// A flood of first pieces takes what there is for reassembly and no more. Pings go on
// during it, and after it those whose pieces need that memory too.
func TestFragmentFlood(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	w := tap(t, b)
	before := p.peakKiB(t)

	var small, large string
	var pings sync.WaitGroup
	pings.Go(func() { small, _ = client(b, "ping", "-c", "100", "-i", "0.01", "-w", "10", "172.16.3.10") })
	pings.Go(func() {
		large, _ = client(b, "ping", "-c", "10", "-i", "0.2", "-W", "5", "-s", "20000", "172.16.3.10")
	})
	// In waves that the daemon has to have taken before the next one comes: this is
	// about its memory, not about a ring that overflows on a machine that has no time for it.
	const frames, wave = 200_000, 500
	for n := 0; n < frames; n += wave {
		burst := make([][]byte, wave)
		for i := range burst {
			burst[i] = firstPiece(n + i)
		}
		for _, f := range w.answers(burst...) {
			if be16(f[12:]) == framegen.TypeIPv4 && f[14+16] == 10 {
				t.Fatalf("the flood was answered with %x", f)
			}
		}
	}
	pings.Wait()
	// With -w it stops at the hundredth reply, or one that came with it; requests under way then are no loss.
	if !regexp.MustCompile(`10\d packets transmitted, 10\d received`).MatchString(small) {
		t.Errorf("during the flood:\n%s", small)
	}
	// A large one whose pieces are kept waiting may have to make room for the flood's, since the
	// oldest does. After the flood none is lost.
	if !regexp.MustCompile(`([5-9]|10) received`).MatchString(large) {
		t.Errorf("during the flood most are lost:\n%s", large)
	}
	for range 5 {
		must(t, b, "ping", "-c", "1", "-W", "5", "-s", "65507", "172.16.3.10")
	}
	const room = 12 << 10 // for what reassembly allocated at the start and had not used yet
	if after := p.peakKiB(t); after > before+room {
		t.Errorf("the flood made the daemon grow from %d to %d KiB", before, after)
	}
	p.interrupt(t)
	if n := p.total("fragment-held"); n < frames {
		t.Errorf("%d pieces were held, want at least %d", n, frames)
	}
}

// peakKiB is the largest resident size that the daemon ever had.
func (p *process) peakKiB(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no resident size in\n%s", status)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}
