package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/control"
)

// as runs fn on a thread of another user and group: who connects is told by the
// kernel as the thread that does.
func as(t *testing.T, uid, gid int, fn func() error) error {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread dies with the goroutine
		keep := ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, keep, uintptr(gid), keep); errno != 0 {
			result <- errno
			return
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
			result <- errno
			return
		}
		result <- fn()
	}()
	return <-result
}

// rogue opens a connection as a user, which ends with the test.
func rogue(t *testing.T, path string, uid, gid int) net.Conn {
	t.Helper()
	var conn net.Conn
	if err := as(t, uid, gid, func() (err error) { conn, err = net.Dial("unix", path); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// looks asks for the table as a user.
func looks(t *testing.T, path string, uid, gid int) error {
	conn := rogue(t, path, uid, gid)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * patience))
	io.WriteString(conn, "GET /v1/show?label=v0:0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

const post = "POST /v1/aliases HTTP/1.1\r\nHost: x\r\n"

// What somebody may do who can connect: as one who may only look, and as one who may
// change the table.
var mischief = []struct {
	name  string
	conns int
	do    func(net.Conn)
}{
	{"says nothing", 1000, func(net.Conn) {}},
	{"half a header", 200, func(c net.Conn) { io.WriteString(c, "GET /v1/show HTT") }},
	{"half a body", 200, func(c net.Conn) { io.WriteString(c, post+"Content-Length: 100000\r\n\r\n{") }},
	{"half a large body", 100, func(c net.Conn) {
		fmt.Fprintf(c, post+"Content-Length: %d\r\n\r\n%s", 40<<20, strings.Repeat("x", 1<<20))
	}},
	{"a huge body", 3, func(c net.Conn) {
		io.WriteString(c, post+"Transfer-Encoding: chunked\r\n\r\n")
		chunk := "100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n"
		for range 100 {
			if _, err := io.WriteString(c, chunk); err != nil {
				return
			}
		}
	}},
	{"nested JSON", 5, func(c net.Conn) {
		fmt.Fprintf(c, post+"Content-Length: %d\r\n\r\n", 20<<20)
		io.WriteString(c, strings.Repeat(`{"a":`, 4<<20))
	}},
	{"reads no answer", 100, func(c net.Conn) {
		io.WriteString(c, strings.Repeat("GET /v1/show HTTP/1.1\r\nHost: x\r\n\r\n", 100))
	}},
	{"garbage behind a request", 100, func(c net.Conn) {
		io.WriteString(c, "GET /v1/stats HTTP/1.1\r\nHost: x\r\n\r\n"+strings.Repeat("\x00\xff\x16\x03\r\n", 1000))
	}},
	{"garbage", 100, func(c net.Conn) { io.WriteString(c, strings.Repeat("\x16\x03\x01", 100000)) }},
	{"goes at once", 500, func(c net.Conn) { io.WriteString(c, "GET /v1/show HTTP/1.1\r\nHost: x\r\n\r\n"); c.Close() }},
	{"shuts its side", 100, func(c net.Conn) { c.(*net.UnixConn).CloseWrite() }},
}

// Whatever they do: who may change the table can, in the time that a person waits, who
// may only look can if it is others who misbehave, no answer on the wire is missing, and
// memory is bounded.
func TestRogueClients(t *testing.T) {
	a, b := lab(t)
	const daemonID, stranger, other, group = 65534, 4242, 4243, 65534
	var table strings.Builder // so that an answer is larger than a socket's buffer
	table.WriteString(howto)
	for i := range 3000 {
		fmt.Fprintf(&table, "\"v0:x%d\" = \"10.1.%d.%d\"\n", i, i/250, i%250)
	}
	p := ipaliasd(t, a, "-c", openFile(t, table.String()), "--user", "nobody")
	pinger := pings(t, b, time.Millisecond)
	pinger.settle(t)
	before := p.peakKiB(t)

	n := 0
	legitimate := func(what string) {
		t.Helper()
		n++
		ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
		defer cancel()
		label := fmt.Sprintf("v0:r%d", n)
		if _, err := p.client().Edit(ctx, control.Edit{Do: control.Add, Label: label, Addresses: []string{fmt.Sprintf("10.2.0.%d", n)}}); err != nil {
			t.Errorf("%s: root can't change the table: %v", what, err)
		}
		if _, err := p.client().Show(ctx, label); err != nil {
			t.Errorf("%s: root can't look: %v", what, err)
		}
	}
	for _, uid := range []int{stranger, 0} {
		for _, m := range mischief {
			what := fmt.Sprintf("user %d %s", uid, m.name)
			var busy sync.WaitGroup
			var conns []net.Conn
			for range m.conns {
				c := rogue(t, p.socket, uid, group)
				c.SetWriteDeadline(time.Now().Add(3 * patience))
				conns = append(conns, c)
				busy.Go(func() { m.do(c) })
			}
			legitimate(what)
			if err := looks(t, p.socket, other, group); err != nil {
				t.Errorf("%s: user %d can't look: %v", what, other, err)
			}
			for _, c := range conns {
				c.Close()
			}
			busy.Wait()
		}
	}
	// Who may not connect at all.
	if err := as(t, stranger, stranger, func() error { _, err := net.Dial("unix", p.socket); return err }); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a stranger connects: %v", err)
	}
	asked := pinger.all(t, a, b)
	after := p.peakKiB(t)
	t.Logf("%d answers; the daemon grew from %d to %d KiB", asked, before, after)
	// One body of 48 MiB and what reading it leaves for the collector, and two large answers of
	// each class.
	if after > before+300<<10 {
		t.Errorf("the daemon grew from %d to %d KiB", before, after)
	}
	p.interrupt(t)
}
