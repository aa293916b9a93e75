package responder

import "sync/atomic"

// Faults are what went wrong about an alias address, or several: what ifconfig calls
// errors and dropped.
type Faults struct {
	RxErrors  uint64 `json:"rx_errors"`  // frames for it that were broken behind their IP header
	TxDropped uint64 `json:"tx_dropped"` // answers that were due, and given up for a limit or for lack of room
}

// fault tells which of the Faults a verdict on a frame for an alias is.
func (v Verdict) fault() (rxErrors, txDropped uint64) {
	switch v {
	case FragmentOverlap, FragmentBad, IPOptionBad, IPOptionRefused,
		ICMPShort, ICMPChecksum, UDPShort, UDPChecksum, TCPShort, TCPChecksum:
		return 1, 0
	case EchoLimited, ErrorLimited, NoRoom, Unresolved:
		return 0, 1
	}
	return 0, 0
}

const (
	faultBits   = 10
	faultSlots  = 1 << faultBits // addresses of an interface that a worker can count faults for
	faultProbes = 8
)

// A faultTable counts the faults of an interface's addresses for one worker. They
// are few, or an attack: there is room for so many addresses, and the faults of those
// that find none are counted as verdicts alone.
type faultTable struct {
	slots  [faultSlots]faultSlot
	forgot atomic.Uint64 // the last removal that was carried out
}

// A faultSlot is written by its worker alone, and so seldom that its words may be
// atomic.
type faultSlot struct {
	addr                atomic.Uint32 // 0: free
	rxErrors, txDropped atomic.Uint64
}

// fault counts a verdict on a frame for an alias if it is about a fault.
func (w *Worker) fault(l *link, addr uint32, v Verdict) {
	rxErrors, txDropped := v.fault()
	if rxErrors|txDropped == 0 {
		return
	}
	t := l.faults[w.number]
	for i := range uint32(faultProbes) {
		s := &t.slots[(faultHome(addr)+i)%faultSlots]
		switch s.addr.Load() {
		case 0:
			s.addr.Store(addr)
		case addr:
		default:
			continue
		}
		s.rxErrors.Store(s.rxErrors.Load() + rxErrors)
		s.txDropped.Store(s.txDropped.Load() + txDropped)
		return
	}
}

// faultHome spreads neighbouring addresses: Fibonacci hashing.
func faultHome(addr uint32) uint32 {
	const golden = 0x9e3779b1
	return addr * golden >> (32 - faultBits)
}

// forget gives up the faults of aliases that were removed: those that come back
// begin anew, as their counters do. An address that a freed slot comes before may then
// have two; eachFault yields both.
func (t *faultTable) forget(m *removal) {
	forgot := t.forgot.Load()
	if m.number == forgot {
		return
	}
	for i := range t.slots {
		if s := &t.slots[i]; s.addr.Load() != 0 && m.of(s.addr.Load()) > forgot {
			s.addr.Store(0)
			s.rxErrors.Store(0)
			s.txDropped.Store(0)
		}
	}
	t.forgot.Store(m.number)
}

// eachFault hands the addresses that have faults to yield, some of them several
// times: their faults are the sum.
func (l *link) eachFault(yield func(addr uint32, f Faults)) {
	for n, t := range l.faults {
		m := l.removals[n]
		for i := range t.slots {
			s := &t.slots[i]
			if a := s.addr.Load(); a != 0 && m.of(a) <= t.forgot.Load() {
				yield(a, Faults{s.rxErrors.Load(), s.txDropped.Load()})
			}
		}
	}
}
