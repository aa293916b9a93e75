package announce

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
)

var howto = Target{Addr: netip.MustParseAddr("172.16.3.10"), MAC: [6]byte{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20}}

func with(tags ...uint16) Target {
	t := howto
	t.Tags = tags
	return t
}

// wire makes an announcement as the RFCs draw it, a field a line.
func wire(tags []byte, op, sender, targetMAC []byte) []byte {
	b := slices.Concat(
		[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, // to everybody
		[]byte{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20}, // from us
		tags,
		[]byte{0x08, 0x06}, // ARP
		[]byte{0x00, 0x01}, // hardware: Ethernet
		[]byte{0x08, 0x00}, // protocol: IPv4
		[]byte{6, 4},       // lengths of their addresses
		op,
		[]byte{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20}, // sender MAC
		sender, // IP
		targetMAC,
		[]byte{172, 16, 3, 10}, // target IP
	)
	return append(b, make([]byte, 60+len(tags)-len(b))...) // padding, RFC 894
}

func TestFrames(t *testing.T) {
	request, reply := []byte{0, 1}, []byte{0, 2}
	nobody, us := make([]byte, 6), []byte{0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20}
	for _, tc := range []struct {
		name   string
		target Target
		tags   []byte
	}{
		{"untagged", with(), nil},
		{"802.1Q", with(100), []byte{0x81, 0x00, 0x00, 0x64}},
		{"QinQ", with(100, 200), []byte{0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0xc8}},
	} {
		got, err := Frames(tc.target)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		alias := []byte{172, 16, 3, 10}
		want := [3][]byte{
			wire(tc.tags, request, make([]byte, 4), nobody),
			wire(tc.tags, request, alias, nobody),
			wire(tc.tags, reply, alias, us),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestFramesErrors(t *testing.T) {
	six := howto
	six.Addr = netip.MustParseAddr("2001:db8::1")
	for name, target := range map[string]Target{
		"IPv6":       six,
		"no address": {MAC: howto.MAC},
		"three tags": with(1, 2, 3),
		"tag 4095":   with(4095),
	} {
		if _, err := Frames(target); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// probe is an operation of the tests' own: a request without a sender.
const probe arp.Operation = 0

// A sighting is a frame that was sent, and when after the start.
type sighting struct {
	after time.Duration
	op    arp.Operation
	addr  string
}

// record runs Run on a synthetic clock, for targets, until it ends or until
// deadline, and tells what was sent and how long it took.
func record(t *testing.T, targets []Target, deadline time.Duration) (seen []sighting, took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		start := time.Now()
		err := Run(ctx, new(Pacer), Rounds, slices.Values(targets), func(frame []byte) error {
			var f ethernet.Frame
			var p arp.Packet
			if err := f.UnmarshalBinary(frame); err != nil {
				t.Fatal(err)
			}
			if err := p.UnmarshalBinary(f.Payload); err != nil {
				t.Fatal(err)
			}
			s := sighting{time.Since(start), p.Operation, p.TargetIP.String()}
			if p.SenderIP.IsUnspecified() {
				s.op = probe
			}
			seen = append(seen, s)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		took = time.Since(start)
	})
	return seen, took
}

func TestRun(t *testing.T) {
	second := howto
	second.Addr = netip.MustParseAddr("172.16.3.100")
	seen, took := record(t, []Target{howto, second}, time.Hour)
	want := []sighting{
		{0, probe, "172.16.3.10"},
		{0, arp.OperationRequest, "172.16.3.10"},
		{0, arp.OperationReply, "172.16.3.10"},
		{0, probe, "172.16.3.100"},
		{0, arp.OperationRequest, "172.16.3.100"},
		{0, arp.OperationReply, "172.16.3.100"},
	}
	for _, s := range want {
		if s.op != probe {
			s.after += 2 * time.Second
			want = append(want, s)
		}
	}
	if diff := cmp.Diff(want, seen, cmp.AllowUnexported(sighting{})); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestPace(t *testing.T) {
	var many []Target
	for i := range 2000 {
		target := howto
		target.Addr = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		many = append(many, target)
	}
	seen, _ := record(t, many, time.Hour)
	if want := (1 + 2*Rounds) * len(many); len(seen) != want {
		t.Fatalf("%d frames, want %d", len(seen), want)
	}
	last := map[sighting]time.Duration{}
	for i, s := range seen {
		if i >= 100 && s.after-seen[i-100].after < 100*Pace {
			t.Fatalf("frame %d: 101 frames within %v", i, s.after-seen[i-100].after)
		}
		id := sighting{op: s.op, addr: s.addr}
		if before, again := last[id]; again && s.after-before < Interval {
			t.Fatalf("%s %s announced twice within %v", s.addr, s.op, s.after-before)
		}
		last[id] = s.after
	}
}

// Several who announce at once, and who comes later, share one pace.
func TestPaceIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pace Pacer
		var mu sync.Mutex
		var seen []time.Time
		var running sync.WaitGroup
		for n := range 5 {
			running.Go(func() {
				time.Sleep(time.Duration(n) * 333 * time.Millisecond)
				err := Run(t.Context(), &pace, Rounds, slices.Values(slices.Repeat([]Target{howto}, 100)), func([]byte) error {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, time.Now())
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if len(seen) != 5*100*(1+2*Rounds) {
			t.Fatalf("%d frames", len(seen))
		}
		for i, at := range seen {
			if i >= 100 && at.Sub(seen[i-100]) < 100*Pace-Bunch*Pace {
				t.Fatalf("frame %d: 101 frames within %v", i, at.Sub(seen[i-100]))
			}
		}
	})
}

func TestRunEndsWithContext(t *testing.T) {
	for _, deadline := range []time.Duration{15 * time.Millisecond, time.Second} { // between frames, between rounds
		seen, took := record(t, []Target{howto}, deadline)
		if took != deadline {
			t.Errorf("ended after %v, want %v", took, deadline)
		}
		if len(seen) == 0 || len(seen) > 3 {
			t.Errorf("%d frames within %v", len(seen), deadline)
		}
	}
}

func TestRunWithoutTargets(t *testing.T) {
	if _, took := record(t, nil, time.Hour); took > Interval {
		t.Errorf("took %v", took)
	}
}

func TestRunTellsOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := howto
		other.MAC[5]++
		calls := 0
		err := Run(t.Context(), new(Pacer), Rounds, slices.Values([]Target{howto, other}), func(frame []byte) error {
			calls++
			if frame[11] == howto.MAC[5] {
				return net.ErrClosed
			}
			return nil
		})
		if calls != 10 || !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "5 of 10") {
			t.Errorf("%d calls, error %v; want 10 calls of which 5 failed with %v", calls, err, net.ErrClosed)
		}
	})
}
