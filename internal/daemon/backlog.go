package daemon

import "github.com/ipalias/ipalias/responder"

// mostAnnouncers is how many changes are announced side by side. One address takes two
// seconds, its two rounds (RFC 5227 1.1), so that a dozen changes a second get by; a script that
// makes hundreds would leave an announcer for each of them, which waits for its turn for
// hours. What comes beyond is announced together.
const mostAnnouncers = 32

// A backlog is what came while so much was being announced. It belongs to the card's goroutine.
type backlog struct {
	arrivals
	size, kept int // single addresses in it, and how many there were when it was pruned last
}

// backlogFree is how many addresses may be added before the backlog is pruned for the first time.
const backlogFree = 1024

// add takes more of them. It is pruned whenever it has doubled: somebody may add and delete all day.
func (b *backlog) add(r *responder.Responder, more arrivals) {
	if b.arrivals == nil {
		b.arrivals = arrivals{}
	}
	for iface, list := range more {
		for _, one := range list.All() {
			b.arrivals[iface] = b.arrivals[iface].Append(one)
			b.size++
		}
	}
	if b.size > 2*b.kept+backlogFree {
		b.prune(r)
	}
}

// prune throws out what came twice, and what went again.
func (b *backlog) prune(r *responder.Responder) {
	b.size = 0
	for iface, list := range b.arrivals {
		left := responder.Ranges{}
		for _, one := range list.Union(responder.Ranges{}).All() {
			for a := one.First; a.Compare(one.Last) <= 0; a = a.Next() { // neighbours were joined
				if r.Answers(iface, a) {
					left = left.Append(responder.Range{First: a, Last: a})
				}
			}
		}
		b.arrivals[iface] = left
		b.size += left.Len()
	}
	b.kept = b.size
}

// announceFresh announces what came, side by side with what is being announced, or when some of
// that is through.
func (c *card) announceFresh(fresh arrivals) {
	s := c.session
	if s.announcers.Load() >= mostAnnouncers {
		s.backlog.add(c.table.responder, fresh)
		return
	}
	s.announceAlso(c.table.announcements(fresh))
}

// catchUp announces the backlog as soon as there is an announcer for it. It is done once a second.
func (c *card) catchUp() {
	s := c.session
	if s == nil || !s.started() || !c.facts.Carrier || s.backlog.size == 0 || s.announcers.Load() >= mostAnnouncers {
		return
	}
	var late backlog
	late, s.backlog = s.backlog, late
	late.prune(c.table.responder)
	s.announceAlso(c.table.announcements(late.arrivals))
}
