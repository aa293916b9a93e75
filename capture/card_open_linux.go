package capture

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// socketBuffer is what we ask for on either side, in bytes. Receiving, it holds
// only frames that do not fit a slot; sending, what the card has not sent yet.
const socketBuffer = 4 << 20

// openCards takes the cards' sockets over from the process before this one, where it
// left such as these, or makes them.
func openCards(cfg CardConfig) ([]*Card, error) {
	ifi, err := net.InterfaceByName(cfg.Interface)
	if err != nil {
		return nil, noCard(err)
	}
	if cfg.Gate == nil {
		cfg.Gate = new(Gate)
	}
	kept := cfg.Inheritance.take(ifi.Index, max(1, cfg.Workers), wholeBlocks(cfg.Slots))
	cards := make([]*Card, max(1, cfg.Workers))
	for i := range cards {
		c := &Card{name: cfg.Interface, index: ifi.Index, fd: -1, wake: -1, cpu: -1, out: &sender{fd: -1}, gate: cfg.Gate}
		if len(cfg.CPUs) > 0 {
			c.cpu = cfg.CPUs[i%len(cfg.CPUs)]
		}
		if kept != nil {
			c.fd = kept[i].FD
		}
		cards[i] = c
	}
	if err := setUp(cards, ifi, cfg, kept); err != nil {
		for _, c := range cards {
			c.abandon()
		}
		return nil, err
	}
	return cards, nil
}

// setUp lets frames in last: what arrives before the filters, the rings and the group
// are in place would be wrong.
func setUp(cards []*Card, ifi *net.Interface, cfg CardConfig, kept []Kept) (err error) {
	if kept == nil && cfg.Rings == nil {
		if cfg.Rings, err = MakeRings(cfg.Interface, cfg.Workers, cfg.Slots); err != nil {
			return err
		}
	}
	defer cfg.Rings.Close()
	for _, c := range cards { // first what takes no time
		if err := c.open(ifi, cfg); err != nil {
			return err
		}
	}
	for i, c := range cards {
		if kept != nil {
			err = c.adopt(kept[i])
		} else if err = cfg.Rings.take(c); err == nil {
			err = c.bind()
		}
		if err != nil {
			return err
		}
	}
	group := join
	if kept != nil {
		group = rejoin
	}
	if err := group(cards, cfg.Fanout); err != nil {
		return err
	}
	for _, c := range cards {
		if err := attachFilter(c.fd, cfg.Filter); err != nil {
			return err
		}
	}
	return nil
}

// abandon gives back what was opened of a card that can't be opened whole.
func (c *Card) abandon() {
	if c.ring != nil {
		c.ring.close()
	}
	for _, fd := range []int{c.fd, c.out.fd, c.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// open makes what is beside the receiving side.
func (c *Card) open(ifi *net.Interface, cfg CardConfig) (err error) {
	if c.out.fd, err = listen(ifi); err != nil {
		return err
	}
	c.out.prepare(cfg.Qdisc)
	setBuffer(c.out.fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
	if c.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	// On a single processor who spins keeps the sender from sending.
	if runtime.NumCPU() > 1 && cfg.Spin >= 0 {
		c.most = cmp.Or(cfg.Spin, DefaultSpin)
		c.spin = min(minSpin, c.most)
	}
	c.batch = Batch{
		Frames: make([][]byte, 0, batchSize),
		Flags:  make([]uint8, 0, batchSize),
		Out:    make([][]byte, 0, batchSize),
	}
	return nil
}

// listen opens a packet socket that is bound to the card but to no protocol: it
// may be set up and can send, and receives nothing yet. The descriptor is ours.
func listen(ifi *net.Interface) (int, error) {
	// A filter that drops all, until the end: between bind and joining a group
	// every member would get, and answer, every frame.
	dropAll, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return -1, err
	}
	conn, err := packet.Listen(ifi, packet.Raw, 0, &packet.Config{Filter: dropAll})
	if err != nil {
		return -1, listenError(err)
	}
	// The descriptor is duplicated and conn closed, because conn's is in the
	// runtime's poller: each frame that arrives would wake a thread there that
	// has nothing to do. The socket with all its settings lives on.
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, dupErr := -1, error(nil)
	if err := raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	if dupErr != nil {
		return -1, fmt.Errorf("duplicate socket: %w", dupErr)
	}
	return fd, nil
}

// bind hears all protocols (a socket bound to one sits behind the kernel's ingress
// hooks, where others may drop a frame first), whoever they are for. listen's filter still
// drops all.
func (c *Card) bind() error {
	mreq := unix.PacketMreq{Ifindex: int32(c.index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(c.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
		return fmt.Errorf("set promiscuous mode: %w", bindError(err))
	}
	err := unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: c.index})
	if err != nil {
		return fmt.Errorf("bind: %w", bindError(err))
	}
	// Binding to a card that is down succeeds, and leaves an error behind.
	return c.pending()
}

// attachFilter puts a filter in place of the one there is.
func attachFilter(fd int, filter []bpf.Instruction) error {
	if filter == nil {
		filter = []bpf.Instruction{bpf.RetConstant{Val: wholeFrame}}
	}
	if err := setProgram(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, filter); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}

// setBuffer asks for more than the system's limit, which takes CAP_NET_ADMIN, and
// makes do with the limit.
func setBuffer(fd, force, plain int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, socketBuffer) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, socketBuffer)
	}
}

// checkEthernet looks at the hardware type of the card that fd is bound to.
func checkEthernet(fd int) error {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("read hardware type: %w", err)
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	switch {
	case !ok:
		return fmt.Errorf("read hardware type: unexpected address %T", sa)
	case ll.Hatype == unix.ARPHRD_ETHER:
		return nil
	case ll.Hatype == unix.ARPHRD_LOOPBACK:
		return fmt.Errorf("%w: it is the loopback interface, which no other host can reach", ErrNotEthernet)
	}
	return fmt.Errorf("%w: its hardware type is %d%s, expected %d (Ethernet)",
		ErrNotEthernet, ll.Hatype, hardwareName(ll.Hatype), unix.ARPHRD_ETHER)
}

// hardwareName names the types that people do meet.
func hardwareName(hatype uint16) string {
	names := map[uint16]string{
		unix.ARPHRD_PPP:        "PPP",
		unix.ARPHRD_INFINIBAND: "InfiniBand",
		unix.ARPHRD_NONE:       "a tunnel without link layer",
		unix.ARPHRD_TUNNEL:     "an IPv4 tunnel",
		unix.ARPHRD_TUNNEL6:    "an IPv6 tunnel",
		unix.ARPHRD_SIT:        "a 6in4 tunnel",
		unix.ARPHRD_IPGRE:      "a GRE tunnel",
		unix.ARPHRD_IEEE80211:  "raw wireless",
	}
	if name, ok := names[hatype]; ok {
		return " (" + name + ")"
	}
	return ""
}

func noCard(err error) error {
	// Package net has no error of its own for this, only a text.
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Err.Error() == "no such network interface" {
		return ErrNoCard
	}
	return err
}

func listenError(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		exe, exeErr := os.Executable()
		if exeErr != nil {
			exe = "/path/of/this/program"
		}
		return fmt.Errorf("%w: it takes the capability CAP_NET_RAW; run it as root, or once: setcap cap_net_raw+ep %s", ErrPrivilege, exe)
	}
	return bindError(err)
}

// bindError is for a card that went away since its name was looked up.
func bindError(err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return ErrNoCard
	}
	return err
}

// networkOrder gives v as the kernel reads a big-endian field.
func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}
