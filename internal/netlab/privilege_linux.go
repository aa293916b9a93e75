package netlab

import (
	"errors"

	"golang.org/x/sys/unix"
)

// WithoutCapabilities runs fn with none of the thread's capabilities in effect, as
// an ordinary user's program would. They stay permitted, so that the thread has them
// back afterwards. The caller has locked the goroutine to its thread, as Do does.
func WithoutCapabilities(fn func() error) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		return err
	}
	none := had
	none[0].Effective, none[1].Effective = 0, 0
	if err := unix.Capset(&header, &none[0]); err != nil {
		return err
	}
	return errors.Join(fn(), unix.Capset(&header, &had[0]))
}
