package link

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// dumpTries is how often a listing is asked for again that the kernel says
// changed under its hands.
const dumpTries = 5

// errorPause keeps a socket that fails all the time from taking a processor.
const errorPause = time.Second

// A Kernel is a connection to rtnetlink in the network namespace of the thread
// that opened it. Its methods may be called from any goroutine.
type Kernel struct {
	ask     *netlink.Handle
	listen  *nl.NetlinkSocket
	changed chan struct{}
	closing chan struct{}
	done    sync.WaitGroup
}

// Open connects to the kernel. It needs no privilege.
func Open() (*Kernel, error) {
	// The notifications first: what changes while the first facts are read is
	// then not lost.
	listen, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("subscribe to rtnetlink: %w", err)
	}
	ask, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		listen.Close()
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	k := &Kernel{ask: ask, listen: listen, changed: make(chan struct{}, 1), closing: make(chan struct{})}
	k.done.Go(k.watch)
	return k, nil
}

// Queues tells over how many queues a card can receive: as many processors may be
// busy with that at a time. It is 1 for a card that does not exist.
func Queues(name string) int {
	card, err := netlink.LinkByName(name)
	if err != nil {
		return 1
	}
	return max(1, card.Attrs().NumRxQueues)
}

// Changed delivers a value whenever a card, an IPv4 address or a default route
// may have changed since the last value was taken; many changes in a row are
// one. It is never closed while k is open.
func (k *Kernel) Changed() <-chan struct{} { return k.changed }

// Close ends the connection. No value comes from Changed afterwards.
func (k *Kernel) Close() {
	close(k.closing)
	k.listen.Close() // wakes up watch
	k.done.Wait()
	k.ask.Close()
}

func (k *Kernel) watch() {
	for {
		messages, from, err := k.listen.Receive()
		switch {
		case err == nil && from.Pid != nl.PidKernel:
			continue // any process may send to a netlink socket
		case err == nil && !slices.ContainsFunc(messages, matters):
			continue
		case err != nil && !errors.Is(err, unix.ENOBUFS): // ENOBUFS: some were lost
			select {
			case <-k.closing:
				return
			case <-time.After(errorPause):
			}
		}
		// Also after an error: whatever it kept from us, the facts tell.
		select {
		case k.changed <- struct{}{}:
		default: // the last one was not taken yet, and stands for this one too
		}
	}
}

// matters keeps out the noise of a router: of a full table's routes that come
// and go only the default ones tell something about a card.
func matters(m syscall.NetlinkMessage) bool {
	switch m.Header.Type {
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return len(m.Data) < unix.SizeofRtMsg || nl.DeserializeRtMsg(m.Data).Dst_len == 0
	}
	return true
}

// Read asks the kernel about the card called name. The error is ErrNotFound
// where there is none.
func (k *Kernel) Read(name string) (Facts, error) {
	card, err := k.ask.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return Facts{}, ErrNotFound
	}
	if err != nil {
		return Facts{}, fmt.Errorf("read card %s: %w", name, err)
	}
	f := factsOf(card)
	if err := k.addMaster(&f, card.Attrs().MasterIndex); err != nil {
		return Facts{}, fmt.Errorf("read the master of card %s: %w", name, err)
	}
	if err := k.addAddresses(&f); err != nil {
		return Facts{}, fmt.Errorf("list addresses: %w", err)
	}
	if err := k.addGateways(&f); err != nil {
		return Facts{}, fmt.Errorf("list routes: %w", err)
	}
	return f, nil
}

// Names lists the cards that exist, but for the loopback, sorted.
func (k *Kernel) Names() ([]string, error) {
	cards, err := Dump(k.ask.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list cards: %w", err)
	}
	var names []string
	for _, card := range cards {
		if card.Attrs().Flags&net.FlagLoopback == 0 {
			names = append(names, card.Attrs().Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func factsOf(card netlink.Link) Facts {
	a := card.Attrs()
	return Facts{
		Name:    a.Name,
		Index:   a.Index,
		MAC:     a.HardwareAddr,
		MTU:     a.MTU,
		Encap:   a.EncapType,
		Up:      a.RawFlags&unix.IFF_UP != 0,
		Carrier: a.RawFlags&unix.IFF_RUNNING != 0,
	}
}

// addMaster tells what the card is a part of. A master that is gone when it is asked
// for has let the card go, and that has a notification of its own.
func (k *Kernel) addMaster(f *Facts, index int) error {
	if index == 0 {
		return nil
	}
	master, err := k.ask.LinkByIndex(index)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Master, f.Kind = master.Attrs().Name, master.Type()
	return nil
}

// NameOf gives the name of the card of an index, "" if there is none.
func (k *Kernel) NameOf(index int) string {
	card, err := k.ask.LinkByIndex(index)
	if err != nil {
		return ""
	}
	return card.Attrs().Name
}

func (k *Kernel) addAddresses(f *Facts) error {
	list, err := Dump(func() ([]netlink.Addr, error) { return k.ask.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return err
	}
	for _, entry := range list {
		// IPNet is the local address also on a point-to-point link, where the
		// address proper (IFA_ADDRESS) is the other side's.
		address, ok := netip.AddrFromSlice(entry.IP.To4())
		if !ok {
			continue
		}
		f.Host = append(f.Host, address)
		if entry.LinkIndex == f.Index {
			bits, _ := entry.Mask.Size()
			f.Networks = append(f.Networks, netip.PrefixFrom(address, bits))
		}
	}
	slices.SortFunc(f.Host, netip.Addr.Compare)
	f.Host = slices.Compact(f.Host)
	return nil
}

func (k *Kernel) addGateways(f *Facts) error {
	routes, err := Dump(func() ([]netlink.Route, error) {
		return k.ask.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_DST) // no Dst: the default
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(routes, func(a, b netlink.Route) int { return cmp.Compare(a.Priority, b.Priority) })
	add := func(index int, gateway net.IP) {
		address, ok := netip.AddrFromSlice(gateway.To4())
		if ok && index == f.Index && !slices.Contains(f.Gateways, address) {
			f.Gateways = append(f.Gateways, address)
		}
	}
	for _, route := range routes {
		add(route.LinkIndex, route.Gw)
		for _, hop := range route.MultiPath {
			add(hop.LinkIndex, hop.Gw)
		}
	}
	return nil
}

// Dump lists again while the kernel says that the list changed meanwhile. The
// last one is taken as it is: the change has a notification of its own.
func Dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range dumpTries {
		all, err = list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, nil
}
