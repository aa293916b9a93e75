package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
)

// A pinger asks an alias again and again, each time with another number, and notes
// how often each was answered.
//
// Between two cards the kernel has a queue of a thousand frames for each processor
// (net.core.netdev_max_backlog), which whoever else runs tests shares. A restart takes as
// long as the machine lets it. So once a crowd of questions waits, the pinger asks
// seldom: often enough that at each moment of a restart some come.
type pinger struct {
	w         *wire
	cancel    context.CancelFunc
	asking    sync.WaitGroup
	listening sync.WaitGroup

	mu       sync.Mutex
	asked    int // how many: their numbers are those below
	answered map[uint32]int
	last     uint32 // the number of the answer that came last
}

const (
	crowd  = 400
	seldom = 50 // times the interval
)

// pings begins to ask, once an interval.
func pings(t *testing.T, n *netlab.Namespace, interval time.Duration) *pinger {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pinger{w: tap(t, n), cancel: cancel, answered: map[uint32]int{}}
	p.asking.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		number := uint32(0)
		for tick := 0; ctx.Err() == nil; tick++ {
			p.mu.Lock()
			crowded := p.asked-int(p.last) > crowd
			p.mu.Unlock()
			if !crowded || tick%seldom == 0 {
				// What the kernel did not take (ENOBUFS) was not asked.
				if _, err := p.w.file.Write(question(peerMAC, v0alias, number, nil)); err == nil {
					number++
					p.mu.Lock()
					p.asked++
					p.mu.Unlock()
				}
			}
			<-ticker.C
		}
	})
	p.listening.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, err := p.w.file.Read(buf)
			if err != nil {
				return
			}
			if f := buf[:n]; n >= 42 && be16(f[12:]) == framegen.TypeIPv4 && f[23] == framegen.ICMP && f[34] == 0 {
				p.mu.Lock()
				p.last = be32(f[38:])
				p.answered[p.last]++
				p.mu.Unlock()
			}
		}
	})
	return p
}

// settle waits until what is asked from now on is answered.
func (p *pinger) settle(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	from := p.asked
	p.mu.Unlock()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		last := int(p.last)
		p.mu.Unlock()
		if last >= from {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no answer for %v", patience)
		}
	}
}

// stop ends asking and tells how many questions there were, the numbers of those that
// were not answered, and how many were more than once. Answers come in the order of
// the questions, so there will be none once the last one has come.
func (p *pinger) stop(t *testing.T) (asked int, missing []uint32, twice int) {
	t.Helper()
	p.settle(t)
	p.cancel()
	p.asking.Wait()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		p.mu.Lock()
		done := int(p.last) == p.asked-1
		p.mu.Unlock()
		if done {
			break
		}
	}
	p.w.file.SetReadDeadline(time.Now())
	p.listening.Wait()
	for number := range p.asked {
		switch p.answered[uint32(number)] {
		case 0:
			missing = append(missing, uint32(number))
		case 1:
		default:
			twice++
		}
	}
	return p.asked, missing, twice
}

// all ends asking, and fails the test unless each question was answered once. What the
// kernel says that it lost between the cards, in a and b, is no loss of the daemon's.
func (p *pinger) all(t *testing.T, a, b *netlab.Namespace) (asked int) {
	t.Helper()
	asked, missing, twice := p.stop(t)
	lost := sendDrops(t, a, netlab.CardA) + sendDrops(t, b, netlab.CardB)
	if len(missing) > lost || twice > 0 {
		t.Errorf("%d of %d answers are missing (%v), %d of them lost on the way; %d came twice", len(missing), asked, missing, lost, twice)
	}
	return asked
}

// The daemon is restarted ten times by a manager that keeps its sockets: who asks
// meanwhile waits a little, and gets every answer, once.
func TestRestartMissesNothing(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) { restart(t, workers) })
	}
}

func restart(t *testing.T, workers int) {
	a, b := lab(t, "sh")
	m := manage(t)
	dir := open(t)
	os.Chmod(dir, 0o777)
	socket := filepath.Join(dir, "s")
	cfg := openFile(t, fmt.Sprintf("[interface.v0]\nworkers = %d\n", workers)+howto)
	args := []string{"-c", cfg, "--socket", socket, "--state", filepath.Join(dir, "state"), "--user", "nobody"}
	p := m.start(t, a, "", args...)
	m.expect("READY=1")
	pinger := pings(t, b, 200*time.Microsecond)
	pinger.settle(t)
	for round := range 10 {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		m.expect("STOPPING=1")
		if status := p.status(t); status != done {
			t.Fatalf("exit status %d", status)
		}
		names := m.names()
		if rings := strings.Count(strings.Join(names, " "), "ring."); rings != workers || len(names) != workers+1 {
			t.Fatalf("kept %q, want a ring for each worker and the control socket", names)
		}
		// Who wants to know something now waits, too.
		var client sync.WaitGroup
		client.Go(func() {
			if _, err := control.NewClient(socket).Show(t.Context(), ""); err != nil {
				t.Errorf("round %d: asked during the restart: %v", round, err)
			}
		})
		p = m.start(t, a, "", args...)
		m.expect("READY=1")
		client.Wait()
		pinger.settle(t)
		if names := m.names(); len(names) != 0 {
			t.Errorf("still kept: %q", names)
		}
		if n := promiscuity(t, a); n != workers {
			t.Errorf("round %d: %d sockets listen, want %d", round, n, workers)
		}
	}
	t.Logf("%d answers", pinger.all(t, a, b))
	p.interrupt(t)
}

// Without anybody who keeps the sockets there is a gap. How long it is depends on
// the machine; that it ends does not.
func TestPlainRestart(t *testing.T) {
	a, b := lab(t)
	cfg := file(t, howto)
	p := ipaliasd(t, a, "-c", cfg)
	pinger := pings(t, b, time.Millisecond)
	pinger.settle(t)
	const rounds = 5
	for range rounds {
		p.interrupt(t)
		p = ipaliasd(t, a, "-c", cfg)
		pinger.settle(t)
	}
	asked, missing, twice := pinger.stop(t)
	if twice > 0 {
		t.Errorf("%d answers came twice", twice)
	}
	const much = 1000 // a second each, on a machine that is busy with other things
	if len(missing) > rounds*much {
		t.Errorf("%d of %d answers are missing", len(missing), asked)
	}
	t.Logf("%d restarts: %d of %d answers of a pinger of 1 ms missing", rounds, len(missing), asked)
}
