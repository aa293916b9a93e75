package responder

import (
	"fmt"
	"syscall"
	"unsafe"
)

// hugePage is what the memory of large tables and ledgers is asked for in: with
// pages of 4 KiB nearly every look-up in them would miss the TLB as well.
const hugePage = 2 << 20

// mapMemory maps zeroed memory for n values, which hold no pointers. The system
// hands a page out when it is first written to: what is reserved and not used
// costs nothing. The first 2 MiB come in small pages, lest a small table take a
// large one.
//
// This is the one place outside capture that uses unsafe: Go's own heap would
// count memory that is merely reserved as live, and delay the collection of
// everything else by as much.
func mapMemory[T any](n int) ([]T, error) {
	if n == 0 {
		return nil, nil
	}
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	mem, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d MiB: %w", size>>20, err)
	}
	if size > hugePage {
		_ = syscall.Madvise(mem[hugePage:], syscall.MADV_HUGEPAGE) // where there are none, small ones do
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[0])), n), nil
}

// hugeUpTo has large pages only where the first n values of what mapMemory gave fill them:
// the last one would else be half empty, which of an index for a million rows is a
// fifth.
func hugeUpTo[T any](s []T, n int) {
	b := bytesOf(s)
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	end := int((start+uintptr(len(bytesOf(s[:n]))))&^(hugePage-1) - start)
	if len(b) <= hugePage {
		return
	}
	end = max(end, hugePage)
	if end > hugePage {
		_ = syscall.Madvise(b[hugePage:end], syscall.MADV_HUGEPAGE)
	}
	if end < len(b) {
		_ = syscall.Madvise(b[end:], syscall.MADV_NOHUGEPAGE)
	}
}

// bytesOf gives the memory of what mapMemory gave, or of a part of it.
func bytesOf[T any](s []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(zero)))
}

// unmapMemory gives all of what mapMemory gave back.
func unmapMemory[T any](s []T) {
	if len(s) > 0 {
		_ = syscall.Munmap(bytesOf(s)) // fails only for what is no mapping
	}
}

// zeroMemory clears a part of what mapMemory gave; the whole pages in it go back
// to the system.
func zeroMemory[T any](s []T) {
	const page = 4096 // a multiple of it on every machine would do; larger pages than this only keep more
	b := bytesOf(s)
	if len(b) < 4*page {
		clear(b)
		return
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	head := int(-start & (page - 1))
	tail := head + (len(b)-head)&^(page-1)
	clear(b[:head])
	clear(b[tail:])
	if syscall.Madvise(b[head:tail], syscall.MADV_DONTNEED) != nil {
		clear(b[head:tail])
	}
}
