// Package netlab makes network namespaces and joins them with veth pairs: a
// network of one's own that nobody else's traffic reaches, for the tests and
// for "ipalias lab". It needs no program but nsenter, and that only for Command.
//
// The namespaces have names under /run/netns, so "ip netns exec NAME" works.
package netlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
)

// ErrUnsupported is what everything here returns where there are no network
// namespaces.
var ErrUnsupported = errors.New("network namespaces are Linux only")

// dir is where iproute2 looks for named namespaces.
const dir = "/run/netns"

// testPrefix starts the names that Unique makes, so that what a killed test
// left behind can be told from everybody else's namespaces.
const testPrefix = "ipalias-test-"

// A Namespace is a network namespace that New made.
type Namespace struct {
	name string
}

// Name is the namespace's name under /run/netns.
func (n *Namespace) Name() string { return n.name }

// An End describes one end of a veth pair.
type End struct {
	Namespace *Namespace
	Name      string           // the interface's name, at most 15 bytes
	MAC       net.HardwareAddr // nil: the kernel chooses one
	MTU       int              // in bytes; 0: 1500
	Addresses []netip.Prefix   // IPv4 addresses with their network's length; may be empty
}

var serial atomic.Uint64

// Unique makes a namespace name that no other call and no other live process
// makes. what says what it is for, and must hold no slash.
func Unique(what string) string {
	return fmt.Sprintf("%s%d-%d-%s", testPrefix, os.Getpid(), serial.Add(1), what)
}
