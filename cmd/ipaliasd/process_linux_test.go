package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/netlab"
)

// patience is how long a test waits before it fails; one that succeeds never waits for it.
const patience = time.Minute

var (
	binary string // the built daemon
	home   string // a directory that lasts as long as the tests
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ipaliasd-test")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		os.Chmod(dir, 0o755) // for the start without privilege
		home = dir
		binary = filepath.Join(dir, "ipaliasd")
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build ipaliasd: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// A process is an ipaliasd that runs.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *netlab.Output
	ended          chan struct{}
	socket         string // unless --socket names another one
}

// start runs a command. It is killed at the end of the test if it still runs.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{
		cmd:    cmd,
		stdout: new(netlab.Output),
		stderr: new(netlab.Output),
		ended:  make(chan struct{}),
	}
	cmd.Stdout = p.stdout
	if cmd.Stderr == nil {
		cmd.Stderr = p.stderr
	}
	// Nothing of the machine's own daemon; what a test's flags name comes before this.
	own, err := os.MkdirTemp(home, "")
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(own, 0o777) // for the start without privilege
	p.socket = filepath.Join(own, "control.sock")
	cmd.Env = append(cmd.Environ(), "IPALIAS_SOCKET="+p.socket, "STATE_DIRECTORY="+own)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%q wrote\n%s%s", cmd.Args, p.stdout, p.stderr)
		}
	})
	return p
}

// ipaliasd starts the daemon in n and waits until it answers.
func ipaliasd(t *testing.T, n *netlab.Namespace, args ...string) *process {
	t.Helper()
	p := start(t, n.Command(binary, args...))
	p.wait(t, p.stdout, "answering for", 1)
	return p
}

// wait waits until o holds text, times times.
func (p *process) wait(t *testing.T, o *netlab.Output, text string, times int) {
	t.Helper()
	o.Wait(t, text, times, p.ended)
}

// status waits for the end of the process and tells its exit status.
func (p *process) status(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("still running after %v", patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// interrupt sends SIGINT, as ^C does, and waits for the end.
func (p *process) interrupt(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status := p.status(t); status != done {
		t.Errorf("exit status %d, want %d", status, done)
	}
}

// client runs a command in n and tells what it wrote and whether it succeeded.
func client(n *netlab.Namespace, command ...string) (string, bool) {
	out, err := n.Command(command[0], command[1:]...).CombinedOutput()
	return string(out), err == nil
}

// must runs a command in n that has to succeed.
func must(t *testing.T, n *netlab.Namespace, command ...string) string {
	t.Helper()
	out, ok := client(n, command...)
	if !ok {
		t.Fatalf("%q failed: %s", command, out)
	}
	return out
}
