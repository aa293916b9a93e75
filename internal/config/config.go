// Package config reads the configuration, checks it and gives typed values.
//
// Every mistake is told at once, each with its place, what was found and what
// is expected. A decoder that fills structs by reflection cannot do that: it
// stops at the first wrong type and has forgotten the places when values are
// checked. So the text becomes a tree whose nodes know where they stand
// (document.go), tables of keys walk it (keys.go), and what they collect in
// Interface is checked and typed: nothing behind this package sees TOML.
//
// No card is looked at here. What a configuration leaves out is taken from a
// Host by Resolve.
package config

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/ipalias/ipalias/responder"
)

// A Config is a configuration without mistakes.
type Config struct {
	Path       string      // of the file; "" for the command line
	Interfaces []Interface // in the order of the file
	Warnings   []Warning   // what can be told without knowing the card
}

// An Interface is one card, or one VLAN on it, as configured. MAC, MTU,
// Networks and Gateways are zero or nil where they were not given; see Resolve.
type Interface struct {
	Name     string         // as in the file: "eth0", "eth0.100"
	Card     string         // "eth0"
	Tags     []uint16       // VLAN identifiers, outermost first; nil: untagged
	MAC      [6]byte        // zero: the card's own
	MTU      int            // bytes; 0: the card's
	Networks []netip.Prefix // nil: the card's; empty: none
	Gateways []netip.Addr   // nil: the kernel's; empty: none
	Exclude  []responder.Range
	From     []netip.Prefix // nil: everybody
	Closed   responder.Closed
	Reply    responder.Reply
	Limits   responder.Limits
	Wait     bool // for a card that does not exist at start
	Observe  bool // watch and count, but send nothing
	Aliases  []responder.Alias

	// Reannounce is how long after an announcement of the aliases they are announced
	// again; 0: not until there is a reason.
	Reannounce time.Duration

	// Shield keeps the kernel from working on frames for aliases.
	Shield bool

	// Listening is as far as this interface says it; Config.Listening has all of it.
	Listening Listening

	at          mark      // the name in its header
	gatewayAt   []mark    // of each of Gateways
	mtuAt       mark      // of MTU
	listeningAt []keyMark // of what Listening was given
	origins     []labels  // of each of Aliases, where they stand
}

// A Host is what a machine knows of a card.
type Host struct {
	MAC       [6]byte
	MTU       int            // bytes
	Networks  []netip.Prefix // of the card; host bits do not matter
	Gateways  []netip.Addr   // of the default routes through the card
	Addresses []netip.Addr   // of the host, on whichever card
}

// Resolve fills what the configuration leaves to the card. Slices of the result
// are shared with i and h.
func (i *Interface) Resolve(h Host) responder.Interface {
	r := responder.Interface{
		Name:     i.Name,
		Tags:     i.Tags,
		MAC:      i.MAC,
		MTU:      i.MTU,
		Networks: i.Networks,
		Gateways: i.Gateways,
		Host:     h.Addresses,
		Exclude:  i.Exclude,
		From:     i.From,
		Closed:   i.Closed,
		Reply:    i.Reply,
		Limits:   i.Limits,
		Aliases:  i.Aliases,
	}
	if r.MAC == [6]byte{} {
		r.MAC = h.MAC
	}
	if r.MTU == 0 {
		r.MTU = h.MTU
	}
	// check and replay have neither the one nor the other.
	if r.MTU == 0 {
		r.MTU = responder.DefaultMTU
	}
	if r.Networks == nil {
		r.Networks = h.Networks
	}
	if r.Gateways == nil {
		r.Gateways = h.Gateways
	}
	return r
}

// maxSize bounds a configuration, in bytes: nobody writes one that long, but
// somebody names a disk instead of a file. Many addresses go to an @FILE.
const maxSize = 64 << 20

// Load reads the configuration in a file, which may be a pipe. The error is an Errors.
func Load(path string) (*Config, error) { return load(path, os.Open) }

// LoadAgain is Load for a daemon that runs: it waits for nobody to write to a pipe, and
// whatever else is asked of it would wait with it.
func LoadAgain(path string) (*Config, error) { return load(path, openRegular) }

func load(path string, open func(string) (*os.File, error)) (*Config, error) {
	text, err := read(path, open)
	if err != nil {
		return nil, Errors{{Place: Place{File: path}, Msg: "cannot read the configuration: " + reason(err)}}
	}
	c, err := Parse(path, text, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	c.Path = path
	return c, nil
}

// LoadToSend is Load for who sends the configuration on: it gives the text too, and what
// is in each address file by its name in it. ParseSent makes the same of them.
func LoadToSend(path string) (text string, files map[string]string, err error) {
	b, err := read(path, os.Open)
	if err != nil {
		return "", nil, Errors{{Place: Place{File: path}, Msg: "cannot read the configuration: " + reason(err)}}
	}
	files = map[string]string{}
	_, err = newDecoder(path, b, keeping(beside(filepath.Dir(path)), files)).parse()
	return string(b), files, err
}

func read(path string, open func(string) (*os.File, error)) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// readAll reads a file that is not too long.
func readAll(f io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(text) > maxSize {
		err = errors.New("it is longer than 64 MiB")
	}
	return text, err
}

// reason is err without the operation and the path, which the message has already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

// Parse reads a configuration from text. Errors call it name; dir is what the
// names of address files are relative to. The error is an Errors.
func Parse(name string, text []byte, dir string) (*Config, error) {
	return newDecoder(name, text, beside(dir)).parse()
}

// ParseSent reads a configuration that somebody else sent, the text of the file called
// name, with the contents of the address files that it names. No other file is read. The
// error is an Errors.
func ParseSent(name, text string, files map[string]string) (*Config, error) {
	return newDecoder(name, []byte(text), among(filepath.Dir(name), files)).parse()
}

func (d *decoder) parse() (*Config, error) {
	root := d.document()
	c := d.config(root)
	// Without the host: what it knows of the card is checked again by whoever opens that.
	for i := range c.Interfaces {
		warnings, errs := c.Interfaces[i].Check(Host{})
		d.warnings = append(d.warnings, warnings...)
		d.errs = append(d.errs, errs...)
	}
	d.errs = append(d.errs, c.once()...)
	c.Warnings = d.warnings
	if err := d.errs.err(); err != nil {
		return nil, err
	}
	return c, nil
}
