package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/netlab"
)

// get asks over a Unix socket.
func get(t *testing.T, socket, path string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := client.Get("http://ipaliasd" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestMetricsAndHealth(t *testing.T) {
	a, b := lab(t, "ping")
	socket := filepath.Join(t.TempDir(), "metrics.sock")
	p := ipaliasd(t, a, "-c", file(t, howto), "--metrics", "unix:"+socket)
	must(t, b, "ping", "-c", "3", "-i", "0.01", "-W", "2", "172.16.3.10")
	_, text := get(t, socket, "/metrics")
	for _, want := range []string{
		`ipalias_frames_total{card="v0",interface="v0",verdict="echo-answered"} 3`,
		`ipalias_addresses{interface="v0"} 2`, `ipalias_card_up{card="v0"} 1`, `ipalias_store_ok 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(text, "172.16.3.10") {
		t.Error("a metric names an address")
	}
	if status, text := get(t, socket, "/healthz"); status != http.StatusOK {
		t.Errorf("health: %d %s", status, text)
	}
	must(t, a, "ip", "link", "set", netlab.CardA, "down")
	p.wait(t, p.stderr, "the card is down", 1)
	if status, text := get(t, p.socket, "/v1/healthz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "the card is down") {
		t.Errorf("health while the card is down: %d %s", status, text)
	}
	p.interrupt(t)
}

// What systemd is told, in its order.
func TestNotify(t *testing.T) {
	a, _ := lab(t)
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patience))
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, 1000)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("no %s: %v", want, err)
			}
			switch got := string(buf[:n]); {
			case strings.HasPrefix(got, want):
				return
			case got != "WATCHDOG=1":
				t.Fatalf("%q, want %s", got, want)
			}
		}
	}
	cmd := a.Command("env", "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=200000", binary, "-c", file(t, howto))
	p := start(t, cmd)
	expect("READY=1")
	expect("WATCHDOG=1")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect("RELOADING=1\nMONOTONIC_USEC=")
	expect("READY=1")
	expect("WATCHDOG=1")
	p.interrupt(t)
	expect("STOPPING=1")
}
