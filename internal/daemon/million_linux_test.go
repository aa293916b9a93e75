package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
)

// A million is a daemon in a namespace whose table has that many scattered addresses,
// all in one label or some in each of many.
type million struct {
	*Daemon
	dir  string
	load func() (*config.Config, error)
}

func newMillion(b testing.TB, labels int) *million {
	b.Helper()
	netlab.Need(b)
	host, _ := netlab.Pair(b)
	m := &million{dir: b.TempDir()}
	m.load = func() (*config.Config, error) { return config.Load(filepath.Join(m.dir, "ipalias.toml")) }
	m.write(b, labels, 1)
	cfg, err := m.load()
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	// On a thread inside the namespace: what is opened there stays there.
	err = host.Do(func() (err error) {
		m.Daemon, err = New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Out: io.Discard, Load: m.load, State: filepath.Join(m.dir, "state")})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	go func() { ended <- m.Run(ctx) }()
	<-m.Ready()
	b.Cleanup(func() {
		cancel()
		<-ended
		m.Close()
	})
	return m
}

// write writes a configuration with a million addresses; another seed gives others.
func (m *million) write(b testing.TB, labels int, seed uint64) {
	b.Helper()
	const size = 1_000_000
	rng := rand.New(rand.NewPCG(seed, 1))
	var toml, list bytes.Buffer
	toml.WriteString("[interface.v0.aliases]\n\"v0:0\" = \"172.16.3.10\"\n")
	taken := make(map[uint32]bool, size)
	for len(taken) < size {
		a := uint32(11<<24) + rng.Uint32N(4<<24)
		if taken[a] {
			continue
		}
		taken[a] = true
		fmt.Fprintf(&list, "%d.%d.%d.%d\n", a>>24, a>>16&255, a>>8&255, a&255)
		if n := len(taken); n%(size/labels) == 0 {
			name := fmt.Sprintf("list%d", n)
			if labels == 1 {
				fmt.Fprintf(&toml, "\"v0:%s\" = \"@%s\"\n", name, name)
				if err := os.WriteFile(filepath.Join(m.dir, name), list.Bytes(), 0o600); err != nil {
					b.Fatal(err)
				}
			} else { // in the configuration itself
				fmt.Fprintf(&toml, "\"v0:%s\" = [\"%s\"]\n", name, bytes.ReplaceAll(bytes.TrimSpace(list.Bytes()), []byte("\n"), []byte("\", \"")))
			}
			list.Reset()
		}
	}
	if err := os.WriteFile(filepath.Join(m.dir, "ipalias.toml"), toml.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
}

func (m *million) edit(b testing.TB, do, label, address string) {
	b.Helper()
	result, err := m.Edit(context.Background(), control.Peer{}, control.Edit{Do: do, Label: label, Addresses: []string{address}})
	if err != nil || !result.Changed {
		b.Fatalf("%s %s %s: %+v, %v", do, label, address, result, err)
	}
}

// One address is added to a table of a million and taken out again: by the name of what
// holds the million, and where the address goes.
func BenchmarkAddToMillion(b *testing.B) {
	for _, labels := range []int{1, 100_000} {
		m := newMillion(b, labels)
		for _, label := range []string{"v0:new", "v0:0", "v0:list1000000"} {
			b.Run(fmt.Sprintf("labels=%d/to=%s", labels, label), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					m.edit(b, control.Add, label, "172.16.3.77")
					m.edit(b, control.Delete, label, "172.16.3.77")
				}
			})
		}
	}
}

// The configuration is read again, with a million other addresses.
func BenchmarkReloadMillion(b *testing.B) {
	m := newMillion(b, 1)
	seed := uint64(1)
	for b.Loop() {
		b.StopTimer()
		seed++
		m.write(b, 1, seed)
		b.StartTimer()
		if _, err := m.Reload(context.Background(), control.Peer{}); err != nil {
			b.Fatal(err)
		}
	}
}

// A change of one address in a million touches nothing that grows with the million: it
// makes as much garbage as in a table of three.
func TestChangeAmongAMillion(t *testing.T) {
	m := newMillion(t, 1)
	for _, label := range []string{"v0:new", "v0:0", "v0:list1000000"} {
		m.edit(t, control.Add, label, "172.16.3.76") // what is made once is made now
		m.edit(t, control.Delete, label, "172.16.3.76")
		const times = 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			m.edit(t, control.Add, label, "172.16.3.77")
			m.edit(t, control.Delete, label, "172.16.3.77")
		}
		runtime.ReadMemStats(&after)
		if bytes := (after.TotalAlloc - before.TotalAlloc) / (2 * times); bytes > 256<<10 {
			t.Errorf("a change of %s makes %d KB of garbage", label, bytes>>10)
		}
	}
}
