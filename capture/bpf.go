package capture

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
)

// wholeFrame is what a filter returns to let a frame through uncut: any length
// not below the longest frame, which with BIG TCP is beyond 64 KiB.
const wholeFrame = 1 << 20

// maxFilterMACs is how many addresses a filter compares one after the other.
// More cost each frame more than letting the handler look, and at a few hundred
// the program would exceed the kernel's 4096 instructions.
const maxFilterMACs = 32

// Offsets in an Ethernet frame, and the types that matter here. The kernel has
// taken a first VLAN tag out before the filter looks.
const (
	offDst       = 0
	offEtherType = 12

	typeIPv4  = 0x0800
	typeARP   = 0x0806
	typeVLAN  = 0x8100 // IEEE 802.1Q
	typeQinQ  = 0x88a8 // IEEE 802.1ad
	tagLen    = 4      // of either's tag
	groupMask = 0x01   // in the first byte: multicast and broadcast
)

// FilterFor makes a socket filter that keeps out what can never be answered in
// the name of macs: everything but ARP, IPv4 and (inner) tagged frames, and of
// the latter two what is addressed to another host's MAC.
//
// It does not look at IP addresses. A program as long as the table would cost
// each frame more than the table does. It does not look at VLAN tags either:
// whether a frame's tag is ours takes the table, and one that is not gets counted.
//
// ARP passes whoever it is for, since another host's answer can show that an
// address is taken. With more than 32 macs any destination passes.
func FilterFor(macs [][6]byte) []bpf.Instruction {
	const drop, accept = 0, wholeFrame
	prog := []bpf.Instruction{
		// A load beyond the end of a frame drops it, so none is too short.
		bpf.LoadAbsolute{Off: offEtherType, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeARP, SkipTrue: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeIPv4, SkipTrue: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeVLAN, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeQinQ, SkipTrue: 2},
		bpf.RetConstant{Val: drop},
		bpf.RetConstant{Val: accept},
		// An IPv4 datagram in a group frame is answered if it is for an alias,
		// so all groups pass.
		bpf.LoadAbsolute{Off: offDst, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: groupMask, SkipFalse: 1},
		bpf.RetConstant{Val: accept},
	}
	if len(macs) > maxFilterMACs {
		return append(prog, bpf.RetConstant{Val: accept})
	}
	for _, mac := range macs {
		prog = append(prog,
			bpf.LoadAbsolute{Off: offDst, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(mac[:4]), SkipFalse: 3},
			bpf.LoadAbsolute{Off: offDst + 4, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(binary.BigEndian.Uint16(mac[4:])), SkipFalse: 1},
			bpf.RetConstant{Val: accept},
		)
	}
	return append(prog, bpf.RetConstant{Val: drop})
}
