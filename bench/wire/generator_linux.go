package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// BPF_PROG_TEST_RUN with live frames (Linux 5.18) makes of the kernel a packet generator: it runs
// the program over and over on pages of its own, and what the program returns XDP_TX for goes out
// of the card. It makes no skb, and one system call sends them all: so it outruns every responder
// on one core. That matters: a sender that is slower than who answers measures itself.

// A question is one kind of request for one run of addresses, and who sends it.
type question struct {
	arp      bool
	a        aim
	template []byte
	program  *ebpf.Program // runs on live frames
	bursts   *bursts       // for cards that send none, and to go in step with a responder
}

// question makes both senders, whichever will be used: on two cores it is the program where the
// cards allow it, on one core always the bursts.
func (l *lab) question(arp bool, a aim) (*question, error) {
	q := &question{arp: arp, a: a, template: l.blank(arp)}
	var err error
	if q.program, err = generator(l.state, q.template); err != nil {
		return nil, err
	}
	if q.bursts, err = newBursts(l.gen.index, q.template, a); err != nil {
		return nil, errors.Join(err, q.program.Close())
	}
	return q, nil
}

func (q *question) close() error { return errors.Join(q.program.Close(), q.bursts.close()) }

// kind is what reports call it.
func (q *question) kind() string {
	if q.arp {
		return "arp"
	}
	return "echo"
}

// awaitCarrier waits until both cards hear each other.
func (l *lab) awaitCarrier() error {
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		running := 0
		for _, e := range []*end{&l.dut, &l.gen} {
			err := e.ns.Do(func() error {
				card, err := netlink.LinkByName(e.name)
				if err == nil && card.Attrs().RawFlags&unix.IFF_RUNNING != 0 {
					running++
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if running == 2 {
			return nil
		}
		if time.Since(start) > 10*time.Second {
			return fmt.Errorf("no link between %s and %s after 10 s: expected a cable or a switch between them", l.dut.name, l.gen.name)
		}
	}
}

// goLive prepares the cards for live frames and finds out whether they go through.
// Where they do not, requests are sent in bursts.
func (l *lab) goLive(ctx context.Context, q *question) error {
	// A veth takes them only if a program stands at the end they arrive at. Many
	// drivers send them only if one stands where they leave.
	at := &l.gen
	if l.dut.veth {
		at = &l.dut
	}
	err := at.ns.Do(func() error {
		program, err := verdict("pass", xdpPass)
		if err != nil {
			return err
		}
		defer program.Close()
		l.xdp, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: at.index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil && l.dut.veth {
		return fmt.Errorf("attach XDP to %s: %w", at.name, err)
	}
	if err != nil {
		return nil // a driver without XDP
	}
	var fd int
	err = l.dut.ns.Do(func() (err error) {
		fd, err = packetSocket(l.dut.index, unix.ETH_P_ALL)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// As if they did, for send to try. What arrives at the far end decides, not what the driver
	// says of itself.
	l.live = true
	_, err = l.send(ctx, q, 10_000, 50*time.Millisecond)
	if err == nil {
		_, failed := unix.Read(fd, make([]byte, 2048))
		l.live = failed == nil
	}
	return err
}

// goPlain undoes goLive: the program costs what is sent in bursts.
func (l *lab) goPlain() error {
	l.live = false
	if l.xdp == nil {
		return nil
	}
	defer func() { l.xdp = nil }()
	return l.xdp.Close()
}

// alone measures how fast the generator is by itself: the frames end at the
// responder's card, before the kernel makes anything of them.
func (l *lab) alone(ctx context.Context, q *question) (float64, error) {
	if !l.live || !l.dut.veth {
		return 0, nil
	}
	drop, err := verdict("drop", xdpDrop)
	if err != nil {
		return 0, err
	}
	defer drop.Close()
	pass, err := verdict("pass", xdpPass)
	if err != nil {
		return 0, err
	}
	defer pass.Close()
	if err := l.xdp.Update(drop); err != nil {
		return 0, fmt.Errorf("exchange XDP program: %w", err)
	}
	// Nothing comes back, and so nothing is checked.
	t, err := l.send(ctx, q, 0, roundTime)
	if err := l.xdp.Update(pass); err != nil {
		return 0, fmt.Errorf("exchange XDP program: %w", err)
	}
	return t.offered(), err
}

// A tally is what the generator did, and what came back.
type tally struct {
	sent, replies, other uint64
	// Of live frames from the first to the last, by the clock that the program reads: the fixed cost
	// of the call, before and behind, is in none of the rates.
	seconds float64
	checked int
}

func (r tally) offered() float64  { return float64(r.sent) / r.seconds }
func (r tally) answered() float64 { return float64(r.replies) / r.seconds }

// lost is the share of requests that had no reply.
func (r tally) lost() float64 { return 1 - float64(r.replies)/float64(r.sent) }

// send has the generator send for about d: at a rate a second, or as fast as it
// goes (0). It blocks the calling thread, which is in the generator's namespace.
func (l *lab) send(ctx context.Context, q *question, rate float64, d time.Duration) (tally, error) {
	if err := l.counts.Put(uint32(0), make([]byte, countSize)); err != nil {
		return tally{}, fmt.Errorf("reset counter: %w", err)
	}
	// Replies to the question before are no replies to this one.
	for _, fd := range l.samples {
		drain(fd)
	}
	var t tally
	var err error
	if l.live {
		t, err = l.sendLive(ctx, q, rate, d)
	} else {
		t, err = sendBursts(ctx, q.bursts, rate, d)
	}
	// Two, since rates are counted between the first and the last.
	if err == nil && t.sent < 2 {
		err = errors.New("the generator sent nothing")
	}
	if err != nil {
		return t, err
	}
	if err := l.collect(&t); err != nil {
		return t, err
	}
	t.checked, err = l.check(q.a)
	return t, err
}

// sendLive has the kernel run the generator's program on live frames.
func (l *lab) sendLive(ctx context.Context, q *question, rate float64, d time.Duration) (t tally, err error) {
	now, err := monotonic()
	if err != nil {
		return t, err
	}
	start := time.Now()
	state := make([]byte, genSize)
	set := func(at int, v uint64) { binary.NativeEndian.PutUint64(state[at:], v) }
	get := func(at int) uint64 { return binary.NativeEndian.Uint64(state[at:]) }
	// Until the first frame goes: the program then sets it to genFor later.
	set(genStop, math.MaxInt64)
	set(genFor, uint64(d))
	// Other targets each time: what is in the caches after one try must not help the next.
	set(genRandom, uint64(now)|1)
	set(genBase, uint64(q.a.base))
	set(genTargets, q.a.targets)
	// A call has some 24 ms of fixed cost, a gap in the traffic, so one should do. It
	// tries so many frames; what is not due yet, and what is left of it after
	// the end, is dropped, so that at a rate its length is that of the tries.
	repeat := uint32(2e6 * d.Seconds())
	if rate > 0 {
		set(genInterval, uint64(1e9/rate))
		repeat = uint32(1.1 * l.tries * d.Seconds())
	}
	if err := l.state.Put(uint32(0), state); err != nil {
		return t, fmt.Errorf("reset generator: %w", err)
	}
	// A signal ends the call, which else would last to its end.
	thread := unix.Gettid()
	// SIGURG is what Go's runtime preempts with: it has a handler, which does nothing here.
	defer context.AfterFunc(ctx, func() { unix.Tgkill(unix.Getpid(), thread, unix.SIGURG) })()
	// Once, if the tries were enough for d.
	for now <= int64(get(genStop)) {
		if err := l.call(ctx, q, repeat, rate > 0); err != nil {
			return t, err
		}
		if err := l.state.Lookup(uint32(0), state); err != nil {
			return t, fmt.Errorf("read generator: %w", err)
		}
		if now, err = monotonic(); err != nil {
			return t, err
		}
		if time.Since(start) > 20*d+time.Second {
			return t, errors.New("send live frames: the generator does not get to the end")
		}
	}
	t.sent, t.seconds = get(genSent), float64(get(genLast)-get(genFirst))/1e9
	return t, nil
}

// call has the program tried repeat times, until it is done or ctx ends.
func (l *lab) call(ctx context.Context, q *question, repeat uint32, paced bool) error {
	began := time.Now()
	_, err := q.program.Run(&ebpf.RunOptions{
		Data:      q.template,
		Repeat:    repeat,
		Flags:     unix.BPF_F_TEST_XDP_LIVE_FRAMES,
		Context:   xdpContext{DataEnd: uint32(len(q.template)), Ingress: uint32(l.gen.index)},
		BatchSize: 64,
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && paced:
		// Measured anew each time: how many tries a second there are depends on how many of them are due.
		l.tries = max(1e6, float64(repeat)/time.Since(began).Seconds())
	case err != nil && !errors.Is(err, unix.EINTR):
		return fmt.Errorf("send live frames: %w", err)
	}
	return nil
}

// xdpContext is struct xdp_md.
type xdpContext struct{ Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32 }

// monotonic reads the clock that BPF programs read.
func monotonic() (int64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, fmt.Errorf("read clock: %w", err)
	}
	return now.Nano(), nil
}

// sendBursts sends through a packet socket. At a rate, bursts are as small as the
// rate's share of 20 us. It costs a system call a burst and an skb a frame, so it may be the
// bottleneck itself: the report says that it was used.
func sendBursts(ctx context.Context, b *bursts, rate float64, d time.Duration) (t tally, err error) {
	n, gap := burstSize, time.Duration(0)
	if rate > 0 {
		n = min(burstSize, 1+int(rate*20e-6))
		gap = time.Duration(float64(n) / rate * 1e9)
	}
	start := time.Now()
	for due := start; ; due = due.Add(gap) {
		now := time.Now()
		// Without sleeping: a timer fires some 50 us late, which is more than a gap.
		for gap > 0 && now.Before(due) {
			now = time.Now()
		}
		if late := now.Add(-100 * time.Microsecond); due.Before(late) {
			due = late // who is late catches up, but not on more than that
		}
		if now.Sub(start) > d {
			t.seconds = now.Sub(start).Seconds()
			return t, nil
		}
		if err := ctx.Err(); err != nil {
			return t, err
		}
		if err := b.send(n); err != nil {
			return t, err
		}
		t.sent += uint64(n)
	}
}

// collect waits until no more replies come, and reads the counters.
func (l *lab) collect(t *tally) error {
	time.Sleep(l.manner.late)
	// 15 ms of silence will do where all is answered, 50 where some is missing: a virtual machine
	// stands still for milliseconds now and then.
	for quiet := 0; quiet < 3 || quiet < 10 && t.replies < t.sent; {
		time.Sleep(5 * time.Millisecond) // no event tells that nothing will come
		replies, other, err := l.counted()
		if err != nil {
			return err
		}
		if replies == t.replies {
			quiet++
		} else {
			quiet = 0
		}
		t.replies, t.other = replies, other
	}
	return nil
}

func (l *lab) counted() (replies, other uint64, err error) {
	var counts [countSize]byte
	if err := l.counts.Lookup(uint32(0), &counts); err != nil {
		return 0, 0, fmt.Errorf("read counter: %w", err)
	}
	return binary.NativeEndian.Uint64(counts[countReplies:]), binary.NativeEndian.Uint64(counts[countOther:]), nil
}
