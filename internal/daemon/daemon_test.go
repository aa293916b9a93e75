package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipalias/ipalias/internal/config"
)

// An interface and the VLANs on it share one card, whatever the order.
func TestGroup(t *testing.T) {
	log, _ := logger()
	cfg := &config.Config{Interfaces: []config.Interface{
		{Name: "eth0.100", Card: "eth0", Tags: []uint16{100}},
		{Name: "eth1", Card: "eth1"},
		{Name: "eth0", Card: "eth0", Wait: true},
	}}
	type grouped struct {
		Card       string
		Interfaces []string
		Wait       bool
	}
	var got []grouped
	for _, c := range group(cfg, Deps{Log: log}) {
		g := grouped{Card: c.name, Wait: c.wait}
		for _, i := range c.table.configured {
			g.Interfaces = append(g.Interfaces, i.Name)
		}
		got = append(got, g)
	}
	want := []grouped{
		{"eth0", []string{"eth0.100", "eth0"}, true},
		{"eth1", []string{"eth1"}, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cards (-want +got):\n%s", diff)
	}
}
