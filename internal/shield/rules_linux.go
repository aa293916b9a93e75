package shield

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Where things stand in a frame at the ingress hook, in bytes. The kernel has
// taken the outermost tag out, but shows the link header to nftables as if it had
// not. Its network header begins behind that tag: at what the tag encloses, which
// may be another tag.
const (
	llType = 12 // Ethernet type, of the whole frame
	llTCI  = 14 // the outermost tag's priority and identifier

	innerTCI  = 0 // of the second tag, from the network header on
	innerType = 2
	tagLen    = 4

	ipDst = 16 // from the start of the IPv4 header

	// ARP, RFC 826. Protocol, lengths and operation of an IPv4 request for
	// Ethernet are compared in one; the hardware type before them may be 1 or 6.
	arpProtocol = 2
	arpTarget   = 24

	vidMask = 0x0fff
)

var arpRequest = []byte{
	0x08, 0x00, // IPv4
	6, 4, // lengths of a MAC and of an IPv4 address
	0, 1, // request
}

// tagTypes are the Ethernet types that the kernel takes a VLAN tag for.
var tagTypes = []uint16{unix.ETH_P_8021Q, unix.ETH_P_8021AD}

// Registers: one of 128 bits, and its first two quarters. Verdict is what a rule
// ends with.
const (
	regVerdict = unix.NFT_REG_VERDICT
	reg        = unix.NFT_REG_1
	regFirst   = unix.NFT_REG32_00
	regSecond  = unix.NFT_REG32_01
)

// notOurs lets frames for other MAC addresses pass.
func notOurs() []expr.Any {
	const packetOtherHost = 3 // PACKET_OTHERHOST
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPKTTYPE, Register: reg},
		equal([]byte{packetOtherHost}),
		&expr.Verdict{Kind: expr.VerdictAccept},
	}
}

// byEtherType goes where kinds leads from the frame's Ethernet type.
func byEtherType(kinds *nftables.Set) []expr.Any {
	return []expr.Any{load(reg, expr.PayloadBaseLLHeader, llType, 2), follow(reg, kinds)}
}

// byOneTag goes where ids leads from the identifier of a frame with one tag.
func byOneTag(ids *nftables.Set) []expr.Any {
	return append(loadVID(reg, expr.PayloadBaseLLHeader, llTCI), follow(reg, ids))
}

// byTwoTags goes where ids leads from the identifiers of a frame with two tags.
func byTwoTags(ids *nftables.Set) []expr.Any {
	rule := loadVID(regFirst, expr.PayloadBaseLLHeader, llTCI)
	rule = append(rule, loadVID(regSecond, expr.PayloadBaseNetworkHeader, innerTCI)...)
	return append(rule, follow(regFirst, ids))
}

// dropIP drops IPv4 datagrams to an address of set, in frames with so many tags.
func dropIP(set *nftables.Set, tags int) []expr.Any {
	return append(typeIs(tags, unix.ETH_P_IP),
		load(reg, expr.PayloadBaseNetworkHeader, header(tags)+ipDst, 4),
		&expr.Lookup{SourceRegister: reg, SetID: set.ID, SetName: set.Name},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)
}

// dropARP drops ARP requests for an address of set, in frames with so many tags.
func dropARP(set *nftables.Set, tags int) []expr.Any {
	return append(typeIs(tags, unix.ETH_P_ARP),
		load(reg, expr.PayloadBaseNetworkHeader, header(tags)+arpProtocol, uint32(len(arpRequest))),
		equal(arpRequest),
		load(reg, expr.PayloadBaseNetworkHeader, header(tags)+arpTarget, 4),
		&expr.Lookup{SourceRegister: reg, SetID: set.ID, SetName: set.Name},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)
}

// typeIs goes on if what so many tags enclose is of a type.
func typeIs(tags int, kind uint16) []expr.Any {
	if tags < 2 {
		// What the kernel remembers as the protocol is what the outermost tag encloses.
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: reg}, equal(be16(kind))}
	}
	return []expr.Any{load(reg, expr.PayloadBaseNetworkHeader, innerType, 2), equal(be16(kind))}
}

// header is where the IP or ARP header begins, from the kernel's network header on.
func header(tags int) uint32 {
	if tags < 2 {
		return 0
	}
	return tagLen
}

func load(register uint32, base expr.PayloadBase, offset, length uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: base, Offset: offset, Len: length}
}

func loadVID(register uint32, base expr.PayloadBase, offset uint32) []expr.Any {
	return []expr.Any{
		load(register, base, offset, 2),
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 2, Mask: be16(vidMask), Xor: be16(0)},
	}
}

func equal(value []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: value}
}

// follow ends the rule as the map says for what the register holds.
func follow(register uint32, m *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: register, DestRegister: regVerdict, IsDestRegSet: true, SetID: m.ID, SetName: m.Name}
}

func goTo(c *nftables.Chain) *expr.Verdict {
	return &expr.Verdict{Kind: expr.VerdictGoto, Chain: c.Name}
}
