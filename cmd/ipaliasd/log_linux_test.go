package main

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/framegen"
)

// The log is JSON where that is asked for, and its level follows whoever may change it.
func TestLog(t *testing.T) {
	a, _ := lab(t)
	p := ipaliasd(t, a, "-c", file(t, howto), "--log-format", "json", "--log-level", "error")
	set := func(level string) {
		t.Helper()
		l, err := p.client().SetLogLevel(t.Context(), control.LogLevel{Level: level})
		if err != nil || l.Level != level {
			t.Fatalf("level %v, %v; want %s", l, err, level)
		}
	}
	p.edit(t, control.Add, "v0:2", "172.16.3.11") // not worth an error
	set("debug")
	if l, err := p.client().LogLevel(t.Context()); err != nil || l.Level != "debug" {
		t.Errorf("level %v, %v", l, err)
	}
	p.edit(t, control.Add, "v0:3", "172.16.3.12")
	set("error")
	p.edit(t, control.Add, "v0:4", "172.16.3.13")
	_, err := p.client().SetLogLevel(t.Context(), control.LogLevel{Level: "INFO-3"})
	if e, ok := err.(*control.Error); !ok || e.Status != http.StatusBadRequest {
		t.Errorf("a level that is none: %v", err)
	}
	p.interrupt(t)

	count := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(p.stderr.String()), "\n") {
		var entry struct {
			Time, Level, Msg, What string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" {
			t.Fatalf("no JSON: %s (%v)", line, err)
		}
		count[entry.Msg+entry.What]++
	}
	for what, want := range map[string]int{
		"the log level was changed": 2, "the table was changedadd v0:3 172.16.3.12": 1,
		"the table was changedadd v0:2 172.16.3.11": 0, "the table was changedadd v0:4 172.16.3.13": 0,
	} {
		if count[what] != want {
			t.Errorf("%q is in the log %d times, want %d", what, count[what], want)
		}
	}
	if count["asked"] == 0 {
		t.Error("debug does not say what is asked")
	}

	for _, flag := range []string{"--log-format=xml", "--log-level=loud"} {
		q := start(t, a.Command(binary, "-i", "v0", flag))
		if q.status(t) != misuse || !strings.Contains(q.stderr.String(), "expected") {
			t.Errorf("%s: status %d, %s", flag, q.status(t), q.stderr)
		}
	}
}

// A flood that overflows the ring is one line, not one a frame or a second.
func TestDropsAreLogged(t *testing.T) {
	a, b := lab(t)
	p := ipaliasd(t, a, "-c", file(t, "[interface.v0]\nring = 64\n"+howto))
	w := tap(t, b)
	flood := make([][]byte, 256)
	for i := range flood {
		flood[i] = framegen.Ether(framegen.Broadcast, peerMAC, framegen.TypeARP, framegen.ARP{
			SenderMAC: peerMAC, Sender: netip.AddrFrom4([4]byte{172, 16, 3, 200}), Target: v0alias}.Bytes())
	}
	const line = "frames were dropped, the ring was full"
	for deadline := time.Now().Add(patience); !strings.Contains(p.stderr.String(), line); { // it is looked for once a second
		w.put(flood...)
		if time.Now().After(deadline) {
			t.Fatal("no drop is logged")
		}
	}
	p.stats(t, func(s *control.Stats) bool { return s.Cards[0].Dropped > 0 })
	p.interrupt(t)
	if got := strings.Count(p.stderr.String(), line); got != 1 {
		t.Errorf("%d lines, want one a minute", got)
	}
}

// The daemon outlives whoever reads its log.
func TestLogReaderEnds(t *testing.T) {
	a, b := lab(t, "ping")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := a.Command(binary, "-c", file(t, howto))
	cmd.Stderr = w
	p := start(t, cmd)
	w.Close()
	p.wait(t, p.stdout, "answering for", 1)
	r.Close()
	p.edit(t, control.Add, "v0:2", "172.16.3.11") // is logged
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.11")
	p.interrupt(t)
}

// What went well has no error, not even one that is null.
func TestLogOfLooks(t *testing.T) {
	a, _ := lab(t)
	p := ipaliasd(t, a, "-c", file(t, howto), "--log-format", "json", "--log-level", "debug")
	p.wait(t, p.stderr, "looked at the card", 1)
	p.interrupt(t)
	for _, line := range strings.Split(p.stderr.String(), "\n") {
		if strings.Contains(line, `"error":null`) {
			t.Error(line)
		}
	}
}
