package kernelref

import (
	"bytes"
	"fmt"
)

// Compare decides whether ours is what the kernel answered to the frames in, by
// the rules. mask may be nil: nothing is known to vary. All frames are whole
// Ethernet frames and are not changed. If ok is false, diff says what is
// different, over several lines.
// Answers are matched in the order in which they were sent; theirs is a part of what is claimed.
func Compare(kernel, ours, in, mask [][]byte, r Rules) (diff string, ok bool) {
	for i, o := range ours {
		if why := forbidden(o, r); why != "" {
			return fmt.Sprintf("our answer %d must not be sent: %s\n%s", i+1, why, Describe(o)), false
		}
	}
	want := expected(kernel, mask, in, r)
	ours = inTime(ours, want, in)
	n := 0 // of ours, matched so far
	for i, w := range want {
		var diff string
		if n < len(ours) {
			if diff, ok = compareOne(w.frame, ours[n], w.mask, in, r); ok {
				n++
				continue
			}
		}
		switch {
		case w.optional:
			continue
		case n == len(ours):
			return fmt.Sprintf("we are silent, the kernel sends answer %d of %d\nkernel: %s", i+1, len(want), Describe(w.frame)), false
		}
		return fmt.Sprintf("answer %d of %d: %s\nkernel: %s\nours:   %s", i+1, len(want), diff, Describe(w.frame), Describe(ours[n])), false
	}
	if n < len(ours) {
		return fmt.Sprintf("the kernel is silent, we send answer %d of %d\nours:   %s", n+1, len(ours), Describe(ours[n])), false
	}
	if i := sameIDs(ours); i >= 0 {
		return fmt.Sprintf("our answer %d has the identification of another answer, or not that of its other pieces\nours:   %s", i+1, Describe(ours[i])), false
	}
	return "", true
}

// An answer is what the kernel sent and what ours must be.
type answer struct {
	frame, mask []byte
	optional    bool // ours may be silent
}

// expected leaves out the kernel's answers that must not be ours.
func expected(kernel, mask, in [][]byte, r Rules) (want []answer) {
	for i, k := range kernel {
		if Excused(k, in, r) {
			continue
		}
		a := answer{frame: k}
		if i < len(mask) {
			a.mask = mask[i]
		}
		if d, ok := ipv4(k); ok && !r.Routed {
			a.optional = alsoFromBadMAC(d, in, r)
		}
		want = append(want, a)
	}
	return want
}

// inTime leaves out our answers that come after the recording had ended.
// Where the kernel's next answer is one of these too, ours is kept to be held against it.
func inTime(ours [][]byte, want []answer, in [][]byte) (kept [][]byte) {
	for _, o := range ours {
		if len(kept) < len(want) && expired(want[len(kept)].frame, in) || !expired(o, in) {
			kept = append(kept, o)
		}
	}
	return kept
}

// compareOne compares two answers. Both are brought to a form in which what may
// differ is equal; what had to be right in ours is verified on the way.
// What is left then is compared byte by byte, so that a difference which no rule names is one.
func compareOne(kernel, ours, mask []byte, in [][]byte, r Rules) (diff string, ok bool) {
	k, _ := unpad(kernel)
	o, clean := unpad(ours)
	if !clean {
		return "the padding of ours is not zero", false
	}
	k, o = bytes.Clone(k), bytes.Clone(o)
	kd, ok := ipv4(k)
	od, ok2 := ipv4(o)
	if ok && ok2 {
		if diff := level(kd, od, k, o, mask, in, r); diff != "" {
			return diff, false
		}
	}
	if len(k) != len(o) {
		return fmt.Sprintf("%d bytes, the kernel's has %d", len(o), len(k)), false
	}
	for i := range k {
		if k[i] != o[i] && !masked(mask, i, 1) {
			return fmt.Sprintf("byte %d (%s) is %#02x, the kernel's %#02x", i, FieldName(ours, i), ours[i], kernel[i]), false
		}
	}
	return "", true
}

// unpad cuts the padding off a frame of the smallest size: "both may leave a
// frame shorter than 60 bytes". Padding that is not zero would tell what
// an earlier frame held.
func unpad(f []byte) (cut []byte, clean bool) {
	n := len(f)
	switch d, ok := ipv4(f); {
	case ok:
		n = d.at + len(d.b)
	// 14 of Ethernet and 28 of ARP.
	case len(f) >= 42 && be16(f[12:]) == typeARP:
		n = 42
	}
	if len(f) > minFrame {
		return f, true
	}
	return f[:n], allZero(f[n:])
}

// level makes what may differ between two IPv4 answers equal, in k and o, and
// says what of ours is wrong by itself.
// It writes to k and o alone, in which kd and od are views: levelling a field there is
// enough for the comparison.
func level(kd, od datagram, k, o, mask []byte, in [][]byte, r Rules) string {
	if !r.Routed {
		if !wayBack(od, o[:6], in) {
			return "it does not go to the MAC that the frame came from"
		}
		copy(o[:6], k[:6])
	}
	if !sumOK(od.b[:od.hl]) {
		return "the IPv4 header checksum of ours is wrong"
	}
	// It is verified before clocks are made equal, for then it no longer fits.
	if m, ok := od.icmp(); ok && !sumOK(m) {
		return "the ICMP checksum of ours is wrong"
	}
	if zeroEcho(kd, od) {
		copy(od.payload()[2:4], kd.payload()[2:4])
	}
	if diff := levelClocks(kd, od, k, o, mask, r); diff != "" {
		return diff
	}
	// A datagram that is not to be fragmented has no use for an identification,
	// and Linux gives none (RFC 6864 4.1).
	if !kd.df() || kd.id() != 0 {
		copy(od.b[4:6], kd.b[4:6])
	}
	copy(od.b[10:12], kd.b[10:12]) // was verified
	return ""
}

func levelClocks(kd, od datagram, k, o, mask []byte, r Rules) string {
	inMessage := false
	kq, ok := kd.quote()
	oq, ok2 := od.quote()
	// A header that was put together from pieces has a checksum of its own.
	if ok && ok2 && kq.hl == oq.hl && sumOK(kq.b[:kq.hl]) && sumOK(oq.b[:oq.hl]) && len(kq.timestamps(nil)) > 0 {
		copy(oq.b[10:12], kq.b[10:12])
		inMessage = true
	}
	for _, at := range od.clocks() {
		if at+4 > len(k) || be32(k[at:]) == be32(o[at:]) {
			continue
		}
		isClock := masked(mask, at, 4)
		if r.Live {
			isClock = timeOfDay(be32(k[at:]), r.Now)
		}
		if !isClock {
			continue // an earlier host wrote it: the comparison will show it
		}
		if !timeOfDay(be32(o[at:]), r.Now) {
			return fmt.Sprintf("the clock at byte %d of ours is not right: %d", at, be32(o[at:]))
		}
		copy(o[at:at+4], k[at:at+4])
		inMessage = inMessage || at >= od.at+od.hl
	}
	km, ok := kd.icmp()
	if om, ok2 := od.icmp(); inMessage && ok && ok2 {
		copy(om[2:4], km[2:4]) // was verified, and depends on the clocks
	}
	return ""
}

// masked tells whether a byte of mask[at:at+n] says that the kernel's varies.
func masked(mask []byte, at, n int) bool {
	for i := at; i < at+n && i < len(mask); i++ {
		if mask[i] != 0 {
			return true
		}
	}
	return false
}
