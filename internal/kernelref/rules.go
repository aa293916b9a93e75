package kernelref

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// The list of what may differ, a function each.

// forbidden gives the reason why an answer must not be sent at all, whatever
// the kernel does; "" if there is none.
// It comes before the comparison: a kernel that does one of these is no excuse. Most would make
// an amplifier of the host, with its answers going to many or to somebody who did not ask.
func forbidden(answer []byte, r Rules) string {
	if len(answer) < etherLen {
		return "it is no Ethernet frame"
	}
	if badMAC(answer[:6], r) && !answersDAD(answer) {
		return "it goes to a broadcast, multicast, zero or our own MAC"
	}
	if !bytes.Equal(answer[6:12], r.MAC[:]) {
		return "it does not come from our MAC"
	}
	d, ok := ipv4(answer)
	if !ok {
		return ""
	}
	if subnetBroadcast(d.dst(), r) {
		return "it goes to a subnet broadcast address"
	}
	if !slices.Contains(r.Aliases, d.src()) {
		return "it comes from an address that is no alias"
	}
	return ""
}

// badMAC: "no answer ever goes to a broadcast, multicast or zero MAC, to our own MAC".
func badMAC(mac []byte, r Rules) bool {
	return mac[0]&1 != 0 || bytes.Equal(mac, make([]byte, 6)) || bytes.Equal(mac, r.MAC[:])
}

// answersDAD: "an advertisement to ff02::1 that answers a DAD probe is the one exception".
// Who asks from :: has no address yet to be answered at: RFC 4861 7.2.4.
func answersDAD(answer []byte) bool {
	const headers = etherLen + 40
	return len(answer) > headers && be16(answer[12:]) == 0x86dd &&
		bytes.Equal(answer[:6], []byte{0x33, 0x33, 0, 0, 0, 1}) &&
		answer[etherLen+6] == 58 && answer[headers] == 136 &&
		netip.AddrFrom16([16]byte(answer[etherLen+24:headers])) == netip.IPv6LinkLocalAllNodes()
}

// subnetBroadcast: "no answer ever goes [...] to a subnet broadcast". An ARP
// answer for one that asks goes to a host all the same: its MAC decides.
func subnetBroadcast(a netip.Addr, r Rules) bool {
	for _, p := range r.Networks {
		// A /31 has no broadcast address (RFC 3021), a /32 no room for one.
		if p.Contains(a) && p.Bits() < 31 && lastOf(p) == a {
			return true
		}
	}
	return false
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// Excused tells that an answer of the kernel to the frames in must not be ours.
// Our silence is right then, and an answer of ours one too many.
func Excused(kernel []byte, in [][]byte, r Rules) bool {
	if len(kernel) < etherLen || badMAC(kernel[:6], r) && !answersDAD(kernel) {
		return true
	}
	d, ok := ipv4(kernel)
	if !ok {
		return false
	}
	// With routed replies the MAC that asked is no matter: a route leads back.
	return subnetBroadcast(d.dst(), r) || foreign(d, r) || !r.Routed && onlyFromBadMACs(d, in, r)
}

// foreign: "an IPv4 datagram whose destination is no alias gets no answer at
// all, not even the Parameter Problem that Linux sends from its main address".
// The quotation is asked first: about a datagram that is for somebody else the kernel speaks
// from an address of its own (__icmp_send), which may be an alias.
func foreign(answer datagram, r Rules) bool {
	if q, ok := answer.quote(); ok && !slices.Contains(r.Aliases, q.dst()) {
		return true
	}
	return !slices.Contains(r.Aliases, answer.src())
}

// onlyFromBadMACs: an answer that is reflected to where its request came from
// may find that this is no place to send to.
func onlyFromBadMACs(answer datagram, in [][]byte, r Rules) bool {
	sources := askedFrom(answer, in)
	for _, mac := range sources {
		if !badMAC(mac, r) {
			return false
		}
	}
	return len(sources) > 0
}

// alsoFromBadMAC: which of several frames an answer is to can't always be told
// from outside. If one of them came from no place to send to, it may be that one.
func alsoFromBadMAC(answer datagram, in [][]byte, r Rules) bool {
	return slices.ContainsFunc(askedFrom(answer, in), func(mac []byte) bool { return badMAC(mac, r) })
}

// askedFrom gives the Ethernet sources of the frames that may have caused an
// answer. An error tells what it is about; it does not always go to who sent that
// (a source route is followed back).
func askedFrom(answer datagram, in [][]byte) (macs [][]byte) {
	src, dst := answer.dst(), answer.src()
	if q, ok := answer.quote(); ok {
		src, dst = q.src(), q.dst()
	}
	for _, f := range in {
		if q, ok := ipv4(f); ok && q.src() == src && q.dst() == dst {
			macs = append(macs, f[6:12])
		}
	}
	return macs
}

// wayBack: "in reply = reflect mode an IP answer goes to the MAC that the frame
// came from, where the kernel asks its routes and neighbours".
func wayBack(ours datagram, mac []byte, in [][]byte) bool {
	return slices.ContainsFunc(askedFrom(ours, in), func(m []byte) bool { return bytes.Equal(m, mac) })
}

// expired: "Time Exceeded for a datagram that never became whole comes after
// 30 s and is right", where the recording had ended.
func expired(answer []byte, in [][]byte) bool {
	d, ok := ipv4(answer)
	if !ok {
		return false
	}
	m, ok := d.icmp()
	if !ok || m[0] != icmpTimeExceeded || m[1] != 1 {
		return false
	}
	q, ok := d.quote()
	// It must be about a datagram of which a piece came, and not the last.
	return ok && slices.ContainsFunc(in, func(f []byte) bool {
		p, ok := ipv4(f)
		return ok && p.mf() && p.id() == q.id() && p.src() == q.src() && p.dst() == q.dst()
	})
}

// zeroEcho: "an echo request whose code, identifier, sequence and payload are
// all zero: Linux answers with checksum 0x0000, which is wrong; 0xffff is right".
// Of every other message the comparison tells 0x0000 and 0xffff apart.
func zeroEcho(kernel, ours datagram) bool {
	k, ok := kernel.icmp()
	o, ok2 := ours.icmp()
	return ok && ok2 && be16(k[2:]) == 0 && be16(o[2:]) == 0xffff &&
		allZero(k[:2]) && allZero(k[4:]) && allZero(o[:2]) && allZero(o[4:])
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

const (
	day       = 24 * 60 * 60 * 1000 // in milliseconds
	tolerance = 10 * 1000           // between the kernel's answer and ours
)

// timeOfDay: "clocks [...], which must be right but can't be equal": milliseconds
// since midnight UTC (RFC 792), near now, if that is known.
func timeOfDay(ms uint32, now time.Time) bool {
	if ms >= day {
		return false
	}
	if now.IsZero() {
		return true
	}
	// On a circle: shortly after midnight the kernel's may be of the day before.
	apart := (int64(ms) - now.UnixMilli()) % day
	if apart < 0 {
		apart += day
	}
	return apart <= tolerance || apart >= day-tolerance
}

// sameIDs holds a sequence of answers to "the pieces of one answer share one
// [identification], two answers in flight to one peer do not". It gives the
// place of the first that breaks this, or -1.
func sameIDs(answers [][]byte) int {
	type key struct {
		src, dst netip.Addr
		proto    byte
		id       uint16
	}
	// RFC 6864 4.1: only datagrams that are cut need identifications that differ.
	used := map[key]bool{}
	var open key // the answer whose pieces are being read
	inside := false
	for i, f := range answers {
		d, ok := ipv4(f)
		if !ok || !d.piece() {
			if inside {
				return i
			}
			continue
		}
		k := key{d.src(), d.dst(), d.b[9], d.id()}
		first := d.offset() == 0
		if first == inside || first && used[k] || !first && k != open {
			return i
		}
		used[k] = true
		open, inside = k, d.mf()
	}
	return -1
}
