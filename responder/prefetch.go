//go:build amd64 || arm64

package responder

// Go has no way to ask for memory without waiting for it: a load that misses holds up
// all that follows it as soon as the processor can look no further ahead, a dozen
// frames or so. These few instructions are all the assembly there is. They compute
// nothing, and whatever address they are given, they neither fault nor change
// anything; prefetch_other.go does without.

// prefetchSlots asks for the window of slots from each number on.
//
//go:noescape
func prefetchSlots(index []uint32, numbers []uint32)

// prefetchRows asks for the rows of these numbers: for both ends, since one row in four
// lies in two cache lines.
//
//go:noescape
func prefetchRows(rows []row, numbers []uint32)
