package responder

import "net/netip"

// NeighbourSlot tells tests which next hops would displace each other.
func NeighbourSlot(a netip.Addr) uint32 {
	i, _ := (*neighbours)(nil).slot(v4(a))
	return i
}
