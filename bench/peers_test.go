package bench

import (
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
)

// What answering costs with the usual libraries, in the same run and with the
// same frames. They look nothing up: any target is theirs.

func BenchmarkPeer(b *testing.B) {
	echo, _ := FindWorkload("echo-64")
	for _, p := range []struct {
		name     string
		workload *Workload
		answer   func() func([]byte) []byte
	}{
		{"gopacket/workload=arp", arpWorkload(), gopacketAnswerer},
		{"gopacket/workload=echo-64", echo, gopacketAnswerer},
		{"mdlayher/workload=arp", arpWorkload(), func() func([]byte) []byte { return mdlayherARP }},
	} {
		b.Run("by="+p.name, func(b *testing.B) {
			l := target(b, Tables[0]).Load(p.workload)
			answer := p.answer()
			l.Fill()
			for _, f := range l.frames {
				if err := Compare(answer(f), Expect(f, ourMAC)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			bytes := 0
			for b.Loop() {
				l.Fill()
				for _, f := range l.frames {
					bytes += len(answer(f))
				}
			}
			if bytes == 0 {
				b.Fatal("no answers")
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N*BatchSize), "ns/frame")
		})
	}
}

// gopacketAnswerer answers with gopacket's fast decoder and its serializer, all
// memory reused.
func gopacketAnswerer() func([]byte) []byte {
	var eth layers.Ethernet
	var ip layers.IPv4
	var icmp layers.ICMPv4
	var req layers.ARP
	var payload gopacket.Payload
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip, &icmp, &req, &payload)
	parser.IgnoreUnsupported = true // what pads an ARP packet
	decoded := make([]gopacket.LayerType, 0, 8)
	buf := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	mac := ourMAC[:]
	return func(frame []byte) []byte {
		if err := parser.DecodeLayers(frame, &decoded); err != nil {
			return nil
		}
		eth.DstMAC, eth.SrcMAC = eth.SrcMAC, mac
		var err error
		if eth.EthernetType == layers.EthernetTypeARP {
			target := req.DstProtAddress
			req.DstHwAddress, req.DstProtAddress = req.SourceHwAddress, req.SourceProtAddress
			req.SourceHwAddress, req.SourceProtAddress = mac, target
			req.Operation = layers.ARPReply
			err = gopacket.SerializeLayers(buf, options, &eth, &req)
		} else {
			ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
			ip.TTL, ip.Flags = 64, 0
			icmp.TypeCode = layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoReply, 0)
			err = gopacket.SerializeLayers(buf, options, &eth, &ip, &icmp, &payload)
		}
		if err != nil {
			return nil
		}
		return buf.Bytes()
	}
}

// mdlayherARP answers with mdlayher/arp and mdlayher/ethernet.
func mdlayherARP(frame []byte) []byte {
	var f ethernet.Frame
	if err := f.UnmarshalBinary(frame); err != nil {
		return nil
	}
	var p arp.Packet
	if err := p.UnmarshalBinary(f.Payload); err != nil {
		return nil
	}
	reply, err := arp.NewPacket(arp.OperationReply, ourMAC[:], p.TargetIP, p.SenderHardwareAddr, netip.AddrFrom4(p.SenderIP.As4()))
	if err != nil {
		return nil
	}
	payload, err := reply.MarshalBinary()
	if err != nil {
		return nil
	}
	f.Destination, f.Source, f.Payload = p.SenderHardwareAddr, ourMAC[:], payload
	b, err := f.MarshalBinary()
	if err != nil {
		return nil
	}
	return b
}
