package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ipalias/ipalias/internal/config"
)

const (
	maxHeader = 16 << 10 // bytes

	// smallBody is what any number of requests may have in memory at a time;
	// larger ones, up to maxBody, come one after the other.
	smallBody = 64 << 10
	maxBody   = 48 << 20 // a million addresses are 20 MiB

	// maxAddresses is how many addresses an edit may have. A body may hold three times as
	// many that are none, and a string for each takes ten times the body.
	maxAddresses = 1 << 22

	readTime  = 10 * time.Second // for a request to come in
	writeTime = time.Minute      // for it to be answered and the answer to go out
	idleTime  = 30 * time.Second // between two requests
	endTime   = time.Second      // for the answers that are under way when the daemon ends
)

// A Server answers on the control socket.
type Server struct {
	Backend Backend
	Log     *slog.Logger
	Group   string // whose members may change the table, beside root and the daemon's own user; "" for nobody's

	ctx  context.Context // ends with Serve
	body chan struct{}   // one token: reading a large body

	changers, lookers *class
}

// Serve answers until ctx ends; then it returns nil, after the requests that are
// being answered.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.ctx = ctx
	s.body = make(chan struct{}, 1)
	s.changers, s.lookers = newClass(maxConns), newClass(maxOwn)
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		// At debug: what net/http complains about is what clients did, and would let them fill the log.
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, clientKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				c.(*client).class.crowd.leave(c)
			}
		},
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		patience, cancel := context.WithTimeout(context.Background(), endTime)
		defer cancel()
		if server.Shutdown(patience) != nil {
			server.Close()
		}
	})
	err := server.Serve(door{l, s.classOf})
	if !stop() {
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve control socket: %w", err)
}

// classOf tells which class a client is of, for as long as it is connected.
func (s *Server) classOf(who Peer) *class {
	if s.mayChange(who) {
		return s.changers
	}
	return s.lookers
}

// A clientKey is what the client of a connection is found by in the context of a request.
type clientKey struct{}

func clientOf(r *http.Request) *client { return r.Context().Value(clientKey{}).(*client) }

// handler is the list of what can be asked for. Who may connect may read: the
// mode of the socket says who that is.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	read := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.Handle(pattern, s.serve(func(r *http.Request, _ Peer, _ []byte) (any, error) { return do(r) }))
	}
	change := func(pattern string, do func(ctx context.Context, who Peer, body []byte) (any, error)) {
		mux.Handle(pattern, s.serve(func(r *http.Request, who Peer, body []byte) (any, error) { return do(r.Context(), who, body) }))
	}
	read("GET /v1/show", s.show)
	read("GET /v1/stats", func(r *http.Request) (any, error) { return s.Backend.Stats(r.Context()) })
	read("GET /v1/healthz", func(r *http.Request) (any, error) { return s.Backend.Health(r.Context()), nil })
	read("GET /v1/diff", func(r *http.Request) (any, error) { return s.Backend.Diff(r.Context(), nil) })
	read("GET /v1/save", func(r *http.Request) (any, error) { return s.Backend.Save(r.Context()) })
	read("GET /v1/log-level", func(r *http.Request) (any, error) { return s.Backend.LogLevel(r.Context()), nil })
	change("PUT /v1/log-level", func(ctx context.Context, who Peer, body []byte) (any, error) {
		var level LogLevel
		if err := decode(body, &level); err != nil {
			return nil, err
		}
		return s.Backend.SetLogLevel(ctx, who, level)
	})
	change("POST /v1/aliases", s.edit(Add))
	change("PUT /v1/aliases", s.edit(Set))
	change("DELETE /v1/aliases", s.edit(Delete))
	change("POST /v1/reload", func(ctx context.Context, who Peer, _ []byte) (any, error) { return s.Backend.Reload(ctx, who) })
	change("POST /v1/replace", func(ctx context.Context, who Peer, body []byte) (any, error) {
		source, err := decodeSource(body)
		if err != nil {
			return nil, err
		}
		return s.Backend.Replace(ctx, who, *source)
	})
	// It changes nothing, but what it is sent costs memory and work as a change does.
	change("POST /v1/diff", func(ctx context.Context, _ Peer, body []byte) (any, error) {
		source, err := decodeSource(body)
		if err != nil {
			return nil, err
		}
		return s.Backend.Diff(ctx, source)
	})
	mux.HandleFunc("POST /v1/record", s.record)
	mux.HandleFunc("GET /v1/top", s.top)
	mux.Handle("/", s.serve(func(r *http.Request, _ Peer, _ []byte) (any, error) {
		return nil, Refuse(http.StatusNotFound, "there is no %s %s here", r.Method, r.URL.Path)
	}))
	return mux
}

// show answers GET /v1/show. One key at the most: what two of them together would mean,
// no two people would guess alike.
func (s *Server) show(r *http.Request) (any, error) {
	q := r.URL.Query()
	if len(q) > 1 {
		return nil, Refuse(http.StatusBadRequest, "found %s, expected one of address, label and interface", r.URL.RawQuery)
	}
	if a := q.Get("address"); a != "" {
		return s.Backend.Address(r.Context(), a)
	}
	return s.Backend.Show(r.Context(), q.Get("label"), q.Get("interface"))
}

// edit gives what answers one of the three methods of /v1/aliases, which differ in Do only.
func (s *Server) edit(do string) func(context.Context, Peer, []byte) (any, error) {
	return func(ctx context.Context, who Peer, body []byte) (any, error) {
		e := Edit{Do: do}
		if bytes.Count(body, []byte{','}) > maxAddresses {
			return nil, Refuse(http.StatusRequestEntityTooLarge, "too many addresses: found more than %d", maxAddresses)
		}
		if err := decode(body, &e); err != nil {
			return nil, err
		}
		if e.Addresses == nil && namesAddresses(body) {
			e.Addresses = []string{} // null is a list with nothing in it, too
		}
		return s.Backend.Edit(ctx, who, e)
	}
}

// decode reads a body. A member that is not known is refused: of a DELETE with "adresses" only
// the label would be left, and that deletes all of it.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("something follows it")
		}
	}
	if err != nil {
		return Refuse(http.StatusBadRequest, "the body is not the JSON that is expected: %.300v", err)
	}
	return nil
}

// decodeSource reads a configuration that is sent. Its name is shown to whoever asks what
// the daemon answers for.
func decodeSource(body []byte) (*Source, error) {
	source := new(Source)
	if err := decode(body, source); err != nil {
		return nil, err
	}
	if !config.Plain(source.Name) {
		return nil, Refuse(http.StatusBadRequest, "bad name of a configuration: found %.300q, expected a text on one line, without control or invisible characters", source.Name)
	}
	return source, nil
}

// namesAddresses tells whether an edit without addresses has the member all the same. Its
// case does not matter to encoding/json.
func namesAddresses(body []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return false
	}
	for name := range members {
		if strings.EqualFold(name, "addresses") {
			return true
		}
	}
	return false
}

// serve wraps one thing that can be asked for: permission first, then the body,
// then the work, then the answer. Only the work keeps the others waiting.
func (s *Server) serve(do func(*http.Request, Peer, []byte) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := clientOf(r)
		body, err := s.admit(c, r)
		if err != nil {
			s.answer(w, r, nil, err, func() {})
			return
		}
		c.work(true)
		select {
		case c.class.large <- struct{}{}:
		case <-r.Context().Done():
			return // nobody waits for the answer any more
		}
		end := sync.OnceFunc(func() { <-c.class.large })
		defer end()
		answer, err := do(r, c.who, body)
		s.answer(w, r, answer, err, end)
	})
}

// admit tells the log who asks, and reads the body of those who may change something.
func (s *Server) admit(c *client, r *http.Request) (body []byte, err error) {
	s.Log.Debug("asked", "uid", c.who.UID, "pid", c.who.PID, "method", r.Method, "path", r.URL.Path)
	if err := goodQuery(r); err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil, nil
	}
	if !s.mayChange(c.who) {
		return nil, Refuse(http.StatusForbidden, "user %d may look, but not change: root may, the daemon's own user, and members of the group that ipaliasd --group names", c.who.UID)
	}
	return s.read(r)
}

// read reads the body of a request.
func (s *Server) read(r *http.Request) ([]byte, error) {
	tooLarge := Refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", maxBody)
	if r.ContentLength > maxBody {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, smallBody))
	if err == nil && len(body) == smallBody {
		select {
		case s.body <- struct{}{}:
			defer func() { <-s.body }()
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		var rest []byte
		rest, err = io.ReadAll(io.LimitReader(r.Body, maxBody-smallBody+1))
		body = append(body, rest...)
	}
	switch {
	// ReadTimeout ran out.
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, Refuse(http.StatusRequestTimeout, "the request took longer than %v to come", readTime)
	case err != nil:
		return nil, Refuse(http.StatusBadRequest, "read the body: %v", err)
	case len(body) > maxBody:
		return nil, tooLarge
	}
	return body, nil
}

// mayChange tells whether a process may change the table.
func (s *Server) mayChange(who Peer) bool {
	if who.UID == 0 || int(who.UID) == os.Geteuid() {
		return true
	}
	if s.Group == "" {
		return false
	}
	// Looked up each time: whoever was taken out of the group is out.
	group, err := user.LookupGroup(s.Group)
	if err != nil {
		return false
	}
	if group.Gid == strconv.FormatUint(uint64(who.GID), 10) {
		return true
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(who.UID), 10))
	if err != nil {
		return false
	}
	ids, err := u.GroupIds()
	return err == nil && slices.Contains(ids, group.Gid)
}

// refusal makes an answer of an error.
func refusal(err error) (any, int) {
	var refused *Error
	var wrong config.Errors
	switch {
	case errors.As(err, &refused):
		return refused, refused.Status
	case errors.As(err, &wrong):
		return &Error{Message: "the configuration is wrong", Errors: wrong}, http.StatusUnprocessableEntity
	}
	return &Error{Message: err.Error()}, http.StatusInternalServerError
}
