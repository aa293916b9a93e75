package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/responder"
)

const (
	typeIPv4 = framegen.TypeIPv4
	typeARP  = framegen.TypeARP
)

// The network: the responder's card has an address of its own, which no frame is
// for; whom the generator's requests come from has none, and exists in them alone.
var (
	ownAddr  = netip.MustParsePrefix("172.16.3.1/24")
	peerAddr = netip.MustParseAddr("172.16.3.200")
	few      = aim{"3", netip.MustParsePrefix("172.16.3.8/29"), 3, 0xac10030a} // 172.16.3.10 to .12
	large    = aim{"16Mi", netip.MustParsePrefix("10.0.0.0/8"), 1 << 24, 10 << 24}
)

// An aim is a run of addresses to be asked for.
// A run, so that the program in the kernel can draw from it with one multiplication.
type aim struct {
	name    string
	prefix  netip.Prefix // that holds them
	targets uint64
	base    uint32
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

// span writes the run as ipaliasd, farpd and the peer programs take it.
func (a aim) span() string {
	if a.targets == uint64(1)<<(32-a.prefix.Bits()) {
		return a.prefix.String()
	}
	return a.address(0).String() + "-" + a.address(uint32(a.targets-1)).String()
}

// A lab is two namespaces with a card each, which a wire joins: the generator at
// one end, and beside it the counter, the responder at the other.
// It is built and used on the generator's thread, but for what Do says otherwise.
type lab struct {
	// Device under test, and generator.
	dut, gen end
	closers  []func() error

	workers       map[uint32]*responder.Worker // by the base of what they answer for
	state, counts *ebpf.Map
	samples       [2]int    // sockets that get what the counter lets through: IPv4 and ARP
	xdp           link.Link // on the responder's card, where that is a veth
	live          bool      // the generator's card sends live frames
	tries         float64   // a second, that the generator makes at a rate, as seen last
	manner        manner    // of who answers now
}

// newLab makes a lab of a new veth pair, or of two cards that there are.
func newLab(card, peer string) (_ *lab, err error) {
	l := &lab{workers: map[uint32]*responder.Worker{}, tries: 5e6}
	// What was made before something failed is taken away here: the caller gets no lab.
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make lab: %w", err), l.close())
		}
	}()
	l.dut.name, l.gen.name = netlab.CardA, netlab.CardB
	for _, n := range []struct {
		to   *end
		what string
	}{{&l.dut, "responder"}, {&l.gen, "generator"}} {
		if n.to.ns, err = netlab.New(netlab.Unique(n.what)); err != nil {
			return l, err
		}
		l.closers = append(l.closers, n.to.ns.Close)
	}
	if card == "" {
		err = netlab.Veth(
			netlab.End{Namespace: l.dut.ns, Name: l.dut.name, MAC: netlab.MACA, Addresses: []netip.Prefix{ownAddr}},
			// Without an address: a kernel with one would answer, ask and forward, and what comes back
			// is for the counter alone.
			netlab.End{Namespace: l.gen.ns, Name: l.gen.name, MAC: netlab.MACB},
		)
	} else {
		l.dut.name, l.gen.name = card, peer
		err = l.takeCards()
	}
	if err != nil {
		return l, err
	}
	if err := errors.Join(l.dut.look(), l.gen.look()); err != nil {
		return l, err
	}
	if err := l.dut.ns.Do(l.prepareResponder); err != nil {
		return l, err
	}
	return l, l.gen.ns.Do(l.prepareGenerator)
}

// takeCards moves two cards into the lab and brings them up.
func (l *lab) takeCards() error {
	for _, e := range []*end{&l.dut, &l.gen} {
		b, err := borrow(e.name, e.ns)
		if err != nil {
			return err
		}
		// Before anything else can fail: whatever becomes of the lab, the card goes home.
		l.closers = append(l.closers, func() error { return b.giveBack(e.ns) })
		err = e.ns.Do(func() error {
			card, err := netlink.LinkByName(e.name)
			if err != nil {
				return err
			}
			// Of its own, so that the daemon finds a network on it, and the kernel takes it for one that is in use.
			if e == &l.dut {
				if err := netlink.AddrAdd(card, &netlink.Addr{IPNet: ipNet(ownAddr)}); err != nil {
					return err
				}
			}
			return netlink.LinkSetUp(card)
		})
		if err != nil {
			return fmt.Errorf("bring card %s up: %w", e.name, err)
		}
	}
	return l.awaitCarrier()
}

// prepareResponder lets the kernel know the peer without asking.
// Otherwise it would ask for the peer's MAC before its first echo reply, and nobody answers
// there.
func (l *lab) prepareResponder() error {
	err := netlink.NeighSet(&netlink.Neigh{
		LinkIndex: l.dut.index,
		// Permanent: it is not asked for again when it has not been heard of for a while.
		State:        netlink.NUD_PERMANENT,
		IP:           peerAddr.AsSlice(),
		HardwareAddr: l.gen.mac,
	})
	if err != nil {
		return fmt.Errorf("set neighbour: %w", err)
	}
	return nil
}

func (l *lab) prepareGenerator() (err error) {
	if l.state, err = words(genSize); err != nil {
		return err
	}
	l.closers = append(l.closers, l.state.Close)
	if l.counts, err = words(countSize); err != nil {
		return err
	}
	l.closers = append(l.closers, l.counts.Close)
	program, err := counter(l.counts)
	if err != nil {
		return err
	}
	l.closers = append(l.closers, program.Close)
	// tcx runs at the ingress of the stack, after the taps: so the socket of roundTrips, which is
	// bound to all protocols, sees what this drops.
	tc, err := link.AttachTCX(link.TCXOptions{Program: program, Attach: ebpf.AttachTCXIngress, Interface: l.gen.index})
	if err != nil {
		return fmt.Errorf("attach counter: %w", err)
	}
	l.closers = append(l.closers, tc.Close)
	// Bound to one protocol, they sit behind the counter and get what it lets through.
	for i, protocol := range []uint16{typeIPv4, typeARP} {
		fd, err := packetSocket(l.gen.index, protocol)
		if err != nil {
			return err
		}
		l.samples[i] = fd
		l.closers = append(l.closers, func() error { return unix.Close(fd) })
	}
	return nil
}

// packetSocket opens a socket that does not block; with protocol 0 it only sends.
func packetSocket(index int, protocol uint16) (int, error) {
	// In network order, as packet(7) has it. 0 is none: bound so, a socket receives nothing.
	be := protocol<<8 | protocol>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open packet socket: %w", err)
	}
	// Room for replies that come while we look away. Without CAP_NET_ADMIN it stays small; the
	// bench is root.
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	// Otherwise a socket bound to all protocols gets what others send on the card, too.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("ignore outgoing frames: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: be, Ifindex: index}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind packet socket: %w", err)
	}
	return fd, nil
}

// close takes everything away, the last made first.
func (l *lab) close() error {
	var errs []error
	for i := len(l.closers) - 1; i >= 0; i-- {
		errs = append(errs, l.closers[i]())
	}
	l.closers = nil
	return errors.Join(errs...)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
