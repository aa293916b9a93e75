package responder_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/kernelref"
	mdarp "github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
)

// An opinion is what an oracle says of a frame.
type opinion int

const (
	noOpinion opinion = iota // it is about something else
	malformed                // nobody may answer
	request                  // it asks for the answer that comes with the opinion
)

// FuzzOracle holds the responder against libraries that others wrote. Where one
// of them understands an ARP request or an echo request for an alias, our
// answer is what it would build; where one finds a frame malformed, we are silent.
//
// The oracles have no opinion, beside other protocols, on
//   - VLAN tags and fragments: other tests hold these against reassembly and the kernel;
//   - IP options: gopacket gives up a datagram whose options it can't read, but
//     RFC 1122 3.2.1.8 wants a Parameter Problem;
//   - senders that no host can be, and answers that would go to a group, to nobody or
//     to ourselves: the libraries would send them, we must not.
func FuzzOracle(f *testing.F) {
	for _, c := range kernelref.Recorded() {
		f.Add(c.In[0])
	}
	for _, c := range verdictCases() {
		f.Add(c.frame)
	}
	var put *fuzzed
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 14+1500 {
			return // an answer in pieces
		}
		if put == nil {
			put = newFuzzed(t, 0)
		}
		put.askOracles(t, frame)
		put.askOracles(t, fixed(frame)) // or few mutations would come past the checksums
	})
}

func (f *fuzzed) askOracles(t *testing.T, frame []byte) {
	verdict, answers := putClone(t, f, frame)
	for name, oracle := range map[string]func([]byte) (opinion, []byte){"mdlayher": arpOracle, "gopacket": gopacketOracle} {
		says, want := contained(oracle, frame)
		switch {
		case says == malformed && len(answers) > 0:
			t.Errorf("%s calls the frame malformed, we say %v and %x", name, verdict, answers)
		case says == request && !(len(answers) == 1 && bytes.Equal(answers[0], withIdent(want, answers[0]))):
			t.Errorf("%s answers\n%x, we say %v and\n%x", name, want, verdict, answers)
		}
	}
	f.now += 3600 * second
	tick(f.r, f.now)
}

func putClone(t *testing.T, f *fuzzed, frame []byte) (verdict string, answers [][]byte) {
	v, answers := put(t, f.r, f.now, bytes.Clone(frame), 0)
	return v.String(), answers
}

// contained asks an oracle that may panic: mdlayher/arp does where lengths and
// addresses disagree, gopacket's ARP computes lengths in 8 bits and reads beyond.
func contained(oracle func([]byte) (opinion, []byte), frame []byte) (says opinion, want []byte) {
	defer func() {
		if recover() != nil {
			says, want = malformed, nil
		}
	}()
	return oracle(bytes.Clone(frame))
}

// toUs tells whether a frame's destination is our MAC or a group.
func toUs(dst net.HardwareAddr) bool { return dst[0]&1 != 0 || bytes.Equal(dst, ourMAC[:]) }

// reachable tells whether an answer may be sent to a MAC at all.
func reachable(mac net.HardwareAddr) bool { return !toUs(mac) && !bytes.Equal(mac, nobody[:]) }

// credible tells whether a host can have an address, in net/netip's words.
func credible(a netip.Addr) bool {
	return a.As4()[0] != 0 && !a.IsLoopback() && !a.IsMulticast() && a != addr("255.255.255.255") && !isAlias(a.AsSlice())
}

// arpOracle is mdlayher/ethernet and mdlayher/arp.
func arpOracle(frame []byte) (opinion, []byte) {
	var e ethernet.Frame
	if err := e.UnmarshalBinary(frame); err != nil {
		return malformed, nil
	}
	if e.EtherType != ethernet.EtherTypeARP || e.VLAN != nil || e.ServiceVLAN != nil {
		return noOpinion, nil
	}
	var p mdarp.Packet
	if err := p.UnmarshalBinary(e.Payload); err != nil {
		return malformed, nil
	}
	ethernetIPv4 := (p.HardwareType == 1 || p.HardwareType == 6) && p.ProtocolType == 0x0800 && p.HardwareAddrLength == 6 && p.IPLength == 4
	if !ethernetIPv4 || p.Operation != mdarp.OperationRequest || !isAlias(p.TargetIP.AsSlice()) {
		return malformed, nil // not malformed each, but nothing to be answered
	}
	if !toUs(e.Destination) || !reachable(p.SenderHardwareAddr) || !credible(p.SenderIP) && !p.SenderIP.IsUnspecified() {
		return noOpinion, nil
	}
	reply, err := mdarp.NewPacket(mdarp.OperationReply, ourMAC[:], p.TargetIP, p.SenderHardwareAddr, p.SenderIP)
	if err != nil {
		return noOpinion, nil
	}
	payload, err := reply.MarshalBinary()
	if err != nil {
		return noOpinion, nil
	}
	answer, err := (&ethernet.Frame{Destination: p.SenderHardwareAddr, Source: ourMAC[:], EtherType: ethernet.EtherTypeARP, Payload: payload}).MarshalBinary()
	if err != nil {
		return noOpinion, nil
	}
	return request, answer[:14+len(payload)] // without the padding to 60 bytes
}

// gopacketOracle is gopacket's layers: IPv4 and ICMP.
func gopacketOracle(frame []byte) (opinion, []byte) {
	var e layers.Ethernet
	if err := e.DecodeFromBytes(frame, gopacket.NilDecodeFeedback); err != nil {
		return malformed, nil
	}
	if e.EthernetType != layers.EthernetTypeIPv4 {
		return noOpinion, nil
	}
	var ip layers.IPv4
	var cut truncated
	if len(e.Payload) > 0 && e.Payload[0]&15 > 5 {
		return noOpinion, nil // options
	}
	if err := ip.DecodeFromBytes(e.Payload, &cut); err != nil || bool(cut) || ip.Version != 4 {
		return malformed, nil
	}
	if be16(e.Payload[2:]) == 0 || headerSum(e.Payload[:20]) != 0xffff || !isAlias(ip.DstIP) {
		return malformed, nil // gopacket takes the length 0 for a segment that a card is to cut
	}
	if ip.Flags&layers.IPv4MoreFragments != 0 || ip.FragOffset != 0 || ip.Protocol != layers.IPProtocolICMPv4 {
		return noOpinion, nil
	}
	var icmp layers.ICMPv4
	if err := icmp.DecodeFromBytes(ip.Payload, &cut); err != nil || bool(cut) || headerSum(ip.Payload) != 0xffff {
		return malformed, nil
	}
	source, _ := netip.AddrFromSlice(ip.SrcIP.To4())
	if icmp.TypeCode.Type() != layers.ICMPv4TypeEchoRequest || !toUs(e.DstMAC) || !reachable(e.SrcMAC) || !credible(source) || source == addr("172.16.3.255") {
		return noOpinion, nil
	}
	return request, echoReply(&e, &ip, &icmp)
}

// echoReply has gopacket build the answer.
func echoReply(e *layers.Ethernet, ip *layers.IPv4, icmp *layers.ICMPv4) []byte {
	buffer := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.IPv4{Version: 4, TOS: ip.TOS, TTL: 64, Protocol: ip.Protocol, SrcIP: ip.DstIP, DstIP: ip.SrcIP},
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoReply, icmp.TypeCode.Code()), Id: icmp.Id, Seq: icmp.Seq},
		gopacket.Payload(icmp.Payload))
	if err != nil {
		panic(err)
	}
	// layers.Ethernet would pad it to 60 bytes.
	return framegen.Ether(framegen.MAC(e.SrcMAC), ourMAC, framegen.TypeIPv4, buffer.Bytes())
}

// truncated is set by a decoder that found less than a length field says.
type truncated bool

func (t *truncated) SetTruncated() { *t = true }
