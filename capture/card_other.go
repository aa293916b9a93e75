//go:build !linux

package capture

import (
	"context"
	"fmt"

	"golang.org/x/net/bpf"
)

// Card is a Port on a network card. There is none on this operating system.
type Card struct{}

// OpenCard fails with ErrUnsupported.
func OpenCard(cfg CardConfig) (*Card, error) {
	return nil, fmt.Errorf("open card %s: %w", cfg.Interface, ErrUnsupported)
}

// OpenCards fails with ErrUnsupported.
func OpenCards(cfg CardConfig) ([]*Card, error) {
	return nil, fmt.Errorf("open card %s: %w", cfg.Interface, ErrUnsupported)
}

// Rings are being made. There are none on this operating system.
type Rings struct{}

// MakeRings fails with ErrUnsupported.
func MakeRings(string, int, int) (*Rings, error) { return nil, ErrUnsupported }

// Close does nothing.
func (r *Rings) Close() {}

// CPUs lists nothing.
func CPUs() []int { return nil }

// Run fails with ErrUnsupported.
func (c *Card) Run(ctx context.Context, h Handler) error { return ErrUnsupported }

// Send fails with ErrUnsupported.
func (c *Card) Send(frame []byte) error { return ErrUnsupported }

// SetFilter fails with ErrUnsupported.
func (c *Card) SetFilter(filter []bpf.Instruction) error { return ErrUnsupported }

// Stats is all zero.
func (c *Card) Stats() Stats { return Stats{} }

// Nudge does nothing.
func (c *Card) Nudge() {}

// Leave does nothing.
func (c *Card) Leave() error { return nil }

// Close does nothing.
func (c *Card) Close() error { return nil }
