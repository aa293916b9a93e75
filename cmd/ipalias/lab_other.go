//go:build !linux

package main

import (
	"fmt"

	"github.com/ipalias/ipalias/internal/netlab"
)

func runLab(env, []string) error { return fmt.Errorf("make a lab: %w", netlab.ErrUnsupported) }
