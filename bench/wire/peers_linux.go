package wire

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A peer is somebody who answers.
type peer struct {
	name string

	// start makes it answer for the addresses of a in the lab; it returns how to
	// end that.
	start func(l *lab, a aim) (stop func() error, err error)

	// step has it answer n bursts of q on the calling thread, each sent when the
	// one before has been answered. nil: it answers within the sending of the burst,
	// as the kernel does.
	step func(ctx context.Context, l *lab, q *question, n int) error

	program bool // it runs in a process of its own, and can't be led step by step
	arp     bool // it knows ARP alone
	slow    bool // by more than ten times: one table will do

	manner
}

// A manner is how somebody's replies differ from everybody's.
type manner struct {
	late      time.Duration // up to which they come
	broadcast bool          // they go to everybody
}

// The names of the peers that others are compared with.
const (
	nobody   = "nobody"
	kernel   = "kernel"
	ours     = "ipalias"
	shielded = "ipalias, shield"
)

// all lists who is measured.
func all(o Options) ([]peer, error) {
	list := []peer{
		// What the generator and the kernel's receiving half cost where nobody answers: what is more
		// than that is the answer's cost.
		{name: nobody, start: func(*lab, aim) (func() error, error) { return func() error { return nil }, nil }},
		{name: kernel, start: startKernel},
		{name: ours, start: startOurs, step: stepOurs},
		{name: shielded, start: behindShield(startOurs), step: stepShielded},
		{name: "mdlayher/packet", start: startPacket, step: stepPacket, slow: true},
		{name: "mdlayher/arp", start: startARP, step: stepARP, arp: true, slow: true},
	}
	programs, err := programPeers(o)
	return append(list, programs...), err
}

// asks tells whether a peer is asked a question at all.
func (p *peer) asks(q *question) bool {
	return (q.arp || !p.arp) && (!p.slow || q.a.targets <= 256)
}

// startKernel gives the kernel the addresses: a few one by one, as ip addr add
// does, a prefix as ip route add local does.
// It needs no start and no thread: it answers in the softirq that receives, within the call that
// sends. That is its strength, and no unfairness.
func startKernel(l *lab, a aim) (func() error, error) {
	change := func(addr func(netlink.Link, *netlink.Addr) error, route func(*netlink.Route) error) error {
		return l.dut.ns.Do(func() error {
			card, err := netlink.LinkByIndex(l.dut.index)
			if err != nil {
				return fmt.Errorf("find %s: %w", l.dut.name, err)
			}
			if a.targets > 256 {
				return route(&netlink.Route{
					LinkIndex: l.dut.index,
					Table:     unix.RT_TABLE_LOCAL,
					Type:      unix.RTN_LOCAL,
					Scope:     netlink.SCOPE_HOST,
					// AnyIP: the kernel answers ARP and echo for each address of a local route.
					Dst: ipNet(a.prefix),
				})
			}
			for _, ip := range a.addresses() {
				if err := addr(card, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(ip, 32))}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := change(netlink.AddrAdd, netlink.RouteAdd); err != nil {
		return nil, fmt.Errorf("give the kernel addresses: %w", err)
	}
	return func() error { return change(netlink.AddrDel, netlink.RouteDel) }, nil
}
