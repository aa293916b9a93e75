package shield

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"sync"

	"github.com/ipalias/ipalias/responder"
)

// A Shield stands before one card from Raise to Lower. Its methods may be called
// from any goroutine.
type Shield struct {
	card  string
	table *table // the loader's, and who lowers the shield's once that has ended

	wake chan struct{} // holds a value if something new is wanted
	stop chan struct{}
	done chan struct{} // the loader has ended
	err  error         // why it did; valid when done is closed

	lower func() error // once

	mu     sync.Mutex
	wanted []network
	asked  uint64        // how often wanted was set
	loaded uint64        // what of that is in force
	news   chan struct{} // closed, and made anew, when loaded changes
}

// Raise puts a shield that drops nothing yet before a card, in the network
// namespace of the calling thread. What a killed process left there is removed
// first. It takes some milliseconds and the capability CAP_NET_ADMIN. The errors
// to tell apart are ErrPrivilege, ErrBusy and ErrUnsupported.
//
// The shield is bound to the process: it vanishes with it, however that ends,
// and nobody else's "nft flush ruleset" touches it. Linux before 5.12 can't do
// that; there what a killed process left stays until the next Raise or Sweep.
func Raise(card string) (*Shield, error) {
	// nftables' own word for a card that isn't there is "no such file or directory".
	if _, err := net.InterfaceByName(card); err != nil {
		return nil, fmt.Errorf("raise shield before %s: %w", card, err)
	}
	if err := Sweep(card); err != nil {
		return nil, err
	}
	t, err := newTable(card, true)
	if err != nil {
		return nil, fmt.Errorf("raise shield before %s: %w", card, err)
	}
	s := &Shield{
		card:  card,
		table: t,
		wake:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
		news:  make(chan struct{}),
	}
	s.lower = sync.OnceValue(s.takeDown)
	go s.run()
	return s, nil
}

// Update replaces what is shielded by what interfaces, all those of the card,
// answer for. It returns at once; the new shield replaces the old one between two
// frames some time later, see Wait. It keeps nothing of interfaces.
//
// The error is a *TooManyError, and then nothing is shielded: an old shield might
// hide an address that is the kernel's business by now. The same goes for a
// loading that fails: it ends the shield, see Done.
func (s *Shield) Update(interfaces []responder.Interface) error {
	nets, err := plan(interfaces)
	s.mu.Lock()
	s.wanted = nets
	s.asked++
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // the loader has not looked yet, and will find the newest
	}
	return err
}

// Wait waits until the last Update is in force.
func (s *Shield) Wait(ctx context.Context) error {
	s.mu.Lock()
	asked := s.asked
	s.mu.Unlock()
	for {
		s.mu.Lock()
		loaded, news := s.loaded, s.news
		s.mu.Unlock()
		if loaded >= asked {
			return nil
		}
		select {
		case <-news:
		case <-s.done:
			if s.err != nil {
				return s.err
			}
			return ErrLowered
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Done is closed when the shield stands no longer: it was lowered, or Err tells
// what failed. After a failure the kernel sees every frame again, as it does
// without a shield; another can be raised.
func (s *Shield) Done() <-chan struct{} { return s.done }

// Err says why the shield ended by itself; nil if it was lowered. It is valid
// when Done is closed.
func (s *Shield) Err() error { return s.err }

// Lower removes the shield. Calls after the first do nothing. A shield that
// somebody else removed, or whose card is gone, is no error.
func (s *Shield) Lower() error { return s.lower() }

func (s *Shield) takeDown() error {
	close(s.stop)
	<-s.done
	if err := s.table.remove(); err != nil && s.err == nil {
		return fmt.Errorf("lower shield before %s: %w", s.card, err)
	}
	return nil
}

// run loads what is wanted, the newest only, until the shield is lowered or
// something fails.
func (s *Shield) run() {
	defer close(s.done)
	var standing []network
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		}
		s.mu.Lock()
		wanted, asked := s.wanted, s.asked
		s.mu.Unlock()
		// Most of what has a table published again changes no address.
		if !reflect.DeepEqual(wanted, standing) {
			if err := s.table.replace(wanted); err != nil {
				s.err = fmt.Errorf("load shield before %s: %w", s.card, err)
				s.table.remove() // a second error says nothing that the first does not
				return
			}
			standing = wanted
		}
		s.mu.Lock()
		s.loaded = asked
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
	}
}
