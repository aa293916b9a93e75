//go:build !linux

package wire

import (
	"context"

	"github.com/ipalias/ipalias/internal/netlab"
)

// Run needs Linux.
func Run(context.Context, int) (*Report, error) { return nil, netlab.ErrUnsupported }
