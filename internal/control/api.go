// Package control is how a running daemon is looked at and changed: HTTP and
// JSON over a Unix socket. It holds the server, the client, and the documents that
// go to and fro; docs/control.md shows them with curl.
//
// What is asked for is done by a Backend. Here is decided who may ask, and seen
// to it that nobody who does can hurt the others.
package control

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/responder"
)

// DefaultSocket is where the daemon listens and the tool connects unless told
// otherwise.
const DefaultSocket = "/run/ipalias/control.sock"

// SocketEnv is the environment variable that names another socket.
const SocketEnv = "IPALIAS_SOCKET"

// A Backend does what is asked for. Its methods are called from any goroutine. An
// *Error says which HTTP status it is; config.Errors are the caller's mistakes.
type Backend interface {
	Show(ctx context.Context, label, iface string) (*Show, error)      // "": all
	Address(ctx context.Context, address string) (*AddressShow, error) // of one address
	Stats(ctx context.Context) (*Stats, error)
	Health(ctx context.Context) *Health
	Edit(ctx context.Context, who Peer, e Edit) (*Result, error)
	Reload(ctx context.Context, who Peer) (*Result, error)
	Replace(ctx context.Context, who Peer, s Source) (*Result, error)
	Diff(ctx context.Context, s *Source) (*Diff, error) // s nil: the daemon's own file
	Save(ctx context.Context) (*Saved, error)
	LogLevel(ctx context.Context) *LogLevel
	SetLogLevel(ctx context.Context, who Peer, l LogLevel) (*LogLevel, error)
	Top(ctx context.Context, most int) (*Top, error) // at most so many aliases and askers; takes up to a second

	// Record writes a capture file, pcapng, to what begin gives, until ctx ends. It calls
	// begin once, as soon as nothing can be refused any more.
	Record(ctx context.Context, who Peer, r Recording, begin func() io.Writer) (*Recorded, error)

	// Settle is called when a large answer is out: what it took of memory is needed no more.
	Settle()
}

// A Peer is a process at the other end of a connection.
type Peer struct {
	UID, GID uint32
	PID      int32
}

// An Error is an answer that refuses.
type Error struct {
	Status  int           `json:"-"`
	Message string        `json:"error"`
	Errors  config.Errors `json:"errors,omitempty"` // the mistakes in a configuration
}

func (e *Error) Error() string { return e.Message }

// Refuse makes an Error.
func Refuse(status int, format string, args ...any) error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// What an Edit does to a label.
const (
	Add    = "add"    // it has these addresses as well
	Delete = "delete" // it has them no more; without addresses: there is no such label any more
	Set    = "set"    // it has these and no others
)

// An Edit is a change of one label.
type Edit struct {
	Do        string   `json:"-"` // the method of the request says it
	Label     string   `json:"label"`
	Addresses []string `json:"addresses,omitzero"` // each "a", "a-b" or "a/n"; nil, which is not the same as none: the label
}

// A Source is a configuration that the caller read.
type Source struct {
	Name  string            `json:"name"`            // of the file that it came from
	Text  string            `json:"text"`            // TOML
	Files map[string]string `json:"files,omitempty"` // what is in each "@FILE" that it names
}

// A Result tells of a change that is durable and in force.
type Result struct {
	Changed  bool     `json:"changed"` // false: it was so already
	Changes  []string `json:"changes"` // one line each
	Warnings []string `json:"warnings"`
	Durable  bool     `json:"durable"` // false: it ends with the daemon, which keeps nothing
}

// Where an address comes from.
const (
	FromFile = "file"     // the configuration
	Added    = "added"    // at run time
	Removed  = "removed"  // from the configuration, at run time
	SetAside = "aside"    // added, but not in force: the configuration has it now
	Mixed    = "modified" // of a label: not all the same
)

// What an interface does about frames.
const (
	Answer  = "answer"
	Observe = "observe" // it counts as if it answered, and sends nothing
)

// A Show is what the daemon answers for.
type Show struct {
	Source     string          `json:"source"`           // the configuration's file; "" for the command line
	Replaced   bool            `json:"replaced"`         // it is not the file that the daemon was started with
	Durable    bool            `json:"durable"`          // run-time changes are kept
	Frozen     string          `json:"frozen,omitempty"` // why none is taken: it could not be kept
	Interfaces []InterfaceShow `json:"interfaces"`
	Strays     []string        `json:"strays,omitempty"` // labels that were changed, of interfaces that are not configured
}

// An InterfaceShow is one card, or one VLAN on it.
type InterfaceShow struct {
	Name      string             `json:"name"`
	Card      string             `json:"card"`
	VLANs     []uint16           `json:"vlans,omitempty"`
	State     string             `json:"state"` // of the card
	Mode      string             `json:"mode"`  // Answer or Observe
	MAC       string             `json:"mac,omitempty"`
	MTU       int                `json:"mtu,omitempty"`
	Up        bool               `json:"up"`        // the card is switched on
	Carrier   bool               `json:"carrier"`   // and frames can pass
	Networks  []string           `json:"networks"`  // on link, each "a/n"
	Addresses uint64             `json:"addresses"` // answered for
	Counters  responder.Counters `json:"counters"`
	Labels    []LabelShow        `json:"labels"`

	// Each yields the labels when the document is written; nil: they are in Labels. What
	// it yields need not outlast the next.
	Each iter.Seq[*LabelShow] `json:"-"`
}

func (i *InterfaceShow) labels() iter.Seq[*LabelShow] {
	if i.Each != nil {
		return i.Each
	}
	list := i.Labels
	return func(yield func(*LabelShow) bool) {
		for n := range list {
			if !yield(&list[n]) {
				return
			}
		}
	}
}

// A LabelShow is one alias label.
type LabelShow struct {
	Label     string             `json:"label"`
	From      string             `json:"from"`
	Addresses uint64             `json:"addresses"` // answered for
	Entries   []EntryShow        `json:"entries"`
	More      int                `json:"more,omitempty"` // entries left out
	Counters  responder.Counters `json:"counters"`
	Faults    responder.Faults   `json:"faults,omitzero"`
	Uncounted responder.Counters `json:"uncounted,omitzero"` // what of Counters was counted for no single address
}

// An EntryShow is one address, range or prefix of a label.
type EntryShow struct {
	Range  string `json:"range"`
	From   string `json:"from"`
	Reason string `json:"reason,omitempty"` // why it is not in force
}

// An AddressShow is what each interface says of one address.
type AddressShow struct {
	Address    string         `json:"address"`
	Interfaces []AddressMatch `json:"interfaces"`
}

// An AddressMatch is what one interface says of an address.
type AddressMatch struct {
	Interface string             `json:"interface"`
	Mode      string             `json:"mode"` // Answer or Observe
	Answered  bool               `json:"answered"`
	Label     string             `json:"label,omitempty"`
	Rule      string             `json:"rule,omitempty"` // the entry that holds it
	From      string             `json:"from,omitempty"`
	Reason    string             `json:"reason,omitempty"` // why it is not answered for
	Counters  responder.Counters `json:"counters"`
	ClaimedBy string             `json:"claimed_by,omitempty"` // another host's MAC address, seen in its ARP

	// WithLabel: there was no room for counters of its own; what is not in Counters is
	// counted for the label alone.
	WithLabel bool `json:"with_label,omitempty"`
}

// Stats is what the daemon did.
type Stats struct {
	Version    string           `json:"version"`
	Started    string           `json:"started"` // RFC 3339
	Seconds    float64          `json:"seconds"` // since then
	Cards      []CardStats      `json:"cards"`
	Interfaces []InterfaceStats `json:"interfaces"`
	Store      StoreStats       `json:"store"`
	Reload     ReloadStats      `json:"reload"`
}

// How a shield stands that is wanted; any other text says why there is none.
const (
	ShieldUp      = "up"
	ShieldLoading = "loading"
)

// CardStats is what a card and the frames of none of its interfaces did.
type CardStats struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Up    bool   `json:"up"`
	capture.Stats
	Workers   int               `json:"workers"`          // that answer on it
	Verdicts  map[string]uint64 `json:"verdicts"`         // frames that belong to no interface
	Conflicts uint64            `json:"conflicts"`        // aliases that other hosts claim
	Claims    []Claim           `json:"claims"`           // which these are
	Shield    string            `json:"shield,omitempty"` // ShieldUp, ShieldLoading, or why there is none; "": none is wanted
}

// A Claim is an alias that another host claims.
type Claim struct {
	Interface string `json:"interface"`
	Address   string `json:"address"`
	Theirs    string `json:"theirs"` // the MAC address
}

// InterfaceStats is what an interface counted.
type InterfaceStats struct {
	Name      string             `json:"name"`
	Card      string             `json:"card"`
	Mode      string             `json:"mode"`      // Answer or Observe
	Networks  []string           `json:"networks"`  // on link, each "a/n"
	Addresses uint64             `json:"addresses"` // answered for
	Labels    int                `json:"labels"`
	Counters  responder.Counters `json:"counters"`
	Verdicts  map[string]uint64  `json:"verdicts"` // those that occurred
}

// StoreStats is about run-time changes.
type StoreStats struct {
	Durable bool   `json:"durable"`
	Added   int    `json:"added"`   // ranges
	Removed int    `json:"removed"` // ranges and whole labels
	Damage  string `json:"damage,omitempty"`
	Error   string `json:"error,omitempty"`  // of the last change that could not be kept
	Frozen  string `json:"frozen,omitempty"` // why no change is taken: it could not be kept
}

// ReloadStats is about reading the configuration again.
type ReloadStats struct {
	Done   uint64 `json:"done"`
	Failed uint64 `json:"failed"`
	Error  string `json:"error,omitempty"` // of the last one, if it failed
}

// Troubles tells what is wrong with run-time changes and with the configuration's
// file, a sentence each.
func Troubles(kept StoreStats, reload ReloadStats) (list []string) {
	for _, t := range []struct{ what, text string }{
		{"run-time changes may be missing: ", kept.Damage},
		{"run-time changes are refused until they can be kept: ", kept.Frozen},
		{"the last change could not be kept: ", kept.Error},
		{"the configuration could not be read again: ", reload.Error},
	} {
		if t.text != "" {
			list = append(list, t.what+t.text)
		}
	}
	return list
}

// A Top is what happened in a window of about a second.
type Top struct {
	Seconds    float64        `json:"seconds"` // how long the window was
	Cards      []TopCard      `json:"cards"`
	Interfaces []TopInterface `json:"interfaces"`
	Aliases    []TopEntry     `json:"aliases"`   // who was asked most, the busiest first
	Askers     []TopEntry     `json:"askers"`    // who asked most
	Uncounted  uint64         `json:"uncounted"` // frames whose parties were not counted
}

// TopCard is what a card did in the window.
type TopCard struct {
	Name  string `json:"name"`
	State string `json:"state"`
	capture.Stats
	Verdicts map[string]uint64 `json:"verdicts"` // frames that belong to no interface
}

// TopInterface is what became of an interface's frames in the window.
type TopInterface struct {
	Name     string            `json:"name"`
	Mode     string            `json:"mode"`     // Answer or Observe
	Verdicts map[string]uint64 `json:"verdicts"` // those that occurred
}

// A TopEntry is one alias or one asker in the window.
type TopEntry struct {
	Address   string `json:"address"`
	Interface string `json:"interface"`
	Label     string `json:"label,omitempty"` // of an alias
	Frames    uint64 `json:"frames"`          // at least
	AtMost    uint64 `json:"at_most"`         // the same, unless there are thousands of others
	Answered  uint64 `json:"answered"`        // of Frames, at once
}

// A Recording says which frames are wanted.
type Recording struct {
	Card    string  `json:"card,omitempty"`    // those of one; "": of all that there are now
	Frames  uint64  `json:"frames,omitempty"`  // so many and no more, answers too; 0: no limit
	Seconds float64 `json:"seconds,omitempty"` // for so long; 0: until the client has enough
}

// Recorded tells how a recording went.
type Recorded struct {
	Frames uint64 `json:"frames"`
	Lost   uint64 `json:"lost"` // frames that are missing because the reader was too slow
	Error  string `json:"error,omitempty"`
}

// A LogLevel is the least grave of what is logged: debug, info, warn or error.
type LogLevel struct {
	Level string `json:"level"`
}

// Health tells whether all is as it should be, and if not, what is wrong.
type Health struct {
	OK  bool     `json:"ok"`
	Why []string `json:"why"`
}

// A Diff is what reading a configuration would change.
type Diff struct {
	Same     bool     `json:"same"`
	Changes  []string `json:"changes"` // one line each, "+ " or "- " or "~ " first
	Warnings []string `json:"warnings"`
}

// Saved is the table as a configuration.
type Saved struct {
	Source string `json:"source"` // the file that the daemon was started with, as an absolute path; never to be written over
	Text   string `json:"text"`   // TOML
}
