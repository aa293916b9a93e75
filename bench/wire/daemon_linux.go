package wire

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/bench"
)

// The daemon is measured as an operator meets it: a process that is started, asked, changed
// over its control socket and looked at in /proc. Three tables, each for what only it shows: a
// small one what any daemon takes, a /8 what a range takes, a million single addresses what
// an address takes.

const (
	// The times spread by half, with what the kernel waits for, and the highest of five would say
	// little. Starts with a million take longer, and spread less.
	smallStarts   = 25
	millionStarts = 3
	adds          = 20
	askRate       = 100_000 // a second: the rate at which each address is asked for once
)

// RunDaemon measures the ipaliasd at path, in a lab of its own: memory, times, and
// what it does at rest. It takes about a minute, and root.
func RunDaemon(ctx context.Context, path string) (_ *DaemonReport, err error) {
	if path, err = exec.LookPath(path); err != nil {
		return nil, fmt.Errorf("find daemon: %w", err)
	}
	l, err := newLab("", "")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ipalias-bench-")
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	defer func() { err = errors.Join(err, l.close(), os.RemoveAll(dir)) }()
	// What is left of this process goes to other cores: it asks from the first one.
	undo, err := settle()
	if err != nil {
		return nil, err
	}
	defer undo()
	d := &daemonLab{lab: l, path: path, dir: dir, report: &DaemonReport{Machine: bench.ThisMachine()}}
	err = l.gen.ns.Do(func() error {
		defer pin(generatorCore)()
		if d.fd, err = packetSocket(l.gen.index, unix.ETH_P_ALL); err != nil {
			return err
		}
		defer unix.Close(d.fd)
		// In this order: what the others take is told as more than the small one takes.
		for _, part := range []func(context.Context) error{d.small, d.wide, d.million} {
			if err := errors.Join(ctx.Err(), part(ctx)); err != nil {
				return err
			}
		}
		return nil
	})
	return d.report, err
}

// A daemonLab measures one daemon at a time.
type daemonLab struct {
	*lab
	path, dir string
	fd        int // asks and hears
	report    *DaemonReport
}

// A daemonRun is a daemon that runs.
type daemonRun struct {
	pid  int
	took time.Duration // from its start to its first answer
	stop func() error
}

// begin starts the daemon on a table, with a state directory of its own, and asks
// for one address until there is an answer.
func (d *daemonLab) begin(table string, ask netip.Addr) (*daemonRun, error) {
	cfg := filepath.Join(d.dir, "ipalias.toml")
	text := fmt.Sprintf("[interface.%s.aliases]\n\"%s:0\" = %s\n", d.dut.name, d.dut.name, table)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp(d.dir, "state-")
	if err != nil {
		return nil, err
	}
	drain(d.fd) // an answer of the one before is none
	// Before the process is made: to start it is a part of what takes time.
	start := time.Now()
	p, err := d.launch(d.path, "-c", cfg, "--state", state, "--socket", d.socket())
	if err != nil {
		return nil, err
	}
	r := &daemonRun{pid: p.cmd.Process.Pid, stop: p.stop}
	for {
		// ARP, which asks nobody back. A millisecond without an answer, and it is asked again: so long
		// may the time found be off.
		took, err := trip(d.fd, d.request(true, ask, 0), time.Millisecond)
		if err == nil && took > 0 {
			r.took = time.Since(start)
			return r, nil
		}
		if err == nil && time.Since(start) > startLimit {
			err = fmt.Errorf("no answer within %v", startLimit)
		}
		select {
		case <-p.ended:
			// Looked at last: whatever failed, this explains it.
			err = errors.New("it ended")
		default:
		}
		if err != nil {
			p.stop()
			return nil, fmt.Errorf("%s: %w\n%s", d.path, err, p.said())
		}
	}
}

func (d *daemonLab) socket() string { return filepath.Join(d.dir, "control.sock") }

// starts starts the daemon n times on a table, and keeps it the last time.
func (d *daemonLab) starts(n int, table string, ask netip.Addr) (*daemonRun, Spread, error) {
	var times []float64
	for {
		r, err := d.begin(table, ask)
		if err != nil {
			return nil, Spread{}, err
		}
		times = append(times, ms(r.took))
		if len(times) == n {
			return r, spread(times), nil
		}
		// Not beside the next one: two would answer each other's questions.
		if err := r.stop(); err != nil {
			return nil, Spread{}, err
		}
	}
}

// Milliseconds with a fraction, as reports have them.
func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// small is the HOWTO's size of table.
func (d *daemonLab) small(ctx context.Context) error {
	r, start, err := d.starts(smallStarts, `["172.16.3.10", "172.16.3.100", "172.16.3.199"]`, netip.MustParseAddr("172.16.3.100"))
	if err != nil {
		return err
	}
	d.report.Start = start
	err = func() error {
		// Nothing tells that a process has come to rest.
		time.Sleep(settling)
		before, err := cpuTime(r.pid)
		if err != nil {
			return err
		}
		// Of schedstat and not of stat, whose ticks are 10 ms: at rest all of it is a few of these.
		begin := time.Now()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(idleTime):
		}
		after, err := cpuTime(r.pid)
		if err != nil {
			return err
		}
		d.report.Idle = 100 * float64(after-before) / float64(time.Since(begin))
		d.report.Memory, err = memory(r.pid)
		return err
	}()
	return errors.Join(err, r.stop())
}

// wide is a /8.
// Nobody asks for one of its addresses but for the first answer: counters cost by the address
// that is asked for, and are measured with the million.
func (d *daemonLab) wide(context.Context) error {
	r, err := d.begin(`"10.0.0.0/8"`, netip.MustParseAddr("10.1.2.3"))
	if err != nil {
		return err
	}
	m, err := memory(r.pid)
	d.report.Range = m - d.report.Memory
	return errors.Join(err, r.stop())
}
