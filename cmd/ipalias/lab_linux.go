package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ipalias/ipalias/internal/netlab"
)

const (
	// startLimit is how long the daemon may take until it answers.
	startLimit = 10 * time.Second

	// stopLimit is how long a process may take to end before it is killed.
	stopLimit = 5 * time.Second
)

// A lab is what runLab makes, as far as it has come: close undoes just that.
type lab struct {
	host, peer *netlab.Namespace
	dir        string // for the configuration
	config     string
	daemon     *exec.Cmd
	exited     chan error // gets one value when the daemon has ended
	answering  chan struct{}
}

// runLab makes a lab, runs command in it, or waits if there is none, and removes it.
func runLab(e env, command []string) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("a lab is made of network namespaces, which needs root: sudo ipalias lab")
	}
	program, err := findDaemon()
	if err != nil {
		return err
	}
	// Caught from here on: whatever ends this, the lab must go. SIGPIPE too, which
	// would end the program when somebody has closed its output.
	signals, broken := make(chan os.Signal, 8), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(signals)
	defer signal.Stop(broken)

	l := &lab{}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.build(); err != nil {
		return err
	}
	if err := l.start(program, e.stderr); err != nil {
		return err
	}
	select {
	case <-l.answering:
	case ended := <-l.exited:
		l.daemon = nil
		return fmt.Errorf("start ipaliasd: it ended at once: %w", status(ended))
	case <-time.After(startLimit):
		return fmt.Errorf("start ipaliasd: it does not answer after %v", startLimit)
	case s := <-signals:
		return fmt.Errorf("start ipaliasd: %v", s)
	}
	if len(command) > 0 {
		return l.run(e, command, signals)
	}
	l.explain(e.stdout)
	select {
	case ended := <-l.exited:
		l.daemon = nil
		return fmt.Errorf("ipaliasd ended: %w", status(ended))
	case <-signals:
		return nil
	}
}

// findDaemon finds ipaliasd.
func findDaemon() (string, error) {
	// Beside first: whoever has just built both wants to see what was built.
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "ipaliasd")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath("ipaliasd")
	if err != nil {
		return "", errors.New("ipaliasd is neither beside ipalias nor in PATH")
	}
	return path, nil
}

// build makes the namespaces, the cards and the configuration.
func (l *lab) build() (err error) {
	if err := l.namespaces(); err != nil {
		return err
	}
	if err := netlab.Veth(
		netlab.End{Namespace: l.host, Name: "eth0", MAC: net.HardwareAddr{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20},
			Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.3.1/24")}},
		netlab.End{Namespace: l.peer, Name: "eth0", MAC: net.HardwareAddr{0x02, 0x00, 0x00, 0x00, 0x03, 0xc8},
			Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.3.200/24")}},
	); err != nil {
		return err
	}
	if l.dir, err = os.MkdirTemp("", "ipalias-lab-"); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	l.config = filepath.Join(l.dir, "howto.toml")
	if err := os.WriteFile(l.config, []byte(labConfig), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// maxLabs is how many labs may be there at once.
const maxLabs = 9

// namespaces makes both with names that are easily typed and not taken.
func (l *lab) namespaces() (err error) {
	// Somebody else may have a lab, and one that was killed has left its namespaces.
	for n := 1; n <= maxLabs; n++ {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprint(n)
		}
		l.host, err = netlab.New("ipalias-host" + suffix)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		l.peer, err = netlab.New("ipalias-peer" + suffix)
		return err
	}
	return fmt.Errorf("%w: is it a lab that was killed? \"ip netns delete NAME\" removes one", err)
}

// start starts the daemon; what it says goes to out.
func (l *lab) start(program string, out io.Writer) error {
	l.answering = make(chan struct{})
	watch := &watcher{out: out, found: l.answering}
	// Apart from a daemon that the machine may run itself.
	l.daemon = l.host.Command(program, "-c", l.config, "--ephemeral", "--socket", l.socket())
	l.daemon.Stdout, l.daemon.Stderr = watch, watch
	// A group of its own: ^C at the terminal is for this program, which then ends the daemon.
	l.daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := l.daemon.Start(); err != nil {
		l.daemon = nil
		return fmt.Errorf("start ipaliasd: %w", err)
	}
	// With room for the one value: the goroutine ends whether or not anybody receives it.
	l.exited = make(chan error, 1)
	go func(daemon *exec.Cmd) { l.exited <- daemon.Wait() }(l.daemon)
	return nil
}

// socket is where the lab's daemon is asked and changed.
func (l *lab) socket() string { return filepath.Join(l.dir, "control.sock") }

// A watcher passes on what the daemon says, and notes when it answers.
type watcher struct {
	out   io.Writer
	seen  bytes.Buffer
	found chan struct{}
	once  sync.Once
}

// Write takes everything, also if nobody wants to read it any more: the daemon
// is not to fail for that.
func (w *watcher) Write(b []byte) (int, error) {
	w.out.Write(b)
	if w.seen.Len() < 1<<16 {
		w.seen.Write(b)
		// The daemon says so once a card is open and its table published: from then on a ping is
		// answered. sd_notify would say the same, but a person can read this.
		if bytes.Contains(w.seen.Bytes(), []byte("answering for")) {
			w.once.Do(func() { close(w.found) })
		}
	}
	return len(b), nil
}

func (l *lab) explain(w io.Writer) {
	enter := "ip netns exec " + l.peer.Name()
	fmt.Fprintf(w, `
The HOWTO's network, made of the namespaces %[1]s and %[2]s:

  %-16[1]s eth0 172.16.3.1, the kernel's; 172.16.3.10 and 172.16.3.100 are ipaliasd's
  %-16[2]s eth0 172.16.3.200

To try it, in another terminal as root:

  %[3]s ping -c 3 172.16.3.10
  %[3]s arping -c 3 -I eth0 172.16.3.100
  %[3]s ping -c 1 -W 1 172.16.3.50    # no alias: silence
  ip netns exec %[1]s tcpdump -n -i eth0
  ipalias --socket %[5]s show

The daemon's configuration is %[4]s.
^C ends it and removes everything.

`, l.host.Name(), l.peer.Name(), enter, l.config, l.socket())
}

// run runs command in the peer's namespace and hands signals on to it.
func (l *lab) run(e env, command []string, signals <-chan os.Signal) error {
	if _, err := exec.LookPath(command[0]); err != nil {
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	cmd := l.peer.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.stdin, e.stdout, e.stderr
	cmd.Env = append(os.Environ(), "IPALIAS_LAB_HOST="+l.host.Name(), "IPALIAS_LAB_PEER="+l.peer.Name(), "IPALIAS_LAB_CONFIG="+l.config, "IPALIAS_SOCKET="+l.socket())
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var kill <-chan time.Time
	for {
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("%s: %w", command[0], err)
			}
			return nil
		case s := <-signals:
			cmd.Process.Signal(s)
			if s != os.Interrupt && kill == nil { // a shell at its prompt lives on after an interrupt
				kill = time.After(stopLimit)
			}
		case <-kill:
			cmd.Process.Kill()
		}
	}
}

// close ends the daemon and removes what there is.
func (l *lab) close() error {
	var errs []error
	// Whoever received from exited has set it to nil: there is no second value to wait for.
	if l.daemon != nil {
		l.daemon.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-l.exited:
			// It ends well at SIGTERM: anything else is a bug that a demo should show.
			errs = append(errs, failure(err))
		case <-time.After(stopLimit):
			l.daemon.Process.Kill()
			<-l.exited
			errs = append(errs, errors.New("ipaliasd did not end and was killed"))
		}
	}
	for _, n := range []*netlab.Namespace{l.host, l.peer} {
		if n != nil {
			errs = append(errs, n.Close())
		}
	}
	if l.dir != "" {
		errs = append(errs, os.RemoveAll(l.dir))
	}
	return errors.Join(errs...)
}

// failure is the error for a daemon that ended with err.
func failure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ipaliasd failed: %w", err)
}

// status is an error also for a daemon that ended well, but too early.
func status(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
