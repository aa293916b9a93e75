package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/internal/control"
)

const (
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
	start := time.Now()
	p, err := d.launch(d.path, "-c", cfg, "--state", state, "--socket", d.socket())
	if err != nil {
		return nil, err
	}
	r := &daemonRun{pid: p.cmd.Process.Pid, stop: p.stop}
	for {
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
		if err := r.stop(); err != nil {
			return nil, Spread{}, err
		}
	}
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// small is the HOWTO's size of table.
func (d *daemonLab) small(ctx context.Context) error {
	r, start, err := d.starts(smallStarts, `["172.16.3.10", "172.16.3.100", "172.16.3.199"]`, netip.MustParseAddr("172.16.3.100"))
	if err != nil {
		return err
	}
	d.report.Start = start
	err = func() error {
		time.Sleep(settling)
		before, err := cpuTime(r.pid)
		if err != nil {
			return err
		}
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
func (d *daemonLab) wide(context.Context) error {
	r, err := d.begin(`"10.0.0.0/8"`, netip.MustParseAddr("10.1.2.3"))
	if err != nil {
		return err
	}
	m, err := memory(r.pid)
	d.report.Range = m - d.report.Memory
	return errors.Join(err, r.stop())
}

// million is a file of a million addresses, none next to another.
func (d *daemonLab) million(ctx context.Context) error {
	table, err := bench.FindTable("1Mi-scattered")
	if err != nil {
		return err
	}
	if err := writeAddresses(filepath.Join(d.dir, "addresses.txt"), table); err != nil {
		return err
	}
	at := func(i uint64) netip.Addr { return bench.NetAddr(table.Addr(uint32(i))) }
	r, start, err := d.starts(millionStarts, `"@addresses.txt"`, at(table.Size/2))
	if err != nil {
		return err
	}
	d.report.MillionStart = start
	err = func() error {
		time.Sleep(settling) // what loading took beside is given back soon, not at once
		fresh, err := memory(r.pid)
		if err != nil {
			return err
		}
		d.report.PerAddress = (fresh - d.report.Memory) / float64(table.Size)
		answered, err := d.askEach(ctx, table)
		if err != nil {
			return err
		}
		asked, err := memory(r.pid)
		if err != nil {
			return err
		}
		d.report.PerUsed = (asked - fresh) / float64(answered)
		time.Sleep(settling) // a million first requests leave it with work
		drain(d.fd)          // their answers fill the socket, which then has no room for the next
		if err := d.addSome(ctx, at(0)); err != nil {
			return err
		}
		return d.reload(ctx)
	}()
	return errors.Join(err, r.stop())
}

func writeAddresses(name string, table *bench.Table) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for i := range table.Size {
		fmt.Fprintln(w, bench.NetAddr(table.Addr(uint32(i))))
	}
	return errors.Join(w.Flush(), f.Close())
}

// askEach asks for each address once, and gives the number of answers: a host that
// stalls may cost some.
func (d *daemonLab) askEach(ctx context.Context, table *bench.Table) (answered uint64, err error) {
	a := aim{name: table.Name, targets: table.Size}
	b, err := newBursts(d.gen.index, d.blank(true), a)
	if err != nil {
		return 0, err
	}
	defer b.close()
	before, _, err := d.counted()
	if err != nil {
		return 0, err
	}
	gap := time.Second * burstSize / askRate
	due := time.Now()
	for i := uint64(0); i < table.Size; i += burstSize {
		for n, f := range b.frames {
			to := table.Addr(uint32(i) + uint32(n))
			copy(f[arpTarget:], []byte{byte(to >> 24), byte(to >> 16), byte(to >> 8), byte(to)})
		}
		for due = due.Add(gap); time.Now().Before(due); {
		}
		if err := errors.Join(ctx.Err(), b.put(burstSize)); err != nil {
			return 0, err
		}
	}
	var t tally
	if err := d.collect(&t); err != nil {
		return 0, err
	}
	if answered = t.replies - before; answered < table.Size*9/10 {
		return 0, fmt.Errorf("%d of %d addresses answered", answered, table.Size)
	}
	return answered, nil
}

// addSome adds addresses one by one, and asks for another one meanwhile.
func (d *daemonLab) addSome(ctx context.Context, other netip.Addr) error {
	client := control.NewClient(d.socket())
	request := d.request(true, other, 0)
	r := d.report
	var times []float64
	ping := func(longest *float64) error {
		took, err := trip(d.fd, request, tripLimit)
		if took == 0 {
			r.Lost++
		}
		r.Asked++
		*longest = max(*longest, took)
		return err
	}
	for i := range adds {
		added := netip.AddrFrom4([4]byte{172, 16, 3, byte(20 + i)})
		failed := make(chan error, 1)
		start := time.Now()
		go func() {
			_, err := client.Edit(ctx, control.Edit{Do: control.Add, Label: d.dut.name + ":new", Addresses: []string{added.String()}})
			failed <- err
		}()
		took := 0.0
		for took == 0 {
			if err := ping(&r.Longest); err != nil {
				return err
			}
			got, err := trip(d.fd, d.request(true, added, 0), 50*time.Microsecond)
			if err != nil {
				return err
			}
			if got > 0 {
				took = ms(time.Since(start))
			}
			if time.Since(start) > startLimit {
				return fmt.Errorf("%v was added, and there was no answer within %v", added, startLimit)
			}
		}
		if err := <-failed; err != nil {
			return err
		}
		times = append(times, took)
	}
	r.Add = spread(times)
	asked, lost := r.Asked, r.Lost
	for range asked {
		if err := errors.Join(ctx.Err(), ping(&r.Undisturbed)); err != nil {
			return err
		}
	}
	r.Asked, r.Lost = asked, lost
	return nil
}

// reload has the daemon read its file again, and take it up.
func (d *daemonLab) reload(ctx context.Context) error {
	client := control.NewClient(d.socket())
	var times []float64
	for range millionStarts {
		start := time.Now()
		if _, err := client.Reload(ctx); err != nil {
			return err
		}
		times = append(times, ms(time.Since(start)))
	}
	d.report.Reload = spread(times)
	return nil
}

// memory is RssAnon and RssShmem of a process, in bytes.
func memory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	kilobytes := 0.0
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if key != "RssAnon" && key != "RssShmem" {
			continue
		}
		n, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
		if err != nil {
			return 0, fmt.Errorf("read memory: %w", err)
		}
		kilobytes += n
	}
	return kilobytes * 1024, nil
}

// cpuTime is what all threads of a process have run.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, errors.Join(err, os.ErrNotExist))
	}
	var sum time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
