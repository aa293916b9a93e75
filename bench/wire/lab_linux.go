package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/responder"
)

const (
	typeIPv4 = framegen.TypeIPv4
	typeARP  = framegen.TypeARP
)

// The network: the generator's namespace has netlab.CardB, the responder's
// netlab.CardA with an address of its own, which no frame is for.
var (
	ownAddr  = netip.MustParsePrefix("172.16.3.1/24")
	peerAddr = netip.MustParseAddr("172.16.3.200")
	few      = aim{"3", netip.MustParsePrefix("172.16.3.8/29"), 3, 0xac10030a} // 172.16.3.10 to .12
	large    = aim{"16Mi", netip.MustParsePrefix("10.0.0.0/8"), 1 << 24, 10 << 24}
)

// An aim is a run of addresses to be asked for.
type aim struct {
	name    string
	prefix  netip.Prefix // that holds them
	targets uint64
	base    uint32
}

// A lab is two namespaces, the veth pair between them, the generator at one end, and
// beside it the counter.
type lab struct {
	dut, gen *netlab.Namespace
	index    int // of the generator's card, in its namespace
	closers  []func() error

	workers       map[uint32]*responder.Worker // by the base of what they answer for
	state, counts *ebpf.Map
	samples       [2]int // sockets that get what the counter lets through: IPv4 and ARP
}

func newLab() (_ *lab, err error) {
	l := &lab{workers: map[uint32]*responder.Worker{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make lab: %w", err), l.close())
		}
	}()
	for _, n := range []struct {
		to   **netlab.Namespace
		what string
	}{{&l.dut, "responder"}, {&l.gen, "generator"}} {
		if *n.to, err = netlab.New(netlab.Unique(n.what)); err != nil {
			return l, err
		}
		l.closers = append(l.closers, (*n.to).Close)
	}
	err = netlab.Veth(
		netlab.End{Namespace: l.dut, Name: netlab.CardA, MAC: netlab.MACA, Addresses: []netip.Prefix{ownAddr}},
		netlab.End{Namespace: l.gen, Name: netlab.CardB, MAC: netlab.MACB},
	)
	if err != nil {
		return l, err
	}
	if err := l.dut.Do(l.prepareResponder); err != nil {
		return l, err
	}
	return l, l.gen.Do(l.prepareGenerator)
}

// prepareResponder lets the kernel know the peer without asking, and the card take
// the generator's frames.
func (l *lab) prepareResponder() error {
	card, err := netlink.LinkByName(netlab.CardA)
	if err != nil {
		return fmt.Errorf("find %s: %w", netlab.CardA, err)
	}
	err = netlink.NeighSet(&netlink.Neigh{
		LinkIndex:    card.Attrs().Index,
		State:        netlink.NUD_PERMANENT,
		IP:           peerAddr.AsSlice(),
		HardwareAddr: netlab.MACB,
	})
	if err != nil {
		return fmt.Errorf("set neighbour: %w", err)
	}
	program, err := pass()
	if err != nil {
		return err
	}
	l.closers = append(l.closers, program.Close)
	x, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: card.Attrs().Index})
	if err != nil {
		return fmt.Errorf("attach XDP: %w", err)
	}
	l.closers = append(l.closers, x.Close)
	return nil
}

func (l *lab) prepareGenerator() (err error) {
	card, err := net.InterfaceByName(netlab.CardB)
	if err != nil {
		return fmt.Errorf("find %s: %w", netlab.CardB, err)
	}
	l.index = card.Index
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
	tc, err := link.AttachTCX(link.TCXOptions{Program: program, Attach: ebpf.AttachTCXIngress, Interface: card.Index})
	if err != nil {
		return fmt.Errorf("attach counter: %w", err)
	}
	l.closers = append(l.closers, tc.Close)
	// Bound to one protocol, they sit behind the counter and get what it lets through.
	for i, protocol := range []uint16{typeIPv4, typeARP} {
		if l.samples[i], err = packetSocket(card.Index, protocol); err != nil {
			return err
		}
		fd := l.samples[i]
		l.closers = append(l.closers, func() error { return unix.Close(fd) })
	}
	return nil
}

// packetSocket opens a socket that does not block.
func packetSocket(index int, protocol uint16) (int, error) {
	be := protocol<<8 | protocol>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open packet socket: %w", err)
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
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

// request builds a frame that asks for target; echo numbers it seq.
func request(arp bool, target netip.Addr, seq uint16) []byte {
	dst, src := framegen.MAC(netlab.MACA), framegen.MAC(netlab.MACB)
	if arp {
		a := framegen.ARP{SenderMAC: src, Sender: peerAddr, Target: target}
		frame := framegen.Ether(framegen.Broadcast, src, typeARP, a.Bytes())
		return append(frame, make([]byte, frameLen-len(frame))...)
	}
	d := framegen.IPv4{Protocol: framegen.ICMP, Src: peerAddr, Dst: target,
		Payload: framegen.ICMPMessage(8, 0, 0x00070000|uint32(seq), make([]byte, frameLen-14-20-8))}
	return framegen.Ether(dst, src, typeIPv4, d.Bytes())
}

// frameLen is the length of all frames: the shortest that Ethernet carries.
const frameLen = 60

// A tally is what the generator did, and what came back.
type tally struct {
	sent, replies, other uint64
	seconds              float64
	checked              int
}

func (r tally) offered() float64  { return float64(r.sent) / r.seconds }
func (r tally) answered() float64 { return float64(r.replies) / r.seconds }

// send has the generator send for about d: at a rate a second, or as fast as it
// goes (0). It blocks the calling thread, which is in the generator's namespace.
func (l *lab) send(program *ebpf.Program, template []byte, a aim, rate float64, d time.Duration) (tally, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return tally{}, fmt.Errorf("read clock: %w", err)
	}
	start := time.Now()
	state := make([]byte, genSize)
	set := func(at int, v uint64) { binary.NativeEndian.PutUint64(state[at:], v) }
	set(genStop, math.MaxInt64)
	set(genFor, uint64(d))
	set(genRandom, uint64(now.Nano())|1)
	set(genBase, uint64(a.base))
	set(genTargets, a.targets)
	if rate > 0 {
		set(genInterval, uint64(1e9/rate))
	}
	if err := errors.Join(l.state.Put(uint32(0), state), l.counts.Put(uint32(0), make([]byte, countSize))); err != nil {
		return tally{}, fmt.Errorf("reset counters: %w", err)
	}
	l.drain()
	// A call has some 24 ms of fixed cost, a gap in the traffic. So one should do;
	// what is left of it after the end is dropped, at some 20 million a second.
	repeat := uint32(2e6 * d.Seconds())
	if rate > 0 {
		repeat = uint32(25e6 * d.Seconds()) // what is not due yet is dropped as well
	}
	for {
		_, err := program.Run(&ebpf.RunOptions{
			Data:      template,
			Repeat:    repeat,
			Flags:     unix.BPF_F_TEST_XDP_LIVE_FRAMES,
			Context:   xdpContext{DataEnd: uint32(len(template)), Ingress: uint32(l.index)},
			BatchSize: 64,
		})
		if err != nil && !errors.Is(err, unix.EINTR) {
			return tally{}, fmt.Errorf("send live frames: %w", err)
		}
		if err := l.state.Lookup(uint32(0), state); err != nil {
			return tally{}, fmt.Errorf("read generator: %w", err)
		}
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return tally{}, fmt.Errorf("read clock: %w", err)
		}
		if uint64(now.Nano()) > binary.NativeEndian.Uint64(state[genStop:]) {
			break
		}
		if time.Since(start) > 20*d+time.Second {
			return tally{}, errors.New("send live frames: the generator does not get to the end")
		}
	}
	return l.result(a)
}

// xdpContext is struct xdp_md.
type xdpContext struct{ Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32 }

// result waits until no more replies come, and reads the counters.
func (l *lab) result(a aim) (tally, error) {
	var r tally
	for quiet := 0; quiet < 3; {
		time.Sleep(5 * time.Millisecond) // no event tells that nothing will come
		var counts [countSize]byte
		if err := l.counts.Lookup(uint32(0), &counts); err != nil {
			return r, fmt.Errorf("read counter: %w", err)
		}
		n := binary.NativeEndian.Uint64(counts[countReplies:])
		r.other = binary.NativeEndian.Uint64(counts[countOther:])
		if n == r.replies {
			quiet++
		} else {
			quiet = 0
		}
		r.replies = n
	}
	var state [genSize]byte
	if err := l.state.Lookup(uint32(0), &state); err != nil {
		return r, fmt.Errorf("read generator: %w", err)
	}
	r.sent = binary.NativeEndian.Uint64(state[genSent:])
	r.seconds = float64(binary.NativeEndian.Uint64(state[genLast:])-binary.NativeEndian.Uint64(state[genFirst:])) / 1e9
	if r.sent < 2 {
		return r, errors.New("the generator sent nothing")
	}
	var err error
	r.checked, err = l.check(a)
	return r, err
}

// drain throws away what samples are left.
func (l *lab) drain() {
	buf := make([]byte, 2048)
	for _, fd := range l.samples {
		for {
			if _, err := unix.Read(fd, buf); err != nil && err != unix.EINTR {
				break
			}
		}
	}
}

// check compares the sampled replies, byte by byte, with what they should be.
func (l *lab) check(a aim) (n int, err error) {
	buf := make([]byte, 2048)
	for _, fd := range l.samples {
		for {
			size, err := unix.Read(fd, buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				break
			}
			if err := checkReply(buf[:size], a); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func checkReply(reply []byte, a aim) error {
	arp := binary.BigEndian.Uint16(reply[etherType:]) == typeARP
	at, seq := 26, uint16(0)
	if arp {
		at = 28
	} else {
		seq = binary.BigEndian.Uint16(reply[icmpSeq:])
	}
	from := binary.BigEndian.Uint32(reply[at:])
	if from-a.base >= uint32(a.targets) {
		return fmt.Errorf("a reply from an address that nobody asked for: %x", reply)
	}
	target := netip.AddrFrom4([4]byte(reply[at:]))
	return bench.Compare(reply, bench.Expect(request(arp, target, seq)))
}
