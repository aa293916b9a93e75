package main

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"

	"github.com/ipalias/ipalias/responder"
)

// replayReport is what "replay --json" prints. Lists are empty and not null where there is
// nothing, as in check.
type replayReport struct {
	In       string          `json:"in"`
	Out      string          `json:"out,omitempty"`
	Frames   int             `json:"frames"`
	Answers  uint64          `json:"answers"`
	Damage   string          `json:"damage,omitempty"` // what ended it early
	Verdicts []verdictReport `json:"verdicts"`         // those that occurred
	Aliases  []aliasReport   `json:"aliases"`          // those that got frames
	Expect   *expectReport   `json:"expect,omitempty"`

	labels []usedLabel // for the table; the document has Aliases
	unused int         // labels that got no frame
}

// A verdictReport explains itself, since verdicts are what people look up.
type verdictReport struct {
	Verdict  string  `json:"verdict"`
	Frames   uint64  `json:"frames"`
	Share    float64 `json:"share"` // 0 to 1
	Answered bool    `json:"answered"`
	Meaning  string  `json:"meaning"`
}

// An aliasReport is one address, as there are counters for each; the table for people sums
// them by label.
type aliasReport struct {
	Interface string     `json:"interface"`
	Label     string     `json:"label"`
	Address   netip.Addr `json:"address"`
	responder.Counters
}

// A usedLabel sums the addresses of a label that got frames.
type usedLabel struct {
	responder.LabelInfo
	used  int        // addresses that got frames; of them all LabelInfo has the number
	first netip.Addr // of those; the only one that can be meant where the label has one
}

// fill takes what was counted. failure is what ended the replay early, nil for
// nothing. It is called once, after the last frame: counters are read while no worker runs.
// The counts are the responder's own, those that the daemon shows, so that a replay can be
// held against a running daemon.
func (r *replayReport) fill(s *subject, failure error) {
	r.Frames, r.Answers = s.frames, s.answers
	r.Verdicts, r.Aliases = []verdictReport{}, []aliasReport{}
	if failure != nil {
		r.Damage = failure.Error()
	}
	counts := s.responder.VerdictCounts("") // of frames that belong to no interface
	for _, i := range s.interfaces {
		for v, n := range s.responder.VerdictCounts(i.Name) {
			counts[v] += n
		}
		r.fillAliases(s.responder, i.Name)
	}
	// In the order of the verdicts and not by number, so that two outputs compare line by line.
	// Where one is counted there was a frame, and the share divides by no 0.
	for v, n := range counts {
		if n == 0 {
			continue
		}
		verdict := responder.Verdict(v)
		r.Verdicts = append(r.Verdicts, verdictReport{verdict.String(), n, float64(n) / float64(s.frames), verdict.Answered(), verdict.Help()})
	}
}

// fillAliases walks what was used and not the table: a /8 has 16 million addresses, of which a
// capture asks a few. Labels are put in the table's order, as show and check have it.
func (r *replayReport) fillAliases(table *responder.Responder, iface string) {
	used := map[string]*usedLabel{}
	table.Used(iface, func(a netip.Addr, label string, c responder.Counters) bool {
		r.Aliases = append(r.Aliases, aliasReport{iface, label, a, c})
		if used[label] == nil {
			used[label] = &usedLabel{first: a}
		}
		used[label].used++
		return true // go on: a report has all of them
	})
	for _, l := range table.Labels(iface) {
		if u := used[l.Label]; u != nil {
			u.LabelInfo = l
			r.labels = append(r.labels, *u)
		} else {
			r.unused++
		}
	}
}

func (r *replayReport) print(w io.Writer) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s: %s, %s", r.In, count(uint64(r.Frames), "frame", "frames"), count(r.Answers, "answer", "answers"))
	if r.Out != "" && r.Out != "-" {
		fmt.Fprintf(&text, " written to %s", r.Out)
	}
	fmt.Fprintln(&text)

	if len(r.Verdicts) > 0 {
		fmt.Fprintln(&text)
		verdicts := grid{titles: []string{"verdict", ">frames", ">share", "meaning"}}
		for _, v := range r.Verdicts {
			verdicts.add(v.Verdict, fmt.Sprint(v.Frames), fmt.Sprintf("%.1f%%", 100*v.Share), v.Meaning)
		}
		verdicts.print(&text, "")
	}
	if len(r.labels) > 0 {
		fmt.Fprintln(&text)
		aliases := grid{titles: []string{"alias", "address", ">rx packets", ">rx bytes", ">tx packets", ">tx bytes"}}
		for _, l := range r.labels {
			// One address is named, of several how many were asked for.
			address := l.first.String()
			if l.Addresses > 1 {
				address = fmt.Sprintf("%d of %d", l.used, l.Addresses)
			}
			c := l.Counters
			aliases.add(l.Label, address, fmt.Sprint(c.RxPackets), fmt.Sprint(c.RxBytes), fmt.Sprint(c.TxPackets), fmt.Sprint(c.TxBytes))
		}
		aliases.print(&text, "")
		// A number and not their names, of which there may be a million.
		if r.unused > 0 {
			fmt.Fprintf(&text, "%s got no frame\n", count(uint64(r.unused), "other alias", "other aliases"))
		}
	}
	if r.Expect != nil {
		fmt.Fprintln(&text)
		r.Expect.print(&text)
	}
	_, err := w.Write(text.Bytes())
	return err
}
