package responder

import "sync/atomic"

// Where answers go in routed mode: to the MAC of their next hop, learned by ARP
// as the kernel does (RFC 826, RFC 1122 2.3.2). In reflect mode nothing here
// is used.

// neighbours is the ARP cache of one interface, shared by its workers. It is
// direct mapped, so it can't grow: an address takes the place of another that
// falls on the same slot.
//
// The hash is a bijection of 32 bits. Its upper half is the slot and its lower
// half is kept in the slot, so that an address and its MAC fit in one word that
// is read and written at once.
type neighbours struct {
	slots [1 << 16]atomic.Uint64 // lower half of the hash, MAC; 0: free
	ticks [1 << 16]atomic.Uint32 // when the MAC was confirmed
	asked [1 << 16]atomic.Uint32 // when somebody last asked for it
}

const (
	incomplete = groupBit // in the place of a MAC: asked for, not known yet

	tickShift   = 26              // a tick is 2^26 ns, a fifteenth of a second
	tickSecond  = 14              // a little less than a second, so that who asks every second may
	reachable   = 30 * tickSecond // after this a MAC is asked for again (base_reachable_time)
	probed      = 10 * tickSecond // of that the time in which only its owner is asked
	unreachable = 90 * tickSecond // after this it is not used any more
)

func tick(now int64) uint32 { return uint32(now >> tickShift) }

// since is how many ticks passed from then to now. A worker that had to wait for its turn
// between the clock and the cache may meet there what another one wrote a moment later:
// that is just now. More than a second ahead only a clock comes that was set back; then
// it is very long ago.
func since(then, now uint32) uint32 {
	if then-now < tickSecond {
		return 0
	}
	return now - then
}

// slot is where an address has its place, and what its word begins with.
func (n *neighbours) slot(addr uint32) (i uint32, tag uint64) {
	h := hash(addr)
	return h >> 16, uint64(h&0xffff) << 48
}

// find gives the MAC of an address and how many ticks ago it was confirmed; ok is
// false if it is not known, or was too long ago.
func (n *neighbours) find(addr uint32, now int64) (mac uint64, age uint32, ok bool) {
	i, tag := n.slot(addr)
	v := n.slots[i].Load()
	if v == 0 || v&^macMask != tag || v&macMask == incomplete {
		return 0, 0, false
	}
	age = since(n.ticks[i].Load(), tick(now))
	return v & macMask, age, age < unreachable
}

// mayAsk tells whether a request for an address may go out: one a second does,
// whoever of the workers sends it.
func (n *neighbours) mayAsk(addr uint32, now int64) bool {
	i, _ := n.slot(addr)
	last, t := n.asked[i].Load(), tick(now)
	return since(last, t) >= tickSecond && n.asked[i].CompareAndSwap(last, t)
}

// set remembers the MAC of an address, or that it was asked for.
func (n *neighbours) set(addr uint32, mac uint64, now int64) {
	i, tag := n.slot(addr)
	n.ticks[i].Store(tick(now))
	n.slots[i].Store(tag | mac)
}

// known tells whether an address has a slot: a MAC, or a question under way.
func (n *neighbours) known(addr uint32) bool {
	i, tag := n.slot(addr)
	v := n.slots[i].Load()
	return v != 0 && v&^macMask == tag
}

// free tells whether the slot of an address holds nothing.
func (n *neighbours) free(addr uint32) bool {
	i, _ := n.slot(addr)
	return n.slots[i].Load() == 0
}

// learn takes what ARP says of its sender. A request to us makes an entry; anything
// else only changes one, so that nobody fills the cache unasked (Linux's
// arp_accept = 0).
func (w *Worker) learn(l *link, addr uint32, mac uint64, toUs bool) {
	n := l.neigh
	if n == nil || addr == 0 || !l.mayReach(mac) || !l.onLink(addr) && addr != l.gateway {
		return
	}
	if toUs || n.known(addr) {
		n.set(addr, mac, w.now)
	}
}

// onLink tells whether an address is in one of the networks of l.
func (l *link) onLink(a uint32) bool {
	return l.networks != nil && anyContains(l.networks, a)
}

// nextHop is where a datagram for a goes: itself on link, the gateway elsewhere, 0 for nowhere.
func (l *link) nextHop(a uint32) uint32 {
	if l.onLink(a) {
		return a
	}
	return l.gateway
}

// deliver sends an answer to p whose destination MAC is that p came from, which
// in routed mode becomes the next hop's, or waits for it. v is the verdict if the
// answer goes out at once.
func (w *Worker) deliver(p *packet, frame []byte, v Verdict) Verdict {
	if p.l.reply == Reflect {
		w.send(p.l, frame, p.row)
		return v
	}
	hop := p.l.nextHop(p.to)
	if hop == 0 {
		return Unresolved
	}
	mac, age, ok := p.l.neigh.find(hop, w.now)
	if !ok {
		return w.wait(p, frame, hop)
	}
	putMAC(frame[ethDst:], mac)
	w.send(p.l, frame, p.row)
	if age > reachable && p.l.neigh.mayAsk(hop, w.now) {
		// First whoever had the address; if nobody is there any more, everybody.
		if age > reachable+probed {
			mac = broadcastMAC
		}
		w.solicit(p.l, p.frame[:p.l3], p.dst, hop, mac)
	}
	return v
}

// solicit sends an ARP request for hop from an alias, to everybody or, to confirm
// it, to the MAC that hop had. head is an Ethernet header with l's tags.
func (w *Worker) solicit(l *link, head []byte, alias, hop uint32, to uint64) {
	frame := w.take(len(head) + arpLen)
	if frame == nil {
		return
	}
	copy(frame, head)
	putAddresses(frame, to, l.mac)
	put16(frame[len(head)-2:], typeARP)
	a := frame[len(head):]
	clear(a)
	put16(a[arpHardware:], hardwareEthernet)
	put16(a[arpProtocol:], typeIPv4)
	a[arpHardLen], a[arpProtoLen] = 6, 4
	put16(a[arpOperation:], opRequest)
	putMAC(a[arpSenderMAC:], l.mac)
	put32(a[arpSenderIP:], alias)
	put32(a[arpTargetIP:], hop)
	w.out = append(w.out, frame)
}
