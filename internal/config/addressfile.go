package config

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ipalias/ipalias/responder"
)

// maxLine is the longest line of an address file in bytes.
// It is what the reader's buffer holds, so that no line is copied to be read.
const maxLine = 4096

// An opener opens an address file by its name in the configuration. It tells what the
// file is called in messages, and how many bytes it has.
// The path is given with an error too. Who gets a file closes it.
type opener func(name string) (path string, f io.ReadCloser, size int64, err error)

// beside opens the files of a directory.
func beside(dir string) opener {
	return func(name string) (string, io.ReadCloser, int64, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		f, err := openRegular(name)
		if err != nil {
			return name, nil, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return name, f, 0, nil // only to be prepared for as much
		}
		return name, f, info.Size(), nil
	}
}

// keeping opens what open does, and keeps what is in it under its name in the configuration.
// It has each file in memory as a whole, where others read by the line: it is to be sent.
func keeping(open opener, files map[string]string) opener {
	return func(name string) (string, io.ReadCloser, int64, error) {
		path, f, size, err := open(name)
		if err != nil {
			return path, nil, 0, err
		}
		defer f.Close()
		text, err := readAll(f)
		if err != nil {
			return path, nil, 0, err
		}
		files[name] = string(text)
		return path, io.NopCloser(bytes.NewReader(text)), size, nil
	}
}

// among opens what came with the configuration, and nothing else. dir is where the
// configuration lay, so that messages name a file as its owner knows it.
// Names are looked up as they are written, never as paths: who may change the table may
// not for that read what the daemon's user can, one "bad address" a line.
func among(dir string, files map[string]string) opener {
	return func(name string) (string, io.ReadCloser, int64, error) {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		text, ok := files[name]
		if !ok {
			return path, nil, 0, errors.New("the daemon reads no file for others, and it was not sent with the configuration")
		}
		return path, io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
	}
}

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

// A spot tells where the ranges from one of a file on stand: each a line below the
// one before, all in the same column, until the next spot. A file of an address
// a line, from the first one on, has one spot however long it is.
type spot struct{ first, line, column int32 }

// locate finds the place of a range of a file among its spots.
func locate(spots []spot, n int) (line, column int) {
	at, found := slices.BinarySearchFunc(spots, n, func(s spot, n int) int { return int(s.first) - n })
	if !found {
		at--
	}
	s := spots[at]
	return int(s.line) + n - int(s.first), int(s.column)
}

// A fileReader reads an address file: an address, a range or a prefix a line.
type fileReader struct {
	file   string
	order  int // of its mistakes
	ranges responder.Ranges
	before int    // ranges that are of other files
	spots  []spot // of the ranges that were read
	next   spot   // what one more range would need none for
	errs   Errors // the first maxErrors
	more   int    // mistakes beyond them
	from   mark   // where those begin
}

// read reads to the end, or to where this is no text. An error is the file's,
// mistakes go to errs.
// A mistake that leaves no lines to go by ends it: the rest of a picture or of a line without
// an end would be told as a hundred mistakes more.
func (r *fileReader) read(f io.Reader) error {
	in := bufio.NewReaderSize(f, maxLine)
	for line := 1; ; line++ {
		text, err := in.ReadSlice('\n')
		// Most lines are one address and nothing else, and there may be a million.
		if a, ok := plain(text); ok && err == nil {
			r.add(line, 1, responder.Range{First: a, Last: a})
			continue
		}
		// The byte order mark that editors on Windows write. It is no space to TrimSpace.
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		switch {
		// Comments count: that a line has one is known only at its end.
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

// plain reads a line that is a dotted quad and its newline. It is for speed: what
// it does not know it leaves to parseRange, which has the words for what is wrong.
// It must take nothing that parseRange would not, or an address would mean one thing in a
// file and another on a command line.
func plain(line []byte) (a netip.Addr, ok bool) {
	var quad [4]byte
	at := 0
	for n := range quad {
		value, digits := 0, 0
		for at < len(line) && '0' <= line[at] && line[at] <= '9' && digits < 4 {
			value = value*10 + int(line[at]-'0')
			at++
			digits++
		}
		// No leading zero, which some read as octal.
		if digits == 0 || digits > 3 || value > 255 || digits > 1 && line[at-digits] == '0' || at == len(line) {
			return a, false
		}
		// What follows the number: three dots, and the end. A \r or a space is for the slow way.
		if want := "...\n"[n]; line[at] != want {
			return a, false
		}
		at++
		quad[n] = byte(value)
	}
	return netip.AddrFrom4(quad), true
}

// line reads one line without its comment.
func (r *fileReader) line(line int, text []byte) {
	entry := bytes.TrimSpace(text)
	if len(entry) == 0 {
		return
	}
	// In characters, as editors count.
	column := 1 + utf8.RuneCount(text[:bytes.Index(text, entry)])
	found, wrong := parseRange(string(entry))
	if wrong != "" {
		r.fail(line, column, wrong)
		return
	}
	r.add(line, column, found)
}

// add takes a range that was read.
func (r *fileReader) add(line, column int, one responder.Range) {
	at := spot{int32(r.ranges.Len() - r.before), int32(line), int32(column)}
	if at != r.next {
		r.spots = append(r.spots, at)
	}
	r.next = spot{at.first + 1, at.line + 1, at.column}
	r.ranges = r.ranges.Append(one)
}

// fail notes a mistake, or only counts it.
func (r *fileReader) fail(line, column int, wrong string) {
	m := mark{Place{r.file, line, column}, r.order}
	// A file of a million bad lines must not become a million messages, to be cut to a hundred.
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
