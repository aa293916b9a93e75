package responder_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/kernelref"
	"github.com/ipalias/ipalias/responder"
)

// Modes of FuzzHandle, a bit each.
const (
	modeRouted = 1 << iota
	modeLimited
	modeSmallMTU
	modeDrop
	modeRightSums // checksums are made right first, or few mutations would come past them
	modes
)

// A fuzzed responder is used for many inputs, an hour apart: making one takes longer
// than a thousand frames, and after an hour no fragment, token or neighbour is left.
type fuzzed struct {
	r      *responder.Responder
	mode   uint8
	mtu    int
	now    int64
	frames uint64 // put so far
}

func newFuzzed(t testing.TB, mode uint8) *fuzzed {
	f := &fuzzed{r: responder.New(responder.Config{Workers: 1}), mode: mode, mtu: 1500, now: noon}
	if mode&modeSmallMTU != 0 {
		f.mtu = 68
	}
	var all []responder.Interface
	for n, name := range []string{"v0", "v0.100", "v0.100.200"} {
		i := lab()
		i.Name, i.Tags, i.MTU = name, []uint16{100, 200}[:n], f.mtu
		if mode&modeRouted != 0 {
			i.Reply = responder.Routed
		}
		if mode&modeLimited != 0 {
			i.Limits = responder.DefaultLimits
		}
		if mode&modeDrop != 0 {
			i.Closed = responder.Drop
		}
		all = append(all, i)
	}
	if _, err := f.r.Publish(all); err != nil {
		t.Fatal(err)
	}
	return f
}

// FuzzHandle puts two frames, then lets every timer run out. Whatever the frames
// hold: no panic, nothing written beside them, one verdict each, and answers that
// harm nobody.
func FuzzHandle(f *testing.F) {
	for _, c := range kernelref.Recorded() {
		first, last := c.In[0], []byte(nil)
		if n := len(c.In); n > 1 {
			last = c.In[n-1]
		}
		f.Add(first, last, uint8(0), uint8(0))
		f.Add(first, last, uint8(0), uint8(modeRouted|modeSmallMTU|modeRightSums))
	}
	for _, c := range verdictCases() {
		f.Add(c.frame, tagged(whoHas(alias), tag{stag, 100}), c.flags, uint8(modeLimited|modeDrop))
	}
	var all [modes]*fuzzed
	f.Fuzz(func(t *testing.T, one, two []byte, flags, mode uint8) {
		if len(one)+len(two) > 1<<17 {
			return
		}
		mode %= modes
		if all[mode] == nil {
			all[mode] = newFuzzed(t, mode)
		}
		if mode&modeRightSums != 0 {
			one, two = fixed(one), fixed(two)
		}
		all[mode].put(t, [][]byte{one, two}, flags)
	})
}

func (f *fuzzed) put(t *testing.T, frames [][]byte, flags uint8) {
	for _, frame := range frames {
		v, answers := put(t, f.r, f.now, frame, flags&responder.ChecksumNotReady)
		f.frames++
		if int(v) >= responder.NumVerdicts {
			t.Fatalf("verdict %d", v)
		}
		for _, a := range answers {
			f.checkHarmless(t, a)
		}
		if f.mode&modeRouted != 0 {
			continue // answers wait for ARP, and ARP releases them
		}
		if v.Answered() != (len(answers) > 0) {
			t.Errorf("verdict %v with %d answers", v, len(answers))
		}
		if len(answers) > 0 && !forAlias(frame) {
			t.Errorf("verdict %v, but the frame is for no alias", v)
		}
	}
	f.now += 3600 * second
	answers, wake := tick(f.r, f.now)
	for _, a := range answers {
		f.checkHarmless(t, a)
	}
	if wake != 0 && wake < f.now {
		t.Errorf("wake is %d ns ago", f.now-wake)
	}
	var counted uint64
	for _, name := range []string{"", "v0", "v0.100", "v0.100.200"} {
		for _, n := range f.r.VerdictCounts(name) {
			counted += n
		}
	}
	if counted != f.frames {
		t.Errorf("%d verdicts counted for %d frames", counted, f.frames)
	}
}

// forAlias finds the target of an ARP or IPv4 frame behind any tags.
func forAlias(frame []byte) bool {
	at := network(frame)
	target := at + 16
	if len(frame) >= at && be16(frame[at-2:]) == framegen.TypeARP {
		target = at + 24
	}
	return len(frame) >= target+4 && isAlias(frame[target:])
}

func isAlias(b []byte) bool {
	for _, alias := range lab().Aliases {
		if alias.Ranges.At(0).Contains(netip.AddrFrom4([4]byte(b))) {
			return true
		}
	}
	return false
}

// checkHarmless: an answer comes from us, goes to one host, fits the wire and is
// right in itself.
func (f *fuzzed) checkHarmless(t *testing.T, a []byte) {
	t.Helper()
	at := network(a)
	if at > 14+2*4 || len(a) > at+f.mtu {
		t.Fatalf("an answer of %d bytes behind a header of %d, MTU %d", len(a), at, f.mtu)
	}
	if !bytes.Equal(a[6:12], ourMAC[:]) {
		t.Errorf("it comes from %x", a[6:12])
	}
	question := be16(a[at-2:]) == framegen.TypeARP && be16(a[at+6:]) == 1
	toAll := bytes.Equal(a[:6], framegen.Broadcast[:])
	if question && f.mode&modeRouted == 0 {
		t.Error("an ARP request of our own where none is needed")
	}
	if a[0]&1 != 0 && !(question && toAll) || bytes.Equal(a[:6], nobody[:]) || bytes.Equal(a[:6], ourMAC[:]) {
		t.Errorf("it goes to %x", a[:6])
	}
	switch ip := a[at:]; be16(a[at-2:]) {
	case framegen.TypeARP:
		if len(ip) != 28 || !isAlias(ip[14:]) || !bytes.Equal(ip[8:14], ourMAC[:]) {
			t.Errorf("an ARP answer %x", ip)
		}
	case framegen.TypeIPv4:
		checkDatagram(t, ip)
	default:
		t.Errorf("an answer of type %04x", be16(a[at-2:]))
	}
}

// checkDatagram: lengths, checksums, from an alias, to somebody.
func checkDatagram(t *testing.T, ip []byte) {
	t.Helper()
	hl := int(ip[0]&15) * 4
	if ip[0]>>4 != 4 || hl < 20 || hl > len(ip) || int(be16(ip[2:])) != len(ip) || ip[8] != 64 || headerSum(ip[:hl]) != 0xffff {
		t.Fatalf("a bad header %x", ip[:min(60, len(ip))])
	}
	if !isAlias(ip[12:]) || isAlias(ip[16:]) {
		t.Errorf("from %v to %v", ip[12:16], ip[16:20])
	}
	if dst := netip.AddrFrom4([4]byte(ip[16:])); dst.IsMulticast() || dst.IsUnspecified() || dst.IsLoopback() || be32(ip[16:]) == 0xffffffff || dst == addr("172.16.3.255") {
		t.Errorf("to %v", dst)
	}
	if be16(ip[6:])&0x3fff != 0 {
		return // a piece
	}
	m := ip[hl:]
	switch ip[9] {
	case framegen.ICMP:
		if len(m) < 8 || headerSum(m) != 0xffff {
			t.Errorf("a bad ICMP message %x", m)
		}
	case framegen.TCP:
		pseudo := append(bytes.Clone(ip[12:20]), 0, framegen.TCP, 0, byte(len(m)))
		if len(m) != 20 || headerSum(append(pseudo, m...)) != 0xffff || m[13]&4 == 0 {
			t.Errorf("a bad reset %x", m)
		}
	default:
		t.Errorf("protocol %d", ip[9])
	}
}
