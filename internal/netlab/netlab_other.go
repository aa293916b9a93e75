//go:build !linux

package netlab

import "os/exec"

// New fails: see ErrUnsupported.
func New(name string) (*Namespace, error) { return nil, ErrUnsupported }

// Do fails: see ErrUnsupported.
func (n *Namespace) Do(fn func() error) error { return ErrUnsupported }

// Command returns a command that fails to start: see ErrUnsupported.
func (n *Namespace) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Err = ErrUnsupported
	return cmd
}

// SetSysctl fails: see ErrUnsupported.
func (n *Namespace) SetSysctl(key, value string) error { return ErrUnsupported }

// Close fails: see ErrUnsupported.
func (n *Namespace) Close() error { return ErrUnsupported }

// Veth fails: see ErrUnsupported.
func Veth(a, b End) error { return ErrUnsupported }

// Sweep fails: see ErrUnsupported.
func Sweep(prefix string) ([]string, error) { return nil, ErrUnsupported }

func sweepDead() {}

func usable() error { return ErrUnsupported }
