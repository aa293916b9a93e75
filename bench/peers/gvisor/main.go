// Gvisor answers for addresses with gVisor's network stack, on a packet socket with
// a ring: a peer of "ipalias bench wire --peer-program".
//
//	gvisor CARD ADDRESSES ASKER-IP ASKER-MAC
//
// ADDRESSES are a prefix or first-last. It lies in a module of its own, so that
// nobody who builds ipalias downloads gVisor.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gvisor:", err)
		os.Exit(1)
	}
}

const nic = 1

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("expected CARD ADDRESSES ASKER-IP ASKER-MAC")
	}
	asker, err := netip.ParseAddr(args[2])
	if err != nil {
		return err
	}
	askerMAC, err := net.ParseMAC(args[3])
	if err != nil {
		return err
	}
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{icmp.NewProtocol4},
	})
	card, err := endpoint(args[0])
	if err != nil {
		return err
	}
	if err := s.CreateNIC(nic, card); err != nil {
		return fmt.Errorf("create interface: %v", err)
	}
	if err := answerFor(s, args[1]); err != nil {
		return err
	}
	// It does not answer before it has resolved who asks, whom nobody answers for.
	if err := s.AddStaticNeighbor(nic, ipv4.ProtocolNumber, tcpip.AddrFrom4(asker.As4()), tcpip.LinkAddress(askerMAC)); err != nil {
		return fmt.Errorf("add neighbour: %v", err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})

	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	return nil
}

// endpoint opens the card as runsc does: a packet socket that reads from a ring.
func endpoint(name string) (stack.LinkEndpoint, error) {
	card, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	all := uint16(unix.ETH_P_ALL)
	all = all<<8 | all>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: card.Index}); err != nil {
		return nil, fmt.Errorf("bind packet socket: %w", err)
	}
	return fdbased.New(&fdbased.Options{
		FDs:                []int{fd},
		MTU:                uint32(card.MTU),
		EthernetHeader:     true,
		Address:            tcpip.LinkAddress(card.HardwareAddr),
		PacketDispatchMode: fdbased.PacketMMap,
		InterfaceIndex:     card.Index,
	})
}

// answerFor gives the stack a few addresses one by one; of a prefix it takes
// whatever comes, as a stack in promiscuous mode does.
func answerFor(s *stack.Stack, addresses string) error {
	first, last, several := strings.Cut(addresses, "-")
	if !several {
		if err := s.SetPromiscuousMode(nic, true); err != nil {
			return fmt.Errorf("set promiscuous mode: %v", err)
		}
		if err := s.SetSpoofing(nic, true); err != nil {
			return fmt.Errorf("allow foreign source addresses: %v", err)
		}
		return nil
	}
	from, err := netip.ParseAddr(first)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddr(last)
	if err != nil {
		return err
	}
	for a := from; a.Compare(to) <= 0; a = a.Next() {
		address := tcpip.ProtocolAddress{
			Protocol:          ipv4.ProtocolNumber,
			AddressWithPrefix: tcpip.AddrFrom4(a.As4()).WithPrefix(),
		}
		if err := s.AddProtocolAddress(nic, address, stack.AddressProperties{}); err != nil {
			return fmt.Errorf("add address %v: %v", a, err)
		}
	}
	return nil
}
