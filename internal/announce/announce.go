// Package announce tells a network which MAC address has an IPv4 address,
// before anybody asks: switches learn the port, neighbours and gateways replace
// what they remember of whoever had the address before. And it asks whether somebody
// else has the address, too, which otherwise shows only when he happens to speak.
package announce

import (
	"context"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
)

const (
	// Rounds is how often an address is announced that is new: ANNOUNCE_NUM, RFC 5227 1.1.
	Rounds = 2

	// Interval is the least time between two announcements of one address:
	// ANNOUNCE_INTERVAL, RFC 5227 1.1. It is also longer than the second for which
	// Linux ignores a further change of a neighbour (locktime).
	Interval = 2 * time.Second

	// Pace is the time that a frame takes up: 100 a second. Switches police ARP, and
	// what they throttle then is not only ours. They count over a second or so, and a
	// processor at rest takes longer to wake than to send: so Bunch frames go at a time.
	Pace  = 10 * time.Millisecond
	Bunch = 10
)

// A Target is one address to be announced.
type Target struct {
	Addr netip.Addr // IPv4
	MAC  [6]byte    // who has it
	Tags []uint16   // VLAN identifiers, outermost first, at most two; none for untagged frames
}

// Frames builds what t is announced with, in the order in which it is sent: a question
// whether another host has the address, and the announcement in its two forms, because
// some receivers heed only the one or the other. Each is a whole Ethernet frame without
// its check sequence, padded to the smallest size.
func Frames(t Target) (frames [3][]byte, err error) {
	var nobody [6]byte
	for i, form := range []struct {
		op        arp.Operation
		sender    netip.Addr
		targetMAC [6]byte
	}{
		// RFC 5227 2.1.1: a probe has no sender, so that it is in nobody's cache. Linux answers
		// it for an address of its own, but not an announcement of that: there the sender is
		// itself. The answer is a conflict like any other. Nobody waits for it: whoever
		// takes over an address has to be heard at once. A host that is probing for the
		// address meanwhile takes ours for a conflict, as it does our answer to its own.
		{arp.OperationRequest, netip.IPv4Unspecified(), nobody},
		// RFC 5227 2.3: an ARP Announcement is a probe with the sender filled in. The
		// target MAC address is what a request asks for: nobody knows it.
		{arp.OperationRequest, t.Addr, nobody},
		// RFC 5944 4.6: in a gratuitous reply the target MAC address too is the one
		// that caches are to hold. Receivers that check it for being their own ignore
		// the reply anyway, and take the request.
		{arp.OperationReply, t.Addr, t.MAC},
	} {
		if frames[i], err = frame(t, form.op, form.sender, form.targetMAC); err != nil {
			return frames, err
		}
	}
	return frames, nil
}

func frame(t Target, op arp.Operation, sender netip.Addr, targetMAC [6]byte) ([]byte, error) {
	p, err := arp.NewPacket(op, net.HardwareAddr(t.MAC[:]), sender, net.HardwareAddr(targetMAC[:]), t.Addr)
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", t.Addr, err)
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", t.Addr, err)
	}
	f := ethernet.Frame{
		Destination: ethernet.Broadcast,
		Source:      net.HardwareAddr(t.MAC[:]),
		EtherType:   ethernet.EtherTypeARP,
		Payload:     payload,
	}
	switch len(t.Tags) {
	case 0:
	case 1:
		f.VLAN = &ethernet.VLAN{ID: t.Tags[0]}
	case 2: // 802.1ad: the outer tag has a type of its own, 0x88a8
		f.ServiceVLAN, f.VLAN = &ethernet.VLAN{ID: t.Tags[0]}, &ethernet.VLAN{ID: t.Tags[1]}
	default:
		return nil, fmt.Errorf("announce %s: %d VLAN tags, at most 2 are possible", t.Addr, len(t.Tags))
	}
	b, err := f.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", t.Addr, err)
	}
	return b, nil
}

// A Pacer keeps announcements apart, however many are under way side by side.
type Pacer struct {
	mu   sync.Mutex
	at   time.Time // when the bunch in hand may go
	left int       // of it
}

// wait returns when a frame may be sent, or with ctx's error.
func (p *Pacer) wait(ctx context.Context) error {
	early := time.Until(p.place())
	if early <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(early)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// place gives a frame its place in a bunch, and tells when that goes.
func (p *Pacer) place() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.at.Add(Bunch * Pace)
	if now := time.Now(); !now.Before(next) {
		p.at, p.left = now, Bunch // nothing was announced for a while
	} else if p.left == 0 {
		p.at, p.left = next, Bunch
	}
	p.left--
	return p.at
}

// Run announces what targets yields: rounds times, as pace lets it, a
// round no sooner than Interval after the one before began; who else has an address
// is asked in the first. It iterates targets
// once a round, and slowly, so that targets may leave out what is true no more.
//
// It returns nil as soon as ctx ends. A frame that can't be sent does not keep
// the others back; the error says how many there were, and why the last one failed.
func Run(ctx context.Context, pace *Pacer, rounds int, targets iter.Seq[Target], send func(frame []byte) error) error {
	r := runner{ctx: ctx, pace: pace, send: send}
	for round := range rounds {
		next := time.NewTimer(Interval)
		defer next.Stop()
		for target := range targets {
			r.announce(target, round == 0)
			if ctx.Err() != nil {
				return nil
			}
		}
		if round == rounds-1 {
			break
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
	}
	if r.failed > 0 {
		return fmt.Errorf("announce: %d of %d frames were not sent: %w", r.failed, r.tried, r.last)
	}
	return nil
}

type runner struct {
	ctx           context.Context
	pace          *Pacer
	send          func(frame []byte) error
	tried, failed int
	last          error
}

func (r *runner) announce(t Target, ask bool) {
	frames, err := Frames(t)
	if err != nil {
		r.count(err)
		return
	}
	list := frames[:]
	if !ask {
		list = list[1:]
	}
	for _, frame := range list {
		if r.pace.wait(r.ctx) != nil {
			return
		}
		r.count(r.send(frame))
	}
}

func (r *runner) count(err error) {
	r.tried++
	if err != nil {
		r.failed++
		r.last = err
	}
}
