package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
)

// CAP_NET_RAW alone, as /proc/PID/status writes it.
const netRawOnly = "0000000000002000"

// has fails for each thread of the process whose status differs from want. The
// kernel has no privileges of processes, only those of threads.
func (p *process) has(t *testing.T, want map[string]string) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("threads %q, %v", threads, err)
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for field, value := range want {
			_, rest, _ := strings.Cut(string(text), "\n"+field+":")
			line, _, _ := strings.Cut(rest, "\n")
			if got := strings.Join(strings.Fields(line), " "); got != value {
				t.Errorf("%s: %s is %q, want %q", name, field, got, value)
			}
		}
	}
}

// open makes a directory that every user may pass through, as t.TempDir is not.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(home, "")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// openFile writes a configuration that every user can read.
func openFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(open(t), "ipalias.toml")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// However the daemon was started, it ends with the one capability that opens cards
// again, and does everything that it is there for.
func TestPrivileges(t *testing.T) {
	setpriv := func(capabilities string) []string {
		return []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
			"--inh-caps=" + capabilities, "--ambient-caps=" + capabilities, "--bounding-set=-all,+net_raw,+net_admin,+chown", binary}
	}
	const nobody = "65534 65534 65534 65534"
	for _, tc := range []struct {
		name    string
		command []string
		uid     string
		bounds  bool // took the capabilities away from what it might execute, too
	}{
		{"root", []string{binary}, "0 0 0 0", true},
		{"root as another user", []string{binary, "--user", "nobody"}, nobody, true},
		{"another user", setpriv("-all,+net_raw"), nobody, false},
		{"another user with more than it takes", setpriv("-all,+net_raw,+net_admin,+chown"), nobody, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := lab(t, "ping", "setpriv")
			cfg := openFile(t, howto)
			p := start(t, a.Command(tc.command[0], append(tc.command[1:], "-c", cfg)...))
			p.wait(t, p.stdout, "answering for", 1)
			p.edit(t, control.Add, "v0:2", "172.16.3.11")
			want := map[string]string{"Uid": tc.uid, "CapEff": netRawOnly, "CapPrm": netRawOnly, "CapInh": "0000000000000000",
				"CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
			if tc.bounds {
				want["CapBnd"] = netRawOnly
			}
			p.has(t, want)

			// The card goes away and is made anew.
			must(t, a, "ip", "link", "del", netlab.CardA)
			p.wait(t, p.stderr, "the card does not exist", 1)
			if err := netlab.Veth(netlab.End{Namespace: a, Name: netlab.CardA}, netlab.End{Namespace: b, Name: netlab.CardB}); err != nil {
				t.Fatal(err)
			}
			p.wait(t, p.stderr, "the card is up", 1)
			address(t, a, b)
			must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.11")
			if _, err := p.client().Reload(t.Context()); err != nil {
				t.Error(err)
			}
			p.has(t, want) // threads that were started since
			p.interrupt(t)
		})
	}
}

// What root left in the state directory is the user's from then on, and nothing
// else is.
func TestUserTakesOver(t *testing.T) {
	a, _ := lab(t)
	own := open(t)
	state, socket, cfg := filepath.Join(own, "state"), filepath.Join(own, "run", "control.sock"), openFile(t, howto)
	if err := os.Mkdir(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	begin := func(args ...string) *process {
		p := ipaliasd(t, a, append([]string{"-c", cfg, "--state", state, "--socket", socket}, args...)...)
		p.socket = socket
		return p
	}
	p := begin()
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	p.kill(t)

	const want = "v0:0: 172.16.3.10 v0:1: 172.16.3.100 v0:2: 172.16.3.11+"
	for range 2 { // the second time all is the user's already
		p = begin("--user", "nobody")
		if got := p.table(t); got != want {
			t.Errorf("table %q, want %q", got, want)
		}
		p.edit(t, control.Add, "v0:3", "172.16.3.12")
		p.edit(t, control.Delete, "v0:3")
		p.interrupt(t)
		if _, err := os.Lstat(socket); err == nil {
			t.Error("the socket was left")
		}
	}

	// A directory with something else in it is not given away.
	if err := os.Chown(state, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "passwd"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, a.Command(binary, "-c", cfg, "--state", state, "--user", "nobody"))
	if p.status(t) != failed || !strings.Contains(p.stderr.String(), "permission denied") {
		t.Errorf("status %d, %s", p.status(t), p.stderr)
	}
}

func TestUserErrors(t *testing.T) {
	a, _ := lab(t, "setpriv", "unshare", "mount")
	// Over /var/lib lies a file system that nobody else sees.
	const othersState = `mount -t tmpfs none /var/lib && mkdir /var/lib/ipalias && : >/var/lib/ipalias/changes.journal &&
		chmod 600 /var/lib/ipalias/changes.journal && chmod 755 /var/lib /var/lib/ipalias &&
		exec env -u STATE_DIRECTORY setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw "$@"`
	for _, tc := range []struct {
		name    string
		command []string
		status  int
		want    string
	}{
		{"another user's changes", []string{"unshare", "-m", "sh", "-c", othersState, "sh", binary}, failed, "another user's daemon keeps its changes there: name a directory with --state"},
		{"no such user", []string{binary, "--user", "no-such-user"}, misuse, `find user "no-such-user"`},
		{"not root", []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", binary, "--user", "nobody"},
			failed, "only root can"},
	} {
		p := start(t, a.Command(tc.command[0], append(tc.command[1:], "-c", openFile(t, howto))...))
		if got := p.status(t); got != tc.status || !strings.Contains(p.stderr.String(), tc.want) {
			t.Errorf("%s: status %d, %q; want %d and %q", tc.name, got, p.stderr, tc.status, tc.want)
		}
	}
}

// A configuration that the user can't read is worth a word at the start, not
// only when it has changed.
func TestUnreadableConfiguration(t *testing.T) {
	a, _ := lab(t)
	cfg := openFile(t, howto)
	if err := os.Chmod(cfg, 0o600); err != nil {
		t.Fatal(err)
	}
	p := ipaliasd(t, a, "-c", cfg, "--user", "nobody")
	p.wait(t, p.stderr, "will not be read again", 1)
	p.interrupt(t)
}

// The filter can be left off, for somebody who looks for a fault in it.
func TestNoFilter(t *testing.T) {
	a, _ := lab(t)
	p := ipaliasd(t, a, "-c", openFile(t, howto), "--no-seccomp")
	p.has(t, map[string]string{"Seccomp": "0", "NoNewPrivs": "1", "CapEff": netRawOnly})
	p.interrupt(t)
}

// Whenever the daemon is killed, while it begins or while it ends, the next one
// begins as if nothing had been.
func TestKilledAtAnyTime(t *testing.T) {
	a, b := lab(t, "ping")
	cfg, dir := openFile(t, howto), open(t)
	args := []string{"-c", cfg, "--state", filepath.Join(dir, "state"), "--socket", filepath.Join(dir, "run", "s"), "--user", "nobody"}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	for round := range 12 {
		p := start(t, a.Command(binary, args...))
		moment := time.Duration(round) * 3 * time.Millisecond // from before its first step to after its last
		if round%2 == 0 {
			p.wait(t, p.stdout, "answering for", 1)
			p.cmd.Process.Signal(syscall.SIGTERM)
		}
		select {
		case <-time.After(moment):
		case <-p.ended:
		}
		p.kill(t)
	}
	p := ipaliasd(t, a, args...)
	p.socket = filepath.Join(dir, "run", "s")
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.11")
	// While it lives nobody else takes its place, and hears who has it.
	other := start(t, a.Command(binary, "-c", cfg, "--ephemeral", "--socket", p.socket))
	if other.status(t) != failed || !strings.Contains(other.stderr.String(), fmt.Sprintf("in use by process %d (ipaliasd)", p.cmd.Process.Pid)) {
		t.Errorf("a second daemon on the same socket: %s", other.stderr)
	}
	p.interrupt(t)
}
