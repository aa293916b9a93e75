package capture

import (
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/netlab"
	"golang.org/x/sys/unix"
)

// The kernel is eager for slots: a flood through a ring of one block. A slot given back
// before its answer is out would go out as the next request, or half of it.
func TestCardKeepsSlotsUntilSent(t *testing.T) {
	l := newCardLab(t, CardConfig{Slots: 1})
	l.run(t, swap)
	const frames = 20000
	flood := make(chan error, 1)
	go func() {
		frame := labFrame(1, 60, experimental...)
		for range frames {
			if _, err := unix.Write(l.peer, frame); err != nil {
				flood <- err
				return
			}
		}
		flood <- nil
	}()
	want, buf := labFrame(1, 60, experimental...), make([]byte, 2048)
	swapMACs(want)
	flooding, answers := true, 0
	for {
		n, _, err := unix.Recvfrom(l.peer, buf, unix.MSG_DONTWAIT)
		switch {
		case err == nil:
			answers++
			if diff := frameDiff(buf[:n], want); diff != "" {
				t.Fatalf("answer %d:\n%s", answers, diff)
			}
		case err != unix.EAGAIN && err != unix.EINTR:
			t.Fatal(err)
		case !flooding:
			if answers == 0 {
				t.Error("no answer came")
			}
			return
		}
		select {
		case err := <-flood:
			if err != nil {
				t.Fatal(err)
			}
			flooding = false
		default:
		}
	}
}

func TestCardDoesNotHearItsHost(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	h, frames := collector()
	l.run(t, h)
	own := labFrame(1, 60, experimental...)
	swapMACs(own)
	if err := l.card.Send(own); err != nil {
		t.Fatal(err)
	}
	if diff := frameDiff(l.receive(t), own); diff != "" {
		t.Errorf("the peer:\n%s", diff)
	}
	// The same from somebody else on this host, whose frames pass the tap where
	// ours, which go around the queueing discipline, do not.
	err := l.a.Do(func() error {
		ifi, err := net.InterfaceByName(netlab.CardA)
		if err != nil {
			return err
		}
		fd, err := listen(ifi)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.Write(fd, own)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := frameDiff(l.receive(t), own); diff != "" {
		t.Errorf("the peer:\n%s", diff)
	}
	marker := labFrame(2, 60, experimental...)
	l.send(t, marker)
	if diff := frameDiff(wait1(t, frames, "the marker").frame, marker); diff != "" {
		t.Errorf("first frame seen:\n%s", diff)
	}
}

func TestCardSendErrors(t *testing.T) {
	l := newCardLab(t, CardConfig{})
	if err := l.card.Send(labFrame(1, 3000, experimental...)); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("Send of 3000 bytes: %v, want EMSGSIZE", err)
	}
	// Frames that can't be sent stop none of those behind them, across
	// several system calls' worth.
	l.run(t, handlerFunc(func(b *Batch) {
		for i := range 200 {
			switch i % 3 {
			case 0:
				b.Out = append(b.Out, labFrame(i, 3000, experimental...))
			case 1:
				b.Out = append(b.Out, nil)
			case 2:
				b.Out = append(b.Out, labFrame(i, 60, experimental...))
			}
		}
	}))
	l.send(t, labFrame(0, 60, experimental...))
	const good = 66
	for i := range good {
		if diff := frameDiff(l.receive(t), labFrame(3*i+2, 60, experimental...)); diff != "" {
			t.Fatalf("answer %d:\n%s", i, diff)
		}
	}
	// One more frame in and out, so that the first batch has been counted.
	l.send(t, labFrame(0, 60, experimental...))
	l.receive(t)
	if s := l.card.Stats(); s.Sent < good || s.SendErr < 1+200-good {
		t.Errorf("Stats %+v, want at least %d sent and %d errors", s, good, 1+200-good)
	}
}

// Nobody reads: the ring fills up, and what is lost is counted once.
func TestCardCountsOverflow(t *testing.T) {
	l := newCardLab(t, CardConfig{Slots: 1}) // one block
	const frames = 300
	for i := range frames {
		l.send(t, labFrame(i, 60, experimental...))
	}
	// Frames cross the pair in order: when the ones sent are accounted for, all are.
	deadline := time.Now().Add(patience)
	const lost = frames - slotsPerBlock
	for l.card.Stats().Dropped < lost && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	h, seen := collector()
	l.run(t, h)
	for i := range slotsPerBlock {
		want := labFrame(i, 60, experimental...)
		if diff := frameDiff(wait1(t, seen, "a frame").frame, want); diff != "" {
			t.Fatalf("frame %d:\n%s", i, diff)
		}
	}
	marker := labFrame(frames, 60, experimental...)
	l.send(t, marker)
	if diff := frameDiff(wait1(t, seen, "the marker").frame, marker); diff != "" {
		t.Errorf("after the overflow:\n%s", diff)
	}
	if s := l.card.Stats(); s.Dropped != lost {
		t.Errorf("Stats %+v, want %d dropped", s, lost)
	}
}
