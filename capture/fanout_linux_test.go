package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/ipalias/ipalias/internal/netlab"
	"golang.org/x/sys/unix"
)

// A sight is a frame that one of several workers saw.
type sight struct {
	worker int
	frame  []byte
	cpu    int // that the worker ran on
}

// openWorkers opens a card for several workers, who tell what they see.
func openWorkers(t *testing.T, cfg CardConfig) (l *cardLab, cards []*Card, sights <-chan sight) {
	t.Helper()
	l = &cardLab{}
	l.a, l.b = netlab.Pair(t)
	l.peer = openPeer(t, l.b)
	cfg.Interface = netlab.CardA
	if err := l.a.Do(func() (err error) { cards, err = OpenCards(cfg); return err }); err != nil {
		t.Fatal(err)
	}
	all := make(chan sight, 4096)
	for i, c := range cards {
		t.Cleanup(func() { c.Close() })
		runCard(t, c, handlerFunc(func(b *Batch) {
			var cpu uint32
			unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
			for _, f := range b.Frames {
				all <- sight{i, bytes.Clone(f), int(cpu)}
			}
		}))
	}
	return l, cards, all
}

const (
	whole = 0x4000 // flags and offset of an IPv4 header: don't fragment
	first = 0x2000
	last  = 0x0001
)

// udpFlow is a UDP datagram, or a piece of one, from 172.16.4.flow to 172.16.3.10,
// with tags.
func udpFlow(flow byte, piece uint16, tags ...byte) []byte {
	f := slices.Concat(net.HardwareAddr(netlab.MACA), netlab.MACB, tags, []byte{0x08, 0x00})
	f = append(f, 0x45, 0, 0, 28, 0, 1) // version, header length, length, identification
	f = binary.BigEndian.AppendUint16(f, piece)
	f = append(f, 64, 17, 0, 0) // TTL, UDP, checksum: nobody looks
	f = append(f, 172, 16, 4, flow)
	f = append(f, 172, 16, 3, 10)
	f = append(f, 4, flow, 0, 9, 0, 8, 0, 0) // ports, length, no checksum
	return append(f, make([]byte, 64-len(f))...)
}

// arpFlow is an ARP request from 172.16.4.flow for 172.16.3.10.
func arpFlow(flow byte, tags ...byte) []byte {
	f := slices.Concat([]byte{255, 255, 255, 255, 255, 255}, netlab.MACB, tags, []byte{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1}, netlab.MACB)
	f = append(f, 172, 16, 4, flow)
	f = append(f, 0, 0, 0, 0, 0, 0, 172, 16, 3, 10)
	return append(f, make([]byte, 64-len(f))...)
}

// All that a host sends to an alias comes to one worker, once, and many hosts
// keep all workers busy: with ARP alone, too, which for the kernel's own hash is
// one flow.
func TestFanoutByHash(t *testing.T) {
	const flows, workers = 64, 3
	l, cards, sights := openWorkers(t, CardConfig{Workers: workers, Fanout: ByHash})
	tagged, double := []byte{0x81, 0, 0, 100}, []byte{0x88, 0xa8, 0, 100, 0x81, 0, 0, 200}
	kinds := []func(flow byte) []byte{
		func(f byte) []byte { return udpFlow(f, whole) },
		func(f byte) []byte { return udpFlow(f, first) },
		func(f byte) []byte { return udpFlow(f, last) },
		func(f byte) []byte { return udpFlow(f, last, tagged...) },
		func(f byte) []byte { return udpFlow(f, first, double...) },
		func(f byte) []byte { return udpFlow(f, last, double...) },
		func(f byte) []byte { return arpFlow(f) },
		func(f byte) []byte { return arpFlow(f, tagged...) },
		func(f byte) []byte { return arpFlow(f, double...) },
	}
	for k, kind := range kinds {
		count := [workers]int{}
		for flow := range byte(flows) {
			l.send(t, kind(flow))
			// The card may answer by itself: that is not ours.
			s := wait1(t, sights, "the frame")
			if !bytes.Equal(s.frame, kind(flow)) {
				t.Fatalf("kind %d: %s", k, frameDiff(s.frame, kind(flow)))
			}
			l.owner(t, fmt.Sprint("flow ", flow), s.worker)
			count[s.worker]++
		}
		if slices.Min(count[:]) < flows/workers/3 {
			t.Errorf("kind %d: frames per worker %v, want all to work", k, count)
		}
	}
	select {
	case s := <-sights:
		t.Errorf("seen twice: %x", s.frame)
	default:
	}
	received := func() (sum uint64) {
		for _, c := range cards {
			sum += c.Stats().Received
		}
		return sum
	}
	want := uint64(len(kinds) * flows)
	// A batch is counted when its handler has returned, a moment after we saw it.
	for deadline := time.Now().Add(patience); received() < want && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if n := received(); n != want {
		t.Errorf("the workers received %d frames, want %d", n, want)
	}
}

// owner notes which worker a flow came to, and fails if another one had it before.
func (l *cardLab) owner(t *testing.T, flow string, worker int) {
	t.Helper()
	if l.owners == nil {
		l.owners = map[string]int{}
	}
	if was, ok := l.owners[flow]; ok && was != worker {
		t.Errorf("%s went to worker %d and to worker %d", flow, was, worker)
	}
	l.owners[flow] = worker
}

// What a processor received comes to its worker; a datagram's pieces to one,
// wherever they were received.
func TestFanoutByCPU(t *testing.T) {
	cpus := CPUs()
	if len(cpus) < 2 {
		netlab.Miss(t, "needs two processors")
	}
	const workers = 2
	l, _, sights := openWorkers(t, CardConfig{Workers: workers, Fanout: ByCPU})
	pieces := map[int]int{}
	for _, cpu := range cpus[:2] {
		// veth delivers a frame on the processor that sent it.
		unpin := pin(cpu)
		for flow := range byte(16) {
			for _, f := range [][]byte{udpFlow(flow, whole), arpFlow(flow)} {
				l.send(t, f)
				if s := wait1(t, sights, "the frame"); s.worker != cpu%workers {
					t.Errorf("received by processor %d: worker %d", cpu, s.worker)
				}
			}
			for _, piece := range []uint16{first, last} {
				l.send(t, udpFlow(flow, piece))
				s := wait1(t, sights, "the piece")
				l.owner(t, fmt.Sprint("flow ", flow), s.worker)
				pieces[s.worker]++
			}
		}
		unpin()
	}
	if len(pieces) != workers {
		t.Errorf("pieces per worker %v, want all to work", pieces)
	}
}

// A worker runs where it is told to, and its thread goes back to where it may run
// when it ends.
func TestWorkersArePinned(t *testing.T) {
	cpus := CPUs()
	l, _, sights := openWorkers(t, CardConfig{Workers: 2, CPUs: []int{cpus[len(cpus)-1], cpus[0]}})
	for flow := range byte(32) {
		l.send(t, udpFlow(flow, whole))
		s := wait1(t, sights, "the frame")
		if want := []int{cpus[len(cpus)-1], cpus[0]}[s.worker]; s.cpu != want {
			t.Errorf("worker %d ran on processor %d, want %d", s.worker, s.cpu, want)
		}
	}
	done := make(chan []int)
	go func() {
		runtime.LockOSThread() // or it could be looked at on another thread
		pin(cpus[0])()
		done <- CPUs()
	}()
	if after := <-done; !slices.Equal(after, cpus) {
		t.Errorf("after it was pinned a thread may run on %v, want %v", after, cpus)
	}
}

// What one worker writes for each batch, no other worker and no reader of the
// counters shares a cache line with.
func TestNoSharedCacheLines(t *testing.T) {
	const line = 64
	var c Card
	var s sender
	var r ring
	hot := unsafe.Offsetof(c.batch)
	end := unsafe.Offsetof(c.lost) + unsafe.Sizeof(c.lost)
	for _, apart := range []struct {
		what     string
		from, to uintptr
	}{
		{"Card: what is set at opening, the batch", unsafe.Offsetof(c.out) + unsafe.Sizeof(c.out), hot},
		{"Card: the batch, the lock", end, unsafe.Offsetof(c.mu)},
		{"Card: the lock, the next object", unsafe.Offsetof(c.dropped) + unsafe.Sizeof(c.dropped), unsafe.Sizeof(c)},
		{"sender: its counters, the next object", unsafe.Offsetof(s.failed) + unsafe.Sizeof(s.failed), unsafe.Sizeof(s)},
		{"ring: the object before", 0, unsafe.Offsetof(r.fd)},
		{"ring: the next object", unsafe.Offsetof(r.readErr) + unsafe.Sizeof(r.readErr), unsafe.Sizeof(r)},
	} {
		if apart.to-apart.from < line {
			t.Errorf("%s: %d bytes apart, want a cache line", apart.what, apart.to-apart.from)
		}
	}
}
