package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
	must(t, b, "ping", "-c", "3", "-i", "0.2", "-W", "5", "172.16.3.10")
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

// Who opens the metrics to other hosts hears that he does.
func TestMetricsForEverybody(t *testing.T) {
	a, _ := lab(t)
	for address, open := range map[string]bool{"127.0.0.1:0": false, "0.0.0.0:0": true} {
		p := ipaliasd(t, a, "-c", file(t, howto), "--metrics", address)
		if got := strings.Contains(p.stderr.String(), "open to every host"); got != open {
			t.Errorf("%s: warned %v, want %v", address, got, open)
		}
		p.interrupt(t)
	}
}

// What systemd is told, in its order.
func TestNotify(t *testing.T) {
	a, _ := lab(t)
	m := manage(t)
	cfg := file(t, howto)
	p := m.start(t, a, "WATCHDOG_USEC=200000", "-c", cfg)
	m.expect("READY=1\nSTATUS=answering for 2 addresses on v0")
	m.expect("WATCHDOG=1")
	hangup := func(text, status string) {
		t.Helper()
		if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		m.expect("RELOADING=1\nMONOTONIC_USEC=")
		m.expect("READY=1\nSTATUS=" + status)
		m.expect("WATCHDOG=1")
	}
	hangup(howto+"\"v0:2\" = \"172.16.3.11\"\n", "answering for 3 addresses on v0")
	hangup("[interface.v0]\nmtu = \"big\"\n", "the configuration could not be read again")
	hangup(howto, "answering for 2 addresses on v0")
	must(t, a, "ip", "link", "set", netlab.CardA, "down")
	m.expect("STATUS=v0: the card is down")
	p.interrupt(t)
	m.expect("STOPPING=1")
}
