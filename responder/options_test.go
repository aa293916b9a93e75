package responder_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/responder"
)

// option puts bytes and addresses, written as strings, behind one another.
func option(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case string:
			b = append(b, addr(p).AsSlice()...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// stamp is a timestamp of noon.
var stamp = []byte{noonMs >> 24, noonMs >> 16 & 255, noonMs >> 8 & 255, noonMs & 255}

const (
	nop         = 1
	recordRoute = 7
	timestamp   = 68
	empty       = "0.0.0.0"
	ourAlias    = "172.16.3.10"
	elsewhere   = "10.1.2.3"
)

// TestOptionsEchoed: what an echo reply carries for what the request carried.
func TestOptionsEchoed(t *testing.T) {
	for _, c := range []struct {
		name      string
		ask, want []byte
	}{
		{"none that comes back", option(nop, 148, 4, 0, 0, 130, 4, 0, 0, nop), nil},
		{"what follows the end", option(nop, 0, recordRoute, 7, 4, empty), nil},
		{
			"record route, in and out",
			option(recordRoute, 11, 4, empty, empty),
			option(recordRoute, 11, 12, ourAlias, ourAlias, 0),
		},
		{
			"record route, behind others",
			option(nop, recordRoute, 15, 8, elsewhere, empty, empty),
			option(recordRoute, 15, 16, elsewhere, ourAlias, ourAlias, 0),
		},
		{
			"record route, room for the way in",
			option(recordRoute, 7, 4, empty),
			option(recordRoute, 7, 8, ourAlias, 0),
		},
		{
			"record route, full",
			option(recordRoute, 7, 8, elsewhere),
			option(recordRoute, 7, 8, elsewhere, 0),
		},
		{
			"timestamps",
			option(timestamp, 12, 5, 0, empty, empty),
			option(timestamp, 12, 13, 0, stamp, stamp),
		},
		{
			"timestamps, one slot",
			option(timestamp, 8, 5, 0, empty),
			option(timestamp, 8, 9, 0, stamp),
		},
		{
			"timestamps, full: the overflow is counted once",
			option(timestamp, 8, 9, 0x20, stamp),
			option(timestamp, 8, 9, 0x30, stamp),
		},
		{
			"timestamps with addresses",
			option(timestamp, 20, 5, 1, empty, empty, empty, empty),
			option(timestamp, 20, 21, 1, ourAlias, stamp, ourAlias, stamp),
		},
		{
			"prescribed address that is ours",
			option(timestamp, 12, 5, 3, ourAlias, empty),
			option(timestamp, 12, 13, 3, ourAlias, stamp),
		},
		{
			"prescribed address of another",
			option(timestamp, 12, 5, 3, elsewhere, empty),
			option(timestamp, 12, 5, 3, elsewhere, empty),
		},
		{
			"the route comes first, whatever the order",
			option(timestamp, 8, 5, 0, empty, recordRoute, 7, 4, empty),
			option(recordRoute, 7, 8, ourAlias, timestamp, 8, 9, 0, stamp, 0),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			frame := ask(framegen.IPv4{Protocol: framegen.ICMP, Options: c.ask, Payload: ping(1, count(9))})
			v, answers := put(t, newResponder(t), noon, frame, 0)
			if v != responder.EchoAnswered {
				t.Fatalf("verdict %v", v)
			}
			checkAnswers(t, answers, [][]byte{answer(framegen.IPv4{Protocol: framegen.ICMP, Options: c.want, Payload: pong(1, count(9))})})
		})
	}
}

// TestOptionsRefused: what is malformed gets a Parameter Problem that points at
// the offending byte, counted from the first of the header.
func TestOptionsRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []byte
		pointer int
	}{
		{"length zero", option(recordRoute, 0, 4, 0), 20},
		{"length one", option(nop, 200, 1, 0), 21},
		{"length beyond the header", option(200, 5, 0, 0), 20},
		{"no length at all", option(nop, nop, nop, 200), 23},
		{"route: no pointer", option(recordRoute, 2, nop, nop), 21},
		{"route: pointer below 4", option(recordRoute, 7, 3, empty, 0), 22},
		{"route: less than a slot left", option(recordRoute, 7, 5, empty, 0), 22},
		{"route: twice", option(recordRoute, 7, 8, empty, recordRoute, 7, 8, empty, nop, nop), 27},
		{"timestamp: no flags", option(timestamp, 3, 5, nop), 21},
		{"timestamp: pointer below 5", option(timestamp, 8, 4, 0, empty), 22},
		{"timestamp: less than a slot left", option(timestamp, 8, 6, 0, empty), 22},
		{"timestamp: no room for an address", option(timestamp, 8, 5, 1, empty), 22},
		{"timestamp: overflow overflows", option(timestamp, 8, 9, 0xf0, empty), 23},
		{"timestamp: twice", option(timestamp, 4, 5, 0, timestamp, 4, 5, 0), 24},
		{"source route: no pointer", option(131, 2, nop, nop), 21},
		{"source route: pointer below 4", option(131, 3, 3, nop), 22},
		{"source route: twice", option(131, 3, 4, 137, 3, 4, nop, nop), 23},
		{"router alert: short", option(148, 2, nop, nop), 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			frame := ask(framegen.IPv4{Protocol: framegen.ICMP, Options: c.options, Payload: ping(1, nil)})
			v, answers := put(t, newResponder(t), noon, frame, 0)
			if v != responder.IPOptionRefused || len(answers) != 1 {
				t.Fatalf("verdict %v, %d answers", v, len(answers))
			}
			ip := answers[0][14:]
			icmp := ip[int(ip[0]&15)*4:]
			if icmp[0] != 12 || icmp[1] != 0 || int(icmp[4]) != c.pointer {
				t.Errorf("type %d code %d pointer %d, want 12 0 %d", icmp[0], icmp[1], icmp[4], c.pointer)
			}
			if headerSum(icmp) != 0xffff {
				t.Error("the ICMP checksum is wrong")
			}
		})
	}
}

// TestOptionsInPieces: options without the copied flag are in the first piece of
// an answer alone; in the others no-operation holds their place (RFC 791 3.1).
func TestOptionsInPieces(t *testing.T) {
	want := option(recordRoute, 11, 12, ourAlias, ourAlias, 0)
	r := newResponder(t)
	pieces := framegen.IPv4{
		ID:       77,
		Protocol: framegen.ICMP,
		Options:  option(recordRoute, 11, 4, empty, empty),
		Payload:  ping(1, count(4000)),
	}.Cut(1464, 2928)
	// RFC 791: only the first piece of the request carries what is not to be copied.
	pieces[1].Options, pieces[2].Options = nil, nil
	v, answers := putAll(t, r, noon, [][]byte{ask(pieces[0]), ask(pieces[1]), ask(pieces[2])})
	if v != responder.EchoAnswered {
		t.Fatalf("verdict %v", v)
	}
	if !bytes.Equal(rejoin(t, answers, 1500), pong(1, count(4000))) {
		t.Error("another payload came back")
	}
	for i, a := range answers {
		have := a[34 : 14+int(a[14]&15)*4]
		if i == 0 && !bytes.Equal(have, want) {
			t.Errorf("the first piece carries %x, want %x", have, want)
		}
		if i > 0 && len(bytes.Trim(have, "\x00\x01")) > 0 {
			t.Errorf("piece %d carries %x", i, have)
		}
	}
}

// TestOptionsTakeRoom: an error stays within 576 bytes whatever it carries.
func TestOptionsTakeRoom(t *testing.T) {
	for _, options := range [][]byte{
		nil,
		option(recordRoute, 11, 4, empty, empty),
		option(recordRoute, 39, 4, make([]byte, 36)),
	} {
		t.Run(fmt.Sprint(len(options)), func(t *testing.T) {
			frame := ask(framegen.IPv4{Protocol: 200, Options: options, Payload: count(1000)})
			v, answers := put(t, newResponder(t), noon, frame, 0)
			if v != responder.ProtocolRefused || len(answers) != 1 || len(answers[0]) != 14+576 {
				t.Errorf("%v, an answer of %d bytes, want %d", v, len(answers[0]), 14+576)
			}
			if got, want := int(answers[0][14]&15)*4, 20+(len(options)+3)/4*4; got != want {
				t.Errorf("a header of %d bytes, want %d", got, want)
			}
		})
	}
}
