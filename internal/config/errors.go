package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxErrors is how many mistakes are told of one configuration, and of one
// address file. Somebody who points at the wrong file wants no million lines.
const maxErrors = 100

// A Place is where something stands.
type Place struct {
	File   string `json:"file"`             // as the user named it; "-a VALUE" for the command line
	Line   int    `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Column int    `json:"column,omitempty"` // from 1, in characters; a tab is one
}

// String writes p as compilers do, so that editors find it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// An Error is one mistake.
type Error struct {
	Place
	Msg string `json:"message"` // what is wrong, what was found, what is expected

	// Mistakes are told in the order of the configuration. What stands in an
	// address file is told where the configuration names the file.
	order int
	count int // how many mistakes this one stands for; 0 is one
}

func (e *Error) Error() string { return e.Place.String() + ": " + e.Msg }

// Errors are the mistakes of a configuration in the order of the file. As
// JSON it is an array of objects with file, line, column and message.
type Errors []*Error

// Error gives a line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, m := range e {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.As see each mistake.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, m := range e {
		list[i] = m
	}
	return list
}

// AsErrors gives the mistakes in err, which Load, Parse or FromFlags returned,
// for output as JSON. Any other error becomes one without a place.
func AsErrors(err error) Errors {
	var list Errors
	switch {
	case err == nil, errors.As(err, &list):
		return list
	default:
		return Errors{{Msg: err.Error()}}
	}
}

// A Warning is about something that is allowed but hardly meant.
type Warning struct {
	Place
	Msg string `json:"message"`
}

func (w Warning) String() string { return w.Place.String() + ": " + w.Msg }

// sorted brings e in the order of the configuration and cuts it to maxErrors,
// the last of which says how many there are more.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if len(e) <= maxErrors {
		return e
	}
	more := 0
	for _, m := range e[maxErrors:] {
		more += max(m.count, 1)
	}
	next := e[maxErrors]
	return append(e[:maxErrors:maxErrors], moreErrors(mark{next.Place, next.order}, more))
}

// moreErrors stands for n mistakes that nobody wants to read.
func moreErrors(from mark, n int) *Error {
	e := newError(from, "and %d more mistakes from here on", n)
	if n == 1 {
		e.Msg = "and one more mistake"
	}
	e.count = n
	return e
}

// err gives e as an error: nil if there is none.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e.sorted()
}
