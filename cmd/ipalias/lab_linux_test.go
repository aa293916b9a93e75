package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ipalias/ipalias/internal/netlab"
)

// buildPrograms builds both programs side by side, once for all tests, and gives the
// path of ipalias.
func buildPrograms(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(testHome, "bin") + "/"
	build := exec.Command("go", "build", "-o", dir, ".", "../ipaliasd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir + "ipalias", nil
})

// labOf is what a command in a lab tells of the lab.
type labOf struct{ host, peer, config string }

// gone fails if something of l is left.
func (l labOf) gone(t *testing.T) {
	t.Helper()
	if l.host == "" || l.peer == "" || l.config == "" {
		t.Fatalf("the lab did not say its names: %+v", l)
	}
	for _, path := range []string{"/run/netns/" + l.host, "/run/netns/" + l.peer, filepath.Dir(l.config)} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind: %v", path, err)
		}
	}
}

// tell is a shell command that makes a labOf for parseLab.
const tell = `echo "$IPALIAS_LAB_HOST $IPALIAS_LAB_PEER $IPALIAS_LAB_CONFIG"`

func parseLab(line string) (l labOf) {
	if f := strings.Fields(line); len(f) == 3 {
		l = labOf{f[0], f[1], f[2]}
	}
	return l
}

func TestLab(t *testing.T) {
	netlab.Need(t, "nsenter", "ping", "sh")
	program := buildPrograms(t)

	t.Run("command", func(t *testing.T) {
		cmd := exec.Command(program, "lab", "--", "sh", "-c", tell+"; ping -q -c 1 -W 5 172.16.3.10 && ping -q -c 1 -W 5 172.16.3.1")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%v\n%s%s", err, out, &stderr)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		parseLab(line).gone(t)
	})

	t.Run("command that fails", func(t *testing.T) {
		out, err := exec.Command(program, "lab", "--", "sh", "-c", tell+"; exit 7").Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != failed || !strings.Contains(string(exit.Stderr), "ipalias: sh: exit status 7") {
			t.Errorf("got %v", err)
		}
		parseLab(string(out)).gone(t)
	})

	t.Run("terminated", func(t *testing.T) {
		cmd := exec.Command(program, "lab", "--", "sh", "-c", tell+"; exec sleep 60")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n') // now it runs
		if err != nil {
			t.Error(err)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err == nil {
			t.Error("got exit status 0, but the command was terminated")
		}
		parseLab(line).gone(t)
	})

	t.Run("interrupted", func(t *testing.T) {
		cmd := exec.Command(program, "lab")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var l labOf
		for lines := bufio.NewScanner(out); lines.Scan() && l.config == ""; {
			f := strings.Fields(lines.Text())
			switch line := lines.Text(); {
			case strings.Contains(line, "namespaces"):
				l.host, l.peer = f[len(f)-3], strings.TrimSuffix(f[len(f)-1], ":")
			case strings.Contains(line, "configuration is"):
				l.config = strings.TrimSuffix(f[len(f)-1], ".")
			}
		}
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("after ^C: %v", err)
		}
		l.gone(t)
	})
}

// A measurement that is interrupted says so, in a word of people and not of Go's, and leaves
// no namespace behind.
func TestBenchInterrupted(t *testing.T) {
	netlab.Need(t)
	cmd := exec.Command(buildPrograms(t), "bench", "wire", "--rounds", "1")
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		if last = lines.Text(); strings.Contains(last, "round 1") {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	if cmd.Wait(); cmd.ProcessState.ExitCode() != failed || last != "ipalias: interrupted" {
		t.Errorf("got %v, and at last %q", cmd.ProcessState, last)
	}
}
