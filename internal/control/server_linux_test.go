package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/netlab"
)

// A recorder is a Backend that remembers what it was asked for.
type recorder struct {
	Backend // nil: what is not below is not asked for here

	mu    sync.Mutex
	edits []Edit
	who   []Peer

	settled atomic.Int32 // how often
}

func (r *recorder) Settle() { r.settled.Add(1) }

func (r *recorder) Show(context.Context, string, string) (*Show, error) {
	return &Show{Source: "a.toml"}, nil
}

func (r *recorder) Health(context.Context) *Health { return &Health{OK: false, Why: []string{"down"}} }

func (r *recorder) Edit(_ context.Context, who Peer, e Edit) (*Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edits, r.who = append(r.edits, e), append(r.who, who)
	if e.Label == "eth0:taken" {
		return nil, Refuse(http.StatusConflict, "eth0:0 has it")
	}
	return &Result{Changed: true, Changes: []string{e.Do}, Warnings: []string{"mtu: 1500 -> 9000"}, Durable: true}, nil
}

// serve runs a server on a socket of its own until the test ends.
func serve(t *testing.T, group string) (*recorder, string) {
	t.Helper()
	r := new(recorder)
	return r, serveOf(t, r, group)
}

// serveOf is serve of a certain Backend.
func serveOf(t *testing.T, r Backend, group string) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "control") // t.TempDir may be longer than a socket's name can be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	path = filepath.Join(dir, "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{Backend: r, Log: slog.New(slog.DiscardHandler), Group: group}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return path
}

func TestRequests(t *testing.T) {
	r, path := serve(t, "")
	c := NewClient(path)
	show, err := c.Show(t.Context(), "")
	if err != nil || show.Source != "a.toml" {
		t.Errorf("show: %v, %v", show, err)
	}
	for _, do := range []string{Add, Set, Delete} {
		result, err := c.Edit(t.Context(), Edit{Do: do, Label: "eth0:2", Addresses: []string{"10.0.0.1"}})
		if err != nil || len(result.Changes) != 1 || result.Changes[0] != do {
			t.Errorf("%s: %v, %v", do, result, err)
		}
	}
	if len(r.who) != 3 || int(r.who[0].PID) != os.Getpid() || int(r.who[0].UID) != os.Getuid() {
		t.Errorf("asked by %v, want by process %d of user %d", r.who, os.Getpid(), os.Getuid())
	}
	_, err = c.Edit(t.Context(), Edit{Do: Add, Label: "eth0:taken"})
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict || refused.Message != "eth0:0 has it" {
		t.Errorf("conflict: %v", err)
	}
}

// raw sends one request as it stands and gives the answer's status line and body.
func raw(t *testing.T, path, request string) string {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, request)
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// aliases is a request about aliases.
func aliases(method, body string) string {
	return fmt.Sprintf("%s /v1/aliases HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, len(body), body)
}

// get is a request that has no body.
func get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
}

// A list that a script computed may come as null: it deletes no label, as none with nothing
// in it does. The other way round a label without a list is the label as a whole.
func TestNullIsAList(t *testing.T) {
	r, path := serve(t, "")
	for _, body := range []string{`{"label": "eth0:2", "addresses": null}`, `{"ADDRESSES": null, "label": "eth0:2"}`, `{"label": "eth0:2"}`} {
		raw(t, path, aliases("DELETE", body))
	}
	for i, whole := range []bool{false, false, true} {
		if got := r.edits[i].Addresses; len(got) != 0 || (got == nil) != whole {
			t.Errorf("edit %d: addresses %#v, the whole label: want %v", i, got, whole)
		}
	}
}

func TestBadRequests(t *testing.T) {
	r, path := serve(t, "")
	for _, tc := range []struct{ name, request, want string }{
		{"no such place", "GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404"},
		{"not healthy", "GET /v1/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "503"},
		{"no JSON", "POST /v1/aliases HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nadd", "400"},
		{"a mistyped member", aliases("DELETE", `{"label": "eth0:2", "adresses": ["172.16.3.11"]}`), "400"},
		{"a configuration with an escape sequence for a name", "POST /v1/replace HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 32\r\n\r\n" + `{"name": "\u001b[2J", "text":""}`, "400"},
		{"a mistyped key", get("/v1/show?adress=172.16.3.11"), "400"},
		{"a key twice", get("/v1/show?address=172.16.3.11&address=172.16.3.12"), "400"},
		{"a key without a value", get("/v1/show?address="), "400"},
		{"two keys that exclude each other", get("/v1/show?label=eth0:2&interface=eth1"), "400"},
		{"a key where none is known", get("/v1/healthz?n=1"), "400"},
		{"a mistyped key of top", get("/v1/top?m=1"), "400"},
		{"a query that is none", get("/v1/show?address=%zz"), "400"},
		{"two bodies", aliases("DELETE", `{"label": "eth0:2"} {"addresses": ["172.16.3.11"]}`), "400"},
		{"a large header", "GET /v1/show HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", "431"},
		{"says it has a huge body", "POST /v1/aliases HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 999999999999\r\n\r\n{", "413"},
		{"no HTTP", "hello\r\n\r\n", "400"},
	} {
		if got := raw(t, path, tc.request); !strings.HasPrefix(got, "HTTP/1.1 "+tc.want) {
			t.Errorf("%s: %.200q, want %s", tc.name, got, tc.want)
		}
	}
	if len(r.edits) != 0 {
		t.Errorf("got through: %v", r.edits)
	}
}

// A body that does not say how long it is, and is longer than anything.
func TestEndlessBody(t *testing.T) {
	_, path := serve(t, "")
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /v1/aliases HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := append([]byte("100000\r\n"), append(bytes.Repeat([]byte("a"), 1<<20), "\r\n"...)...)
	sent := 0
	for sent < 1<<30 {
		n, err := conn.Write(chunk)
		if sent += n; err != nil {
			break
		}
	}
	if sent > maxBody+8<<20 {
		t.Errorf("%d bytes were taken, want little more than %d", sent, maxBody)
	}
}

// Somebody who opens a thousand connections and says nothing, or begins a
// request and never ends it, locks nobody out.
func TestThousandConnections(t *testing.T) {
	for name, start := range map[string]string{
		"silent":      "",
		"slow header": "POST /v1/aliases HTTP/1.1\r\nHost: x\r\n",
		"slow body":   "POST /v1/aliases HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			_, path := serve(t, "")
			for range 1000 {
				conn, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				io.WriteString(conn, start)
			}
			for range 5 {
				if _, err := NewClient(path).Show(t.Context(), ""); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Who may do what. The other user can connect since the test lets everybody.
func TestPermission(t *testing.T) {
	netlab.Need(t, "setpriv", "curl")
	const nobody, games = "65534", "60"
	as := func(uid, gid string, args ...string) string {
		out, err := exec.Command("setpriv", append([]string{"--reuid=" + uid, "--regid=" + gid, "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"}, args...)...).CombinedOutput()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	for _, tc := range []struct {
		name, gid, group string
		open             os.FileMode
		show, add        string
	}{
		{"a stranger", nobody, "", 0o660, "exit status 7", "exit status 7"},
		{"may connect", nobody, "", 0o666, "200", "403"},
		{"in the group", games, "games", 0o666, "200", "200"},
		{"in another group", nobody, "games", 0o666, "200", "403"},
		{"no such group", nobody, "no-such-group", 0o666, "200", "403"},
	} {
		r, path := serve(t, tc.group)
		if err := os.Chmod(path, tc.open); err != nil {
			t.Fatal(err)
		}
		show := as(nobody, tc.gid, "--unix-socket", path, "http://x/v1/show")
		add := as(nobody, tc.gid, "--unix-socket", path, "-d", `{"label":"eth0:2","addresses":["10.0.0.1"]}`, "http://x/v1/aliases")
		if show != tc.show || add != tc.add {
			t.Errorf("%s: show %s, add %s; want %s and %s", tc.name, show, add, tc.show, tc.add)
		}
		if got := len(r.edits); (got == 1) != (tc.add == "200") {
			t.Errorf("%s: %d edits", tc.name, got)
		}
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, want 0660 (%v)", info.Mode(), err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrLive) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("a second one: %v, want an error that names this process", err)
	}
	// As a process leaves it that was killed.
	l.UnixListener.Close()
	again, err := Listen(path)
	if err != nil {
		t.Fatalf("over a stale one: %v", err)
	}
	if err := l.Close(); err == nil {
		t.Error("closed twice without an error")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the first one took the second one's socket away")
	}
	again.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket was left: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("over a file: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestNobodyListens(t *testing.T) {
	_, err := NewClient(filepath.Join(t.TempDir(), "none.sock")).Show(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "no daemon listens on") {
		t.Errorf("error %v", err)
	}
}

// Whoever reads an answer with curl reads what it says.
func TestArrowsAreArrows(t *testing.T) {
	_, path := serve(t, "")
	if got := raw(t, path, aliases("POST", `{"label": "eth0:0", "addresses": ["172.16.3.10"]}`)); !strings.Contains(got, "1500 -> 9000") {
		t.Errorf("answered %s", got)
	}
}

// A path that can't be connected to is no place for a socket, though one can be made there.
func TestPathTooLong(t *testing.T) {
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	long := filepath.Join(dir, strings.Repeat("x", maxPath-len(dir)))
	want := "found a path of 108 bytes, expected at most 107"
	if l, err := Listen(long); err == nil || !strings.Contains(err.Error(), want) {
		l.Close()
		t.Errorf("listen: %v, want %q", err, want)
	}
	if _, err := NewClient(long).Stats(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("ask: %v, want %q", err, want)
	}
	l, err := Listen(long[:maxPath])
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// Of a change that failed it is told whether the daemon refused it, never had it, or had
// it and did not answer: who is to do it again has to know.
func TestWhatBecameOfAChange(t *testing.T) {
	_, path := serve(t, "")
	dir := filepath.Dir(path)
	// deaf listens, and hangs up on everybody when it has read so much, at the last attempt for good.
	deaf := func(name string, read int64) string {
		l, err := net.Listen("unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for n := 0; ; n++ {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if n == 2 {
					l.Close()
				}
				io.CopyN(io.Discard, conn, read)
				conn.Close()
			}
		}()
		return filepath.Join(dir, name)
	}
	large := []string{strings.Repeat("1", 8<<20)}
	for name, tc := range map[string]struct {
		socket    string
		addresses []string
		want      string // how the message begins
	}{
		"refused":  {path, nil, "eth0:0 has it"},
		"nobody":   {filepath.Join(dir, "none"), nil, "nothing was changed: no daemon listens on " + dir},
		"in part":  {deaf("part", 1<<20), large, "nothing was changed: "},
		"not told": {deaf("whole", 100), nil, "the daemon on " + dir + "/whole had the change and did not say what became of it"},
		"too long": {path, []string{strings.Repeat("1", maxBody)}, "nothing was sent: "},
	} {
		_, err := NewClient(tc.socket).Edit(t.Context(), Edit{Do: Add, Label: "eth0:taken", Addresses: tc.addresses})
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
