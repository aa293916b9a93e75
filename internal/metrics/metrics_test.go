package metrics

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/responder"
)

// fixed is a Source that always tells the same.
type fixed struct {
	stats  control.Stats
	health control.Health
}

func (f *fixed) Stats(context.Context) (*control.Stats, error) { return &f.stats, nil }
func (f *fixed) Health(context.Context) *control.Health        { return &f.health }

func get(t *testing.T, s Source, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(s).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

var busy = &fixed{
	stats: control.Stats{
		Version: "v1", Started: "2026-01-02T03:04:05Z",
		Cards: []control.CardStats{{Name: "eth0", Up: true, Workers: 3, Conflicts: 2, Shield: control.ShieldUp, Stats: capture.Stats{Received: 10, Sent: 9, Dropped: 8, SendErr: 7, Withheld: 6},
			Verdicts: map[string]uint64{responder.ARPAnswered.String(): 3}}},
		Interfaces: []control.InterfaceStats{{Name: "eth0.100", Card: "eth0", Mode: control.Observe, Addresses: 65536, Labels: 2,
			Counters: responder.Counters{RxPackets: 1, RxBytes: 2, TxPackets: 3, TxBytes: 4},
			Verdicts: map[string]uint64{responder.ARPAnswered.String(): 5}}},
		Store:  control.StoreStats{Durable: true, Added: 6, Removed: 1},
		Reload: control.ReloadStats{Done: 4, Failed: 1, Error: "no such file"},
	},
}

func TestMetrics(t *testing.T) {
	_, text := get(t, busy, "/metrics")
	lines := strings.Split(text, "\n")
	for _, want := range []string{
		`ipalias_frames_total{card="eth0",interface="",verdict="` + responder.ARPAnswered.String() + `"} 3`,
		`ipalias_frames_total{card="eth0",interface="eth0.100",verdict="` + responder.ARPAnswered.String() + `"} 5`,
		`ipalias_frames_total{card="eth0",interface="eth0.100",verdict="` + responder.ARPProbeAnswered.String() + `"} 0`,
		`ipalias_card_received_frames_total{card="eth0"} 10`,
		`ipalias_card_sent_frames_total{card="eth0"} 9`,
		`ipalias_card_dropped_frames_total{card="eth0"} 8`,
		`ipalias_card_send_errors_total{card="eth0"} 7`,
		`ipalias_card_withheld_frames_total{card="eth0"} 6`,
		`ipalias_observing{interface="eth0.100"} 1`,
		`ipalias_card_up{card="eth0"} 1`,
		`ipalias_card_workers{card="eth0"} 3`,
		`ipalias_card_shield_up{card="eth0"} 1`,
		`ipalias_conflicts{card="eth0"} 2`,
		`ipalias_addresses{interface="eth0.100"} 65536`,
		`ipalias_labels{interface="eth0.100"} 2`,
		`ipalias_received_packets_total{interface="eth0.100"} 1`,
		`ipalias_received_bytes_total{interface="eth0.100"} 2`,
		`ipalias_sent_packets_total{interface="eth0.100"} 3`,
		`ipalias_sent_bytes_total{interface="eth0.100"} 4`,
		`ipalias_changes{kind="added"} 6`,
		`ipalias_changes{kind="removed"} 1`,
		`ipalias_store_ok 1`,
		`ipalias_reloads_total{result="done"} 4`,
		`ipalias_reloads_total{result="failed"} 1`,
		`ipalias_reload_ok 0`,
		`ipalias_start_time_seconds 1.767323045e+09`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
	if !strings.Contains(text, `version="v1"} 1`) {
		t.Error("no build info")
	}
	// Every metric is there, so that a dashboard can be checked against one scrape.
	for _, d := range descriptions {
		name := regexp.MustCompile(`fqName: "([a-z_]+)"`).FindStringSubmatch(d.String())[1]
		if !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("no %s", name)
		}
	}
}

func TestHealthz(t *testing.T) {
	if code, text := get(t, &fixed{health: control.Health{OK: true, Why: []string{}}}, "/healthz"); code != http.StatusOK || text != "{\"ok\":true,\"why\":[]}\n" {
		t.Errorf("%d %s", code, text)
	}
	if code, text := get(t, &fixed{health: control.Health{Why: []string{"eth0: the card is down"}}}, "/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "the card is down") {
		t.Errorf("%d %s", code, text)
	}
}

// Two pages are there to be read, and nothing else.
func TestOnlyTwoPages(t *testing.T) {
	handler := Handler(&fixed{})
	for _, tc := range []struct {
		method, path string
		want         int
	}{
		{"HEAD", "/metrics", http.StatusOK},
		{"HEAD", "/healthz", http.StatusServiceUnavailable},
		{"POST", "/metrics", http.StatusMethodNotAllowed},
		{"DELETE", "/healthz", http.StatusMethodNotAllowed},
		{"GET", "/", http.StatusNotFound},
		{"GET", "/debug/pprof/", http.StatusNotFound},
		{"GET", "/v1/show", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, nil))
		if w.Code != tc.want {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.path, w.Code, tc.want)
		}
	}
}

// Whoever opens a thousand connections locks nobody out.
func TestThousandConnections(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, &fixed{}, slog.New(slog.DiscardHandler)) }()
	for range 1000 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET /metrics HTTP/1.1\r\n")
	}
	resp, err := http.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	stop()
	if err := <-ended; err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", resp.StatusCode, err)
	}
}

func TestExposed(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": false, "[::1]:0": false, "localhost:0": false, ":0": true, "0.0.0.0:0": true,
		"unix:" + filepath.Join(t.TempDir(), "m"): false,
	} {
		l, err := Listen(address)
		if err != nil {
			if strings.HasPrefix(address, "[") {
				continue // no IPv6 here
			}
			t.Fatal(err)
		}
		if got := Exposed(l); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
		l.Close()
	}
}
