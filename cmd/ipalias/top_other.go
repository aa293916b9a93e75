//go:build !unix

package main

import "os"

// notifyResized would tell when the terminal has another size: here the next table shows it.
func notifyResized(chan<- os.Signal) {}
