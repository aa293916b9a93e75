//go:build !linux

// So that cmd/ipalias has no build tags in its commands: each asks for ErrUnsupported where
// it can do without the kernel, and fails with it where it can't.

package nettools

import "net/netip"

// Cards fails: see ErrUnsupported.
func Cards() ([]Card, error) { return nil, ErrUnsupported }

// Routes fails: see ErrUnsupported.
func Routes() ([]Route, error) { return nil, ErrUnsupported }

// SetUp fails: see ErrUnsupported.
func SetUp(string, bool) error { return ErrUnsupported }

// AddAddress fails: see ErrUnsupported.
func AddAddress(string, netip.Prefix, netip.Addr) error { return ErrUnsupported }

// AddRoute fails: see ErrUnsupported.
func AddRoute(Route) error { return ErrUnsupported }

// DeleteRoute fails: see ErrUnsupported.
func DeleteRoute(Route) error { return ErrUnsupported }
