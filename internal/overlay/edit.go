package overlay

import (
	"fmt"

	"github.com/ipalias/ipalias/responder"
)

// Add gives the change by which a label has wanted as well. file is what the
// configuration has under the label. What is there already is left alone, what
// was removed from the configuration comes back, and only the rest is an
// addition: to ask twice is to ask once.
func (o *Overlay) Add(name string, file, wanted responder.Ranges) Change {
	l, c := o.of(name), LabelChange{Label: name}
	asked := wanted.Sorted()
	inFile := file.Shared(asked).Sorted()
	if l.gone && inFile.Len() > 0 {
		// What comes back is named; so what does not must be named too.
		no := false
		c.Gone = &no
		c.Remove = file.Without(inFile)
	} else if !l.gone {
		c.Restore, c.Remove = carve(l.removed, inFile)
	}
	c.Add = wanted.Without(inFile.Union(l.added.Shared(asked)))
	return oneLabel(c)
}

// Delete gives the change by which a label has none of unwanted any more, or
// nothing at all if unwanted is empty. What the label does not have is an error.
func (o *Overlay) Delete(name string, file, unwanted responder.Ranges) (Change, error) {
	l, c := o.of(name), LabelChange{Label: name}
	if unwanted.Len() == 0 {
		if file.Len() == 0 && l.empty() {
			return Change{}, &NotFoundError{Label: name}
		}
		if file.Len() > 0 && !l.gone {
			yes := true
			c.Gone = &yes
		}
		c.Drop, c.Restore = l.added, l.removed
		return oneLabel(c), nil
	}
	asked := unwanted.Sorted()
	var inFile responder.Ranges
	if !l.gone {
		inFile = file.Shared(asked).Without(l.removed.Sorted()).Sorted()
	}
	added := l.added.Shared(asked)
	// What was removed before is as it should be.
	known := inFile.Union(added)
	if l.gone {
		known = known.Union(file.Shared(asked))
	} else {
		known = known.Union(l.removed.Shared(asked))
	}
	if missing := unwanted.Without(known); missing.Len() > 0 {
		return Change{}, &NotFoundError{name, missing}
	}
	c.Remove = inFile
	c.Drop, c.Add = carve(l.added, asked)
	return oneLabel(c), nil
}

// Set gives the change by which a label has wanted and nothing else.
func (o *Overlay) Set(name string, file, wanted responder.Ranges) Change {
	l, c := o.of(name), LabelChange{Label: name}
	asked := wanted.Sorted()
	inFile := file.Shared(asked).Sorted()
	c.Drop = l.added
	c.Restore = l.removed
	switch {
	case inFile.Len() == 0 && file.Len() > 0 && !l.gone:
		yes := true
		c.Gone = &yes
	case inFile.Len() > 0:
		c.Remove = file.Without(inFile)
		if l.gone {
			no := false
			c.Gone = &no
		}
	}
	c.Add = wanted.Without(inFile)
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
func carve(list, holes responder.Ranges) (drop, rest responder.Ranges) {
	for _, r := range list.All() {
		whole := responder.RangesOf(r)
		left := whole.Without(holes)
		if left.Same(whole) {
			continue
		}
		drop, rest = drop.Append(r), rest.Join(left)
	}
	return drop, rest
}

func oneLabel(c LabelChange) Change {
	if c.Gone == nil && c.Drop.Len()+c.Add.Len()+c.Restore.Len()+c.Remove.Len() == 0 {
		return Change{}
	}
	return Change{Labels: []LabelChange{c}}
}

// A NotFoundError is about what a label does not have.
type NotFoundError struct {
	Label   string
	Missing responder.Ranges // none: there is no such label
}

func (e *NotFoundError) Error() string {
	if e.Missing.Len() == 0 {
		return fmt.Sprintf("there is no alias %s", e.Label)
	}
	return fmt.Sprintf("%s does not have %s", e.Label, e.Missing)
}
