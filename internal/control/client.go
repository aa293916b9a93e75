package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// A Client asks a daemon.
type Client struct {
	socket string
	http   http.Client
}

// NewClient makes a client of the daemon that listens on socket. Nothing is
// connected yet.
func NewClient(socket string) *Client {
	return &Client{socket: socket, http: http.Client{
		Timeout: writeTime + readTime,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", socket)
			},
			DisableCompression: true,
			DisableKeepAlives:  true,
		},
	}}
}

// Show asks for the aliases of one label, or of all if it is "". All of them are in memory then:
// see Labels.
func (c *Client) Show(ctx context.Context, label string) (*Show, error) {
	return ask[Show](ctx, c, http.MethodGet, showPath("label", label), nil)
}

// Address asks for one address.
func (c *Client) Address(ctx context.Context, address string) (*AddressShow, error) {
	return ask[AddressShow](ctx, c, http.MethodGet, "/v1/show?address="+url.QueryEscape(address), nil)
}

// Stats asks for what was counted.
func (c *Client) Stats(ctx context.Context) (*Stats, error) {
	return ask[Stats](ctx, c, http.MethodGet, "/v1/stats", nil)
}

// Top asks for what happens now, and for at most so many aliases and askers. The
// answer takes up to a second.
func (c *Client) Top(ctx context.Context, most int) (*Top, error) {
	return ask[Top](ctx, c, http.MethodGet, fmt.Sprintf("/v1/top?n=%d", most), nil)
}

// LogLevel asks what is logged.
func (c *Client) LogLevel(ctx context.Context) (*LogLevel, error) {
	return ask[LogLevel](ctx, c, http.MethodGet, "/v1/log-level", nil)
}

// SetLogLevel changes what is logged.
func (c *Client) SetLogLevel(ctx context.Context, l LogLevel) (*LogLevel, error) {
	return ask[LogLevel](ctx, c, http.MethodPut, "/v1/log-level", l)
}

// Edit changes one label.
func (c *Client) Edit(ctx context.Context, e Edit) (*Result, error) {
	method := map[string]string{Add: http.MethodPost, Set: http.MethodPut, Delete: http.MethodDelete}[e.Do]
	return ask[Result](ctx, c, method, "/v1/aliases", e)
}

// Reload has the daemon read its file again.
func (c *Client) Reload(ctx context.Context) (*Result, error) {
	return ask[Result](ctx, c, http.MethodPost, "/v1/reload", nil)
}

// Replace has the daemon answer for what s says, and nothing else.
func (c *Client) Replace(ctx context.Context, s Source) (*Result, error) {
	return ask[Result](ctx, c, http.MethodPost, "/v1/replace", s)
}

// Diff asks what a reload would change, of s or of the daemon's file if s is nil.
func (c *Client) Diff(ctx context.Context, s *Source) (*Diff, error) {
	if s == nil {
		return ask[Diff](ctx, c, http.MethodGet, "/v1/diff", nil)
	}
	return ask[Diff](ctx, c, http.MethodPost, "/v1/diff", s)
}

// Save asks for the table as a configuration.
func (c *Client) Save(ctx context.Context) (*Saved, error) {
	return ask[Saved](ctx, c, http.MethodGet, "/v1/save", nil)
}

const attempts = 5

// ask sends one request and reads its answer.
func ask[T any](ctx context.Context, c *Client, method, path string, body any) (*T, error) {
	var text []byte
	if body != nil {
		var written bytes.Buffer
		if err := encoder(&written).Encode(body); err != nil {
			return nil, err
		}
		text = written.Bytes()
		if len(text) > maxBody {
			return nil, Refuse(http.StatusRequestEntityTooLarge, "nothing was sent: with the address files it is %d bytes, and the daemon takes at most %d", len(text), maxBody)
		}
	}
	var sent atomic.Bool // whole, at one of the attempts
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(w httptrace.WroteRequestInfo) {
		if w.Err == nil {
			sent.Store(true)
		}
	}})
	into := new(T)
	err := c.again(ctx, func() error {
		from, err := c.send(ctx, method, path, text)
		if err != nil {
			return err
		}
		defer from.Close()
		answer, err := io.ReadAll(from)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(answer, into); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, c.outcome(err, method != http.MethodGet, sent.Load())
	}
	return into, nil
}

// outcome tells of a change that failed which of three it is: the daemon refused it, in
// its own words; it never had all of it; or it had, and nobody knows what became of it.
func (c *Client) outcome(err error, change, sent bool) error {
	switch {
	case !change, errors.As(err, new(*Error)):
		return c.explain(err)
	case sent:
		return fmt.Errorf("the daemon on %s had the change and did not say what became of it (%v): ask ipalias show, or do it again, which does no harm", c.socket, cause(err))
	}
	return fmt.Errorf("nothing was changed: %w", c.explain(err))
}

// cause is err without the URL, which has a host that nobody gave.
func cause(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// again tries again where the daemon was so crowded that it hung up: what is asked for
// twice is done once.
func (c *Client) again(ctx context.Context, once func() error) error {
	for n := 1; ; n++ {
		err := once()
		hungUp := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.EAGAIN)
		if !hungUp || n == attempts {
			return err
		}
		select {
		case <-time.After(time.Duration(n) * 20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send sends one request and gives the answer's body, to be closed. An answer that refuses
// is an *Error.
func (c *Client) send(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://ipaliasd"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return nil, refusedWith(resp, answer)
}

// refusedWith reads an answer that refuses.
func refusedWith(resp *http.Response, answer []byte) *Error {
	refused := &Error{Status: resp.StatusCode}
	if json.Unmarshal(answer, refused) != nil || refused.Message == "" {
		refused.Message = "the daemon answered " + resp.Status
	}
	return refused
}

// explain says what a failed connection means.
func (c *Client) explain(err error) error {
	switch {
	case err == nil, errors.As(err, new(*Error)):
		return err
	case tooLong(c.socket) != nil:
		return fmt.Errorf("ask the daemon on %s: %w", c.socket, tooLong(c.socket))
	case noSocket(c.socket):
		return fmt.Errorf("%s is no socket: expected that of ipaliasd", c.socket)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no daemon listens on %s: is ipaliasd running, with this --socket?", c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("may not connect to %s: ask root to be put into its group", c.socket)
	}
	return fmt.Errorf("ask the daemon on %s: %w", c.socket, cause(err))
}

// noSocket tells whether a path is something else: the kernel refuses connections to a file in
// the same words as those that nobody waits for.
func noSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Type() != fs.ModeSocket
}
