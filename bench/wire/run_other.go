//go:build !linux

package wire

import (
	"context"

	"github.com/ipalias/ipalias/internal/netlab"
)

// Run needs Linux.
func Run(context.Context, Options) (*Report, error) { return nil, netlab.ErrUnsupported }

// RunDaemon needs Linux.
func RunDaemon(context.Context, string) (*DaemonReport, error) { return nil, netlab.ErrUnsupported }
