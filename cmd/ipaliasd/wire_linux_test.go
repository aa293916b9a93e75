package main

import (
	"bytes"
	encoding "encoding/binary" // "binary" is the built daemon
	"errors"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
)

// The hosts of the tests as framegen wants them.
var (
	daemonMAC = framegen.MAC(netlab.MACA)
	peerMAC   = framegen.MAC(netlab.MACB)

	v0alias = netip.MustParseAddr("172.16.3.10")
	v1alias = netip.MustParseAddr("172.16.3.100")
	gateway = netip.MustParseAddr("172.16.3.200")
)

func be16(b []byte) uint16 { return encoding.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return encoding.BigEndian.Uint32(b) }

// A wire is the far end of the cable: what is put on it goes to the daemon as it
// is, what comes from the daemon is read as it was sent. It is a packet socket of
// its own, so that package capture is not tested with itself.
type wire struct {
	t    *testing.T
	file *os.File
	raw  rawConn
}

type rawConn interface {
	Read(func(fd uintptr) bool) error
	Write(func(fd uintptr) bool) error
}

// tap opens a wire on the second card.
func tap(t *testing.T, n *netlab.Namespace) *wire {
	t.Helper()
	var fd int
	err := n.Do(func() (err error) {
		card, err := net.InterfaceByName(netlab.CardB)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		all := encoding.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
			unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(card.Index), Type: unix.PACKET_MR_PROMISC}),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: card.Index}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "packet socket")
	t.Cleanup(func() { f.Close() })
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return &wire{t, f, raw}
}

// put sends frames.
func (w *wire) put(frames ...[]byte) {
	w.t.Helper()
	for _, f := range frames {
		if _, err := w.file.Write(f); err != nil {
			w.t.Fatalf("send frame: %v", err)
		}
	}
}

// next reads one frame, with the VLAN tag that the kernel took out of it back in its
// place. It fails the test if none comes.
func (w *wire) next() []byte {
	w.t.Helper()
	if err := w.file.SetReadDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	buf, oob := make([]byte, 1<<17), make([]byte, unix.CmsgSpace(auxdataLen))
	var n, oobn int
	var got error
	err := w.raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, got = unix.Recvmsg(int(fd), buf, oob, 0)
		return !errors.Is(got, unix.EAGAIN)
	})
	if err := errors.Join(err, got); err != nil {
		w.t.Fatalf("no frame comes: %v", err)
	}
	return retag(w.t, buf[:n], oob[:oobn])
}

const auxdataLen = 20 // sizeof(struct tpacket_auxdata)

// retag puts the tag of a frame's auxiliary data (struct tpacket_auxdata) into it.
func retag(t *testing.T, frame, oob []byte) []byte {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 || len(messages[0].Data) < auxdataLen {
		t.Fatalf("no auxiliary data with a frame: %v", err)
	}
	aux := messages[0].Data
	status, tci, tpid := encoding.NativeEndian.Uint32(aux), encoding.NativeEndian.Uint16(aux[16:]), encoding.NativeEndian.Uint16(aux[18:])
	if status&unix.TP_STATUS_VLAN_VALID == 0 {
		return frame
	}
	return framegen.Tag(frame, tpid, tci)
}

// until reads frames until last finds the one it waits for, and gives those before.
func (w *wire) until(last func(frame []byte) bool) (before [][]byte) {
	w.t.Helper()
	for {
		f := w.next()
		if last(f) {
			return before
		}
		before = append(before, f)
	}
}

// answers puts frames on the wire and gives everything that comes back because of
// them. The daemon answers in the order in which it was asked, so an answer to
// a last question says that there will be no more to the others: silence is seen without
// waiting for it.
func (w *wire) answers(frames ...[]byte) [][]byte {
	w.t.Helper()
	const mark = 0x6d61726b
	w.put(frames...)
	w.put(question(peerMAC, v1alias, mark, nil))
	all := w.until(func(f []byte) bool {
		return len(f) >= 42 && f[12] == 8 && f[13] == 0 && f[23] == framegen.ICMP && f[34] == 0 && be32(f[38:]) == mark
	})
	return slices.DeleteFunc(all, announcement)
}

// announcement tells whether a frame is gratuitous ARP or a probe, as the daemon sends
// them in its first seconds.
func announcement(f []byte) bool {
	at := l3(f)
	if len(f) < at+28 || be16(f[at-2:]) != framegen.TypeARP {
		return false
	}
	sender, target := f[at+14:at+18], f[at+24:at+28]
	return bytes.Equal(sender, target) || f[at+7] == 1 && bytes.Equal(sender, make([]byte, 4))
}

// l3 is where the network header of a frame begins.
func l3(f []byte) int {
	at := 14
	for len(f) >= at+4 && (be16(f[at-2:]) == framegen.TypeVLAN || be16(f[at-2:]) == framegen.TypeQinQ) {
		at += 4
	}
	return at
}

// question is an echo request of the gateway to an alias, in a frame from a MAC. rest
// is identifier and sequence.
func question(from framegen.MAC, alias netip.Addr, rest uint32, payload []byte) []byte {
	return datagram(from, framegen.IPv4{Protocol: framegen.ICMP, Src: gateway, Dst: alias, Payload: framegen.ICMPMessage(8, 0, rest, payload)})
}

// datagram puts a datagram into a frame from a MAC to the daemon.
func datagram(from framegen.MAC, d framegen.IPv4) []byte {
	return framegen.Ether(daemonMAC, from, framegen.TypeIPv4, d.Bytes())
}

// whoHas is an ARP request.
func whoHas(from framegen.MAC, sender, target netip.Addr) []byte {
	return framegen.Ether(framegen.Broadcast, from, framegen.TypeARP, framegen.ARP{SenderMAC: from, Sender: sender, Target: target}.Bytes())
}

// total is how often a daemon that has ended printed a verdict, all interfaces together.
func (p *process) total(verdict string) (n int) {
	for _, m := range regexp.MustCompile(`(?m)^  `+verdict+` +(\d+)$`).FindAllStringSubmatch(p.stdout.String(), -1) {
		times, _ := strconv.Atoi(m[1])
		n += times
	}
	return n
}

// hasTotal fails the test unless total is want.
func (p *process) hasTotal(t *testing.T, verdict string, want int) {
	t.Helper()
	if got := p.total(verdict); got != want {
		t.Errorf("%d frames counted as %s, want %d", got, verdict, want)
	}
}
