// Package kernelref holds what the Linux kernel answered to a collection of
// frames, and the rules by which an answer counts as the kernel's.
//
// The claim that it lets a test make is: for every frame, our answer is the
// kernel's answer, byte for byte, but for a short list of differences that are
// meant. Each of them is a function in rules.go.
package kernelref

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// A Case is frames that were put to the kernel and what came back.
type Case struct {
	Group, Name string
	In          [][]byte // the Ethernet frames sent, in order
	Out         [][]byte // the frames that came back, in order; none: silence
	Mask        [][]byte // beside each of Out; 0xff for a byte that was not the same every time
}

// jsonCase is a line of a recording.
type jsonCase struct {
	Group string   `json:"group"`
	Name  string   `json:"name"`
	In    []string `json:"in_hex"`
	Out   []string `json:"out_hex"`
	Mask  []string `json:"mask_hex"`
}

//go:embed testdata/kernel.jsonl
var recorded []byte

// Recorded gives the cases of the recording that comes with the package. The
// caller may change what it gets.
func Recorded() []Case {
	cases, err := Read(bytes.NewReader(recorded))
	if err != nil {
		panic(err) // the file is embedded and tested
	}
	return cases
}

// Read reads a recording to its end: one JSON object a line, see Write.
// With an error it gives the cases that came before.
func Read(r io.Reader) ([]Case, error) {
	var cases []Case
	d := json.NewDecoder(r)
	for {
		var line jsonCase
		err := d.Decode(&line)
		if err == io.EOF {
			return cases, nil
		}
		if err == nil {
			var c Case
			if c, err = line.decode(); err == nil {
				cases = append(cases, c)
				continue
			}
		}
		return cases, fmt.Errorf("decode case %d: %w", len(cases)+1, err)
	}
}

func (j *jsonCase) decode() (c Case, err error) {
	c.Group, c.Name = j.Group, j.Name
	for _, list := range []struct {
		text []string
		to   *[][]byte
	}{{j.In, &c.In}, {j.Out, &c.Out}, {j.Mask, &c.Mask}} {
		for _, text := range list.text {
			b, err := hex.DecodeString(text)
			if err != nil {
				return c, err
			}
			*list.to = append(*list.to, b)
		}
	}
	if len(c.Mask) != 0 && len(c.Mask) != len(c.Out) {
		return c, fmt.Errorf("%d masks for %d answers", len(c.Mask), len(c.Out))
	}
	return c, nil
}

// Write writes one case as a line that Read reads.
func Write(w io.Writer, c Case) error {
	texts := func(frames [][]byte) []string {
		list := []string{} // not null
		for _, f := range frames {
			list = append(list, hex.EncodeToString(f))
		}
		return list
	}
	return json.NewEncoder(w).Encode(jsonCase{c.Group, c.Name, texts(c.In), texts(c.Out), texts(c.Mask)})
}

// Rules are what Compare has to know of the host that answers.
type Rules struct {
	MAC      [6]byte        // its own
	Aliases  []netip.Addr   // the addresses that it answers for
	Networks []netip.Prefix // what is on link: the last address of each is its broadcast address
	Routed   bool           // answers go where the kernel's routes lead, not to the MAC that asked

	// Now is the time at which ours answered. If it is zero, a clock in an answer
	// is only held to be a time of day.
	Now time.Time

	// Live says that the kernel answered at Now too, so that its clocks are
	// known. Elsewhere the masks tell which fields are clocks.
	Live bool
}

// Lab gives the rules of the host that the recordings were made of.
func Lab() Rules {
	return Rules{
		MAC: [6]byte{0x02, 0, 0, 0, 3, 1},
		Aliases: []netip.Addr{
			netip.MustParseAddr("172.16.3.1"),
			netip.MustParseAddr("172.16.3.10"),
			netip.MustParseAddr("172.16.3.100"),
		},
		Networks: []netip.Prefix{netip.MustParsePrefix("172.16.3.0/24")},
	}
}
