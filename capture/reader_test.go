package capture

import (
	"bytes"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadPcap(t *testing.T) {
	short, long := testFrame(60, 1), testFrame(1514, 2)
	for _, tt := range []struct {
		name  string
		order order
		magic uint32
		unit  int64
	}{
		{"little endian microseconds", le, 0xa1b2c3d4, 1000},
		{"big endian microseconds", be, 0xa1b2c3d4, 1000},
		{"little endian nanoseconds", le, 0xa1b23c4d, 1},
		{"big endian nanoseconds", be, 0xa1b23c4d, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := cat(
				pcapHead(tt.order, tt.magic, linkEthernet),
				record(tt.order, 1700000000, 123456, 60, 60, short),
				record(tt.order, math.MaxUint32, 999999, 1514, 9000, long),
				record(tt.order, 0, 0, 0, 0, nil),
			)
			want := []Frame{
				{1700000000e9 + 123456*tt.unit, short, 60, 24},
				{math.MaxUint32*1e9 + 999999*tt.unit, long, 9000, 24 + 16 + 60},
				{0, nil, 0, 24 + 16 + 60 + 16 + 1514},
			}
			// A byte at a time is what a pipe may do.
			for _, src := range []io.Reader{bytes.NewReader(file), iotest.OneByteReader(bytes.NewReader(file))} {
				got, err := readAll(src)
				if err != nil {
					t.Fatal(err)
				}
				checkFrames(t, got, want)
			}
		})
	}
}

func checkFrames(t *testing.T, got, want []Frame) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d frames, want %d", len(got), len(want))
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.Time != w.Time || g.Length != w.Length || g.Offset != w.Offset || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("frame %d: got time %d length %d offset %d data %x\n want time %d length %d offset %d data %x",
				i, g.Time, g.Length, g.Offset, g.Data, w.Time, w.Length, w.Offset, w.Data)
		}
	}
}

func TestReadPcapng(t *testing.T) {
	a, b := testFrame(60, 1), testFrame(61, 2) // one with padding, one without
	const stamp = 1700000000123456
	for _, o := range []order{le, be} {
		t.Run(o.String(), func(t *testing.T) {
			var other order = le
			if o == le {
				other = be
			}
			head := cat(
				sectionBlock(o, option(o, 2, "hardware"), option(o, ngApplication, "test")),
				ifaceBlock(o, linkEthernet, 0, option(o, 2, "eth0")),
				ifaceBlock(o, linkEthernet, 96, option(o, ngResolution, "\x09"), option(o, ngEndOfOptions, "")),
			)
			parts := [][]byte{
				head,
				packetBlock(o, 0, stamp, a),
				block(o, 0x0bad, []byte("a block of a type that nobody knows")),
				packetBlock(o, 1, stamp, b, option(o, ngComment, "hello"), option(o, ngEndOfOptions, "")),
				simpleBlock(o, 61, b),
				block(o, 5, make([]byte, 12)), // statistics
				obsoleteBlock(o, 0, stamp+1, a),
				sectionBlock(other),
				ifaceBlock(other, linkEthernet, 40, option(other, ngResolution, "\x03")),
				packetBlock(other, 0, 5, a),
				simpleBlock(other, 9000, b[:40]),
			}
			at := func(part int) int64 { return int64(len(cat(parts[:part]...))) }
			got, err := readAll(bytes.NewReader(cat(parts...)))
			if err != nil {
				t.Fatal(err)
			}
			checkFrames(t, got, []Frame{
				{stamp * 1000, a, 60, at(1)},
				{stamp, b, 61, at(3)},
				{stamp, b, 61, at(4)}, // the time of the frame before it
				{(stamp + 1) * 1000, a, 60, at(6)},
				{5e6, a, 60, at(9)},
				{5e6, b[:40], 9000, at(10)},
			})
		})
	}
}

func TestStamps(t *testing.T) {
	for _, tt := range []struct {
		name       string
		resolution string // if_tsresol; empty: none given
		offset     int64  // if_tsoffset
		stamp      uint64
		want       int64 // -1: an error
	}{
		{"default", "", 0, 1700000000_123456, 1700000000_123456_000},
		{"seconds", "\x00", 0, 1700000000, 1700000000e9},
		{"milliseconds", "\x03", 0, 1700000000_123, 1700000000_123e6},
		{"nanoseconds", "\x09", 0, 1700000000_123456789, 1700000000_123456789},
		{"picoseconds", "\x0c", 0, 1234567890_123_999, 1234567890_123},
		{"10^-19", "\x13", 0, math.MaxUint64, 1844674407},
		{"10^-20", "\x14", 0, math.MaxUint64, 184467440},
		{"10^-127", "\x7f", 0, math.MaxUint64, 0},
		{"2^0", "\x80", 0, 1700000000, 1700000000e9},
		{"2^-1", "\x81", 0, 3, 1_500000000},
		{"2^-10", "\x8a", 0, 1023, 999023437},
		{"2^-32", "\xa0", 0, 1700000000<<32 | 1<<31, 1700000000_500000000},
		{"2^-63", "\xbf", 0, 3 << 62, 1_500000000},
		{"2^-64", "\xc0", 0, 1 << 63, 500000000},
		{"2^-65", "\xc1", 0, 1 << 63, 250000000},
		{"2^-127", "\xff", 0, math.MaxUint64, 0},
		{"offset", "\x03", 1700000000, 250, 1700000000_250e6},
		{"offset back", "\x03", -3, 5250, 2_250e6},
		{"offset to 1970", "\x03", -5, 5000, 0},
		{"offset before 1970", "\x03", -6, 5999, -1},
		{"offset of all bits", "\x00", math.MinInt64, 1 << 63, 0},
		{"offset of most bits", "\x00", math.MinInt64, 1<<63 - 1, -1},
		{"offset too large", "\x09", math.MaxInt64, 0, -1},
		{"offset overflows", "\x00", math.MaxInt64, math.MaxUint64, -1},
		{"last second", "\x00", 0, maxSeconds - 1, (maxSeconds - 1) * 1_000_000_000},
		{"second too many", "\x00", 0, maxSeconds, -1},
		{"all bits in microseconds", "\x06", 0, math.MaxUint64, -1},
		{"all bits in nanoseconds", "\x09", 0, math.MaxUint64, -1},
		{"all bits in seconds", "\x00", 0, math.MaxUint64, -1},
		{"all bits in 2^0", "\x80", 0, math.MaxUint64, -1},
	} {
		for _, o := range []order{le, be} {
			var options []byte
			if tt.resolution != "" {
				options = option(o, ngResolution, tt.resolution)
			}
			if tt.offset != 0 {
				options = append(options, option(o, ngTimeOffset, string(o.AppendUint64(nil, uint64(tt.offset))))...)
			}
			frames, err := readAll(bytes.NewReader(cat(sectionBlock(o), ifaceBlock(o, linkEthernet, 0, options), packetBlock(o, 0, tt.stamp, testFrame(60, 1)))))
			switch {
			case tt.want < 0:
				if err == nil || !strings.Contains(err.Error(), "time is beyond") {
					t.Errorf("%s, %s: got %v, %v; want an error about the time", tt.name, o, frames, err)
				}
			case err != nil:
				t.Errorf("%s, %s: %v", tt.name, o, err)
			case frames[0].Time != tt.want:
				t.Errorf("%s, %s: got %d, want %d", tt.name, o, frames[0].Time, tt.want)
			}
		}
	}
}

// repeat is an endless source, as a device or a pipe may be.
type repeat []byte

func (r repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

func TestEndlessFileNeedsNoMemory(t *testing.T) {
	frame := testFrame(60, 1)
	for _, tt := range []struct {
		name string
		head []byte
		body []byte // again and again; a divisor of readAhead long
	}{
		{"interfaces", sectionBlock(le), ifaceBlock(le, 1, 0, option(le, 2, "eth0"), option(le, 0, ""))}, // 32 bytes
		{"skipped blocks", sectionBlock(le), block(le, 77, make([]byte, 4084))},
		{"sections", sectionBlock(le), sectionBlock(le, option(le, 0, ""))}, // 32 bytes
		{"records", pcapHead(le, 0xa1b2c3d4, 1), record(le, 1, 1, 48, 48, frame[:48])},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if readAhead%len(tt.body) != 0 {
				t.Fatalf("body has %d bytes", len(tt.body))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := NewReader(io.MultiReader(bytes.NewReader(tt.head), io.LimitReader(repeat(tt.body), 64<<20)))
			for err == nil {
				_, err = r.Next()
			}
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
				t.Errorf("%d bytes were allocated", used)
			}
			if tt.name == "interfaces" && !strings.HasSuffix(err.Error(), "section has more than 65536 interfaces") {
				t.Error(err)
			}
		})
	}
}

func TestErrorsStay(t *testing.T) {
	r, err := NewReader(bytes.NewReader(cat(pcapHead(le, 0xa1b2c3d4, 1), record(le, 1, 1, maxFrame+1, 0, nil))))
	if err != nil {
		t.Fatal(err)
	}
	_, first := r.Next()
	if _, again := r.Next(); first == nil || again != first {
		t.Errorf("got %v, then %v", first, again)
	}
}

func TestSourceErrorIsKept(t *testing.T) {
	_, err := readAll(io.MultiReader(bytes.NewReader(pcapHead(le, 0xa1b2c3d4, 1)), iotest.ErrReader(io.ErrNoProgress)))
	var fe *FileError
	if !errors.Is(err, io.ErrNoProgress) || !errors.As(err, &fe) || fe.Offset != 24 {
		t.Errorf("got %v", err)
	}
}

func TestFrameEndsAtItsCapacity(t *testing.T) {
	for name, f := range cutFiles() {
		r, err := NewReader(bytes.NewReader(f.file))
		if err != nil {
			t.Fatal(err)
		}
		for {
			frame, err := r.Next()
			if err != nil {
				break
			}
			if len(frame.Data) != cap(frame.Data) {
				t.Errorf("%s: frame of %d bytes has room for %d", name, len(frame.Data), cap(frame.Data))
			}
		}
	}
}
