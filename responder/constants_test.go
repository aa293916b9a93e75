package responder

import (
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"golang.org/x/net/ipv4"
)

// TestNumbers holds the protocol numbers against those of libraries that have them from
// the registries of IANA.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		name      string
		have, reg int
	}{
		{"EtherType IPv4", typeIPv4, int(layers.EthernetTypeIPv4)},
		{"EtherType ARP", typeARP, int(layers.EthernetTypeARP)},
		{"EtherType ARP", typeARP, int(ethernet.EtherTypeARP)},
		{"EtherType VLAN", typeVLAN, int(layers.EthernetTypeDot1Q)},
		{"EtherType VLAN", typeVLAN, int(ethernet.EtherTypeVLAN)},
		{"EtherType QinQ", typeQinQ, int(ethernet.EtherTypeServiceVLAN)},
		{"ARP hardware Ethernet", hardwareEthernet, int(layers.LinkTypeEthernet)},
		{"ARP request", opRequest, int(arp.OperationRequest)},
		{"ARP reply", opReply, int(arp.OperationReply)},
		{"protocol ICMP", protoICMP, int(layers.IPProtocolICMPv4)},
		{"protocol IGMP", protoIGMP, int(layers.IPProtocolIGMP)},
		{"protocol TCP", protoTCP, int(layers.IPProtocolTCP)},
		{"protocol UDP", protoUDP, int(layers.IPProtocolUDP)},
		{"protocol UDP-Lite", protoUDPLite, int(layers.IPProtocolUDPLite)},
		{"ICMP echo reply", icmpEchoReply, int(ipv4.ICMPTypeEchoReply)},
		{"ICMP unreachable", icmpUnreachable, int(ipv4.ICMPTypeDestinationUnreachable)},
		{"ICMP echo", icmpEcho, int(ipv4.ICMPTypeEcho)},
		{"ICMP time exceeded", icmpTimeExceeded, int(ipv4.ICMPTypeTimeExceeded)},
		{"ICMP parameter problem", icmpParameter, int(ipv4.ICMPTypeParameterProblem)},
		{"ICMP timestamp", icmpTimestamp, int(ipv4.ICMPTypeTimestamp)},
		{"ICMP timestamp reply", icmpTimestampReply, int(ipv4.ICMPTypeTimestampReply)},
		{"code protocol", codeProtocol, layers.ICMPv4CodeProtocol},
		{"code port", codePort, layers.ICMPv4CodePort},
		{"code reassembly", codeReassembly, layers.ICMPv4CodeFragmentReassemblyTimeExceeded},
		{"flag DF", flagDF, int(ipv4.DontFragment) << 13},
		{"flag MF", flagMF, int(ipv4.MoreFragments) << 13},
		{"IPv4 header", ipMinLen, ipv4.HeaderLen},
		{"TCP MD5", tcpOptMD5, 19}, // IANA, TCP option kinds
		{"TCP AO", tcpOptAO, 29},
		{"protocol PIM", protoPIM, 103}, // IANA, protocol numbers
		{"minimum MTU", minMTU, 68},     // RFC 791 3.2
	} {
		if c.have != c.reg {
			t.Errorf("%s is %#x, the registry says %#x", c.name, c.have, c.reg)
		}
	}
}

// TestOptionNumbers: an option's type is its copied flag, class and number (RFC
// 791 3.1, IANA "IP option numbers").
func TestOptionNumbers(t *testing.T) {
	for _, c := range []struct{ have, copied, class, number int }{
		{optEnd, 0, 0, 0},
		{optNop, 0, 0, 1},
		{optRecordRoute, 0, 0, 7},
		{optTimestamp, 0, 2, 4},
		{optLooseRoute, 1, 0, 3},
		{optCIPSO, 1, 0, 6},
		{optStrictRoute, 1, 0, 9},
		{optRouterAlert, 1, 0, 20}, // RFC 2113
	} {
		if want := c.copied<<7 | c.class<<5 | c.number; c.have != want {
			t.Errorf("option number %d is %d, want %d", c.number, c.have, want)
		}
	}
}

// TestOffsets: where the fields lie. The numbers are bits in the drawings of RFC
// 826, 791, 792, 768, 9293 and IEEE 802.3.
func TestOffsets(t *testing.T) {
	for _, c := range []struct {
		name      string
		have, bit int
	}{
		{"Ethernet destination", ethDst, 0}, {"Ethernet source", ethSrc, 48},
		{"Ethernet type", ethType, 96}, {"Ethernet header", ethLen, 112},
		{"VLAN tag", vlanTagLen, 32},
		{"ARP hardware", arpHardware, 0}, {"ARP protocol", arpProtocol, 16},
		{"ARP hardware length", arpHardLen, 32}, {"ARP protocol length", arpProtoLen, 40},
		{"ARP operation", arpOperation, 48}, {"ARP sender MAC", arpSenderMAC, 64},
		{"ARP sender IP", arpSenderIP, 112}, {"ARP target MAC", arpTargetMAC, 144},
		{"ARP target IP", arpTargetIP, 192}, {"ARP length", arpLen, 224},
		{"IP TOS", ipTOS, 8}, {"IP length", ipTotalLen, 16}, {"IP identification", ipIdent, 32},
		{"IP fragment", ipFragment, 48}, {"IP TTL", ipTTL, 64}, {"IP protocol", ipProtocol, 72},
		{"IP checksum", ipChecksum, 80}, {"IP source", ipSrc, 96}, {"IP destination", ipDst, 128},
		{"IP options", ipMinLen, 160}, {"longest IP header", ipMaxLen, 15 * 32},
		{"ICMP code", icmpCode, 8}, {"ICMP checksum", icmpChecksum, 16}, {"ICMP rest", icmpRest, 32},
		{"ICMP data", icmpLen, 64}, {"ICMP timestamps", timestampLen, 160},
		{"UDP length", udpLength, 32}, {"UDP checksum", udpChecksum, 48}, {"UDP data", udpLen, 64},
		{"TCP destination port", tcpDstPort, 16}, {"TCP sequence", tcpSeq, 32},
		{"TCP acknowledgement", tcpAck, 64}, {"TCP data offset", tcpOffset, 96},
		{"TCP flags", tcpFlags, 104}, {"TCP window", tcpWindow, 112},
		{"TCP checksum", tcpChecksum, 128}, {"TCP urgent", tcpUrgent, 144}, {"TCP data", tcpLen, 160},
	} {
		if c.have*8 != c.bit {
			t.Errorf("%s begins at bit %d, the RFC draws it at %d", c.name, c.have*8, c.bit)
		}
	}
	// TCP's flags, RFC 9293 3.1, from the right: FIN, SYN, RST, PSH, ACK.
	for bit, flag := range map[int]int{0: tcpFIN, 1: tcpSYN, 2: tcpRST, 4: tcpACK} {
		if flag != 1<<bit {
			t.Errorf("TCP flag %#x is not bit %d", flag, bit)
		}
	}
}
