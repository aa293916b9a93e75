package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// peak gives the most memory that a process had, in bytes.
func (p *process) peak(t *testing.T) (kb uint64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fmt.Sscan(rest, &kb)
	return kb << 10
}

// Whoever may change something may send 48 MiB. What is in it must not take a hundred times
// as much memory, nor end the daemon; and the answer is no megabytes either.
func TestHostileConfigurations(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	const size = 40 << 20 // JSON makes it a little more
	fill := func(head, piece, end string) string {
		return head + strings.Repeat(piece, (size-len(head)-len(end))/len(piece)) + end
	}
	const value = "[interface.v0.aliases]\n\"v0:a\" = "
	for name, text := range map[string]string{
		"parts of a key":       fill("a", ".a", " = 1\n"),
		"parts of a header":    fill("[a", ".a", "]\n"),
		"dots in a name":       fill("[interface.\"a", ".", "\"]\n"),
		"numbers":              fill(value+"[", "1,", "]\n"),
		"texts":                fill(value+"[", "'',", "]\n"),
		"arrays in arrays":     fill(value, "[", "\n"),
		"arrays":               fill(value+"[", "[],", "]\n"),
		"tables in tables":     fill(value, "{a=", "\n"),
		"tables":               fill(value+"[", "{},", "]\n"),
		"one key again":        fill("", "a=1\n", ""),
		"one label again":      fill("[interface.v0.aliases]\n", "x='1'\n", ""),
		"headers":              fill("", "[a]\n", ""),
		"arrays of tables":     fill("", "[[a]]\n", ""),
		"a long text":          fill(value+"\"", "x", "\"\n"),
		"a text of escapes":    fill(value+"\"", `\\`, "\"\n"),
		"a text of many lines": fill(value+"\"\"\"", "\n", "\"\"\"\n"),
		"a long number":        fill(value, "1", "\n"),
		"a long fraction":      fill(value+"1.", "1", "\n"),
		"a long key":           fill("[interface.v0.aliases]\n", "a", " = 1\n"),
		"a long label":         fill("[interface.v0.aliases]\n\"v0:", "a", "\" = 1\n"),
		"a long word":          fill(value, "x", "\n"),
		"a long comment":       fill("#", "<", "\n"),
		"an open text":         fill(value+"'", "x", ""),
		"lines":                fill("", "\n", ""),
		"spaces":               fill("", " ", ""),
	} {
		body, err := json.Marshal(map[string]string{"name": "x.toml", "text": text})
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > 48<<20 { // of what JSON writes as several characters
			body, _ = json.Marshal(map[string]string{"name": "x.toml", "text": text[:len(text)/7]})
		}
		p.refuses(t, name, "/v1/replace", http.MethodPost, body)
	}
	p.refuses(t, "addresses", "/v1/aliases", http.MethodPost, []byte(fill(`{"label":"v0:a","addresses":[`, `"",`, `""]}`)))
	p.refuses(t, "a long name", "/v1/replace", http.MethodPost, []byte(fill(`{"text":"x = 1","name":"`, `1`, `"}`)))
	p.refuses(t, "a long name of a file", "/v1/replace", http.MethodPost, []byte(fill(`{"text":"x = 1","name":"1","files":{"`, `1`, `":"10.0.0.0/33"}}`)))
	p.refuses(t, "a file of mistakes", "/v1/replace", http.MethodPost, []byte(fill(`{"text":"[interface.v0.aliases]\n'v0:a' = '@1'","name":"1","files":{"1":"`, `x\n`, `"}}`)))
	p.refuses(t, "many files", "/v1/replace", http.MethodPost, []byte(fill(`{"text":"x = 1","name":"1","files":{`, `"":"",`, `"":""}}`)))
	p.refuses(t, "a long address", "/v1/aliases", http.MethodPost, []byte(fill(`{"label":"v0:a","addresses":["`, `1`, `"]}`)))
	p.refuses(t, "a long label", "/v1/aliases", http.MethodPost, []byte(fill(`{"label":"`, `1`, `","addresses":[]}`)))
	p.refuses(t, "an unknown member", "/v1/aliases", http.MethodPost, []byte(fill(`{"`, `1`, `":1}`)))
	p.refuses(t, "a deep document", "/v1/aliases", http.MethodPost, []byte(fill(`{"label":`, `[`, ``)))
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	if got, want := p.table(t), "v0:0: 172.16.3.10 v0:1: 172.16.3.100"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
	t.Logf("%d MB at most", p.peak(t)>>20)
}

// refuses sends a body that the daemon has to refuse in few words and without taking more
// memory than it may.
func (p *process) refuses(t *testing.T, name, path, method string, body []byte) {
	t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.socket)
		},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequest(method, "http://ipaliasd"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode < 400 || resp.StatusCode >= 500 || len(answer) > 64<<10 || err != nil {
		t.Errorf("%s: %s, %d bytes: %.200s (%v)", name, resp.Status, len(answer), answer, err)
	}
	if peak := p.peak(t); peak > 12*48<<20 {
		t.Fatalf("%s: %d MB, for a body of %d MB", name, peak>>20, len(body)>>20)
	}
}
