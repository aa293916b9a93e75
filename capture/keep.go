package capture

import "slices"

// KeptPrefix is what the names of all Kept begin with.
const KeptPrefix = "ring."

// A Kept is the receiving socket of a Card that was closed for another process to
// go on with: the kernel fills its ring meanwhile, and so not one frame is lost.
type Kept struct {
	FD int

	// Name tells that process where in the ring to go on, and what has to be the
	// same there. It is ASCII without ":", as systemd wants names of descriptors.
	Name string
}

// An Inheritance is what other processes kept, as far as no Card has taken it.
// It belongs to one goroutine.
type Inheritance struct{ kept []Kept }

// Empty tells that there is nothing left to take.
func (in *Inheritance) Empty() bool { return in == nil || len(in.kept) == 0 }

// Inherit makes an Inheritance, which the sockets belong to from now on.
func Inherit(kept []Kept) *Inheritance { return &Inheritance{slices.Clone(kept)} }
