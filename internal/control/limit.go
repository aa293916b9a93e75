package control

import (
	"net"
	"sync"
	"time"
)

// maxConns is how many connections there are at a time.
const maxConns = 64

// A crowd is the connections that are open. When one more comes than there may
// be, the one that has kept the daemon waiting longest goes: somebody who opens a
// thousand and says nothing locks nobody out.
type crowd struct {
	mu    sync.Mutex
	conns map[net.Conn]*member
}

type member struct {
	since time.Time // when it was last heard or answered
	busy  bool      // a whole request came, and the answer is not out yet
}

// enter adds a connection. It tells whether there is room for it.
func (c *crowd) enter(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.conns) >= maxConns && !c.evict() {
		return false
	}
	if c.conns == nil {
		c.conns = map[net.Conn]*member{}
	}
	c.conns[conn] = &member{since: time.Now()}
	return true
}

// evict closes the idlest connection. It fails if all of them are busy.
func (c *crowd) evict() bool {
	var worst net.Conn
	for conn, m := range c.conns {
		if !m.busy && (worst == nil || m.since.Before(c.conns[worst].since)) {
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

// work says that a request of conn is being answered, or was.
func (c *crowd) work(conn net.Conn, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.conns[conn]; m != nil {
		m.since, m.busy = time.Now(), busy
	}
}

// A limited listener hands out connections that belong to a crowd.
type limited struct {
	net.Listener
	crowd *crowd
}

func (l limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.crowd.enter(conn) {
			return conn, nil
		}
		conn.Close()
	}
}
