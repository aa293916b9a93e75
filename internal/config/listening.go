package config

import (
	"time"

	"github.com/ipalias/ipalias/capture"
)

// Listening is how a card is listened on. It is the card's, whichever of its
// interfaces says so; zero values leave it to the daemon.
type Listening struct {
	Workers int            // threads that answer, each with a ring
	Fanout  capture.Fanout // who of them gets a frame
	Ring    int            // frames that each ring holds
	Spin    time.Duration  // how long a worker looks for frames before it sleeps; capture.NoSpin: never
	Qdisc   bool           // answers go through the card's queueing discipline

	// Counters is for how many addresses of an interface each worker counts one by one.
	Counters int
}

const (
	minRing = 64      // a batch
	maxRing = 1 << 20 // 1.6 GiB
	maxSpin = 1000    // us; longer is no latency that anybody would notice

	maxCounters = 1 << 28 // a /4, of 8 GiB for each worker
)

// listeningFields are the keys of an interface that are about its card.
var listeningFields = []field[Listening]{
	{"workers", func(d *decoder, v *value, l *Listening) { l.Workers = d.integer(v, 1, capture.MaxWorkers) }},
	{"fanout", func(d *decoder, v *value, l *Listening) {
		l.Fanout = choice(d, v, []string{"hash", "cpu"}, []capture.Fanout{capture.ByHash, capture.ByCPU})
	}},
	{"ring", func(d *decoder, v *value, l *Listening) { l.Ring = d.integer(v, minRing, maxRing) }},
	{"spin", func(d *decoder, v *value, l *Listening) {
		// 0 in the file is a wish, in Listening it is none.
		if l.Spin = time.Duration(d.integer(v, 0, maxSpin)) * time.Microsecond; l.Spin == 0 {
			l.Spin = capture.NoSpin
		}
	}},
	{"qdisc", func(d *decoder, v *value, l *Listening) { l.Qdisc = d.boolean(v) }},
	{"counters", func(d *decoder, v *value, l *Listening) { l.Counters = d.integer(v, 1, maxCounters) }},
}

// listeningKeys has the same fields for the list of an interface's keys. Each notes
// where it stands, for once.
func listeningKeys() (list []field[Interface]) {
	for _, f := range listeningFields {
		list = append(list, field[Interface]{f.key, func(d *decoder, v *value, i *Interface) {
			f.decode(d, v, &i.Listening)
			i.listeningAt = append(i.listeningAt, keyMark{f.key, d.mark(v.at)})
		}})
	}
	return list
}

// A keyMark is where the value of a key stands.
type keyMark struct {
	key string
	at  mark
}

// once refuses keys about a card that several of its interfaces give: which of the
// values holds could only be guessed.
func (c *Config) once() (errs Errors) {
	type cardKey struct{ card, key string }
	first := map[cardKey]mark{}
	for n := range c.Interfaces {
		i := &c.Interfaces[n]
		for _, k := range i.listeningAt {
			id := cardKey{i.Card, k.key}
			if at, again := first[id]; again {
				errs = append(errs, newError(k.at, "%s is about the card %s: found it twice, first at %s, expected it for one of the card's interfaces", k.key, i.Card, at))
				continue
			}
			first[id] = k.at
		}
	}
	return errs
}

// Listening tells how a card is to be listened on.
// After once at most one interface gives each key: the larger of the two is the one that is
// not zero. Listening is compared with ==, by which the daemon knows that a card is to be opened anew.
func (c *Config) Listening(card string) (l Listening) {
	for n := range c.Interfaces {
		if i := &c.Interfaces[n]; i.Card == card {
			l.Workers = max(l.Workers, i.Listening.Workers)
			l.Fanout = max(l.Fanout, i.Listening.Fanout)
			l.Ring = max(l.Ring, i.Listening.Ring)
			l.Counters = max(l.Counters, i.Listening.Counters)
			l.Qdisc = l.Qdisc || i.Listening.Qdisc
			if i.Listening.Spin != 0 {
				l.Spin = i.Listening.Spin
			}
		}
	}
	return l
}
