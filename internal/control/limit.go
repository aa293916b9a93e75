package control

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	maxConns = 64 // at a time, of one class
	maxOwn   = 8  // at a time, of one user who may only look

	// maxLarge is how many answers are worked out at a time, for one class, that walk
	// through all of the table, and how many large ones may be on their way out.
	maxLarge = 2

	// stalled is how long who gets a large answer may take nothing of it while others
	// wait for theirs; piece is how much of it counts as something, in bytes.
	stalled = 100 * time.Millisecond
	piece   = 64 << 10
)

// A class is clients that share what there is of connections and memory. There are
// two, those who may change the table and those who may only look, so that nobody
// of the latter keeps one of the former waiting.
type class struct {
	crowd crowd
	large chan struct{} // maxLarge tokens, one for each answer that is worked out
	out   outbox
}

func newClass(own int) *class {
	return &class{crowd: crowd{most: maxConns, own: own}, large: make(chan struct{}, maxLarge)}
}

// An outbox is the large answers that are on their way out. They are what takes
// memory, and so few: who does not read his makes room for those who would.
type outbox struct {
	mu    sync.Mutex
	since map[*client]time.Time // when it took a piece last
}

// enter waits for a place in the outbox.
func (o *outbox) enter(ctx context.Context, c *client) error {
	for !o.try(c) {
		select {
		case <-time.After(stalled / 10):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (o *outbox) try(c *client) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.since) >= maxLarge {
		for other, since := range o.since {
			if time.Since(since) > stalled {
				other.Close()
				delete(o.since, other)
				break
			}
		}
	}
	if len(o.since) >= maxLarge {
		return false
	}
	if o.since == nil {
		o.since = map[*client]time.Time{}
	}
	o.since[c] = time.Now()
	return true
}

// took says that c took a piece.
func (o *outbox) took(c *client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, there := o.since[c]; there {
		o.since[c] = time.Now()
	}
}

func (o *outbox) leave(c *client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.since, c)
}

// A crowd is the connections that are open. When one more comes than there may
// be, the one that has kept the daemon waiting longest goes: somebody who opens a
// thousand and says nothing locks nobody out.
type crowd struct {
	most, own int // connections in all, and of one user

	mu    sync.Mutex
	conns map[net.Conn]*member
}

type member struct {
	uid   uint32
	since time.Time // when it was last heard or answered
	busy  bool      // a whole request came, and the answer is not ready yet
}

// enter adds a connection of a user. It tells whether there is room for it.
func (c *crowd) enter(conn net.Conn, uid uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The user's own idlest goes first: who opens too many pushes out nobody but himself.
	own := 0
	for _, m := range c.conns {
		if m.uid == uid {
			own++
		}
	}
	if own >= c.own && !c.evict(func(m *member) bool { return m.uid == uid }) {
		return false
	}
	if len(c.conns) >= c.most && !c.evict(func(*member) bool { return true }) {
		return false
	}
	if c.conns == nil {
		c.conns = map[net.Conn]*member{}
	}
	c.conns[conn] = &member{uid: uid, since: time.Now()}
	return true
}

// evict closes the idlest connection of those that may be. It fails if all of them
// are busy.
func (c *crowd) evict(may func(*member) bool) bool {
	var worst net.Conn
	for conn, m := range c.conns {
		if !m.busy && may(m) && (worst == nil || m.since.Before(c.conns[worst].since)) {
			worst = conn
		}
	}
	if worst == nil {
		return false
	}
	delete(c.conns, worst)
	worst.Close()
	return true
}

func (c *crowd) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
}

// work says that a request of conn is being worked on, or was.
func (c *crowd) work(conn net.Conn, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.conns[conn]; m != nil {
		m.since, m.busy = time.Now(), busy
	}
}

// A client is a connection to the control socket and who is at its other end.
type client struct {
	net.Conn
	who   Peer
	class *class
}

// work says that a request is being worked on, or was.
func (c *client) work(busy bool) { c.class.crowd.work(c, busy) }

// A door lets clients in, each into its class.
type door struct {
	net.Listener
	classOf func(Peer) *class
}

func (d door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &client{Conn: conn}
		if socket, ok := conn.(*net.UnixConn); ok {
			if c.who, err = peerOf(socket); err == nil {
				c.class = d.classOf(c.who)
				if c.class.crowd.enter(c, c.who.UID) {
					return c, nil
				}
			}
		}
		conn.Close()
	}
}

// Limit bounds how many connections a server has at a time, whoever's they are.
func Limit(l net.Listener, server *http.Server) net.Listener {
	t := &turnstile{l, crowd{most: maxConns, own: maxConns}}
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			t.crowd.leave(conn)
		}
	}
	return t
}

type turnstile struct {
	net.Listener
	crowd crowd
}

func (t *turnstile) Accept() (net.Conn, error) {
	conn, err := t.Listener.Accept()
	if err == nil {
		t.crowd.enter(conn, 0) // none is ever busy here: there is room
	}
	return conn, err
}
