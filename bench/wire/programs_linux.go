package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Two BPF programs, written as instructions and not in C: that takes no compiler where the bench
// runs, and no object file that nobody can read. Registers: R6 counts, R7 and R8 are the frame's
// begin and end, R9 is the state in the map; R1 to R5 do not survive a call of the kernel's.

// What the generator and its program share: one value of an array map, in words of
// eight bytes. The program reads and writes it in place.
const (
	genSent     = 8 * iota // frames sent
	genNext                // when the next is due, in ns of the monotonic clock
	genInterval            // ns between frames; 0: as fast as it goes
	genStop                // when to stop, on the same clock; the program sets it
	genFor                 // how long to send, in ns
	genFirst               // when the first went
	genLast                // and the last
	genRandom              // the state of xorshift, Marsaglia 2003
	genBase                // the first target, as a number
	genTargets             // how many there are
	genSize
)

// Verdicts of XDP and of tc, from the kernel's bpf.h.
const (
	xdpDrop = 1
	xdpPass = 2
	xdpTX   = 3
	tcPass  = 0
	tcDrop  = 2
)

// Where fields lie, as in package bench.
const (
	etherType = 12
	ipSum     = 24
	ipSrc     = 26
	ipDst     = 30
	icmpType  = 34
	icmpSum   = 36
	icmpSeq   = 40
	arpOp     = 20
	arpSender = 28
	arpTo     = 32
	arpTarget = 38
)

// words makes an array map of one value.
// One value, so that a program reaches it by a constant pointer (LoadMapValue), without a look-up.
func words(size uint32) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: size, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("make BPF map: %w", err)
	}
	return m, nil
}

// generator builds the program that the kernel runs for every frame that might
// be sent: it paces, aims the frame at a random target, gives an echo a new sequence
// number, and makes the checksums right. frame is a request with target, sequence
// number and the checksums over them zero.
func generator(state *ebpf.Map, frame []byte) (*ebpf.Program, error) {
	ins := asm.Instructions{
		asm.LoadMem(asm.R7, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R8, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R2, asm.R7),
		asm.Add.Imm(asm.R2, int32(len(frame))),
		// The verifier lets no access to the frame pass without this comparison.
		asm.JGT.Reg(asm.R2, asm.R8, "drop"),
		asm.LoadMapValue(asm.R9, state.FD(), 0),
		asm.FnKtimeGetNs.Call(),
		// Past the end, or not due yet: the frame is dropped, and its try is over in nanoseconds.
		asm.LoadMem(asm.R1, asm.R9, genStop, asm.DWord),
		asm.JGT.Reg(asm.R0, asm.R1, "drop"),
		asm.LoadMem(asm.R1, asm.R9, genInterval, asm.DWord),
		// Without an interval nothing is kept of when the next is due.
		asm.JEq.Imm(asm.R1, 0, "send"),
		asm.LoadMem(asm.R2, asm.R9, genNext, asm.DWord),
		asm.JGT.Reg(asm.R2, asm.R0, "drop"),
		// Who is late catches up, but not on more than 100 us.
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.Sub.Imm(asm.R3, 100_000),
		asm.JGT.Reg(asm.R2, asm.R3, "due"),
		asm.Mov.Reg(asm.R2, asm.R3),
		asm.Add.Reg(asm.R2, asm.R1).WithSymbol("due"),
		asm.StoreMem(asm.R9, genNext, asm.R2, asm.DWord),
		asm.StoreMem(asm.R9, genLast, asm.R0, asm.DWord).WithSymbol("send"),
		asm.LoadMem(asm.R6, asm.R9, genSent, asm.DWord),
		// The first frame starts the clock: what the kernel does before it is no part of the time.
		asm.JNE.Imm(asm.R6, 0, "going"),
		asm.StoreMem(asm.R9, genFirst, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R9, genFor, asm.DWord),
		asm.Add.Reg(asm.R1, asm.R0),
		asm.StoreMem(asm.R9, genStop, asm.R1, asm.DWord),
		asm.Add.Imm(asm.R6, 1).WithSymbol("going"),
		asm.StoreMem(asm.R9, genSent, asm.R6, asm.DWord),
	}
	ins = append(ins, target()...)
	if isARP(frame) {
		ins = append(ins, asm.HostTo(asm.BE, asm.R4, asm.Word), asm.StoreMem(asm.R7, arpTarget, asm.R4, asm.Word))
	} else {
		ins = append(ins, patchEcho(frame)...)
	}
	ins = append(ins,
		asm.Mov.Imm(asm.R0, xdpTX),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
	)
	return load("generator", ebpf.XDP, ins)
}

// target leaves a random target in R4.
// Times the number of targets, and the upper half of that: Lemire's way without a division.
func target() asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R9, genRandom, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.LSh.Imm(asm.R2, 13),
		asm.Xor.Reg(asm.R1, asm.R2),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.RSh.Imm(asm.R2, 7),
		asm.Xor.Reg(asm.R1, asm.R2),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.LSh.Imm(asm.R2, 17),
		asm.Xor.Reg(asm.R1, asm.R2),
		asm.StoreMem(asm.R9, genRandom, asm.R1, asm.DWord),
		asm.RSh.Imm(asm.R1, 32),
		asm.LoadMem(asm.R2, asm.R9, genTargets, asm.DWord),
		asm.Mul.Reg(asm.R1, asm.R2),
		asm.RSh.Imm(asm.R1, 32),
		asm.LoadMem(asm.R4, asm.R9, genBase, asm.DWord),
		asm.Add.Reg(asm.R4, asm.R1),
	}
}

// patchEcho writes target (R4) and sequence number (R6) into an echo request, and
// both checksums.
// RFC 1071: the sums over what never changes are worked out here, in Go; the program adds what does.
func patchEcho(frame []byte) asm.Instructions {
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R4),
		asm.RSh.Imm(asm.R1, 16),
		asm.Mov.Reg(asm.R2, asm.R4),
		asm.And.Imm(asm.R2, 0xffff),
		asm.Add.Reg(asm.R1, asm.R2),
		asm.Add.Imm(asm.R1, int32(partial(frame[14:34]))),
	}
	ins = append(ins, foldInto(ipSum)...)
	ins = append(ins,
		asm.HostTo(asm.BE, asm.R4, asm.Word),
		asm.StoreMem(asm.R7, ipDst, asm.R4, asm.Word),
		asm.And.Imm(asm.R6, 0xffff),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Add.Imm(asm.R1, int32(partial(frame[34:]))),
	)
	ins = append(ins, foldInto(icmpSum)...)
	return append(ins,
		asm.HostTo(asm.BE, asm.R6, asm.Half),
		asm.StoreMem(asm.R7, icmpSeq, asm.R6, asm.Half),
	)
}

// foldInto stores the checksum of the sum in R1. It uses R2.
// Twice: the first fold may carry once more.
func foldInto(at int16) asm.Instructions {
	fold := asm.Instructions{
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.RSh.Imm(asm.R2, 16),
		asm.And.Imm(asm.R1, 0xffff),
		asm.Add.Reg(asm.R1, asm.R2),
	}
	ins := append(append(asm.Instructions{}, fold...), fold...)
	return append(ins,
		asm.Xor.Imm(asm.R1, 0xffff),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.StoreMem(asm.R7, at, asm.R1, asm.Half),
	)
}

// partial is the sum of 16-bit words, RFC 1071, folded but not inverted.
func partial(b []byte) uint32 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return s
}

// What the counter and its program share.
const (
	countReplies = 8 * iota // ARP and echo replies
	countOther              // anything else that came back
	countSize
)

// sampleEvery is how many replies there are for each one that is let through to
// be looked at.
const sampleEvery = 1024

// counter builds the program that sees every frame that comes back, before any
// protocol does: it counts and drops, all but a sample.
// It counts by what a frame is, and not whether it is right: that is what the sample is for.
func counter(state *ebpf.Map) (*ebpf.Program, error) {
	const (
		skbData, skbEnd = 76, 80 // in struct __sk_buff
		shortest        = 42
	)
	return load("counter", ebpf.SchedCLS, asm.Instructions{
		asm.LoadMem(asm.R7, asm.R1, skbData, asm.Word),
		asm.LoadMem(asm.R8, asm.R1, skbEnd, asm.Word),
		asm.LoadMapValue(asm.R9, state.FD(), 0),
		asm.Mov.Imm(asm.R6, 1),
		asm.Mov.Reg(asm.R2, asm.R7),
		asm.Add.Imm(asm.R2, shortest),
		asm.JGT.Reg(asm.R2, asm.R8, "other"),
		asm.LoadMem(asm.R1, asm.R7, etherType, asm.Half),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.JEq.Imm(asm.R1, typeARP, "arp"),
		asm.JNE.Imm(asm.R1, typeIPv4, "other"),
		asm.LoadMem(asm.R1, asm.R7, 23, asm.Byte), // the protocol
		asm.JNE.Imm(asm.R1, 1, "other"),
		asm.LoadMem(asm.R1, asm.R7, icmpType, asm.Byte),
		asm.JNE.Imm(asm.R1, 0, "other"),
		asm.Ja.Label("reply"),
		asm.LoadMem(asm.R1, asm.R7, arpOp, asm.Half).WithSymbol("arp"),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.JNE.Imm(asm.R1, 2, "other"),
		// Atomic, for frames may come on several processors at once: a program that answers runs where it
		// likes.
		asm.AddAtomic.Mem(asm.R9, asm.R6, asm.DWord, countReplies).WithSymbol("reply"),
		// Another processor may have counted on meanwhile: then a sample more or less is let through.
		asm.LoadMem(asm.R6, asm.R9, countReplies, asm.DWord),
		asm.And.Imm(asm.R6, sampleEvery-1),
		asm.JNE.Imm(asm.R6, 1, "drop"),
		asm.Mov.Imm(asm.R0, tcPass),
		asm.Return(),
		asm.AddAtomic.Mem(asm.R9, asm.R6, asm.DWord, countOther).WithSymbol("other"),
		asm.Mov.Imm(asm.R0, tcDrop).WithSymbol("drop"),
		asm.Return(),
	})
}

// verdict builds an XDP program that gives each frame the same.
func verdict(name string, v int32) (*ebpf.Program, error) {
	return load(name, ebpf.XDP, asm.Instructions{asm.Mov.Imm(asm.R0, v), asm.Return()})
}

func load(name string, kind ebpf.ProgramType, ins asm.Instructions) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: kind, Instructions: ins, License: "Dual MIT/GPL"})
	if err != nil {
		return nil, fmt.Errorf("load BPF program %s: %w", name, err)
	}
	return p, nil
}
