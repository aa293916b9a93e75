package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen. It is no measure of
// speed: only a failing test waits so long.
const patience = 10 * time.Second

// cardLab is a Card on one end of a veth pair and a plain packet socket, which shares
// no code with Card, on the other.
type cardLab struct {
	a, b *netlab.Namespace
	card *Card
	peer int

	owners map[string]int // which worker a flow came to, see owner
}

func newCardLab(t testing.TB, cfg CardConfig) *cardLab {
	t.Helper()
	l := &cardLab{}
	l.a, l.b = netlab.Pair(t)
	l.card = openLabCard(t, l.a, cfg)
	l.peer = openPeer(t, l.b)
	return l
}

func openLabCard(t testing.TB, n *netlab.Namespace, cfg CardConfig) *Card {
	t.Helper()
	cfg.Interface = netlab.CardA
	var card *Card
	if err := n.Do(func() (err error) { card, err = OpenCard(cfg); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := card.Close(); err != nil {
			t.Error(err)
		}
	})
	return card
}

func openPeer(t testing.TB, n *netlab.Namespace) int {
	t.Helper()
	fd := -1
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		index, err := indexOf(netlab.CardB)
		if err != nil {
			return err
		}
		tv := unix.NsecToTimeval(int64(patience))
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func indexOf(name string) (int, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return 0, err
	}
	return link.Attrs().Index, nil
}

// send puts a frame on the wire as it is.
func (l *cardLab) send(t testing.TB, frame []byte) {
	t.Helper()
	if n, err := unix.Write(l.peer, frame); err != nil || n != len(frame) {
		t.Fatalf("send %d bytes: %d, %v", len(frame), n, err)
	}
}

// receive gives the next frame that reaches the peer, its tag put back.
func (l *cardLab) receive(t testing.TB) []byte {
	t.Helper()
	buf, oob := make([]byte, 1<<16), make([]byte, 128)
	n, oobn, _, _, err := unix.Recvmsg(l.peer, buf, oob, 0)
	for err == unix.EINTR { // the runtime's signals, since the socket has a timeout
		n, oobn, _, _, err = unix.Recvmsg(l.peer, buf, oob, 0)
	}
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) != 1 {
		t.Fatalf("control messages %v, %v; want one", msgs, err)
	}
	aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&msgs[0].Data[0]))
	frame := buf[:n]
	if aux.Status&unix.TP_STATUS_VLAN_VALID != 0 {
		tag := binary.BigEndian.AppendUint16(nil, aux.Vlan_tpid)
		tag = binary.BigEndian.AppendUint16(tag, aux.Vlan_tci)
		frame = bytes.Join([][]byte{frame[:12], tag, frame[12:]}, nil)
	}
	return frame
}

// run runs the card with a handler until the returned function is called, which gives
// what Run returned.
func (l *cardLab) run(t testing.TB, h Handler) (stop func() error) {
	t.Helper()
	return runCard(t, l.card, h)
}

func runCard(t testing.TB, c *Card, h Handler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx, h) }()
	stopped := false
	var err error
	stop = func() error {
		t.Helper()
		if stopped {
			return err
		}
		stopped = true
		cancel()
		err = wait1(t, result, "Run to return")
		return err
	}
	t.Cleanup(func() { stop() }) // before the card is closed
	return stop
}

// wait1 receives one value, or fails.
func wait1[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// swap answers every frame with itself, MAC addresses exchanged.
var swap = handlerFunc(func(b *Batch) {
	for _, f := range b.Frames {
		swapMACs(f)
		b.Out = append(b.Out, f)
	}
})

func swapMACs(f []byte) {
	var dst [6]byte
	copy(dst[:], f)
	copy(f, f[6:12])
	copy(f[6:], dst[:])
}

// arrival is a frame as a handler saw it.
type arrival struct {
	frame []byte
	flags uint8
	time  int64
}

// collector hands on copies of all frames.
func collector() (Handler, <-chan arrival) {
	c := make(chan arrival, 4096)
	return handlerFunc(func(b *Batch) {
		for i, f := range b.Frames {
			c <- arrival{bytes.Clone(f), b.Flags[i], b.Time}
		}
	}), c
}

// labFrame is a frame from the peer to the card of size bytes in all, with a number
// in it. The fields between the MAC addresses and the payload are given.
func labFrame(number, size int, fields ...byte) []byte {
	f := append([]byte(nil), netlab.MACA...)
	f = append(f, netlab.MACB...)
	f = append(f, fields...)
	f = binary.BigEndian.AppendUint32(f, uint32(number))
	for len(f) < size {
		f = append(f, byte(len(f)))
	}
	return f
}

// Local experimental EtherType 1, IEEE 802: the kernels leave it alone.
var experimental = []byte{0x88, 0xb5}

func frameDiff(got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	short := func(b []byte) string {
		if len(b) > 48 {
			return fmt.Sprintf("% x... (%d bytes)", b[:48], len(b))
		}
		return fmt.Sprintf("% x (%d bytes)", b, len(b))
	}
	return "got  " + short(got) + "\nwant " + short(want)
}
