package responder_test

import (
	"bytes"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

const (
	ctag = framegen.TypeVLAN // a customer's tag, IEEE 802.1Q
	stag = framegen.TypeQinQ // a service tag, IEEE 802.1ad
)

// A tag is a VLAN tag: its type, and its control field of priority (3 bits), drop
// eligible (1) and identifier (12).
type tag struct{ typ, control uint16 }

// tagged puts tags on a frame, the outermost first.
func tagged(frame []byte, tags ...tag) []byte {
	for i := len(tags) - 1; i >= 0; i-- {
		frame = framegen.Tag(frame, tags[i].typ, tags[i].control)
	}
	return frame
}

// newTagged answers untagged frames, VLAN 100 and, within it, 200 (QinQ).
func newTagged(t *testing.T) *responder.Responder {
	t.Helper()
	r := responder.New(responder.Config{Workers: 1})
	plain, vlan, qinq := lab(), lab(), lab()
	vlan.Name, vlan.Tags = "v0.100", []uint16{100}
	qinq.Name, qinq.Tags = "v0.100.200", []uint16{100, 200}
	if _, err := r.Publish([]responder.Interface{plain, vlan, qinq}); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestVLANs: a frame belongs to the interface of its tags and is answered with the
// same ones, priority included.
func TestVLANs(t *testing.T) {
	for _, test := range []struct {
		name     string
		in, out  []tag
		iface    string // who counts it
		unwanted bool
	}{
		{name: "none", iface: "v0"},
		{name: "a VLAN", in: []tag{{ctag, 100}}, out: []tag{{ctag, 100}}, iface: "v0.100"},
		{name: "priority and drop eligible", in: []tag{{ctag, 0xf000 | 100}}, out: []tag{{ctag, 0xf000 | 100}}, iface: "v0.100"},
		{name: "a service tag alone", in: []tag{{stag, 100}}, out: []tag{{stag, 100}}, iface: "v0.100"},
		{name: "QinQ", in: []tag{{stag, 0x2000 | 100}, {ctag, 0x6000 | 200}}, out: []tag{{stag, 0x2000 | 100}, {ctag, 0x6000 | 200}}, iface: "v0.100.200"},
		{name: "QinQ of two customer tags", in: []tag{{ctag, 100}, {ctag, 200}}, out: []tag{{ctag, 100}, {ctag, 200}}, iface: "v0.100.200"},
		{name: "priority alone", in: []tag{{ctag, 0xe000}}, iface: "v0"},
		{name: "priority alone, nested", in: []tag{{stag, 0xe000}, {ctag, 0x2000}, {ctag, 0}}, iface: "v0"},
		{name: "priority around a VLAN", in: []tag{{ctag, 0xe000}, {ctag, 100}}, out: []tag{{ctag, 100}}, iface: "v0.100"},
		{name: "priority within a VLAN", in: []tag{{ctag, 100}, {ctag, 0xe000}}, out: []tag{{ctag, 100}}, iface: "v0.100"},
		{name: "another VLAN", in: []tag{{ctag, 101}}, unwanted: true},
		{name: "the reserved one", in: []tag{{ctag, 0xfff}}, unwanted: true},
		{name: "another within", in: []tag{{stag, 100}, {ctag, 201}}, unwanted: true},
		{name: "the inner one alone", in: []tag{{ctag, 200}}, unwanted: true},
		{name: "in the other order", in: []tag{{ctag, 200}, {ctag, 100}}, unwanted: true},
		{name: "three", in: []tag{{stag, 100}, {ctag, 200}, {ctag, 300}}, unwanted: true},
	} {
		for kind, frames := range map[string]struct{ in, out []byte }{
			"ARP": {whoHas(alias), framegen.Ether(peerMAC, ourMAC, framegen.TypeARP, framegen.ARP{
				Operation: 2,
				SenderMAC: ourMAC,
				Sender:    alias,
				TargetMAC: peerMAC,
				Target:    peer,
			}.Bytes())},
			"echo": {
				ask(framegen.IPv4{Protocol: framegen.ICMP, Payload: ping(1, count(5))}),
				answer(framegen.IPv4{Protocol: framegen.ICMP, Payload: pong(1, count(5))}),
			},
			"reset": {ask(segment(framegen.TCPSegment{Flags: 2})), reset(framegen.TCPSegment{Flags: 0x14, Ack: 1})},
		} {
			t.Run(test.name+" "+kind, func(t *testing.T) {
				r := newTagged(t)
				v, answers := put(t, r, noon, tagged(frames.in, test.in...), 0)
				if test.unwanted {
					if v != responder.VLANOther || len(answers) != 0 {
						t.Errorf("verdict %v, %d answers", v, len(answers))
					}
					return
				}
				checkAnswers(t, answers, [][]byte{tagged(frames.out, test.out...)})
				if r.VerdictCounts(test.iface)[v] != 1 {
					t.Errorf("%v is not counted for %s", v, test.iface)
				}
				if tx := r.Total(test.iface).TxBytes; tx != uint64(len(answers[0])) {
					t.Errorf("%d bytes counted as sent for %s, want %d", tx, test.iface, len(answers[0]))
				}
			})
		}
	}
}

// TestVLANExtras: answers that do not lie in the frame carry the tags too.
func TestVLANExtras(t *testing.T) {
	tags := []tag{{stag, 0x2000 | 100}, {ctag, 0x6000 | 200}}
	r := newTagged(t)

	var frames [][]byte
	for _, f := range echoPieces(1, 5000, everyN(1480, 5008)...) {
		frames = append(frames, tagged(f, tags...))
	}
	_, answers := putAll(t, r, noon, frames)
	if !bytes.Equal(rejoin(t, answers, 1500), pong(1, count(5000))) {
		t.Error("another payload came back")
	}

	unreachable := framegen.IPv4{Protocol: 200, Payload: count(20)}
	_, out := put(t, r, noon, tagged(ask(unreachable), tags...), 0)
	answers = append(answers, out...)

	put(t, r, noon, frames[0], 0)
	out, _ = tick(r, noon+30*second)
	answers = append(answers, out...)

	if len(answers) != 4+1+1 {
		t.Fatalf("%d answers", len(answers))
	}
	head := tagged(framegen.Ether(peerMAC, ourMAC, framegen.TypeIPv4, nil), tags...)
	for i, a := range answers {
		if !bytes.HasPrefix(a, head) {
			t.Errorf("answer %d begins with %x, want %x", i, a[:len(head)], head)
		}
	}
}

// TestVLANPublish: two interfaces for the same frames make no sense.
func TestVLANPublish(t *testing.T) {
	r := responder.New(responder.Config{Workers: 1})
	one, two := lab(), lab()
	two.Name = "again"
	if _, err := r.Publish([]responder.Interface{one, two}); err == nil {
		t.Error("two interfaces for untagged frames were taken")
	}
	one.Tags, two.Tags = []uint16{100}, []uint16{100}
	if _, err := r.Publish([]responder.Interface{one, two}); err == nil {
		t.Error("two interfaces for VLAN 100 were taken")
	}
	two.Tags = []uint16{1, 2, 3}
	if _, err := r.Publish([]responder.Interface{one, two}); err == nil {
		t.Error("three tags were taken")
	}
}
