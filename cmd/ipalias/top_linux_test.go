package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/ipalias/ipalias/internal/control"
)

// serveCanned has a daemon with canned answers listen until the test ends, and the
// commands find it.
func serveCanned(t *testing.T, backend canned) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipalias") // t.TempDir may be longer than a socket's name can be
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := control.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- (&control.Server{Backend: backend, Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		l.Close()
		os.RemoveAll(dir)
	})
	t.Setenv(control.SocketEnv, socket)
}

// terminal makes a pseudo terminal: what is typed and seen, and the program's end.
func terminal(t *testing.T, columns, lines uint16) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outside.Close() })
	number, err := unix.IoctlGetInt(int(outside.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(outside.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inside.Close() })
	resize(t, outside, columns, lines)
	return outside, inside
}

func resize(t *testing.T, outside *os.File, columns, lines uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(outside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: lines}); err != nil {
		t.Fatal(err)
	}
}

// screens reads what is seen, in pieces that each begin at the top.
func screens(outside *os.File) <-chan string {
	screen := make(chan string, 100)
	go func() {
		var text string
		buf := make([]byte, 1<<16)
		for {
			n, err := outside.Read(buf)
			if err != nil {
				close(screen)
				return
			}
			text += string(buf[:n])
			for strings.Count(text, home) > 1 {
				next := strings.Index(text[1:], home) + 1
				screen <- text[:next]
				text = text[next:]
			}
		}
	}()
	return screen
}

// see waits for a screen that is as wanted.
func see(t *testing.T, screen <-chan string, what string, is func(string) bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for last := ""; ; {
		select {
		case text, ok := <-screen:
			if last = text; ok && is(text) {
				return
			}
		case <-deadline:
			t.Fatalf("no %s; last seen %q", what, last)
		}
	}
}

// first holds of a screen in that order, with the one address above the other.
func first(order, address, other string) func(string) bool {
	return func(s string) bool {
		at := strings.Index(s, address)
		return at > 0 && at < strings.Index(s, other) && strings.Contains(s, order)
	}
}

// fits holds of a screen with no line too long and none too many.
func fits(columns, most int) func(string) bool {
	return func(s string) bool {
		lines := strings.Split(strings.TrimPrefix(s, home), "\r\n")
		for _, line := range lines {
			if len(strings.TrimSuffix(strings.TrimSuffix(line, clearRest), clearLine)) > columns {
				return false
			}
		}
		return len(lines) <= most
	}
}

// In a terminal the tables stay in place, keys sort them, they fit whatever size it
// gets, and at the end all is as it was.
func TestTopInATerminal(t *testing.T) {
	serveCanned(t, canned{})
	t.Setenv("TERM", "xterm")
	outside, inside := terminal(t, 80, 24)
	before, err := unix.IoctlGetTermios(int(inside.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	status := make(chan int)
	var stderr bytes.Buffer
	go func() { status <- run([]string{"top"}, env{stdin: inside, stdout: inside, stderr: &stderr}) }()

	screen := screens(outside)
	see(t, screen, "table", first("by frames", "172.16.3.100 ", "172.16.3.10 "))
	outside.WriteString("i")
	see(t, screen, "order by address", first("by address", "172.16.3.10 ", "172.16.3.100 "))
	outside.WriteString("a")
	see(t, screen, "order by answers", first("by answers", "172.16.3.10 ", "172.16.3.100 "))
	resize(t, outside, 20, 9)
	see(t, screen, "smaller screen", fits(20, 9))
	outside.WriteString("q")
	select {
	case got := <-status:
		if got != done || stderr.Len() > 0 {
			t.Errorf("exit status %d, %s", got, &stderr)
		}
	case <-time.After(time.Minute):
		t.Fatal("q does not end it")
	}
	after, err := unix.IoctlGetTermios(int(inside.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is left as %+v, was %+v (%v)", after, before, err)
	}
}

// A terminal that can't move its cursor gets one table after the other.
func TestTopInADumbTerminal(t *testing.T) {
	_, inside := terminal(t, 80, 24)
	e := env{stdin: inside, stdout: inside}
	for name, want := range map[string]bool{"dumb": false, "": false, "xterm": true} {
		t.Setenv("TERM", name)
		if got := terminalOf(e) != nil; got != want {
			t.Errorf("TERM=%s: a screen: %v, want %v", name, got, want)
		}
	}
	if terminalOf(env{stdin: inside, stdout: &bytes.Buffer{}}) != nil || !term.IsTerminal(int(inside.Fd())) {
		t.Error("a pipe is taken for a screen, or a terminal for none")
	}
}
