package responder

import "math/rand/v2"

// hashKeys are chosen at the start, so that nobody outside can tell which addresses
// fall together: whoever may choose what we look up, remember or count would else
// send addresses that make every search long.
var hashKeys = [2]uint32{rand.Uint32() | 1, rand.Uint32() | 1}

// hash spreads addresses over 32 bits. It is a bijection, which neighbours makes use
// of: two odd multiplications with the upper half folded into the lower one between
// them, or aliases one behind the other would stay in a regular order, which for
// some keys is a few crowded places.
func hash(a uint32) uint32 {
	a *= hashKeys[0]
	return (a ^ a>>16) * hashKeys[1]
}
