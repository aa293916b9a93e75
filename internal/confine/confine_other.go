//go:build !linux

package confine

// There is nothing to keep where there are no capabilities.
const (
	NetRaw = iota
	NetAdmin
)

// Become fails: see ErrUnsupported.
func Become(*User) error { return ErrUnsupported }

// Bound fails: see ErrUnsupported.
func Bound(...int) error { return ErrUnsupported }

// Limit fails: see ErrUnsupported.
func Limit(...int) error { return ErrUnsupported }

// Filter fails: see ErrUnsupported.
func Filter() error { return ErrUnsupported }
