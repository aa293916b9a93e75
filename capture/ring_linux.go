package capture

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	headerLen = 14 // of an Ethernet frame

	// A slot of TPACKET_V2 holds a header, an address that nobody reads, padding,
	// and from byte 66 on the frame, so that its IP header is on a multiple of 16.
	// There is room for 1500 bytes with an Ethernet header and one tag that the
	// kernel left in: 66 + 1518 = 1584. The size is an odd multiple of a cache line,
	// so that the first lines of the slots spread over all cache sets; with 2048
	// bytes they would share one in thirty-two.
	slotSize = 25 * 64

	// blockSize is contiguous kernel memory, so it must stay small enough to be
	// found on a machine that has run for months, and be a multiple of the page
	// size, which is up to 64 KiB.
	blockSize     = 64 << 10
	slotsPerBlock = blockSize / slotSize
)

// Frames that do not fit a slot (GRO joins them to up to 64 KiB) come by read,
// into as many buffers as a batch may hold of them.
const (
	copyBuffers = 8
	copySize    = tagLen + headerLen + tagLen + 65535
)

// A ring is the kernel's TPACKET_V2 receive ring, mapped. TPACKET_V3 would be
// as fast but hands frames over a block at a time: a lone ping waits for the
// block's timer, a millisecond at least.
type ring struct {
	_     cacheLine // other workers' rings may lie beside it
	fd    int
	mem   []byte
	slots int

	head int // the slot that the kernel fills next, as far as we know
	tail int // the first slot of the batch in hand; slots from here to head are ours

	copies  []byte // copyBuffers of copySize
	copied  int    // how many are in use
	lost    uint64 // frames that the kernel could not hand over whole
	readErr error  // the socket's pending error, which a read took away
	_       cacheLine
}

// newRing gives the socket a ring and maps it.
func newRing(fd, slots int) (*ring, error) {
	slots = wholeBlocks(slots)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, fmt.Errorf("set packet version: %w", err)
	}
	// Any value but 0: queue a frame whole, beside the slot with its beginning,
	// if it does not fit.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_COPY_THRESH, 1); err != nil {
		return nil, fmt.Errorf("set copy threshold: %w", err)
	}
	req := unix.TpacketReq{
		Block_size: blockSize,
		Block_nr:   uint32(slots / slotsPerBlock),
		Frame_size: slotSize,
		Frame_nr:   uint32(slots),
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, fmt.Errorf("make ring of %d slots: %w", slots, err)
	}
	return mapRing(fd, slots)
}

// mapRing maps the ring that a socket has. The kernel refuses unless it is of that size.
func mapRing(fd, slots int) (*ring, error) {
	mem, err := unix.Mmap(fd, 0, slots/slotsPerBlock*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map ring: %w", err)
	}
	return &ring{fd: fd, mem: mem, slots: slots, copies: make([]byte, copyBuffers*copySize)}, nil
}

// wholeBlocks gives how many slots a ring has of which slots were wanted.
func wholeBlocks(slots int) int {
	if slots <= 0 {
		slots = DefaultSlots
	}
	return (slots + slotsPerBlock - 1) / slotsPerBlock * slotsPerBlock
}

func (r *ring) close() error { return unix.Munmap(r.mem) }

// slot gives the memory of slot i. A block ends in a rest too small for one more.
func (r *ring) slot(i int) []byte {
	off := i/slotsPerBlock*blockSize + i%slotsPerBlock*slotSize
	return r.mem[off : off+slotSize : off+slotSize]
}

// header gives the header that the kernel writes at the beginning of a slot.
// The mapping is page-aligned and slots are multiples of 64, so it is aligned.
func header(slot []byte) *unix.Tpacket2Hdr { return (*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0])) }

// ready tells whether a frame waits. It is one load: the load that pairs with
// the kernel's barrier between writing a slot and its status.
func (r *ring) ready() bool {
	return atomic.LoadUint32(&header(r.slot(r.head)).Status)&unix.TP_STATUS_USER != 0
}

// take appends frames that wait, up to limit, to b, and their flags. Their
// slots are ours until release.
func (r *ring) take(b *Batch, limit int) {
	for len(b.Frames) < limit && r.head-r.tail < limit {
		if r.head == r.slots {
			// A batch ends at the end of the ring: tail to head is one piece.
			return
		}
		slot := r.slot(r.head)
		h := header(slot)
		status := atomic.LoadUint32(&h.Status)
		if status&unix.TP_STATUS_USER == 0 {
			return
		}
		var frame []byte // with tagLen bytes of headroom
		if h.Snaplen == h.Len {
			frame = slot[int(h.Mac)-tagLen : int(h.Mac)+int(h.Snaplen)]
		} else {
			if r.copied == copyBuffers {
				return
			}
			frame = r.readCopy(h.Len, status)
		}
		r.head++
		if frame == nil {
			r.lost++
			continue
		}
		if status&unix.TP_STATUS_VLAN_VALID != 0 && len(frame) >= tagLen+headerLen {
			restoreTag(frame, h, status)
		} else {
			frame = frame[tagLen:]
		}
		var flags uint8
		if status&unix.TP_STATUS_CSUMNOTREADY != 0 {
			flags = ChecksumNotReady
		}
		// Nothing may grow over its end into the next slot.
		b.Frames = append(b.Frames, frame[:len(frame):len(frame)])
		b.Flags = append(b.Flags, flags)
	}
}

// readCopy reads the frame of length bytes that did not fit its slot into a
// copy buffer, after tagLen bytes of headroom. It returns nil if the kernel had
// no memory for the whole frame, or it is longer than any that can be answered.
func (r *ring) readCopy(length uint32, status uint32) []byte {
	if status&unix.TP_STATUS_COPY == 0 {
		return nil
	}
	buf := r.copies[r.copied*copySize:][:copySize]
	n, err := unix.Read(r.fd, buf[tagLen:])
	for tries := 0; err != nil && err != unix.EAGAIN && tries < 8; tries++ {
		// A read reports the socket's pending error once, before any frame. The
		// frame must come out all the same, or it would be taken for the next.
		if err != unix.EINTR {
			r.readErr = err
		}
		n, err = unix.Read(r.fd, buf[tagLen:])
	}
	if err != nil || n != int(length) {
		return nil
	}
	r.copied++
	return buf[:tagLen+n]
}

// restoreTag puts the VLAN tag that the kernel took out back behind the MAC
// addresses, which move into the headroom for it.
func restoreTag(frame []byte, h *unix.Tpacket2Hdr, status uint32) {
	const macs = 12
	tpid := uint16(typeVLAN)
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = h.Vlan_tpid
	}
	copy(frame[:macs], frame[tagLen:])
	binary.BigEndian.PutUint16(frame[macs:], tpid)
	binary.BigEndian.PutUint16(frame[macs+2:], h.Vlan_tci)
}

// release gives the slots of the batch in hand back to the kernel. Their frames
// must not be looked at any more.
func (r *ring) release() {
	for i := r.tail; i < r.head; i++ {
		atomic.StoreUint32(&header(r.slot(i)).Status, unix.TP_STATUS_KERNEL)
	}
	if r.head == r.slots {
		r.head = 0
	}
	r.tail = r.head
	r.copied = 0
}
