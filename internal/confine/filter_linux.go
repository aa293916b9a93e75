//go:build amd64 || arm64

package confine

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data, which the filter looks at.
const (
	offCall = 0
	offArch = 4
	offArgs = 16 // six of eight bytes
)

const (
	allow = unix.SECCOMP_RET_ALLOW

	// A refused call fails with EPERM, and is noted in the kernel's log. The process is
	// not killed: for who got in it is the same, and a call that a later kernel or
	// Go runtime makes and this list lacks costs a feature, not every answer.
	refuse = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
)

// Filter has the kernel refuse all system calls that the daemon does not make, from
// now on and on all threads. no_new_privs must be set, as Limit does.
func Filter() error {
	raw, err := bpf.Assemble(program())
	if err != nil {
		return fmt.Errorf("assemble filter of system calls: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, ins := range raw {
		filter[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_LOG, uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno != 0:
		return fmt.Errorf("filter system calls: %w", errno)
	case thread != 0:
		return fmt.Errorf("filter system calls: thread %d has a filter of its own", thread)
	}
	return nil
}

// program makes the filter. A call that it allows by its number alone the kernel remembers
// (seccomp_cache_check_allow, Linux 5.11): the path of a frame makes no other.
func program() []bpf.Instruction {
	prog := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		bpf.RetConstant{Val: refuse}, // a 32-bit call would have another number
		bpf.LoadAbsolute{Off: offCall, Size: 4},
	}
	// Its arguments lie in memory, where no filter can look. Who hears that there is no
	// such call makes the older one; glibc does not after EPERM.
	prog = append(prog,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_CLONE3, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	for _, r := range checked {
		// Of 64 bits the lower half tells: so does the kernel, which takes an int.
		body := []bpf.Instruction{bpf.LoadAbsolute{Off: uint32(offArgs + 8*r.arg), Size: 4}}
		body = append(body, r.test...)
		body = append(body, bpf.RetConstant{Val: refuse}, bpf.RetConstant{Val: allow})
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.call, SkipFalse: uint8(len(body))})
		prog = append(prog, body...)
	}
	for _, call := range slices.Concat(allowed, allowedHere) {
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipFalse: 1},
			bpf.RetConstant{Val: allow})
	}
	return append(prog, bpf.RetConstant{Val: refuse})
}

// A rule allows a call by one of its arguments. test ends by skipping one
// instruction, the one that refuses, if it is allowed.
type rule struct {
	call uint32
	arg  int
	test []bpf.Instruction
}

// anyOf allows values.
func anyOf(values ...uint32) (test []bpf.Instruction) {
	for i, v := range values {
		test = append(test, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return test
}

func bits(cond bpf.JumpTest, mask uint32) []bpf.Instruction {
	return []bpf.Instruction{bpf.JumpIf{Cond: cond, Val: mask, SkipTrue: 1}}
}

var checked = []rule{
	// Threads, but no processes and no namespaces.
	{unix.SYS_CLONE, 0, bits(bpf.JumpBitsSet, unix.CLONE_THREAD)},
	// Memory that is written to is never executed, nor the other way round.
	{unix.SYS_MMAP, 2, bits(bpf.JumpBitsNotSet, unix.PROT_EXEC)},
	{unix.SYS_MPROTECT, 2, bits(bpf.JumpBitsNotSet, unix.PROT_EXEC)},
	// Cards, what the kernel knows of them, and the service manager: no connection
	// to another host.
	{unix.SYS_SOCKET, 0, anyOf(unix.AF_PACKET, unix.AF_NETLINK, unix.AF_UNIX)},
	// Go names its memory.
	{unix.SYS_PRCTL, 0, anyOf(unix.PR_SET_VMA)},
}
