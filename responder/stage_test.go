package responder_test

import (
	"slices"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// TestConflictsInLargeTables: in a table whose targets are looked up in batches, who
// claims an alias is noticed as well when it asks for an address that is no alias, nor
// like one.
func TestConflictsInLargeTables(t *testing.T) {
	i := lab()
	first, last := addr("10.0.0.0"), addr("10.0.63.255")
	i.Aliases = []responder.Alias{{Label: "v0:1", Ranges: responder.RangesOf(responder.Range{First: first, Last: last})}}
	r := responder.New(responder.Config{Workers: 1})
	if _, err := r.Publish([]responder.Interface{i}); err != nil {
		t.Fatal(err)
	}
	w := r.Worker(0)
	request := func(sender, target string) []byte {
		return arp(framegen.Broadcast, framegen.ARP{SenderMAC: peerMAC, Sender: addr(sender), Target: addr(target)})
	}
	frames := [][]byte{
		request("10.9.200.1", "10.0.0.5"),
		request("10.0.0.5", "10.9.200.2"),
		request("10.9.200.1", "10.9.200.2"),
		request("10.9.200.1", "10.0.0.5"),
	}
	w.Handle(noon, frames, nil, nil)
	want := []responder.Verdict{responder.ARPAnswered, responder.ARPConflict, responder.ARPNotAlias, responder.ARPAnswered}
	if got := w.Verdicts(); !slices.Equal(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
}
