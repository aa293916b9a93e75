//go:build race

package responder

import "sync/atomic"

// counter, see counter.go: with the race detector the same words are atomic, so
// that it reports every other unsynchronised access.
type counter uint64

func (c *counter) add(n uint64) uint64 { return atomic.AddUint64((*uint64)(c), n) }
func (c *counter) load() uint64        { return atomic.LoadUint64((*uint64)(c)) }
