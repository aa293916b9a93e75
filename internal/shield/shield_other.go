//go:build !linux

package shield

import (
	"context"

	"github.com/ipalias/ipalias/responder"
)

// A Shield can't be raised here: see ErrUnsupported.
type Shield struct{}

// Raise fails: see ErrUnsupported.
func Raise(card string) (*Shield, error) { return nil, ErrUnsupported }

// Update fails: see ErrUnsupported.
func (s *Shield) Update(interfaces []responder.Interface) error { return ErrUnsupported }

// Wait fails: see ErrUnsupported.
func (s *Shield) Wait(ctx context.Context) error { return ErrUnsupported }

// Done never delivers anything.
func (s *Shield) Done() <-chan struct{} { return nil }

// Err returns ErrUnsupported.
func (s *Shield) Err() error { return ErrUnsupported }

// Lower does nothing.
func (s *Shield) Lower() error { return nil }

// Sweep does nothing: nothing can have been left behind.
func Sweep(card string) error { return nil }
