package wire

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Peers that are programs run as their users run them: as processes that bind to the card and
// are asked from the other end. They can't be led in step, so they are measured on two cores alone.

// programPeers lists the peers that are programs: our daemon, farpd, and what the
// options name.
func programPeers(o Options) ([]peer, error) {
	var list []peer
	if o.Daemon != "" {
		path, err := exec.LookPath(o.Daemon)
		if err != nil {
			return nil, fmt.Errorf("find daemon: %w", err)
		}
		// Beside "ipalias", which is the same code in this process: what differs is what the daemon
		// does besides.
		list = append(list, peer{name: "ipaliasd", program: true, slow: true, start: startDaemon(path)})
	}
	// Where it is installed: it is a comparison that most can do without.
	if path, err := exec.LookPath("farpd"); err == nil {
		list = append(list, peer{
			name: "farpd", program: true, arp: true, slow: true,
			// It looks at what came once a second or so, through libpcap.
			manner: manner{late: 1500 * time.Millisecond, broadcast: true},
			start: func(l *lab, a aim) (func() error, error) {
				return l.run(a, true, path, "-d", "-i", l.dut.name, a.span())
			},
		})
	}
	for _, name := range o.Programs {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, fmt.Errorf("find peer program: %w", err)
		}
		list = append(list, peer{name: filepath.Base(path), program: true, slow: true, start: func(l *lab, a aim) (func() error, error) {
			return l.run(a, false, path, l.dut.name, a.span(), peerAddr.String(), l.gen.mac.String())
		}})
	}
	return list, nil
}

// startDaemon starts the daemon as it is shipped. It answers from a table of its
// own, whose counters' memory is fresh: three addresses make no difference.
func startDaemon(path string) func(*lab, aim) (func() error, error) {
	return func(l *lab, a aim) (func() error, error) {
		dir, err := os.MkdirTemp("", "ipalias-bench-")
		if err != nil {
			return nil, err
		}
		stop, err := l.run(a, false, path, "-i", l.dut.name, "-a", a.span(),
			// A directory of its own all the same: the default one may be a running daemon's.
			"--ephemeral", "--state", dir, "--socket", filepath.Join(dir, "control.sock"))
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return func() error { return errors.Join(stop(), os.RemoveAll(dir)) }, nil
	}
}

// The limits of a program's patience, and of ours with it.
const (
	startLimit = 20 * time.Second // farpd asks the network itself first, for seconds
	stopLimit  = time.Second      // its signals, too, wait until something comes
)

// run runs a program in the responder's namespace and waits until it answers.
// arp: that is all it knows.
func (l *lab) run(a aim, arp bool, name string, args ...string) (stop func() error, err error) {
	p, err := l.launch(name, args...)
	if err != nil {
		return nil, err
	}
	if err := l.awaitAnswers(a, arp, p.ended); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w\n%s", name, err, p.said())
	}
	return p.stop, nil
}

// A process runs in the responder's namespace.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan struct{} // closed when it has
}

func (l *lab) launch(name string, args ...string) (*process, error) {
	p := &process{cmd: l.dut.ns.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	// It ends with us, and gets no ^C of its own: we are to end it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	// Not on this thread, which is the generator's and on its core. A program may use
	// all cores, as everywhere: one that saw a single one might behave differently.
	started := make(chan error)
	go func() {
		defer widen()()
		started <- p.cmd.Start()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.cmd.Wait() // how it ended, its output tells
		close(p.ended)
	}()
	return p, nil
}

// stop asks it to end, and makes it.
func (p *process) stop() error {
	p.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-p.ended:
	// A peer that does not end would go on answering beside the next one.
	case <-time.After(stopLimit):
		p.cmd.Process.Kill()
		<-p.ended
	}
	return nil
}

// said is what it wrote, once it has ended.
func (p *process) said() string { return strings.TrimSpace(p.output.String()) }

// awaitAnswers asks until each of the first addresses of a has been answered for.
// A program that runs does not answer yet. All of the first must have in one go: some programs take
// up their addresses one after the other.
func (l *lab) awaitAnswers(a aim, arp bool, ended <-chan struct{}) error {
	fd, err := packetSocket(l.gen.index, unix.ETH_P_ALL)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	silent := min(a.targets, 3)
	for start := time.Now(); silent > 0; {
		if time.Since(start) > startLimit {
			return fmt.Errorf("%d of the first addresses did not answer within %v", silent, startLimit)
		}
		silent = 0
		for i := range uint32(min(a.targets, 3)) {
			took, err := trip(fd, l.request(arp, a.address(i), 1), max(tripLimit, l.manner.late))
			if err != nil {
				return err
			}
			if took == 0 {
				silent++
			}
		}
		select {
		case <-ended:
			return errors.New("it ended")
		default:
		}
	}
	return nil
}
