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
type pinger struct {
	w      *wire
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu       sync.Mutex
	asked    []time.Time // when, by number
	answered map[uint32]int
	last     uint32 // the number of the answer that came last
}

// pings begins to ask, once an interval.
func pings(t *testing.T, n *netlab.Namespace, interval time.Duration) *pinger {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pinger{w: tap(t, n), cancel: cancel, answered: map[uint32]int{}}
	p.group.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for ctx.Err() == nil {
			p.mu.Lock()
			number := uint32(len(p.asked))
			p.asked = append(p.asked, time.Now())
			p.mu.Unlock()
			p.w.file.Write(question(peerMAC, v0alias, number, nil))
			<-ticker.C
		}
	})
	p.group.Go(func() {
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
	from := len(p.asked)
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
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		p.mu.Lock()
		done := int(p.last) == len(p.asked)-1
		p.mu.Unlock()
		if done {
			break
		}
	}
	p.w.file.SetReadDeadline(time.Now())
	p.group.Wait()
	for number := range p.asked {
		switch p.answered[uint32(number)] {
		case 0:
			missing = append(missing, uint32(number))
		case 1:
		default:
			twice++
		}
	}
	return len(p.asked), missing, twice
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
	asked, missing, twice := pinger.stop(t)
	if len(missing) > 0 || twice > 0 {
		t.Errorf("%d of %d answers are missing (%v), %d came twice", len(missing), asked, missing, twice)
	}
	t.Logf("%d answers", asked)
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
