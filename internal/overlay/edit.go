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
	inFile := file.Shared(wanted.Sorted()).Sorted()
	if l.gone && inFile.Len() > 0 {
		// What comes back is named; so what does not must be named too.
		no := false
		c.Gone = &no
		c.Remove = file.Without(inFile)
	} else if !l.gone {
		c.Restore = l.removed.has(inFile)
	}
	c.Add = l.added.lacks(wanted.Without(inFile))
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
		c.Drop, c.Restore = l.added.list(), l.removed.list()
		return oneLabel(c), nil
	}
	inFile := file.Shared(unwanted.Sorted()).Sorted()
	c.Drop = l.added.has(unwanted)
	// What was removed before is as it should be.
	known := c.Drop.Union(inFile)
	if !l.gone {
		known = known.Union(l.removed.has(unwanted))
		c.Remove = l.removed.lacks(inFile)
	}
	if missing := unwanted.Without(known); missing.Len() > 0 {
		return Change{}, &NotFoundError{name, missing}
	}
	return oneLabel(c), nil
}

// Set gives the change by which a label has wanted and nothing else.
func (o *Overlay) Set(name string, file, wanted responder.Ranges) Change {
	l, c := o.of(name), LabelChange{Label: name}
	inFile := file.Shared(wanted.Sorted()).Sorted()
	added := wanted.Without(inFile)
	c.Drop, c.Add = l.added.list().Without(added.Sorted()), l.added.lacks(added)
	var removed responder.Ranges // of the file's, if not all of them
	switch {
	case inFile.Len() > 0:
		removed = file.Without(inFile)
		if l.gone {
			no := false
			c.Gone = &no
		}
	case file.Len() > 0 && !l.gone:
		yes := true
		c.Gone = &yes
	}
	c.Restore, c.Remove = l.removed.list().Without(removed.Sorted()), l.removed.lacks(removed)
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
	for step := range o.Snapshot() {
		c.Labels = append(c.Labels, step.Labels...)
	}
	return c
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
