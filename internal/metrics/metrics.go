// Package metrics gives Prometheus what the daemon counts, read when it is asked
// for, and a page that tells whether all is well. No label names an address: a
// million aliases are as many series as one.
package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/responder"
)

// A Source tells what is to be told.
type Source interface {
	Stats(ctx context.Context) (*control.Stats, error)
	Health(ctx context.Context) *control.Health
}

const (
	patience    = 5 * time.Second // with whoever asks, and with the answer
	maxInFlight = 4
)

// Listen opens the listener for an address: host:port, or unix:PATH.
func Listen(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return control.Listen(path)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	return l, nil
}

// Exposed tells whether other hosts may reach a listener. Nobody who does is asked
// who he is.
func Exposed(l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && !a.IP.IsLoopback()
}

// Serve answers /metrics and /healthz until ctx ends; then it returns nil.
func Serve(ctx context.Context, l net.Listener, s Source, log *slog.Logger) error {
	server := &http.Server{
		Handler:           Handler(s),
		ReadHeaderTimeout: patience,
		ReadTimeout:       patience,
		WriteTimeout:      2 * patience,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	// Closed, not shut down: a scrape that is cut off at the daemon's end is tried again by itself.
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(control.Limit(l, server)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// Handler answers /metrics and /healthz.
func Handler(s Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxInFlight, Timeout: patience}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		// Here the daemon is asked, not the registry: a probe wants one word and the reason.
		h := s.Health(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !h.OK {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(h)
	})
	return mux
}

// A collector makes const metrics of one Stats for each scrape.
type collector struct{ source Source }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ipalias_"+name, help, labels, nil)
}

var (
	frames = describe("frames_total", "Frames by what became of them; those that belong to no interface have an empty one.", "card", "interface", "verdict")

	received  = describe("card_received_frames_total", "Frames that the card's ring handed over.", "card")
	sent      = describe("card_sent_frames_total", "Frames that were sent, answers and announcements.", "card")
	dropped   = describe("card_dropped_frames_total", "Frames lost because the card's ring was full.", "card")
	unsent    = describe("card_send_errors_total", "Frames that could not be sent.", "card")
	withheld  = describe("card_withheld_frames_total", "Frames that were not sent because their interface only observes.", "card")
	up        = describe("card_up", "1 while the card is listened on.", "card")
	workers   = describe("card_workers", "Threads that answer, each with a ring.", "card")
	shieldUp  = describe("card_shield_up", "1 while the kernel is kept from frames for aliases; only of cards that are to be shielded.", "card")
	conflicts = describe("conflicts", "Aliases that other hosts were seen to claim, until they are taken out.", "card")

	addresses = describe("addresses", "Addresses that are answered for.", "interface")
	observing = describe("observing", "1 if the interface counts frames and sends nothing (mode observe).", "interface")
	labels    = describe("labels", "Labels that are answered for.", "interface")
	rxPackets = describe("received_packets_total", "Packets for aliases.", "interface")
	rxBytes   = describe("received_bytes_total", "Bytes of the packets for aliases.", "interface")
	txPackets = describe("sent_packets_total", "Packets from aliases.", "interface")
	txBytes   = describe("sent_bytes_total", "Bytes of the packets from aliases.", "interface")

	changes      = describe("changes", "Run-time changes that hold, by kind.", "kind")
	storeOK      = describe("store_ok", "1 if run-time changes are kept: not ephemeral, not damaged, the last one written.")
	reloads      = describe("reloads_total", "Attempts to read the configuration again, by result.", "result")
	reloadOK     = describe("reload_ok", "0 if the last attempt to read the configuration again failed.")
	started      = describe("start_time_seconds", "When the daemon was started, in seconds since 1970.")
	buildInfo    = describe("build_info", "1, with what the daemon was built from.", "version", "goversion")
	descriptions = []*prometheus.Desc{frames, received, sent, dropped, unsent, withheld, up, workers, shieldUp, conflicts, addresses, observing, labels, rxPackets, rxBytes, txPackets, txBytes,
		changes, storeOK, reloads, reloadOK, started, buildInfo}
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	// One Stats for all of them, so that the sums of one scrape fit together.
	s, err := c.source.Stats(context.Background())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(buildInfo, err)
		return
	}
	counter := func(d *prometheus.Desc, n uint64, values ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), values...)
	}
	gauge := func(d *prometheus.Desc, v float64, values ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, values...)
	}
	// Those that did not occur too: a rate needs a zero to begin from.
	verdicts := func(card, iface string, counts map[string]uint64) {
		for v := range responder.Verdict(responder.NumVerdicts) {
			counter(frames, counts[v.String()], card, iface, v.String())
		}
	}
	for _, c := range s.Cards {
		verdicts(c.Name, "", c.Verdicts)
		counter(received, c.Received, c.Name)
		counter(sent, c.Sent, c.Name)
		counter(dropped, c.Dropped, c.Name)
		counter(unsent, c.SendErr, c.Name)
		counter(withheld, c.Withheld, c.Name)
		gauge(up, truth(c.Up), c.Name)
		gauge(workers, float64(c.Workers), c.Name)
		if c.Shield != "" {
			gauge(shieldUp, truth(c.Shield == control.ShieldUp), c.Name)
		}
		gauge(conflicts, float64(c.Conflicts), c.Name)
	}
	for _, i := range s.Interfaces {
		verdicts(i.Card, i.Name, i.Verdicts)
		gauge(addresses, float64(i.Addresses), i.Name)
		gauge(observing, truth(i.Mode == control.Observe), i.Name)
		gauge(labels, float64(i.Labels), i.Name)
		counter(rxPackets, i.Counters.RxPackets, i.Name)
		counter(rxBytes, i.Counters.RxBytes, i.Name)
		counter(txPackets, i.Counters.TxPackets, i.Name)
		counter(txBytes, i.Counters.TxBytes, i.Name)
	}
	gauge(changes, float64(s.Store.Added), "added")
	gauge(changes, float64(s.Store.Removed), "removed")
	gauge(storeOK, truth(s.Store.Durable && s.Store.Damage == "" && s.Store.Error == "" && s.Store.Frozen == ""))
	counter(reloads, s.Reload.Done, "done")
	counter(reloads, s.Reload.Failed, "failed")
	gauge(reloadOK, truth(s.Reload.Error == ""))
	// As a time, not as an age: it stays the same from scrape to scrape, and changes() finds restarts.
	if at, err := time.Parse(time.RFC3339, s.Started); err == nil {
		gauge(started, float64(at.Unix()))
	}
	// Always 1, with the values as labels, so that others can be joined to it.
	gauge(buildInfo, 1, s.Version, runtime.Version())
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
