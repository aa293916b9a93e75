package config

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"unicode/utf8"

	"github.com/ipalias/ipalias/responder"
)

// maxLine is the longest line of an address file in bytes.
const maxLine = 4096

// openRegular opens a file, no directory, no device that never ends.
func openRegular(path string) (*os.File, error) {
	// Looked at before it is opened: to open a pipe is to wait for a writer.
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	}
	return os.Open(path)
}

// A fileReader reads an address file: an address, a range or a prefix a line.
type fileReader struct {
	file   string
	order  int // of its mistakes
	ranges responder.Ranges
	spots  []spot // of the ranges that were read
	errs   Errors // the first maxErrors
	more   int    // mistakes beyond them
	from   mark   // where those begin
}

// read reads to the end, or to where this is no text. An error is the file's,
// mistakes go to errs.
func (r *fileReader) read(f io.Reader) error {
	in := bufio.NewReaderSize(f, maxLine)
	for line := 1; ; line++ {
		text, err := in.ReadSlice('\n')
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		switch {
		case err == bufio.ErrBufferFull:
			r.fail(line, 1, "line too long: found more than 4096 bytes, expected an address, a range or a prefix")
			return nil
		case bytes.IndexByte(text, 0) >= 0:
			r.fail(line, 1, "not a text file: found a NUL byte, expected an address, a range or a prefix on each line")
			return nil
		case err != nil && err != io.EOF:
			return err
		}
		// Comments may be in any encoding.
		if text, _, _ = bytes.Cut(text, []byte("#")); !utf8.Valid(text) {
			r.fail(line, 1, "not a text file: found bytes that are no UTF-8, expected an address, a range or a prefix on each line")
			return nil
		}
		r.line(line, text)
		if err == io.EOF {
			return nil
		}
	}
}

// line reads one line without its comment.
func (r *fileReader) line(line int, text []byte) {
	entry := bytes.TrimSpace(text)
	if len(entry) == 0 {
		return
	}
	column := 1 + utf8.RuneCount(text[:bytes.Index(text, entry)])
	found, wrong := parseRange(string(entry))
	if wrong != "" {
		r.fail(line, column, wrong)
		return
	}
	r.ranges = r.ranges.Append(found)
	r.spots = append(r.spots, spot{int32(line), int32(column)})
}

// fail notes a mistake, or only counts it.
func (r *fileReader) fail(line, column int, wrong string) {
	m := mark{Place{r.file, line, column}, r.order}
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, newError(m, "%s", wrong))
		return
	}
	if r.more == 0 {
		r.from = m
	}
	r.more++
}

// mistakes gives what is wrong with the file.
func (r *fileReader) mistakes() Errors {
	if r.more == 0 {
		return r.errs
	}
	return append(r.errs, moreErrors(r.from, r.more))
}
