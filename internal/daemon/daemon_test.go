package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/overlay"
)

// An interface and the VLANs on it share one card, whatever the order.
func TestGroup(t *testing.T) {
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
	d := &Daemon{changes: new(overlay.Overlay)}
	wants := d.plan(cfg, nil, nil).wants
	for _, name := range cardNames(cfg) {
		c := card{name: name}
		c.want(wants[name])
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
