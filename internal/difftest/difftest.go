// Package difftest holds the responder against the Linux kernel: generated and
// mutated frames go to a kernel that has the aliases as ordinary addresses, in a
// network namespace, and to the responder; the answers must be the same, by the
// rules of package kernelref.
//
// It is all test. A short run is part of the ordinary tests; for a long one:
//
//	go test ./internal/difftest -run Responder -timeout 0 -difftest.frames=10000000 -difftest.seed=1
//
// What it prints of a difference can be kept as a case: -difftest.record=FILE.
package difftest
