//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyResized tells when the terminal has another size.
func notifyResized(c chan<- os.Signal) { signal.Notify(c, syscall.SIGWINCH) }
