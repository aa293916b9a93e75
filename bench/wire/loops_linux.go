package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/responder"
)

// The loops that a reader of mdlayher's documentation writes. They run as Go runs
// them: in a goroutine, on whatever thread, waiting in the runtime's poller.

// A packetLoop is the one on mdlayher/packet. It answers with our responder, so
// that only reading and writing differ.
type packetLoop struct {
	// Of one goroutine: the loop's, or in step the bench's.
	conn   *packet.Conn
	worker *responder.Worker
	buf    []byte
	out    [][]byte
}

func (l *lab) packetLoop(a aim) (*packetLoop, error) {
	w, err := l.worker(a)
	if err != nil {
		return nil, err
	}
	p := &packetLoop{worker: w, buf: make([]byte, 2048)}
	err = l.dut.ns.Do(func() error {
		card, err := net.InterfaceByIndex(l.dut.index)
		if err != nil {
			return err
		}
		p.conn, err = packet.Listen(card, packet.Raw, unix.ETH_P_ALL, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen with mdlayher/packet: %w", err)
	}
	return p, nil
}

// one takes one frame and answers it.
func (p *packetLoop) one() error {
	n, from, err := p.conn.ReadFrom(p.buf)
	if err != nil {
		return err
	}
	// One frame a batch, as the library gives them.
	p.out, _ = p.worker.Handle(time.Now().UnixNano(), [][]byte{p.buf[:n]}, nil, p.out[:0])
	for _, answer := range p.out {
		p.conn.WriteTo(answer, from) // what is lost is not counted as a reply
	}
	return nil
}

// startPacket leaves it to Go where it runs, as programs do: off the generator's core, by settle.
func startPacket(l *lab, a aim) (func() error, error) {
	p, err := l.packetLoop(a)
	if err != nil {
		return nil, err
	}
	return forever(p.one, p.conn.Close), nil
}

// stepPacket runs the loop on the calling thread. What it reads is there already: it never waits.
func stepPacket(ctx context.Context, l *lab, q *question, n int) error {
	p, err := l.packetLoop(q.a)
	if err != nil {
		return err
	}
	// Unless a frame was lost, that is: no context reaches who waits in Go's poller.
	p.conn.SetDeadline(time.Now().Add(stepLimit))
	return errors.Join(inStep(ctx, q, n, p.one), p.conn.Close())
}

// An arpLoop is that of mdlayher/arp's proxyarpd.
type arpLoop struct {
	client *arp.Client
	mac    net.HardwareAddr
	prefix netip.Prefix
}

func (l *lab) arpLoop(a aim) (*arpLoop, error) {
	p := &arpLoop{mac: l.dut.mac, prefix: a.prefix}
	err := l.dut.ns.Do(func() error {
		card, err := net.InterfaceByIndex(l.dut.index)
		if err != nil {
			return err
		}
		p.client, err = arp.Dial(card)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen with mdlayher/arp: %w", err)
	}
	return p, nil
}

func (p *arpLoop) one() error {
	request, _, err := p.client.Read()
	if err != nil {
		return err
	}
	// Its socket is bound to ARP, of which replies come as well.
	if request.Operation == arp.OperationRequest && p.prefix.Contains(request.TargetIP) {
		p.client.Reply(request, p.mac, request.TargetIP)
	}
	return nil
}

func startARP(l *lab, a aim) (func() error, error) {
	p, err := l.arpLoop(a)
	if err != nil {
		return nil, err
	}
	return forever(p.one, p.client.Close), nil
}

func stepARP(ctx context.Context, l *lab, q *question, n int) error {
	p, err := l.arpLoop(q.a)
	if err != nil {
		return err
	}
	p.client.SetDeadline(time.Now().Add(stepLimit))
	return errors.Join(inStep(ctx, q, n, p.one), p.client.Close())
}

// stepLimit is how long a loop that waits for a lost frame is waited for.
const stepLimit = 20 * time.Second

// inStep sends n bursts and has one called for each request, in turn.
func inStep(ctx context.Context, q *question, n int, one func() error) error {
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := q.bursts.send(burstSize); err != nil {
			return err
		}
		// As many reads as requests: nobody else sends on this wire, and IPv6 is off in the lab.
		for range burstSize {
			if err := one(); err != nil {
				return err
			}
		}
	}
	return nil
}

// forever calls one until it fails, as it does once what it reads is closed.
func forever(one, shut func() error) (stop func() error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for one() == nil {
		}
	}()
	return func() error {
		// What one fails with then is the closing, and no news.
		err := shut()
		<-done
		return err
	}
}
