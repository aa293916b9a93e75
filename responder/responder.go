package responder

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// A Responder holds what is answered for, and what was counted. Its methods may
// be called at any time and from any goroutine; its Workers belong to one
// goroutine each.
type Responder struct {
	set     atomic.Pointer[set]
	workers []*Worker
	limits  limiter
	counted int // see Config

	mu     sync.Mutex  // held by Publish
	states []*state    // every interface that ever was, for its verdicts
	ifs    []Interface // what was published last, which Amend changes
}

// A set is what all interfaces of a card answer for at one time. It is
// immutable: workers load it once a batch.
type set struct {
	number   uint64  // sets are numbered in the order published
	untagged *link   // nil: untagged frames are for nobody
	tagged   []*link // few: looked through one by one
	links    []*link // all, in the order published
}

// A link is one interface as the packet path wants it.
type link struct {
	*state
	tags     []uint16
	mac      uint64
	mtu      int
	closed   Closed
	reply    Reply
	limits   Limits
	from     []prefix4
	choosy   bool   // not everybody is answered
	plain    bool   // see plain.go
	rawMAC   uint64 // mac as a little-endian load finds it
	networks []prefix4
	gateway  uint32 // 0: none
	table    *table
	neigh    *neighbours // nil unless routed
	removals []*removal  // [worker]: what it must forget before it uses table
}

// A Config says how large a Responder may become.
type Config struct {
	Workers int

	// MaxCounted is for how many addresses of an interface each worker keeps counters,
	// of 32 bytes; 0 for DefaultMaxCounted. It is how many are asked for that matters, not
	// how many there are. What comes for others is counted for their label alone.
	MaxCounted int
}

// DefaultMaxCounted is a /8: half a gigabyte for each worker, if all of it is used.
const DefaultMaxCounted = 1 << 24

// maxCounted is the most that a row number and two bits of a tag have room for.
const maxCounted = 1<<30 - rowsStart - 1

// New makes a Responder, which answers for nothing yet.
func New(c Config) *Responder {
	r := &Responder{counted: c.MaxCounted}
	if r.counted <= 0 {
		r.counted = DefaultMaxCounted
	}
	// Readers number the rows of all workers in 32 bits: see used.
	r.counted = min(r.counted, maxCounted, int(uint64(1<<32)/uint64(max(c.Workers, 4)))-rowsStart)
	r.set.Store(&set{})
	for i := range c.Workers {
		r.workers = append(r.workers, newWorker(r, i, c.Workers))
	}
	return r
}

// Worker gives the worker of a number from 0 on.
func (r *Responder) Worker(i int) *Worker { return r.workers[i] }

// Publish replaces everything that is answered for, between two frames of each
// worker, all or nothing. Counters of interfaces and addresses that stay go on. The
// warnings are about single addresses that are never answered for; the error is
// an *OverlapError or about a value that makes no sense, and changes nothing.
func (r *Responder) Publish(ifs []Interface) ([]Warning, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.publish(ifs)
}

// publish is Publish with the lock held.
func (r *Responder) publish(ifs []Interface) ([]Warning, error) {
	var all []Warning
	old := r.set.Load()
	next := &set{number: old.number + 1}
	for _, w := range r.workers {
		if err := w.reserve(); err != nil {
			return nil, fmt.Errorf("memory of a worker: %w", err)
		}
	}
	kept := false
	defer func() {
		if !kept {
			next.release()
		}
	}()
	for i := range ifs {
		l, warnings, err := r.link(&ifs[i])
		if err != nil {
			return nil, err
		}
		if next.byName(l.name) != nil {
			l.table.release()
			return nil, fmt.Errorf("interface %s: there are two of this name", l.name)
		}
		if next.byTags(l.tags) != nil {
			l.table.release()
			return nil, fmt.Errorf("interface %s: another interface answers the same frames", l.name)
		}
		all = append(all, warnings...)
		next.links = append(next.links, l)
		if len(l.tags) == 0 {
			next.untagged = l
		} else {
			next.tagged = append(next.tagged, l)
		}
	}
	// Memory for counters comes last: nothing else can fail then.
	if err := r.enlist(next); err != nil {
		return nil, err
	}
	kept = true
	for _, l := range next.links {
		l.follow(old.byName(l.name))
		r.route(l)
	}
	r.ifs = slices.Clone(ifs)
	r.set.Store(next)
	r.dismiss(next)
	return all, nil
}

// release gives the tables of a set that was never in force back.
func (s *set) release() {
	for _, l := range s.links {
		l.table.release()
	}
}

// byTags finds the link of a stack of VLAN identifiers.
func (s *set) byTags(tags []uint16) *link {
	if len(tags) == 0 {
		return s.untagged
	}
	for _, l := range s.tagged {
		if slices.Equal(l.tags, tags) {
			return l
		}
	}
	return nil
}

// byName finds the link of an interface's name.
func (s *set) byName(name string) *link {
	for _, l := range s.links {
		if l.name == name {
			return l
		}
	}
	return nil
}

// byOrdinal finds the link of an interface by its state's ordinal.
func (s *set) byOrdinal(n uint32) *link {
	for _, l := range s.links {
		if l.ordinal == n {
			return l
		}
	}
	return nil
}

// link builds one interface, with the state it had before if it had one.
func (r *Responder) link(i *Interface) (*link, []Warning, error) {
	if i.MAC[0]&1 != 0 || i.MAC == [6]byte{} {
		return nil, nil, fmt.Errorf("interface %s: the MAC address %x is none that a card can have", i.Name, i.MAC)
	}
	if len(i.Tags) > maxTags {
		return nil, nil, fmt.Errorf("interface %s: more than %d VLAN tags", i.Name, maxTags)
	}
	l := &link{state: r.state(i.Name), tags: i.Tags, mac: mac48(i.MAC[:]), mtu: i.MTU, closed: i.Closed, reply: i.Reply, limits: i.Limits}
	if l.mtu == 0 {
		l.mtu = DefaultMTU
	}
	if l.mtu < minMTU {
		return nil, nil, fmt.Errorf("interface %s: an MTU of %d is below IPv4's %d (RFC 791)", i.Name, l.mtu, minMTU)
	}
	own, bcast, err := l.addresses(i)
	if err != nil {
		return nil, nil, fmt.Errorf("interface %s: %w", i.Name, err)
	}
	t, warnings, err := compileTable(i)
	if err != nil {
		return nil, nil, err
	}
	if err := t.arrange(own, bcast); err != nil {
		t.release()
		return nil, nil, fmt.Errorf("interface %s: %w", i.Name, err)
	}
	l.table, l.rawMAC = t, bits.ReverseBytes64(l.mac)>>16
	l.choose()
	return l, warnings, nil
}

// follow has l go on where the link of the same interface stops; nil if there is none.
func (l *link) follow(before *link) {
	if before != nil {
		l.identify(before.table)
		l.forget(before.removals, l.table.gone(before.table))
	} else {
		l.identify(nil)
		l.forget(nil, Ranges{})
	}
}

// choose tells from rules and table how frames are to be looked at.
func (l *link) choose() {
	l.choosy = l.from != nil || l.table.special
	l.plain = !l.choosy && l.reply == Reflect && l.limits.EchoRate == 0
}

// addresses converts the addresses of i that are no aliases. own are the host's,
// which are the kernel's business and never a sender's; bcast are the broadcast
// addresses of the networks, which are never sent to.
func (l *link) addresses(i *Interface) (own, bcast []uint32, err error) {
	if l.from, err = prefixes4(i.From); err != nil {
		return nil, nil, fmt.Errorf("from: %w", err)
	}
	for _, n := range i.Networks {
		if !n.Addr().Is4() {
			continue
		}
		p, _ := prefixes4([]netip.Prefix{n})
		l.networks = append(l.networks, p...)
		if n.Bits() <= 30 {
			bcast = append(bcast, v4(PrefixRange(n).Last))
		}
	}
	for _, a := range i.Host {
		if a.Is4() && !a.IsUnspecified() {
			own = append(own, v4(a))
		}
	}
	for _, a := range i.Gateways {
		if a.Is4() && l.gateway == 0 {
			l.gateway = v4(a)
		}
	}
	return own, bcast, nil
}

// route gives a routed interface its ARP cache, and the workers room for what
// waits for it.
func (r *Responder) route(l *link) {
	if l.reply != Routed {
		return
	}
	if l.state.neigh == nil {
		l.state.neigh = new(neighbours)
	}
	l.neigh = l.state.neigh
	for _, w := range r.workers {
		if w.waiting.slots == nil {
			w.waiting.slots = new([waitingMax]waiting) // no worker looks at it before it has a routed interface
		}
	}
}

// identify gives each label the identifier it had before; nil if there was no table. A
// label that was emptied is none: what has its name now begins anew.
func (l *link) identify(before *table) {
	if before == nil {
		before = &table{}
	}
	emptied := make(map[uint32]bool, len(before.emptied))
	for _, n := range before.emptied {
		emptied[n] = true
	}
	next := uint32(0)         // of those before, most likely the same label
	var ids map[string]uint32 // made only if the labels have changed places
	for i := range l.table.labels {
		lb := &l.table.labels[i]
		for emptied[next] {
			next++
		}
		if int(next) < len(before.labels) && before.labels[next].name == lb.name {
			lb.id = before.labels[next].id
			next++
			continue
		}
		if ids == nil {
			ids = make(map[string]uint32, len(before.labels))
			for n, b := range before.labels {
				if !emptied[uint32(n)] {
					ids[b.name] = b.id
				}
			}
		}
		id, had := ids[lb.name]
		if !had {
			l.state.label++
			id = l.state.label
		}
		lb.id = id
	}
}

// forget tells each worker which addresses are gone, along with what it has not
// yet carried out of earlier ones.
func (l *link) forget(before []*removal, gone Ranges) {
	if before == nil {
		before = make([]*removal, len(l.ledgers))
		for i := range before {
			before[i] = newRemoval(l.removal, Ranges{}, nil)
		}
	}
	if gone.Len() == 0 {
		l.removals = before
		return
	}
	l.state.removal++
	number := l.removal
	alone := absences(gone, number)
	if gone.Len() > cleanAtOnce || gone.Addresses() > cleanAtOnce {
		gone = Ranges{}
	}
	for i, b := range before {
		all := alone
		if pending := b.pending(); len(pending) > 0 {
			all = bounded(after(pending, l.ledgers[i].cleaned.Load(), alone), l.table, number)
		}
		l.removals = append(l.removals, newRemoval(number, gone, all))
	}
}
