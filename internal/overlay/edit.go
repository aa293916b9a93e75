package overlay

import (
	"fmt"
	"strings"

	"github.com/ipalias/ipalias/responder"
)

// Add gives the change by which a label has wanted as well. file is what the
// configuration has under the label. What is there already is left alone, what
// was removed from the configuration comes back, and only the rest is an
// addition: to ask twice is to ask once.
func (o *Overlay) Add(name string, file, wanted []responder.Range) Change {
	l, c := o.of(name), LabelChange{Label: name}
	asked := sorted(wanted)
	inFile := sorted(shared(file, asked))
	if l.gone && len(inFile) > 0 {
		// What comes back is named; so what does not must be named too.
		no := false
		c.Gone = &no
		c.Remove = subtract(file, inFile)
	} else if !l.gone {
		c.Restore, c.Remove = carve(l.removed, inFile)
	}
	c.Add = subtract(wanted, union(inFile, shared(l.added, asked)))
	return oneLabel(c)
}

// Delete gives the change by which a label has none of unwanted any more, or
// nothing at all if unwanted is empty. What the label does not have is an error.
func (o *Overlay) Delete(name string, file, unwanted []responder.Range) (Change, error) {
	l, c := o.of(name), LabelChange{Label: name}
	if len(unwanted) == 0 {
		if len(file) == 0 && l.empty() {
			return Change{}, &NotFoundError{Label: name}
		}
		if len(file) > 0 && !l.gone {
			yes := true
			c.Gone = &yes
		}
		c.Drop, c.Restore = l.added, l.removed
		return oneLabel(c), nil
	}
	asked := sorted(unwanted)
	var inFile []responder.Range
	if !l.gone {
		inFile = sorted(subtract(shared(file, asked), sorted(l.removed)))
	}
	added := shared(l.added, asked)
	// What was removed before is as it should be.
	known := union(inFile, added)
	if l.gone {
		known = union(known, shared(file, asked))
	} else {
		known = union(known, shared(l.removed, asked))
	}
	if missing := subtract(unwanted, known); len(missing) > 0 {
		return Change{}, &NotFoundError{name, missing}
	}
	c.Remove = inFile
	c.Drop, c.Add = carve(l.added, asked)
	return oneLabel(c), nil
}

// Set gives the change by which a label has wanted and nothing else.
func (o *Overlay) Set(name string, file, wanted []responder.Range) Change {
	l, c := o.of(name), LabelChange{Label: name}
	asked := sorted(wanted)
	inFile := sorted(shared(file, asked))
	c.Drop = l.added
	c.Restore = l.removed
	switch {
	case len(inFile) == 0 && len(file) > 0 && !l.gone:
		yes := true
		c.Gone = &yes
	case len(inFile) > 0:
		c.Remove = subtract(file, inFile)
		if l.gone {
			no := false
			c.Gone = &no
		}
	}
	c.Add = subtract(wanted, inFile)
	return oneLabel(c)
}

// Reset gives the change that forgets all run-time changes; from then on the
// aliases are those of source, or of the daemon's file if source is nil.
func Reset(source *Source) Change { return Change{Clear: true, Source: source} }

// ReturnToFile gives the change that forgets the source alone.
func (o *Overlay) ReturnToFile() Change {
	if o.source == nil {
		return Change{}
	}
	c := Change{Clear: true}
	for step := range o.Snapshot {
		c.Labels = append(c.Labels, step.Labels...)
	}
	return c
}

// carve says how holes are cut out of list: the members that they touch go, and
// come back as what is left of them.
func carve(list, holes []responder.Range) (drop, rest Ranges) {
	for _, r := range list {
		left := subtract([]responder.Range{r}, holes)
		if len(left) == 1 && left[0] == r {
			continue
		}
		drop = append(drop, r)
		rest = append(rest, left...)
	}
	return drop, rest
}

// union gives sorted ranges without overlaps that cover what a and b cover.
func union(a, b []responder.Range) []responder.Range {
	all := sorted(append(a[:len(a):len(a)], b...))
	joined := all[:0]
	for _, r := range all {
		if n := len(joined); n > 0 && r.First.Compare(joined[n-1].Last) <= 0 {
			joined[n-1].Last = higher(joined[n-1].Last, r.Last)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

func oneLabel(c LabelChange) Change {
	if c.Gone == nil && len(c.Drop)+len(c.Add)+len(c.Restore)+len(c.Remove) == 0 {
		return Change{}
	}
	return Change{Labels: []LabelChange{c}}
}

// A NotFoundError is about what a label does not have.
type NotFoundError struct {
	Label   string
	Missing []responder.Range // none: there is no such label
}

func (e *NotFoundError) Error() string {
	if len(e.Missing) == 0 {
		return fmt.Sprintf("there is no alias %s", e.Label)
	}
	return fmt.Sprintf("%s does not have %s", e.Label, List(e.Missing))
}

// List writes ranges for people, the first of them if they are many.
func List(ranges []responder.Range) string {
	const most = 8
	var words []string
	for _, r := range ranges[:min(len(ranges), most)] {
		words = append(words, r.String())
	}
	text := strings.Join(words, ", ")
	if more := len(ranges) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
