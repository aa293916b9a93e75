package responder

// A Verdict is what became of one frame. It is the return value of the packet
// path, the index of the counters, the label of the metric, the column of
// explain and the text of golden files: one enum, five uses. The names are
// stable; new ones are added, none is ever reused.
type Verdict uint8

// The verdicts in the order in which the layers are looked at.
const (
	EthShort Verdict = iota
	OtherHost
	VLANOther
	EtherTypeOther

	ARPAnswered
	ARPProbeAnswered
	ARPShort
	ARPFormat
	ARPOperation
	ARPNotAlias
	ARPReply
	ARPConflict
	ARPOwn
	ARPSpoofed
	ARPSource
	ARPNoReturn

	IPShort
	IPVersion
	IPHeaderLength
	IPLength
	IPChecksum
	IPSource
	IPNotAlias
	IPSourceRoute
	IPOptionBad
	IPOptionRefused

	NotFrom
	NoReturn
	NoRoom
	Resolving
	Unresolved

	FragmentHeld
	FragmentDuplicate
	FragmentOverlap
	FragmentBad

	EchoAnswered
	EchoLimited
	TimestampAnswered
	ICMPShort
	ICMPChecksum
	ICMPIgnored

	UDPRefused
	UDPShort
	UDPChecksum
	TCPReset
	TCPShort
	TCPChecksum
	TCPIgnored
	ProtocolRefused
	ProtocolSilent

	ClosedDropped
	GroupSilent
	ErrorLimited

	// NumVerdicts is how many verdicts there are.
	NumVerdicts = int(iota)
)

// verdicts holds for each verdict its name, one sentence of help, and whether an
// answer went out.
var verdicts = [NumVerdicts]struct {
	name     string
	help     string
	answered bool
}{
	EthShort:       {"eth-short", "The frame is shorter than its Ethernet header.", false},
	OtherHost:      {"other-host", "The frame is for another host's MAC address.", false},
	VLANOther:      {"vlan-other", "The frame carries a VLAN tag that no interface is configured for.", false},
	EtherTypeOther: {"ethertype-other", "The frame is neither ARP nor IPv4.", false},

	ARPAnswered:      {"arp-answered", "ARP request for an alias: answered.", true},
	ARPProbeAnswered: {"arp-probe-answered", "ARP probe (sender 0.0.0.0, RFC 5227) for an alias: answered, the address is taken.", true},
	ARPShort:         {"arp-short", "The ARP packet is cut off.", false},
	ARPFormat:        {"arp-format", "ARP for other hardware, another protocol or with other address lengths than Ethernet and IPv4.", false},
	ARPOperation:     {"arp-operation", "ARP that is neither request nor reply.", false},
	ARPNotAlias:      {"arp-not-alias", "ARP request for an address that is no alias.", false},
	ARPReply:         {"arp-reply", "ARP reply of another host for its own address.", false},
	ARPConflict:      {"arp-conflict", "Another host's ARP claims an alias as its own address.", false},
	ARPOwn:           {"arp-own", "ARP that carries our own MAC and one of our own addresses came back to us.", false},
	ARPSpoofed:       {"arp-spoofed", "ARP claims an alias, but its sender MAC is not the MAC the frame came from.", false},
	ARPSource:        {"arp-source", "The ARP sender address is one no host can have, or one of the host itself.", false},
	ARPNoReturn:      {"arp-no-return", "The answer would go to a zero or group MAC or to our own.", false},

	IPShort:         {"ip-short", "The frame ends inside the IPv4 header.", false},
	IPVersion:       {"ip-version", "The version field is not 4.", false},
	IPHeaderLength:  {"ip-header-length", "The header length is below 20 bytes.", false},
	IPLength:        {"ip-length", "The total length is below the header's or beyond the frame's end.", false},
	IPChecksum:      {"ip-checksum", "The IPv4 header checksum is wrong.", false},
	IPSource:        {"ip-source", "The source is an address no host can have, or one of our own.", false},
	IPNotAlias:      {"ip-not-alias", "The destination is no alias.", false},
	IPSourceRoute:   {"ip-source-route", "The datagram is source routed (RFC 7126 4.3): ignored, as the kernel does.", false},
	IPOptionBad:     {"ip-option-bad", "An IP option is malformed and no Parameter Problem may be sent about it.", false},
	IPOptionRefused: {"ip-option-refused", "An IP option is malformed: Parameter Problem sent.", true},

	NotFrom:    {"not-from", "The sender is in none of the prefixes that are answered (from).", false},
	NoReturn:   {"no-return", "The answer would go to a broadcast, multicast or zero address or MAC, or to ourselves.", false},
	NoRoom:     {"no-room", "The answers of this batch filled the worker's memory; this one was given up.", false},
	Resolving:  {"resolving", "The answer waits until ARP has resolved its next hop (reply = routed).", false},
	Unresolved: {"unresolved", "The next hop of the answer is not known and no more answers may wait (reply = routed).", false},

	FragmentHeld:      {"fragment-held", "A fragment, kept until its datagram is whole.", false},
	FragmentDuplicate: {"fragment-duplicate", "A fragment that has been seen already.", false},
	FragmentOverlap:   {"fragment-overlap", "A fragment overlaps another: the datagram is thrown away (RFC 5722).", false},
	FragmentBad:       {"fragment-bad", "A fragment contradicts the others of its datagram, or makes it too long: thrown away.", false},

	EchoAnswered:      {"echo-answered", "Echo request: answered.", true},
	EchoLimited:       {"echo-limited", "Echo request over the configured limit.", false},
	TimestampAnswered: {"timestamp-answered", "ICMP timestamp request: answered.", true},
	ICMPShort:         {"icmp-short", "The ICMP message is cut off.", false},
	ICMPChecksum:      {"icmp-checksum", "The ICMP checksum is wrong.", false},
	ICMPIgnored:       {"icmp-ignored", "An ICMP message that asks for no answer, or a deprecated one (RFC 6918).", false},

	UDPRefused:      {"udp-refused", "UDP to a closed port: Port Unreachable sent.", true},
	UDPShort:        {"udp-short", "The UDP datagram is cut off or its length is wrong.", false},
	UDPChecksum:     {"udp-checksum", "The UDP checksum is wrong.", false},
	TCPReset:        {"tcp-reset", "TCP to a closed port: reset sent.", true},
	TCPShort:        {"tcp-short", "The TCP segment is cut off or its data offset is wrong.", false},
	TCPChecksum:     {"tcp-checksum", "The TCP checksum is wrong.", false},
	TCPIgnored:      {"tcp-ignored", "A TCP reset, or a segment with an authentication option: never answered.", false},
	ProtocolRefused: {"protocol-refused", "An IP protocol nobody speaks: Protocol Unreachable sent.", true},
	ProtocolSilent:  {"protocol-silent", "IGMP or PIM: silently taken.", false},

	ClosedDropped: {"closed-dropped", "A closed port or protocol of an alias that is configured to drop.", false},
	GroupSilent:   {"group-silent", "A refusal is due, but the frame came to a group MAC (RFC 1122 3.2.2).", false},
	ErrorLimited:  {"error-limited", "An ICMP error is due, but the limit is reached.", false},
}

// String gives the stable name.
func (v Verdict) String() string {
	if int(v) < NumVerdicts {
		return verdicts[v].name
	}
	return "unknown"
}

// Help says in one sentence what the verdict means.
func (v Verdict) Help() string { return verdicts[v].help }

// Answered tells whether an answer went out at once.
func (v Verdict) Answered() bool { return verdicts[v].answered }

// ParseVerdict finds the verdict of a name.
func ParseVerdict(name string) (Verdict, bool) {
	for v := range verdicts {
		if verdicts[v].name == name {
			return Verdict(v), true
		}
	}
	return 0, false
}
