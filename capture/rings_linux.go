package capture

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Rings are sockets, each with a ring, of which a card will be opened: they let nothing
// in yet. Their making takes some 15 ms, most of which the kernel spends waiting until no
// processor uses what was there before (synchronize_net in packet_set_ring). That can
// go on while something else is done, and for all workers at once.
type Rings struct {
	made chan madeRing // with room for all
	left int           // how many of them nobody has taken yet
}

type madeRing struct {
	index int // of the card
	fd    int
	ring  *ring
	err   error
}

// MakeRings begins to make what OpenCards needs for a card with so many workers and slots,
// and does not wait for it. The sockets belong to the network namespace of the calling
// thread.
func MakeRings(card string, workers, slots int) (*Rings, error) {
	ifi, err := net.InterfaceByName(card)
	if err != nil {
		return nil, noCard(err)
	}
	workers = max(1, workers)
	r := &Rings{made: make(chan madeRing, workers)}
	for range workers {
		fd, err := receiver(ifi)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.left++
		go func() {
			m := madeRing{index: ifi.Index, fd: fd}
			m.ring, m.err = newRing(fd, slots)
			r.made <- m
		}()
	}
	return r, nil
}

// receiver opens a socket to receive on. A Card takes it by bind.
func receiver(ifi *net.Interface) (fd int, err error) {
	if fd, err = listen(ifi); err != nil {
		return -1, err
	}
	if err = checkEthernet(fd); err == nil {
		// Else what this host sends comes to us, as if others had sent it.
		if err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			err = fmt.Errorf("ignore outgoing frames: %w", err)
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
	return fd, nil
}

// take gives one of the rings to c, and waits for it.
func (r *Rings) take(c *Card) error {
	if r.left == 0 {
		return fmt.Errorf("more workers than rings")
	}
	m := <-r.made
	r.left--
	c.fd, c.ring = m.fd, m.ring
	if m.err == nil && m.index != c.index {
		return ErrNoCard // another card has its name now
	}
	return m.err
}

// Close closes what nobody took, and does not wait for it. It may be called again.
func (r *Rings) Close() {
	if r == nil || r.left == 0 {
		return
	}
	left := r.left
	r.left = 0
	go func() {
		for range left {
			m := <-r.made
			if m.ring != nil {
				m.ring.close()
			}
			unix.Close(m.fd)
		}
	}()
}
