package capture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Why the reading is our own and not gopacket/pcapgo's: a capture file may come
// from anybody, so every length, count and option in it has to be judged before
// it is used. pcapgo v1.1.19 allocates what a length field claims, indexes options
// unchecked, divides by resolutions that it has not looked at, gets those that are
// powers of two wrong and takes a cut file for a clean end. A validator in front of
// it would have to decode every field that pcapgo decodes after it, and then there
// is nothing left to decode: a second opinion could only disagree. So pcapgo is the
// oracle in the tests, where the fuzzer holds this reader against it.

const (
	// maxFrame is MAXIMUM_SNAPLEN of tcpdump and Wireshark's limit for Ethernet. No
	// card delivers more, not even a merged one (GRO).
	maxFrame = 262144

	// maxBlock bounds one pcapng block of any kind. Wireshark's limit is the same.
	maxBlock = 16 << 20

	// maxSeconds is the first second since 1970 that does not fit whole into 63 bits
	// of nanoseconds; it lies in the year 2262.
	maxSeconds = math.MaxInt64 / 1_000_000_000

	// readAhead is how much is taken from the operating system at once.
	readAhead = 64 << 10
)

// A Frame is one frame of a capture file.
type Frame struct {
	// Time is when it was captured, in nanoseconds since the Unix epoch, never
	// negative. A simple packet block of pcapng has no time: it gets that of the
	// frame before it, or 0.
	Time int64

	// Data holds what was captured, from the destination MAC on. It is the caller's
	// to overwrite until the next call of Next, and ends at its capacity. A frame
	// check sequence that the capture holds is left on: like the padding of a short
	// frame it lies behind the bytes that the headers count.
	Data []byte

	// Length is how many bytes the frame had on the wire, len(Data) or more.
	Length int

	// Offset is where in the file the frame's record or block begins.
	Offset int64
}

// A FileError says that a capture file is damaged, cut, or no capture file.
type FileError struct {
	// Offset is where the record or block begins that can't be used. What is before
	// it is good: cutting the file there heals it.
	Offset int64
	Err    error
}

func (e *FileError) Error() string { return fmt.Sprintf("byte %d: %v", e.Offset, e.Err) }

// Unwrap gives what was wrong, or the error of the source that was read from.
func (e *FileError) Unwrap() error { return e.Err }

// A Reader reads Ethernet frames from a capture file: pcap or pcapng, either byte
// order, any resolution of time. Its memory is bounded whatever the file claims: a
// buffer grows only as bytes arrive, to maxBlock at most.
type Reader struct {
	src   io.Reader
	start int64  // where in the file buf begins
	buf   []byte // the current record or block, as far as it has been read
	next  func() (Frame, error)
	err   error // what Next returns from now on

	order binary.ByteOrder
	unit  int64 // classic pcap: nanoseconds in one unit of the stamp's fraction

	interfaces []ngInterface // pcapng: of the current section
	last       int64         // pcapng: time of the last frame
}

// NewReader reads the head of a capture file. The error is a *FileError if src is
// no capture file of Ethernet frames. The Reader reads ahead and does not close src.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: bufio.NewReaderSize(src, readAhead)}
	err := r.load("file header", 4)
	switch {
	case err == io.EOF:
		return nil, r.fail("file is empty, expected a pcap or pcapng capture")
	case errors.Is(err, errCut):
		return nil, r.fail("file has only %d bytes, expected a pcap or pcapng capture", len(r.buf))
	case err != nil:
		return nil, err
	}
	switch binary.BigEndian.Uint32(r.buf) {
	case 0xa1b2c3d4:
		err = r.openPcap(binary.BigEndian, 1000)
	case 0xd4c3b2a1:
		err = r.openPcap(binary.LittleEndian, 1000)
	case 0xa1b23c4d:
		err = r.openPcap(binary.BigEndian, 1)
	case 0x4d3cb2a1:
		err = r.openPcap(binary.LittleEndian, 1)
	case ngSection:
		err = r.openPcapng()
	default:
		err = r.fail("%s, expected a pcap or pcapng capture", guess(r.buf))
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Next returns the next frame, io.EOF at the end of a whole file, or a *FileError.
// An error stays: every later call returns the same.
func (r *Reader) Next() (Frame, error) {
	if r.err != nil {
		return Frame{}, r.err
	}
	f, err := r.next()
	if err != nil {
		r.err = err
		return Frame{}, err
	}
	return f, nil
}

// begin moves on to what follows the current record or block.
func (r *Reader) begin() {
	r.start += int64(len(r.buf))
	r.buf = r.buf[:0]
}

var errCut = errors.New("file ends")

// load reads on until buf holds n bytes of the current record or block. It returns
// io.EOF if the file ends before the first of them, a *FileError if it ends later.
//
// n may be a lie: memory is taken for at most as much again as has arrived.
func (r *Reader) load(what string, n int) error {
	for len(r.buf) < n {
		have := len(r.buf)
		step := min(n-have, max(have, readAhead))
		r.buf = slices.Grow(r.buf, step)[:have+step]
		got, err := io.ReadFull(r.src, r.buf[have:])
		r.buf = r.buf[:have+got]
		switch {
		case err == nil:
		case err == io.EOF && len(r.buf) == 0:
			return io.EOF
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return r.fail("%s: %w after %d of %d bytes", what, errCut, len(r.buf), n)
		default:
			return r.fail("read %s: %w", what, err)
		}
	}
	return nil
}

// fail gives the error for the current record or block.
func (r *Reader) fail(format string, args ...any) error {
	return &FileError{r.start, fmt.Errorf(format, args...)}
}

// frame judges the lengths that every kind of record gives; data is what the
// record has room for.
func (r *Reader) frame(what string, time int64, captured, length uint32, data []byte) (Frame, error) {
	switch {
	case uint64(captured) > uint64(len(data)):
		return Frame{}, r.fail("%s: captured length %d is more than the %d bytes it has room for", what, captured, len(data))
	case captured > maxFrame:
		return Frame{}, r.fail("%s: captured length %d is more than the largest frame's %d", what, captured, maxFrame)
	case captured > length:
		return Frame{}, r.fail("%s: captured length %d is more than the frame's own length %d", what, captured, length)
	}
	// Nothing behind the frame may be reached through it: it is the next option, or
	// what an earlier and longer frame left in the buffer.
	return Frame{Time: time, Data: data[:captured:captured], Length: int(length), Offset: r.start}, nil
}

// guess names what somebody has most likely mistaken for a capture file.
func guess(magic []byte) string {
	for _, k := range []struct{ magic, name string }{
		{"\x1f\x8b", "file is compressed with gzip: unpack it first"},
		{"\x28\xb5\x2f\xfd", "file is compressed with zstd: unpack it first"},
		{"\xfd7zX", "file is compressed with xz: unpack it first"},
		{"\xa1\xb2\xcd\x34", "file is in the modified pcap format of old Red Hat systems: convert it with editcap"},
		{"\x34\xcd\xb2\xa1", "file is in the modified pcap format of old Red Hat systems: convert it with editcap"},
		{"snoo", "file is a snoop capture: convert it with editcap"},
		{"GMBU", "file is a Network Monitor capture: convert it with editcap"},
	} {
		if bytes.HasPrefix(magic, []byte(k.magic)) {
			return k.name
		}
	}
	return fmt.Sprintf("file begins with %q", magic)
}

// linkEthernet is LINKTYPE_ETHERNET in both formats.
const linkEthernet = 1

// linkName tells a link type with its name, where people meet it.
func linkName(t uint32) string {
	names := map[uint32]string{
		0:   "BSD loopback",
		1:   "Ethernet",
		9:   "PPP",
		12:  "raw IP",
		101: "raw IP",
		105: "802.11",
		108: "OpenBSD loopback",
		113: "Linux cooked, from capturing on \"any\"",
		127: "802.11 with radiotap",
		192: "802.11 with PPI",
		228: "raw IPv4",
		229: "raw IPv6",
		249: "USB",
		276: "Linux cooked v2, from capturing on \"any\"",
	}
	if name, ok := names[t]; ok {
		return fmt.Sprintf("%d (%s)", t, name)
	}
	return fmt.Sprint(t)
}
