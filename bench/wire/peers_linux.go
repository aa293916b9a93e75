package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/responder"
)

// A peer is somebody who answers. start makes it answer for the addresses of a
// in the lab; it returns how to end that.
type peer struct {
	name  string
	start func(l *lab, a aim) (stop func() error, err error)
	arp   bool // it knows ARP alone
	slow  bool // by more than ten times: one table will do
}

const (
	nobody = "nobody"
	ours   = "ipalias"
	kernel = "kernel"
)

var peers = []peer{
	{name: nobody, start: func(*lab, aim) (func() error, error) { return func() error { return nil }, nil }},
	{name: kernel, start: startKernel},
	{name: ours, start: startOurs},
	{name: "mdlayher/packet", start: startPacket, slow: true},
	{name: "mdlayher/arp", start: startARP, arp: true, slow: true},
}

// startKernel gives the kernel the addresses: a few one by one, as ip addr add
// does, a prefix as ip route add local does.
func startKernel(l *lab, a aim) (func() error, error) {
	change := func(addr func(netlink.Link, *netlink.Addr) error, route func(*netlink.Route) error) error {
		return l.dut.Do(func() error {
			card, err := netlink.LinkByName(netlab.CardA)
			if err != nil {
				return fmt.Errorf("find %s: %w", netlab.CardA, err)
			}
			if a.targets > 256 {
				prefix := &net.IPNet{IP: a.prefix.Addr().AsSlice(), Mask: net.CIDRMask(a.prefix.Bits(), 32)}
				return route(&netlink.Route{
					LinkIndex: card.Attrs().Index,
					Table:     unix.RT_TABLE_LOCAL,
					Type:      unix.RTN_LOCAL,
					Scope:     netlink.SCOPE_HOST,
					Dst:       prefix,
				})
			}
			for _, ip := range a.addresses() {
				if err := addr(card, &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(32, 32)}}); err != nil {
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

// addresses lists few addresses.
func (a aim) addresses() (list []netip.Addr) {
	for i := range uint32(a.targets) {
		list = append(list, a.address(i))
	}
	return list
}

func (a aim) address(i uint32) netip.Addr {
	n := a.base + i
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// worker gives a responder of ours that answers for a: always the same one, since
// the memory of its counters is not given back. That memory has been touched, as
// it is in a daemon that has run for a while.
func (l *lab) worker(a aim) (*responder.Worker, error) {
	if w := l.workers[a.base]; w != nil {
		return w, nil
	}
	r := responder.New(responder.Config{Workers: 1})
	run := responder.PrefixRange(a.prefix)
	if a.targets <= 256 {
		list := a.addresses()
		run = responder.Range{First: list[0], Last: list[len(list)-1]}
	}
	_, err := r.Publish([]responder.Interface{{
		Name:     netlab.CardA,
		MAC:      [6]byte(netlab.MACA),
		Networks: []netip.Prefix{ownAddr.Masked()},
		Host:     []netip.Addr{ownAddr.Addr()},
		Aliases:  []responder.Alias{{Label: "v0:0", Ranges: responder.RangesOf(run)}},
	}})
	if err != nil {
		return nil, err
	}
	w := r.Worker(0)
	var out [][]byte
	for i := uint32(0); i < uint32(a.targets); i += touchStep {
		ask := request(true, a.address(i), 0)
		if out, _ = w.Handle(0, [][]byte{ask}, nil, out[:0]); len(out) != 1 {
			return nil, fmt.Errorf("%v is not answered for", a.address(i))
		}
	}
	l.workers[a.base] = w
	return w, nil
}

// touchStep is how many neighbours' counters lie in one page, or fewer.
const touchStep = 64

type handler struct{ worker *responder.Worker }

func (h handler) Handle(b *capture.Batch) {
	b.Out, b.Wake = h.worker.Handle(b.Time, b.Frames, b.Flags, b.Out)
}

// startOurs runs what the daemon runs: the responder on a card, on a thread of
// its own, which stays off the generator's core.
func startOurs(l *lab, a aim) (func() error, error) {
	w, err := l.worker(a)
	if err != nil {
		return nil, err
	}
	var card *capture.Card
	err = l.dut.Do(func() (err error) {
		card, err = capture.OpenCard(capture.CardConfig{
			Interface: netlab.CardA,
			Filter:    capture.FilterFor([][6]byte{[6]byte(netlab.MACA)}),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer pin(responderCore)()
		done <- card.Run(ctx, handler{w})
	}()
	return func() error {
		cancel()
		return errors.Join(<-done, card.Close())
	}, nil
}

// startPacket is the loop that a reader of mdlayher/packet's documentation writes,
// around our responder, so that only reading and writing differ.
func startPacket(l *lab, a aim) (func() error, error) {
	w, err := l.worker(a)
	if err != nil {
		return nil, err
	}
	var conn *packet.Conn
	err = l.dut.Do(func() error {
		card, err := net.InterfaceByName(netlab.CardA)
		if err != nil {
			return err
		}
		conn, err = packet.Listen(card, packet.Raw, unix.ETH_P_ALL, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen with mdlayher/packet: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf, out := make([]byte, 2048), make([][]byte, 0, 64)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			out, _ = w.Handle(time.Now().UnixNano(), [][]byte{buf[:n]}, nil, out[:0])
			for _, answer := range out {
				conn.WriteTo(answer, from) // what is lost is not counted as a reply
			}
		}
	}()
	return func() error {
		err := conn.Close()
		<-done
		return err
	}, nil
}

// startARP is the loop of mdlayher/arp's example.
func startARP(l *lab, a aim) (func() error, error) {
	var client *arp.Client
	err := l.dut.Do(func() error {
		card, err := net.InterfaceByName(netlab.CardA)
		if err != nil {
			return err
		}
		client, err = arp.Dial(card)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen with mdlayher/arp: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			p, _, err := client.Read()
			if err != nil {
				return // closed
			}
			if p.Operation == arp.OperationRequest && a.prefix.Contains(p.TargetIP) {
				client.Reply(p, netlab.MACA, p.TargetIP)
			}
		}
	}()
	return func() error {
		err := client.Close()
		<-done
		return err
	}, nil
}

// The cores of generator and responder, among those that the process may use.
const (
	generatorCore = 0
	responderCore = 1
)

// pin keeps the calling thread on a core until unpin is called. Where there is only
// one, or pinning is not permitted, things go slower, not wrong.
func pin(core int) (unpin func()) {
	var allowed, one unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) != nil || allowed.Count() < 2 {
		return func() {}
	}
	for cpu, seen := 0, 0; seen <= core; cpu++ {
		if !allowed.IsSet(cpu) {
			continue
		}
		if seen == core {
			one.Set(cpu)
		}
		seen++
	}
	unix.SchedSetaffinity(0, &one)
	return func() { unix.SchedSetaffinity(0, &allowed) }
}
