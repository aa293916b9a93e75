package capture

import "golang.org/x/net/bpf"

// Fanout says how the frames of a card are shared out among its workers.
type Fanout uint8

const (
	// ByHash gives what two addresses have to say to each other to one worker.
	ByHash Fanout = iota
	// ByCPU gives what one processor received to one worker. Pieces of datagrams go
	// by hash also then: a card may well spread them over its queues.
	ByCPU
)

// Offsets from the end of the Ethernet header on, which is where the kernel has the
// program of a fan-out group begin.
const (
	offInnerType = 2  // of a VLAN tag that the kernel left in
	offFragment  = 6  // flags and offset in an IPv4 header
	offSource    = 12 // the same header's addresses
	offTarget    = 16
	offARPSender = 14 // in ARP for IPv4 on Ethernet
	offARPTarget = 24

	fragment = 0x3fff // more fragments, or an offset: RFC 791
)

// fanoutProgram picks the worker: its result modulo their number (the kernel's
// fanout_demux_bpf). The kernel's own PACKET_FANOUT_HASH will not do: for its flow
// dissector all ARP is one flow, and a flood of it would find one worker only. Its
// PACKET_FANOUT_CPU would tear datagrams apart.
//
// What a host sends to an alias hashes alike, ARP and IPv4, in pieces or not, with
// one VLAN tag, two or none: reassembly, which is a worker's own, sees all pieces.
// What can't be looked at goes to the first worker, who counts it.
func fanoutProgram(by Fanout) []bpf.Instruction {
	prog := []bpf.Instruction{
		// The kernel has taken the outer tag out; X steps over an inner one.
		bpf.LoadConstant{Dst: bpf.RegX, Val: 0},
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeVLAN, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeQinQ, SkipTrue: 2},
		bpf.LoadConstant{Dst: bpf.RegX, Val: tagLen},
		bpf.LoadAbsolute{Off: offInnerType, Size: 2},
	}
	if by == ByCPU {
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeIPv4, SkipTrue: 2},
			bpf.LoadExtension{Num: bpf.ExtCPUID},
			bpf.RetA{},
			bpf.LoadIndirect{Off: offFragment, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: fragment, SkipTrue: 2},
			bpf.LoadExtension{Num: bpf.ExtCPUID},
			bpf.RetA{},
		)
	} else {
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeIPv4, SkipTrue: 6},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeARP, SkipTrue: 1},
			bpf.RetConstant{Val: 0},
			bpf.LoadIndirect{Off: offARPSender, Size: 4},
			bpf.StoreScratch{Src: bpf.RegA, N: 0},
			bpf.LoadIndirect{Off: offARPTarget, Size: 4},
			bpf.Jump{Skip: 3},
		)
	}
	return append(prog,
		bpf.LoadIndirect{Off: offSource, Size: 4},
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.LoadIndirect{Off: offTarget, Size: 4},
		// Neighbouring addresses must spread evenly over any number of workers: the
		// multipliers are odd and of no pattern, and the upper half is the mixed one.
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 0x9e3779b1},
		bpf.LoadScratch{Dst: bpf.RegX, N: 0},
		bpf.ALUOpX{Op: bpf.ALUOpXor},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 0x85ebca6b},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
		bpf.RetA{},
	)
}
