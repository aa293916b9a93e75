//go:build !linux

package responder

// mapMemory takes the memory from Go's heap: only the daemon, which is Linux only, has more to
// count than fits there.
func mapMemory[T any](n int) ([]T, error) { return make([]T, n), nil }

// unmapMemory leaves it to the collector.
func unmapMemory[T any]([]T) {}

// hugeUpTo knows of no pages here.
func hugeUpTo[T any]([]T, int) {}

// zeroMemory clears memory.
func zeroMemory[T any](s []T) { clear(s) }
