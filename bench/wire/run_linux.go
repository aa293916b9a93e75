package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/bench"
)

const (
	roundTime = 300 * time.Millisecond
	steps     = 7 // of bisection: to within one in a hundred
	trips     = 20_000
	rests     = 60
	rest      = 20 * time.Millisecond
	tripLimit = 100 * time.Millisecond // a reply that takes longer is lost
)

// Run builds the lab, measures every peer in it and takes it away again, also when
// ctx ends early. It takes about a minute and a half for three rounds. It
// needs root and a kernel that runs XDP programs on live frames (Linux 5.18) and tcx
// (6.6).
func Run(ctx context.Context, rounds int) (_ *Report, err error) {
	l, err := newLab()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r := &Report{Machine: bench.ThisMachine(), Rounds: rounds, Frame: frameLen}
	// Live frames go out in the namespace of the thread that asks for it.
	err = l.gen.Do(func() error {
		defer pin(generatorCore)()
		for _, arp := range []bool{false, true} {
			for _, a := range []aim{few, large} {
				if err := l.measure(ctx, r, arp, a); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.compare()
	return r, nil
}

// measure puts one kind of requests for one run of addresses to each peer: all of
// them in each round, in turn.
func (l *lab) measure(ctx context.Context, r *Report, arp bool, a aim) error {
	template := blank(arp)
	program, err := generator(l.state, template)
	if err != nil {
		return err
	}
	defer program.Close()

	first := len(r.Rows)
	var measured []peer
	for _, p := range peers {
		if p.arp && !arp || p.slow && a.targets > 256 {
			continue
		}
		measured = append(measured, p)
		r.Rows = append(r.Rows, Row{Peer: p.name, Kind: kind(arp), Aliases: a.targets})
	}
	for round := range r.Rounds {
		for i, p := range measured {
			if err := ctx.Err(); err != nil {
				return err
			}
			row := &r.Rows[first+i]
			if err := l.one(p, program, template, a, arp, row, round == r.Rounds-1); err != nil {
				return fmt.Errorf("%s, %s, %d aliases: %w", p.name, row.Kind, a.targets, err)
			}
		}
	}
	return nil
}

// blank is a request in which zero stands for what the generator fills in.
func blank(arp bool) []byte {
	b := request(arp, ownAddr.Addr(), 0)
	if arp {
		clear(b[arpTarget : arpTarget+4])
	} else {
		clear(b[ipSum : ipSum+2])
		clear(b[ipDst : ipDst+4])
		clear(b[icmpSum : icmpSum+2])
	}
	return b
}

func kind(arp bool) string {
	if arp {
		return "arp"
	}
	return "echo"
}

// one is one peer's turn: the highest rate, and in the last round what is
// measured once, the loss-free rate and round trips.
func (l *lab) one(p peer, program *ebpf.Program, template []byte, a aim, arp bool, row *Row, last bool) error {
	stop, err := p.start(l, a)
	if err != nil {
		return err
	}
	err = func() error {
		t, err := l.send(program, template, a, 0, roundTime)
		if err != nil {
			return err
		}
		if t.replies > sampleEvery && t.checked == 0 {
			return errors.New("no reply of the sample arrived")
		}
		row.Offered = append(row.Offered, t.offered())
		row.Replies = append(row.Replies, t.answered())
		row.Checked += t.checked
		if !last || p.name == nobody {
			return nil
		}
		if p.name == ours {
			if row.LossFree, err = l.lossFree(program, template, a, slices.Max(row.Replies)); err != nil {
				return err
			}
		}
		return l.roundTrips(row, arp, a)
	}()
	return errors.Join(err, stop())
}

// lossFree looks for the highest rate at which every request is answered, by
// bisection between a third of the highest rate of replies and a bit above it.
func (l *lab) lossFree(program *ebpf.Program, template []byte, a aim, highest float64) (float64, error) {
	low, high := highest/3, 1.1*highest
	found := 0.0
	for range steps {
		try := (low + high) / 2
		t, err := l.send(program, template, a, try, roundTime)
		// A host that stalls the whole machine is not the responder's fault, twice it is.
		if err == nil && t.replies != t.sent {
			t, err = l.send(program, template, a, try, roundTime)
		}
		if err != nil {
			return 0, err
		}
		if t.replies == t.sent {
			found, low = max(found, t.offered()), try
		} else {
			high = try
		}
	}
	return found, nil
}

// roundTrips measures requests one at a time: one right behind the other, then
// after rests.
func (l *lab) roundTrips(row *Row, arp bool, a aim) error {
	fd, err := packetSocket(l.index, unix.ETH_P_ALL) // it sees replies before the counter drops them
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	frame := request(arp, a.address(1), 1)
	var times, rested []float64
	for range trips {
		t, err := trip(fd, frame)
		if err != nil {
			return err
		}
		times = append(times, t)
	}
	for range rests {
		time.Sleep(rest)
		t, err := trip(fd, frame)
		if err != nil {
			return err
		}
		rested = append(rested, t)
	}
	row.P50, row.P99, row.Rested = quantile(times, 0.5), quantile(times, 0.99), quantile(rested, 0.5)
	return nil
}

// trip sends frame and looks for what comes back without sleeping, in microseconds.
func trip(fd int, frame []byte) (float64, error) {
	var buf [2048]byte
	start := time.Now()
	if _, err := unix.Write(fd, frame); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	for {
		_, err := unix.Read(fd, buf[:])
		took := time.Since(start)
		if err == nil || took > tripLimit {
			return float64(took) / 1e3, nil
		}
		if err != unix.EAGAIN && err != unix.EINTR {
			return 0, fmt.Errorf("receive: %w", err)
		}
	}
}

func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1))]
}
