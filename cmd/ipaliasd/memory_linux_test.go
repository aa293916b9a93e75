package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/netlab"
)

// A million scattered single addresses take under 26 bytes each beyond what three take, in
// whatever order the file has them, and after it was read again. What loading took beside
// is given back soon.
func TestMemoryOfAMillion(t *testing.T) {
	const (
		size = 1 << 20
		most = 26 // bytes
	)
	netlab.Need(t)
	host, _ := netlab.Pair(t)
	dir := t.TempDir()
	config, file := filepath.Join(dir, "ipalias.toml"), filepath.Join(dir, "addresses.txt")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config, "[interface.v0.aliases]\n\"v0:0\" = [\"172.16.3.10\", \"172.16.3.100\", \"172.16.3.199\"]\n")
	p := ipaliasd(t, host, "-c", config)
	small := resident(t, p)
	p.interrupt(t)

	var list bytes.Buffer
	for _, n := range rand.New(rand.NewPCG(1, 2)).Perm(size) {
		a := 11<<24 + n*37 // none is another's neighbour
		fmt.Fprintf(&list, "%d.%d.%d.%d\n", a>>24, a>>16&255, a>>8&255, a&255)
	}
	write(file, list.String())
	write(config, "[interface.v0.aliases]\n\"v0:0\" = \"@addresses.txt\"\n")
	p = ipaliasd(t, host, "-c", config)
	settled := func(when string) {
		t.Helper()
		each := func() int { return (resident(t, p) - small) / size }
		for begin := time.Now(); each() >= most; time.Sleep(50 * time.Millisecond) {
			if time.Since(begin) > patience {
				t.Fatalf("%s: %d bytes an address after %v, want under %d", when, each(), patience, most)
			}
		}
	}
	settled("after the start")
	for times := range 2 {
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.wait(t, p.stderr, "what=reload", times+1)
		settled("after a reload")
	}
}

// Memory is given back whenever a configuration was read, also where it was refused or only
// compared: the runtime tells of each collection that somebody asked for.
func TestMemoryIsGivenBack(t *testing.T) {
	netlab.Need(t)
	host, _ := netlab.Pair(t)
	t.Setenv("GODEBUG", "gctrace=1")
	config := file(t, howto)
	p := ipaliasd(t, host, "-c", config)
	given := 0
	after := func(what string) {
		t.Helper()
		given++
		t.Log(what)
		p.wait(t, p.stderr, "(forced)", given)
	}
	after("the start")
	if _, err := p.client().Diff(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	after("a comparison")
	if _, err := p.client().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	after("a reload")
	if err := os.WriteFile(config, []byte("no TOML"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.client().Reload(t.Context()); err == nil {
		t.Fatal("the reload was not refused")
	}
	after("a reload that was refused")
}

// resident is the anonymous and shared memory of a process in bytes: rings, which are mapped
// from the kernel, are not among it.
func resident(t *testing.T, p *process) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum, fields := 0, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kilobytes int
		key, value, _ := strings.Cut(lines.Text(), ":")
		if key != "RssAnon" && key != "RssShmem" {
			continue
		}
		if _, err := fmt.Sscan(value, &kilobytes); err != nil {
			t.Fatal(err)
		}
		sum, fields = sum+kilobytes<<10, fields+1
	}
	if fields != 2 {
		t.Fatalf("%d of RssAnon and RssShmem in %s", fields, f.Name())
	}
	return sum
}
