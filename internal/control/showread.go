package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// A ShowReader is told of aliases as they come from the daemon: there may be a million.
type ShowReader struct {
	Begin func(*Show, *InterfaceShow) error      // an interface, before its labels; nil: nothing
	Label func(*InterfaceShow, *LabelShow) error // one of them
}

// Labels asks for the aliases of an interface, or of all if iface is "". It gives what is
// told beside, without the labels.
func (c *Client) Labels(ctx context.Context, iface string, to ShowReader) (*Show, error) {
	in := &showStream{to: to}
	err := c.stream(ctx, showPath("interface", iface), func(body io.Reader) error {
		in.from = json.NewDecoder(body)
		return in.document()
	})
	return &in.show, err
}

// CopyShow writes the document about all aliases as it comes.
func (c *Client) CopyShow(ctx context.Context, to io.Writer) error {
	return c.stream(ctx, showPath("", ""), func(body io.Reader) error {
		_, err := io.Copy(to, body)
		return err
	})
}

func showPath(key, value string) string {
	if value == "" {
		return "/v1/show"
	}
	return "/v1/show?" + key + "=" + url.QueryEscape(value)
}

// stream sends a request and has read read the answer as it comes.
func (c *Client) stream(ctx context.Context, path string, read func(io.Reader) error) error {
	return c.explain(c.again(ctx, func() error {
		body, err := c.send(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		defer body.Close()
		if err := read(body); err != nil {
			return &brokenOff{err} // what came is used: it is not asked for again
		}
		return nil
	}))
}

// A brokenOff is an error in the middle of an answer.
type brokenOff struct{ err error }

func (e *brokenOff) Error() string { return fmt.Sprintf("read the daemon's answer: %v", e.err) }

// A showStream reads the document of a Show.
type showStream struct {
	from *json.Decoder
	to   ShowReader
	show Show
}

var errNotExpected = errors.New("it is not the document that is expected")

// object reads an object and gives each of its members to read, whose value is next.
func (s *showStream) object(read func(name string) error) error {
	if err := s.delimiter('{'); err != nil {
		return err
	}
	for s.from.More() {
		name, err := s.from.Token()
		if err != nil {
			return err
		}
		text, _ := name.(string)
		if err := read(text); err != nil {
			return err
		}
	}
	return s.delimiter('}')
}

// array reads an array, of which element reads the next element.
func (s *showStream) array(element func() error) error {
	if err := s.delimiter('['); err != nil {
		return err
	}
	for s.from.More() {
		if err := element(); err != nil {
			return err
		}
	}
	return s.delimiter(']')
}

func (s *showStream) delimiter(want json.Delim) error {
	t, err := s.from.Token()
	if err == nil && t != want {
		err = errNotExpected
	}
	return err
}

// member reads the value of a member into the struct that it is of.
func (s *showStream) member(name string, into any) error {
	var value json.RawMessage
	if err := s.from.Decode(&value); err != nil {
		return err
	}
	text, err := json.Marshal(map[string]json.RawMessage{name: value})
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func (s *showStream) document() error {
	return s.object(func(name string) error {
		if name != "interfaces" {
			return s.member(name, &s.show)
		}
		return s.array(s.iface)
	})
}

// iface reads an interface, the last member of which is its labels.
func (s *showStream) iface() error {
	var i InterfaceShow
	err := s.object(func(name string) error {
		if name != "labels" {
			return s.member(name, &i)
		}
		if s.to.Begin != nil {
			if err := s.to.Begin(&s.show, &i); err != nil {
				return err
			}
		}
		return s.array(func() error {
			var l LabelShow
			if err := s.from.Decode(&l); err != nil {
				return err
			}
			return s.to.Label(&i, &l)
		})
	})
	s.show.Interfaces = append(s.show.Interfaces, i)
	return err
}
