package shield

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/ipalias/ipalias/responder"
)

// A network is what one interface of a card is shielded for.
type network struct {
	tags []uint16   // VLAN identifiers, outermost first
	runs []interval // sorted, none touches another
}

// An interval is an inclusive run of IPv4 addresses, as numbers. They are wider
// than an address so that the one after the last has a number too.
type interval struct{ first, last uint64 }

// plan says what a shield of interfaces drops. Networks without any run are left
// out. The error is a *TooManyError.
func plan(interfaces []responder.Interface) ([]network, error) {
	var nets []network
	total := 0
	for n := range interfaces {
		runs := joined(responder.AnsweredFor(&interfaces[n]))
		if len(runs) == 0 {
			continue
		}
		total += len(runs)
		nets = append(nets, network{slices.Clone(interfaces[n].Tags), runs})
	}
	if total > MaxIntervals {
		return nil, &TooManyError{Intervals: total}
	}
	return nets, nil
}

// joined makes one run of those that touch.
func joined(ranges responder.Ranges) (runs []interval) {
	for _, r := range ranges.All() {
		first, last := number(r.First), number(r.Last)
		if n := len(runs); n > 0 && first == runs[n-1].last+1 {
			runs[n-1].last = last
			continue
		}
		runs = append(runs, interval{first, last})
	}
	return runs
}

func number(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(binary.BigEndian.Uint32(b[:]))
}
