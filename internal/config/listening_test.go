package config

import (
	"testing"
	"time"

	"github.com/ipalias/ipalias/capture"
)

// How a card is listened on may stand with any of its interfaces, each key once.
func TestListening(t *testing.T) {
	c := parse(t, `
[interface.eth0]
workers = 4
spin = 0
[interface."eth0.100"]
fanout = "cpu"
ring = 1024
qdisc = true
counters = 7
[interface.eth1]
fanout = "hash"
spin = 80
[interface.eth2]
`)
	for card, want := range map[string]Listening{
		"eth0": {Workers: 4, Fanout: capture.ByCPU, Ring: 1024, Spin: capture.NoSpin, Qdisc: true, Counters: 7},
		"eth1": {Spin: 80 * time.Microsecond},
		"eth2": {},
	} {
		if got := c.Listening(card); got != want {
			t.Errorf("%s: %+v, want %+v", card, got, want)
		}
	}
}
