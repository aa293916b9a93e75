//go:build !amd64 && !arm64

package responder

import "runtime"

// prefetchSlots touches a slot for each number. Loads that do not depend on each other
// overlap as well, a dozen or so.
func prefetchSlots(index []uint32, numbers []uint32) {
	sum := uint32(0)
	for _, n := range numbers {
		sum += index[n]
	}
	runtime.KeepAlive(sum) // or the compiler would drop the loads
}

// prefetchRows touches both ends of rows likewise: they may lie in two cache lines.
func prefetchRows(rows []row, numbers []uint32) {
	sum := uint64(0)
	for _, n := range numbers {
		sum += uint64(rows[n].addr) + rows[n].tx.load()
	}
	runtime.KeepAlive(sum)
}
