package kernelref

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// Frames are written a header a line; h drops the spaces.
func h(lines ...string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(lines, ""), " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// with gives a copy of a frame with bytes changed from a place on.
func with(f []byte, at int, bytes ...byte) []byte {
	c := append([]byte(nil), f...)
	copy(c[at:], bytes)
	return c
}

// fixed makes the checksums of the IPv4 header and the ICMP message of a copy right.
func fixed(f []byte) []byte {
	c := append([]byte(nil), f...)
	d, ok := ipv4(c)
	if !ok {
		panic("no IPv4")
	}
	for _, s := range []struct {
		b  []byte
		at int
	}{{d.b[:d.hl], 10}, {d.payload(), 2}} {
		s.b[s.at], s.b[s.at+1] = 0, 0
		var sum uint32
		for i := 0; i < len(s.b); i++ {
			sum += uint32(s.b[i]) << (8 * (1 - i%2))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		binary.BigEndian.PutUint16(s.b[s.at:], ^uint16(sum))
		if d.b[9] != protoICMP {
			break
		}
	}
	return c
}

var (
	request = fixed(h(
		"020000000301 0200000003c8 0800",
		"45 00 0024 04d2 0000 40 01 0000 ac1003c8 ac10030a",
		"08 00 0000 0001 0001 0102030405060708"))
	reply = fixed(h(
		"0200000003c8 020000000301 0800",
		"45 00 0024 1111 0000 40 01 0000 ac10030a ac1003c8",
		"00 00 0000 0001 0001 0102030405060708"))
	arpRequest = h(
		"ffffffffffff 0200000003c8 0806",
		"0001 0800 06 04 0001 0200000003c8 ac1003c8 000000000000 ac10030a")
	arpReply = h(
		"0200000003c8 020000000301 0806",
		"0001 0800 06 04 0002 020000000301 ac10030a 0200000003c8 ac1003c8")
	zeroRequest = fixed(h(
		"020000000301 0200000003c8 0800",
		"45 00 001e 04d2 0000 40 01 0000 ac1003c8 ac10030a",
		"08 00 0000 0000 0000 0000"))
	zeroReply = fixed(h(
		"0200000003c8 020000000301 0800",
		"45 00 001e 1111 0000 40 01 0000 ac10030a ac1003c8",
		"00 00 0000 0000 0000 0000"))
	clockReply = fixed(h(
		"0200000003c8 020000000301 0800",
		"45 00 0028 1111 0000 40 01 0000 ac10030a ac1003c8",
		"0e 00 0000 0001 0001 00003039 01020304 01020304"))
	slotReply = fixed(h( // timestamp option, one slot used in the request, one by us, one free
		"0200000003c8 020000000301 0800",
		"49 00 0034 1111 0000 40 01 0000 ac10030a ac1003c8",
		"44 10 0d 00 00aabbcc 01020304 00000000",
		"00 00 0000 0001 0001 0102030405060708"))
	reset = fixed(h( // TCP RST: DF, identification 0
		"0200000003c8 020000000301 0800",
		"45 00 0028 0000 4000 40 06 0000 ac10030a ac1003c8",
		"1388 0fa0 00000000 00000065 5014 0000 2d51 0000"))
	refused = fixed(h( // Port Unreachable that quotes a UDP datagram to .10
		"0200000003c8 020000000301 0800",
		"45 c0 0038 1111 0000 40 01 0000 ac10030a ac1003c8",
		"03 03 0000 00000000",
		"45 00 001c 04d2 0000 40 11 1bde ac1003c8 ac10030a",
		"0035 0035 0008 a081"))
	tooLate = fixed(h( // Time Exceeded, fragment reassembly, about the piece below
		"0200000003c8 020000000301 0800",
		"45 c0 0038 1111 0000 40 01 0000 ac10030a ac1003c8",
		"0b 01 0000 00000000",
		"45 00 001c 0777 2000 40 11 1bde ac1003c8 ac10030a",
		"0035 0035 0008 a081"))
	piece = fixed(h(
		"020000000301 0200000003c8 0800",
		"45 00 001c 0777 2000 40 11 0000 ac1003c8 ac10030a",
		"0035 0035 0008 a081"))
)

const (
	etherSrc = 6
	ipTOS    = etherLen + 1
	ipID     = etherLen + 4
	ipTTL    = etherLen + 8
	ipSum    = etherLen + 10
	ipSrc    = etherLen + 12
	ipDst    = etherLen + 16
	icmpSum  = etherLen + ipv4Len + 2
	icmpData = etherLen + ipv4Len + icmpLen
)

func TestCompare(t *testing.T) {
	noon := time.Date(2026, 1, 1, 4, 42, 0, 0, time.UTC) // 0x01022cc0 ms since midnight
	now := []byte{0x01, 0x02, 0x2c, 0xc0}
	soon := []byte{0x01, 0x02, 0x2c, 0xff}
	live := Lab()
	live.Now, live.Live = noon, true
	timed := Lab()
	timed.Now = noon
	routed := Lab()
	routed.Routed = true
	noMain := Lab()
	noMain.Aliases = noMain.Aliases[1:]
	one := func(f ...[]byte) [][]byte { return f }
	maskOf := func(f []byte, at ...int) []byte {
		m := make([]byte, len(f))
		for _, i := range at {
			m[i] = 0xff
		}
		return m
	}
	otherMAC := []byte{2, 0, 0, 0, 3, 0xc9}
	fromOther := with(request, etherSrc, otherMAC...)
	pieceOne := fixedHeader(with(reply, etherLen+6, 0x20, 0)) // 16 bytes, more to come
	pieceTwo := fixedHeader(with(reply, etherLen+6, 0, 2))

	for _, tc := range []struct {
		name             string
		kernel, ours, in [][]byte
		mask             []byte
		rules            Rules
		ok               bool
	}{
		{"the same", one(reply), one(reply), one(request), nil, Lab(), true},
		{"both silent", nil, nil, one(request), nil, Lab(), true},
		{"we are silent", one(reply), nil, one(request), nil, Lab(), false},
		{"the kernel is silent", nil, one(reply), one(request), nil, Lab(), false},
		{"answered twice", one(reply), one(reply, reply), one(request), nil, Lab(), false},
		{"another TTL", one(reply), one(fixed(with(reply, ipTTL, 63))), one(request), nil, Lab(), false},
		{"another TOS", one(reply), one(fixed(with(reply, ipTOS, 1))), one(request), nil, Lab(), false},
		{"another payload", one(reply), one(fixed(with(reply, icmpData, 9))), one(request), nil, Lab(), false},
		{"a byte that varies", one(reply), one(fixed(with(reply, ipTTL, 63))), one(request), maskOf(reply, ipTTL), Lab(), true},
		{"in another order", one(reply, reset), one(reset, reply), one(request, request), nil, Lab(), false},

		{"identification", one(reply), one(fixed(with(reply, ipID, 0x22, 0x22))), one(request), nil, Lab(), true},
		{"identification, checksum left as it was", one(reply), one(with(reply, ipID, 0x22, 0x22)), one(request), nil, Lab(), false},
		{"IP checksum", one(reply), one(with(reply, ipSum, 0, 0)), one(request), nil, Lab(), false},
		{"identification of a datagram not to be cut", one(reset), one(fixed(with(reset, ipID, 0, 1))), one(request), nil, Lab(), false},
		{"ICMP checksum", one(reply), one(with(reply, icmpSum, 0, 0)), one(request), nil, Lab(), false},
		{"pieces share an identification", one(pieceOne, pieceTwo), one(pieceOne, pieceTwo), one(request), nil, Lab(), true},
		{"pieces do not share one", one(pieceOne, pieceTwo), one(pieceOne, fixedHeader(with(pieceTwo, ipID, 9, 9))), one(request), nil, Lab(), false},
		{"two answers share one", one(pieceOne, pieceTwo, pieceOne, pieceTwo), one(pieceOne, pieceTwo, pieceOne, pieceTwo), one(request), nil, Lab(), false},

		{"clock, recorded", one(clockReply), one(fixed(with(clockReply, icmpData+4, 0, 0, 0, 9, 0, 0, 0, 9))), one(request), maskOf(clockReply, icmpData+7, icmpData+11), Lab(), true},
		{"clock near now", one(clockReply), one(fixed(with(clockReply, icmpData+4, append(soon, soon...)...))), one(request), maskOf(clockReply, icmpData+7, icmpData+11), timed, true},
		{"clock far from now", one(clockReply), one(fixed(with(clockReply, icmpData+4, 0, 0, 0, 9, 0, 0, 0, 9))), one(request), maskOf(clockReply, icmpData+7, icmpData+11), timed, false},
		{"clock is no time of day", one(clockReply), one(fixed(with(clockReply, icmpData+4, 0xff))), one(request), maskOf(clockReply, icmpData+4), Lab(), false},
		{"clock, checksum left as it was", one(clockReply), one(with(clockReply, icmpData+7, 9)), one(request), maskOf(clockReply, icmpData+7), Lab(), false},
		{"originate time of another", one(clockReply), one(fixed(with(clockReply, icmpData, 9))), one(request), nil, Lab(), false},
		{"clocks, live", one(fixed(with(clockReply, icmpData+4, now...))), one(fixed(with(clockReply, icmpData+4, soon...))), one(request), nil, live, true},
		{"clock of the kernel is none, live", one(clockReply), one(fixed(with(clockReply, icmpData+4, soon...))), one(request), nil, live, false},
		{"option slot", one(fixed(with(slotReply, etherLen+28, now...))), one(fixed(with(slotReply, etherLen+28, soon...))), one(request), nil, live, true},
		{"option slot of the host before", one(slotReply), one(fixed(with(slotReply, etherLen+24, soon...))), one(request), nil, live, false},
		{"option slot that is free", one(slotReply), one(fixed(with(slotReply, etherLen+32, now...))), one(request), nil, live, false},
		{"option pointer", one(slotReply), one(fixed(with(slotReply, etherLen+22, 0x11))), one(request), nil, live, false},

		{"padded to 60 bytes", one(reply), one(append(bytes.Clone(reply), make([]byte, 10)...)), one(request), nil, Lab(), true},
		{"the kernel's is padded", one(append(bytes.Clone(arpReply), make([]byte, 18)...)), one(arpReply), one(arpRequest), nil, Lab(), true},
		{"padded with what was there before", one(reply), one(append(bytes.Clone(reply), 1, 2, 3)), one(request), nil, Lab(), false},
		{"longer than 60 bytes", one(reply), one(append(bytes.Clone(reply), make([]byte, 40)...)), one(request), nil, Lab(), false},

		{"reflected", one(reply), one(with(reply, 0, otherMAC...)), one(fromOther), nil, Lab(), true},
		{"not reflected", one(reply), one(reply), one(fromOther), nil, Lab(), false},
		{"reflected, but routed", one(reply), one(with(reply, 0, otherMAC...)), one(fromOther), nil, routed, false},
		{"ARP is never reflected", one(arpReply), one(with(arpReply, 0, otherMAC...)), one(with(arpRequest, etherSrc, otherMAC...)), nil, Lab(), false},

		{"to a broadcast MAC", one(with(reply, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), nil, one(request), nil, Lab(), true},
		{"to a broadcast MAC by us", one(with(reply, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), one(with(reply, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), one(request), nil, routed, false},
		{"to a multicast MAC", one(with(arpReply, 0, 1)), one(with(arpReply, 0, 1)), one(arpRequest), nil, Lab(), false},
		{"to our own MAC", one(with(arpReply, 5, 1)), one(with(arpReply, 5, 1)), one(arpRequest), nil, Lab(), false},
		{"to our own MAC, silent", one(with(arpReply, 5, 1)), nil, one(arpRequest), nil, Lab(), true},
		{"to the zero MAC, silent", one(with(arpReply, 0, 0, 0, 0, 0, 0, 0)), nil, one(arpRequest), nil, Lab(), true},
		{"from a zero MAC, silent", one(reply), nil, one(with(request, etherSrc, 0, 0, 0, 0, 0, 0)), nil, Lab(), true},
		{"one of two from a zero MAC, silent", one(reply), nil, one(request, with(request, etherSrc, 0, 0, 0, 0, 0, 0)), nil, Lab(), true},
		{"one of two from a zero MAC, answered once", one(reply, reply), one(reply), one(request, with(request, etherSrc, 0, 0, 0, 0, 0, 0)), nil, Lab(), true},
		{"one of two from a zero MAC, answered wrongly", one(reply), one(fixed(with(reply, ipTTL, 63))), one(request, with(request, etherSrc, 0, 0, 0, 0, 0, 0)), nil, Lab(), false},
		{"from a zero MAC, routed", one(reply), one(reply), one(with(request, etherSrc, 0, 0, 0, 0, 0, 0)), nil, routed, true},
		{"to a subnet broadcast, silent", one(fixed(with(reply, ipDst+3, 255))), nil, one(with(request, ipSrc+3, 255)), nil, Lab(), true},
		{"to a subnet broadcast", one(fixed(with(reply, ipDst+3, 255))), one(fixed(with(reply, ipDst+3, 255))), one(with(request, ipSrc+3, 255)), nil, Lab(), false},
		{"ARP for a subnet broadcast", one(with(arpReply, 41, 255)), one(with(arpReply, 41, 255)), one(arpRequest), nil, Lab(), true},
		{"ARP for a subnet broadcast, silent", one(with(arpReply, 41, 255)), nil, one(arpRequest), nil, Lab(), false},

		{"zero echo", one(with(zeroReply, icmpSum, 0, 0)), one(zeroReply), one(zeroRequest), nil, Lab(), true},
		{"zero echo, as Linux has it", one(with(zeroReply, icmpSum, 0, 0)), one(with(zeroReply, icmpSum, 0, 0)), one(zeroRequest), nil, Lab(), false},
		{"checksum 0 elsewhere", one(with(reply, icmpSum, 0, 0)), one(reply), one(request), nil, Lab(), false},

		{"about a foreign destination, silent", one(fixed(with(refused, icmpData+19, 50))), nil, one(request), nil, Lab(), true},
		{"about a foreign destination", one(fixed(with(refused, icmpData+19, 50))), one(fixed(with(refused, icmpData+19, 50))), one(with(request, ipDst+3, 50)), nil, Lab(), false},
		{"from the main address that is no alias, silent", one(fixed(with(reply, ipSrc+3, 1))), nil, one(request), nil, noMain, true},
		{"from an address that is no alias", one(fixed(with(reply, ipSrc+3, 50))), one(fixed(with(reply, ipSrc+3, 50))), one(with(request, ipDst+3, 50)), nil, Lab(), false},
		{"from a MAC that is not ours", one(with(reply, etherSrc, otherMAC...)), one(with(reply, etherSrc, otherMAC...)), one(request), nil, Lab(), false},
		{"about an alias, sent", one(refused), one(refused), one(piece), nil, Lab(), true},

		{"time exceeded after the recording", nil, one(tooLate), one(piece), nil, Lab(), true},
		{"time exceeded about nothing", nil, one(tooLate), one(request), nil, Lab(), false},
	} {
		var mask [][]byte
		if tc.mask != nil {
			mask = one(tc.mask)
		}
		before := bytes.Join(append(append([][]byte{}, tc.kernel...), tc.ours...), nil)
		diff, ok := Compare(tc.kernel, tc.ours, tc.in, mask, tc.rules)
		if ok != tc.ok {
			t.Errorf("%s: %v, want %v: %s", tc.name, ok, tc.ok, diff)
		}
		if ok != (diff == "") {
			t.Errorf("%s: %v with the difference %q", tc.name, ok, diff)
		}
		if !bytes.Equal(before, bytes.Join(append(append([][]byte{}, tc.kernel...), tc.ours...), nil)) {
			t.Errorf("%s: Compare changed a frame", tc.name)
		}
	}
}

// fixedHeader makes the IPv4 checksum of a piece right: the message's is spread
// over all pieces.
func fixedHeader(f []byte) []byte {
	c := fixed(f)
	copy(c[icmpSum:], f[icmpSum:icmpSum+2])
	return c
}

func TestDAD(t *testing.T) {
	answer := append(h("333300000001 020000000301 86dd 6000000000203aff",
		"20010db8000300000000000000000010 ff020000000000000000000000000001"), make([]byte, 32)...)
	answer[etherLen+40] = 136
	if why := forbidden(answer, Lab()); why != "" {
		t.Errorf("the advertisement that answers a DAD probe: %s", why)
	}
	answer[etherLen+40] = 129
	if forbidden(answer, Lab()) == "" {
		t.Error("an echo reply to ff02::1 is allowed")
	}
}

func TestRecorded(t *testing.T) {
	cases := Recorded()
	if len(cases) != 237 {
		t.Errorf("%d cases, want 237", len(cases))
	}
	silent, answered := 0, 0
	for _, c := range cases {
		rules := Lab()
		rules.Routed = true // as a kernel is
		if diff, ok := Compare(c.Out, c.Out, c.In, c.Mask, rules); !ok && !strings.Contains(c.Group, "6") && c.Group != "nd" && !known[c.Name] {
			t.Errorf("%s: %s: the recording against itself: %s", c.Group, c.Name, diff)
		} else if ok && known[c.Name] {
			t.Errorf("%s: %s: equal, but one of the two breaks a rule", c.Group, c.Name)
		}
		if len(c.Out) == 0 {
			silent++
		} else {
			answered++
		}
	}
	if silent < 80 || answered < 130 {
		t.Errorf("%d silent, %d answered", silent, answered)
	}
	var buf bytes.Buffer
	for _, c := range cases {
		if err := Write(&buf, c); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Read(&buf)
	if err != nil || len(again) != len(cases) {
		t.Errorf("read %d of %d cases that were written: %v", len(again), len(cases), err)
	}
}

// known are the recorded cases in which Linux does what we must not.
var known = map[string]bool{
	"source 172.16.3.255":            true,
	"sender MAC broadcast":           true,
	"sender MAC multicast":           true,
	"sender MAC is our own":          true,
	"Ethernet source is our own MAC": true, // the sender MAC is too
}

func TestSlots(t *testing.T) {
	for _, tc := range []struct {
		option string
		want   []int
	}{
		{"440c05 00 00000000 00000000", nil},
		{"440c09 00 00000000 00000000", []int{4}},
		{"440c0d 00 00000000 00000000", []int{8, 4}},
		{"440c0d 01 ac10030a 00000000", []int{8}},
		{"440c0a 00 00000000 00000000", []int{5}}, // somebody started at a place of their own
		{"440c11 00 00000000 00000000", []int{8, 4}},
		{"440c00 00 00000000 00000000", nil},
	} {
		if got := slots(h(tc.option), 0); !slices.Equal(got, tc.want) {
			t.Errorf("%s: slots at %v, want %v", tc.option, got, tc.want)
		}
	}
}

func TestTimeOfDay(t *testing.T) {
	midnight := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		ms   uint32
		now  time.Time
		want bool
	}{
		{0, midnight, true},
		{day - 1, midnight, true}, // a millisecond before
		{tolerance, midnight, true},
		{tolerance + 1, midnight, false},
		{day, midnight, false},
		{1 << 31, midnight, false}, // not in milliseconds, RFC 792
		{day / 2, time.Time{}, true},
	} {
		if got := timeOfDay(tc.ms, tc.now); got != tc.want {
			t.Errorf("%d at %v: %v", tc.ms, tc.now, got)
		}
	}
}

func TestSubnetBroadcast(t *testing.T) {
	r := Rules{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("10.1.0.0/31"), netip.MustParsePrefix("10.2.0.1/32")}}
	for a, want := range map[string]bool{"10.0.0.3": true, "10.0.0.2": false, "10.0.0.0": false, "10.1.0.1": false, "10.2.0.1": false, "10.9.0.255": false} {
		if got := subnetBroadcast(netip.MustParseAddr(a), r); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}

// A description must not fail on any frame: it is shown when something else has failed.
func FuzzDescribe(f *testing.F) {
	for _, c := range Recorded() {
		for _, frame := range append(c.In, c.Out...) {
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if Describe(frame) == "" || Kind(frame) == "" {
			t.Error("empty")
		}
		for i := range frame {
			FieldName(frame, i)
		}
		Compare([][]byte{frame}, [][]byte{frame}, [][]byte{frame}, nil, Lab())
	})
}
