package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/bench"
)

// How long one has to wait who asks for one thing. The rates say nothing of that: a responder may be
// fast in bunches, and slow to wake up.

const (
	trips     = 20_000
	rests     = 60
	tripLimit = 100 * time.Millisecond // a reply that takes longer is lost

	maxTripsLost = 50
)

// roundTrips measures requests one at a time: one right behind the other, then
// after rests. Those without a reply are counted, not timed.
// They are measured once, in the last round: 20,000 of them are a sample large enough for p99.9.
func (l *lab) roundTrips(ctx context.Context, row *Row, q *question) error {
	fd, err := packetSocket(l.gen.index, unix.ETH_P_ALL) // it sees replies before the counter drops them
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var times, rested []float64
	trips, rests, limit := uint32(trips), uint32(rests), tripLimit
	if l.manner.late > 0 {
		trips, rests, limit = 10, 0, 2*l.manner.late
	}
	for i := range trips + rests {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i >= trips {
			time.Sleep(rest)
		}
		// A prime as stride: over a /8 no two in a row are neighbours in any table, and it is the same
		// sequence for all peers.
		target := q.a.address(i * 7919 % uint32(q.a.targets))
		took, err := trip(fd, l.request(q.arp, target, uint16(i)), limit)
		if err != nil {
			return err
		}
		if took == 0 {
			// With many lost it would take minutes: 100 ms each.
			if row.TripsLost++; row.TripsLost < maxTripsLost {
				continue
			}
			if len(times) < maxTripsLost {
				return fmt.Errorf("%d of %d requests, sent one at a time, had no reply", row.TripsLost, i+1)
			}
			break // what there is will do; the report tells how many were lost
		}
		if i >= trips {
			rested = append(rested, took)
		} else {
			times = append(times, took)
		}
	}
	row.P50, row.P99, row.P999 = bench.Quantile(times, 0.5), bench.Quantile(times, 0.99), bench.Quantile(times, 0.999)
	row.Rested, row.RestedHigh = bench.Quantile(rested, 0.5), bench.Quantile(rested, 1)
	row.Trips = histogram(times)
	return nil
}

// trip sends a request and looks for the reply without sleeping. It gives
// microseconds, 0 for no reply.
// It spins: what a sleeper takes to wake would be counted as the responder's.
func trip(fd int, request []byte, limit time.Duration) (float64, error) {
	var buf [2048]byte
	// Before the call and not after: over a veth the kernel's own answer is there when it returns.
	start := time.Now()
	if _, err := unix.Write(fd, request); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	for {
		n, err := unix.Read(fd, buf[:])
		took := time.Since(start)
		if err == nil && answers(buf[:n], request) {
			return float64(took) / 1e3, nil
		}
		// What came meanwhile was for others; a reply that comes later is drained or not the right one for
		// what is asked next.
		if took > limit {
			return 0, nil
		}
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return 0, fmt.Errorf("receive: %w", err)
		}
	}
}

// answers tells whether a frame is the reply to a request, rather than a late one
// to another, or something else: the bytes of both are looked at elsewhere.
func answers(frame, request []byte) bool {
	if len(frame) < icmpSeq+2 || !bytes.Equal(frame[etherType:etherType+2], request[etherType:etherType+2]) {
		return false
	}
	if isARP(request) {
		return binary.BigEndian.Uint16(frame[arpOp:]) == 2 &&
			netip.AddrFrom4([4]byte(frame[arpSender:])) == netip.AddrFrom4([4]byte(request[arpTarget:]))
	}
	return frame[icmpType] == 0 && bytes.Equal(frame[icmpSeq:icmpSeq+2], request[icmpSeq:icmpSeq+2]) &&
		bytes.Equal(frame[ipSrc:ipSrc+4], request[ipDst:ipDst+4])
}
