package difftest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
)

// A kernel is a Linux kernel with the lab's addresses in a namespace of its own,
// and a packet socket at the other end of its only cable.
type kernel struct {
	t      testing.TB
	fd     int
	serial uint32 // of the last marker
	buf    []byte

	netlink *netlink.Handle // in the kernel's namespace
	card    int             // the index of its card
	arps    int             // ARP frames sent since it was made to forget who sent them
}

// The settings in which the kernel is not as it comes.
var sysctls = map[string]string{
	// What is answered must not depend on how much was asked before. Only Time
	// Exceeded (1<<11) is limited, to none in a day: it would come long after its
	// sequence, in bursts that leave no room for other answers.
	"net/ipv4/icmp_ratemask":  "2048",
	"net/ipv4/icmp_ratelimit": "86400000", // milliseconds
	// Room for what never becomes whole, which is given up before its
	// identification comes round again.
	"net/ipv4/ipfrag_high_thresh": "268435456",
	"net/ipv4/ipfrag_time":        "1", // seconds
}

var (
	mainAddress = netip.MustParsePrefix("172.16.3.1/24")
	otherHost   = netip.MustParseAddr("172.16.3.201")
	otherMAC    = net.HardwareAddr{0x02, 0, 0, 0, 3, 0xc9}
)

// newKernel sets the lab up as the recordings' was: see kernelref. The calling
// goroutine stays on its thread and processor until the test ends: veth delivers on
// the sender's processor, so everything stays in order.
func newKernel(t testing.TB) *kernel {
	netlab.Need(t)
	a, b := netlab.Make(t, "kernel"), netlab.Make(t, "peer")
	host := framegen.Lab()
	ours := netlab.End{Namespace: a, Name: netlab.CardA, MAC: netlab.MACA}
	for _, alias := range host.Aliases {
		ours.Addresses = append(ours.Addresses, netip.PrefixFrom(alias, mainAddress.Bits()))
	}
	if err := netlab.Veth(ours, netlab.End{Namespace: b, Name: netlab.CardB, MAC: netlab.MACB}); err != nil {
		t.Fatal(err)
	}
	for key, value := range sysctls {
		if err := a.SetSysctl(key, value); err != nil {
			t.Fatal(err)
		}
	}
	k := &kernel{t: t, buf: make([]byte, 1<<16)}
	if err := a.Do(func() error { return k.neighbours(host) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.netlink.Close)
	if err := b.Do(func() (err error) { k.fd, err = openSocket(netlab.CardB); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(k.fd) })
	stayOnProcessor(t)
	k.ask(nil) // what the kernel says when its card comes up is over
	return k
}

// neighbours gives every on-link address but our own a permanent MAC, and the
// default route to the gateway, so that no answer waits for ARP.
func (k *kernel) neighbours(host framegen.Host) error {
	h, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	k.netlink = h
	link, err := h.LinkByName(netlab.CardA)
	if err != nil {
		return err
	}
	k.card = link.Attrs().Index
	for a := host.Network.Addr(); host.Network.Contains(a); a = a.Next() {
		n := &netlink.Neigh{LinkIndex: k.card, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: netlab.MACB}
		if a == otherHost {
			n.HardwareAddr = otherMAC
		}
		if err := h.NeighSet(n); err != nil {
			return fmt.Errorf("set neighbour %s: %w", a, err)
		}
	}
	return h.RouteAdd(&netlink.Route{LinkIndex: k.card, Gw: host.Gateway.AsSlice()})
}

// forget makes the kernel forget the neighbours that it learned. It answers no
// further ARP requests from new ones once it knows 1024 (gc_thresh3, which a
// namespace has no say in).
func (k *kernel) forget() {
	k.t.Helper()
	list, err := k.netlink.NeighList(k.card, netlink.FAMILY_V4)
	if err != nil {
		k.t.Fatalf("list neighbours: %v", err)
	}
	for i := range list {
		if list[i].State&netlink.NUD_PERMANENT == 0 {
			k.netlink.NeighDel(&list[i]) // it may be gone
		}
	}
	k.arps = 0
}

func openSocket(card string) (int, error) {
	iface, err := net.InterfaceByName(card)
	if err != nil {
		return -1, err
	}
	all := int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64 << 20},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: iface.Index}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func stayOnProcessor(t testing.TB) {
	runtime.LockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; ; cpu++ {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	})
}

// Whatever is asked from here is a marker: its answer tells that all answers to
// what was sent before are here.
var markerSource = netip.MustParseAddr("10.255.255.254")

func marker(host framegen.Host, serial uint32) []byte {
	d := framegen.IPv4{Protocol: framegen.ICMP, Src: markerSource, Dst: host.Aliases[1], Payload: framegen.ICMPMessage(8, 0, serial, nil)}
	return framegen.Ether(host.MAC, host.From, framegen.TypeIPv4, d.Bytes())
}

// markerSerial tells a marker's answer.
func markerSerial(f []byte) (uint32, bool) {
	const ip = 14
	if len(f) < ip+28 || f[ip+9] != framegen.ICMP || netip.AddrFrom4([4]byte(f[ip+16:ip+20])) != markerSource || f[ip] != 0x45 {
		return 0, false
	}
	return binary.BigEndian.Uint32(f[ip+24:]), true
}

// maxFrame is what the cable carries, without a tag.
const maxFrame = 1514

// ask sends sequences of frames and gives the answers to each.
func (k *kernel) ask(sequences [][][]byte) [][][]byte {
	k.t.Helper()
	const few = 500
	if k.arps > few {
		k.forget()
	}
	first := k.serial + 1
	for _, frames := range sequences {
		for _, f := range frames {
			k.send(f)
		}
		k.serial++
		k.send(marker(framegen.Lab(), k.serial))
	}
	if len(sequences) == 0 {
		k.serial++
		k.send(marker(framegen.Lab(), k.serial))
	}
	answers := make([][][]byte, k.serial-first+1)
	for at := first; at <= k.serial; {
		f := k.receive()
		if n, ok := markerSerial(f); ok {
			if n == at {
				at++
			} else if n > at {
				k.t.Fatalf("marker %d was lost: %d came", at, n)
			}
			continue
		}
		answers[at-first] = append(answers[at-first], append([]byte(nil), f...))
	}
	return answers[:len(sequences)]
}

func (k *kernel) send(f []byte) {
	k.t.Helper()
	for {
		_, err := unix.Write(k.fd, f)
		switch err {
		case nil:
			if f[12] == framegen.TypeARP>>8 && f[13] == framegen.TypeARP&0xff {
				k.arps++
			}
			return
		case unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
			k.wait(unix.POLLOUT)
		default:
			k.t.Fatalf("send %d bytes: %v", len(f), err)
		}
	}
}

func (k *kernel) receive() []byte {
	k.t.Helper()
	for {
		n, _, err := unix.Recvfrom(k.fd, k.buf, 0)
		switch err {
		case nil:
			return k.buf[:n]
		case unix.EAGAIN:
			k.wait(unix.POLLIN)
		case unix.EINTR:
		default:
			k.t.Fatalf("receive: %v", err)
		}
	}
}

func (k *kernel) wait(events int16) {
	k.t.Helper()
	const patience = 10 * time.Second
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(k.fd), Events: events}}, int(patience.Milliseconds()))
	if err == nil && n == 0 {
		k.t.Fatalf("the kernel did not answer a marker for %v", patience)
	}
}
