package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/internal/shield"
)

// Run builds the lab, measures every peer in it and takes it away again, also when
// ctx ends early. It takes some three minutes for five rounds. It needs root
// and a kernel that runs XDP programs on live frames (Linux 5.18) and tcx (6.6).
// The report is whole or there is none.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	l, err := newLab(o.Card, o.Peer)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	peers, err := all(o)
	if err != nil {
		return nil, err
	}
	r := &Report{Machine: bench.ThisMachine(), Rounds: o.Rounds, Frame: frameLen, LossBound: LossBound, Cards: l.cards()}
	if peers, err = l.withoutShield(r, peers); err != nil {
		return nil, err
	}
	undo, err := settle()
	if err != nil {
		return nil, err
	}
	defer undo()
	// Live frames go out in the namespace of the thread that asks for it.
	err = l.gen.ns.Do(func() error {
		// Of the thread that Do runs this on; it makes all system calls of the generator.
		defer pin(generatorCore)()
		for _, arp := range []bool{false, true} {
			for _, a := range []aim{few, large} {
				if err := l.measure(ctx, o, r, peers, arp, a); err != nil {
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

// cards says what stands between generator and responder.
func (l *lab) cards() string {
	if l.dut.veth {
		return "veth pair"
	}
	return l.dut.name + ", asked from " + l.gen.name
}

// withoutShield leaves out who needs a shield, where there can be none.
// Tried once, here, and not in the middle of a round.
func (l *lab) withoutShield(r *Report, peers []peer) ([]peer, error) {
	lower, err := l.raise(few)
	if err == nil {
		return peers, lower()
	}
	if !errors.Is(err, shield.ErrUnsupported) {
		return nil, err
	}
	r.Notes = append(r.Notes, fmt.Sprintf("%q is not among them: %v", shielded, err))
	var list []peer
	for _, p := range peers {
		if p.name != shielded {
			list = append(list, p)
		}
	}
	return list, nil
}

// measure puts one question to each peer: all of them in each round, in turn.
// First all rounds on two cores and then those on one: live frames need a program on the card, whose
// cost must not be in the other figures.
func (l *lab) measure(ctx context.Context, o Options, r *Report, peers []peer, arp bool, a aim) (err error) {
	q, err := l.question(arp, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	s := &session{lab: l, q: q, report: r, first: len(r.Rows), progress: o.Progress}
	for i := range peers {
		if p := &peers[i]; p.asks(q) {
			s.asked = append(s.asked, p)
			r.Rows = append(r.Rows, Row{Peer: p.name, Kind: q.kind(), Aliases: a.targets})
		}
	}
	if err := s.onTwoCores(ctx); err != nil {
		return err
	}
	return s.onOneCore(ctx)
}

// A session is one question to several peers.
// Its methods run on the generator's thread.
type session struct {
	*lab
	q        *question
	report   *Report
	asked    []*peer
	first    int // of the report's rows: a row for each peer that is asked
	progress func(string)
}

func (s *session) each(ctx context.Context, begins string, what func(p *peer, row *Row) error) error {
	if s.progress != nil {
		s.progress(fmt.Sprintf("%s, %d aliases: %s", s.q.kind(), s.q.a.targets, begins))
	}
	for i, p := range s.asked {
		if err := errors.Join(ctx.Err(), what(p, &s.report.Rows[s.first+i])); err != nil {
			return fmt.Errorf("%s, %s, %d aliases: %w", p.name, s.q.kind(), s.q.a.targets, err)
		}
	}
	return nil
}

// onTwoCores has the generator on one and the responders on another.
// These are rates and no costs: what an answer takes is spent in part on the generator's core.
func (s *session) onTwoCores(ctx context.Context) (err error) {
	if err := s.goLive(ctx, s.q); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.goPlain()) }()
	s.report.Live = s.live
	for round := range s.report.Rounds {
		// In each round again: the machine is not the same all the time.
		alone, err := s.alone(ctx, s.q)
		if err != nil {
			return err
		}
		s.report.Generator = append(s.report.Generator, alone)
		// All peers within a round, not all rounds of a peer: a minute in which the machine was slow would
		// otherwise be one peer's.
		err = s.each(ctx, fmt.Sprintf("round %d of %d", round+1, s.report.Rounds), func(p *peer, row *Row) error {
			rounds := s.report.Rounds
			if p.late > 0 {
				rounds = min(rounds, 2) // each takes ten seconds
			}
			if round >= rounds {
				return nil
			}
			return s.turn(ctx, p, row, s.q, round == rounds-1)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) onOneCore(ctx context.Context) error {
	for round := range s.report.Rounds {
		err := s.each(ctx, fmt.Sprintf("on one core, round %d", round+1), func(p *peer, row *Row) error {
			if p.program {
				return nil
			}
			return s.oneCore(ctx, p, row, s.q)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// turn is one peer's turn with the generator: the highest rate, and in the last
// round what is measured once, the loss-free rate and round trips.
func (l *lab) turn(ctx context.Context, p *peer, row *Row, q *question, last bool) error {
	l.manner = p.manner
	// Started anew for each turn: between turns nobody else may answer.
	stop, err := p.start(l, q.a)
	if err != nil {
		return err
	}
	time.Sleep(p.late) // for replies from before
	err = func() error {
		if err := l.highest(ctx, row, q); err != nil || !last || p.name == nobody {
			return err
		}
		// It takes some ten seconds a peer: so it is looked for where somebody compares.
		if (p.name == kernel || p.name == ours || p.name == shielded) && q.a.targets <= 256 {
			if err := l.lossFree(ctx, row, q); err != nil {
				return err
			}
		}
		return l.roundTrips(ctx, row, q)
	}()
	return errors.Join(err, stop())
}
