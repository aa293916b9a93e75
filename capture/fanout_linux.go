package capture

import (
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// join has the workers' sockets share the card's frames. They are bound, or the
// kernel refuses, and let nothing in yet. One alone needs no group.
func join(cards []*Card, by Fanout) error {
	if len(cards) == 1 {
		return nil
	}
	// The kernel finds a number that nobody in the network namespace has: Linux 4.12.
	arg := unix.PACKET_FANOUT_FLAG_UNIQUEID<<16 | unix.PACKET_FANOUT_CBPF<<16
	for i, c := range cards {
		if err := unix.SetsockoptInt(c.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, arg); err != nil {
			return fmt.Errorf("join fan-out group: %w", err)
		}
		if i > 0 {
			continue
		}
		group, err := unix.GetsockoptInt(c.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
		if err != nil {
			return fmt.Errorf("read number of fan-out group: %w", err)
		}
		arg = group&0xffff | unix.PACKET_FANOUT_CBPF<<16
		if err := setProgram(c.fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, fanoutProgram(by)); err != nil {
			return fmt.Errorf("set fan-out program: %w", err)
		}
	}
	return nil
}

// setProgram hands a classic BPF program to the kernel in a socket option.
func setProgram(fd, level, option int, instructions []bpf.Instruction) error {
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return fmt.Errorf("assemble: %w", err)
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, ins := range raw {
		prog[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: unsafe.SliceData(prog)}
	return unix.SetsockoptSockFprog(fd, level, option, &fprog)
}
