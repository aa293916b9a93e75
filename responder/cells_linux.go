package responder

import (
	"fmt"
	"syscall"
	"unsafe"
)

// mapSegments maps zeroed memory for n segments in one piece.
//
// This is the one place outside capture that uses unsafe: Go's own heap would
// count memory that is merely reserved as live, and delay the collection of
// everything else by as much.
func mapSegments(n int) ([]*segment, error) {
	const size = int(unsafe.Sizeof(segment{}))
	mem, err := syscall.Mmap(-1, 0, n*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d MiB for counters: %w", n*size>>20, err)
	}
	segments := make([]*segment, n)
	for i := range segments {
		segments[i] = (*segment)(unsafe.Pointer(&mem[i*size]))
	}
	return segments, nil
}
