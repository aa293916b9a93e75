package capture

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/ipalias/ipalias/internal/netlab"
)

func TestWriteAndReadBack(t *testing.T) {
	frames := []Frame{
		{Time: 1700000000_123456789, Data: testFrame(60, 1)},
		{Time: 0, Data: testFrame(61, 2)},
		{Time: math.MaxUint32*1e9 + 999999999, Data: testFrame(1514, 3)},
		{Time: 5, Data: testFrame(maxFrame, 4)},
		{Time: 6},
	}
	for _, name := range []string{"a.pcap", "a.pcapng", "a.PcapNG", "a"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := CreateWriter(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if err := w.WriteFrame(f.Time, f.Data, "a comment"); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w.WriteFrame(0, nil, "")
		if err := w.Flush(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: got %v after Close, want %v", name, err, os.ErrClosed)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if ng := bytes.HasPrefix(file, []byte{0x0a, 0x0d, 0x0d, 0x0a}); ng != strings.HasSuffix(strings.ToLower(name), ".pcapng") {
			t.Errorf("%s: written as pcapng: %v", name, ng)
		}
		got, err := readAll(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(frames) {
			t.Fatalf("%s: got %d frames, want %d", name, len(got), len(frames))
		}
		for i, want := range frames {
			if got[i].Time != want.Time || got[i].Length != len(want.Data) || !bytes.Equal(got[i].Data, want.Data) {
				t.Errorf("%s: frame %d has changed", name, i)
			}
		}
	}
}

func TestWriteNoFrame(t *testing.T) {
	for name, write := range map[string]func(*bytes.Buffer) FrameWriter{
		"pcap":   func(b *bytes.Buffer) FrameWriter { return NewPcapWriter(b) },
		"pcapng": func(b *bytes.Buffer) FrameWriter { return NewPcapngWriter(b) },
	} {
		var b bytes.Buffer
		if err := write(&b).Close(); err != nil {
			t.Fatal(err)
		}
		if frames, err := readAll(&b); err != nil || len(frames) > 0 {
			t.Errorf("%s: got %v, %v", name, frames, err)
		}
	}
}

// TestPcapWriterAgainstOracle has pcapgo read a classic file.
func TestPcapWriterAgainstOracle(t *testing.T) {
	want := []Frame{{Time: 1700000000_123456789, Data: testFrame(60, 1)}, {Time: math.MaxUint32*1e9 + 999999999, Data: testFrame(1514, 2)}, {Data: testFrame(maxFrame, 3)}}
	var b bytes.Buffer
	w := NewPcapWriter(&b)
	for _, f := range want {
		if err := w.WriteFrame(f.Time, f.Data, ""); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	r, err := pcapgo.NewReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if r.LinkType() != layers.LinkTypeEthernet || r.Snaplen() != maxFrame {
		t.Errorf("pcapgo reads link type %v and snapshot length %d", r.LinkType(), r.Snaplen())
	}
	for i, f := range want {
		data, info, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, f.Data) || info.Length != len(f.Data) || info.Timestamp.UnixNano() != f.Time {
			t.Errorf("frame %d: pcapgo reads %v, %d bytes", i, info, len(data))
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("pcapgo reads %v at the end", err)
	}
}

// TestPcapngBytes pins the blocks that are our own down to the byte.
func TestPcapngBytes(t *testing.T) {
	var b bytes.Buffer
	w := NewPcapngWriter(&b)
	if err := w.WriteFrame(0x0102030405060708, []byte{0xaa, 0xbb, 0xcc, 0xdd, 0xee}, "hi"); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := []byte{
		0x0a, 0x0d, 0x0d, 0x0a, // section header block
		44, 0, 0, 0, // length
		0x4d, 0x3c, 0x2b, 0x1a, // byte-order magic
		1, 0, 0, 0, // version
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // section length: unknown
		4, 0, 7, 0, 'i', 'p', 'a', 'l', 'i', 'a', 's', 0, // shb_userappl
		0, 0, 0, 0, // opt_endofopt
		44, 0, 0, 0,

		1, 0, 0, 0, // interface description block
		32, 0, 0, 0,
		1, 0, 0, 0, // Ethernet
		0, 0, 4, 0, // snapshot length
		9, 0, 1, 0, 9, 0, 0, 0, // if_tsresol: 10^-9
		0, 0, 0, 0, // opt_endofopt
		32, 0, 0, 0,

		6, 0, 0, 0, // enhanced packet block
		52, 0, 0, 0,
		0, 0, 0, 0, // interface
		4, 3, 2, 1, 8, 7, 6, 5, // time, high half first
		5, 0, 0, 0, // captured
		5, 0, 0, 0, // on the wire
		0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0, 0, 0,
		1, 0, 2, 0, 'h', 'i', 0, 0, // opt_comment
		0, 0, 0, 0, // opt_endofopt
		52, 0, 0, 0,
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got  %x\nwant %x", b.Bytes(), want)
	}
}

func TestLongComment(t *testing.T) {
	var b bytes.Buffer
	w := NewPcapngWriter(&b)
	// The cut falls into the last character: 65535 is no multiple of its two bytes.
	if err := w.WriteFrame(1, testFrame(60, 1), strings.Repeat("ä", 40000)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := readAll(bytes.NewReader(b.Bytes())); err != nil {
		t.Error(err)
	}
	comment := option(le, ngComment, strings.Repeat("ä", 32767))
	if !bytes.Contains(b.Bytes(), comment) {
		t.Error("the comment was not cut at a character")
	}
}

func TestWriteRefuses(t *testing.T) {
	pcap, ng := NewPcapWriter(&bytes.Buffer{}), NewPcapngWriter(&bytes.Buffer{})
	for _, tt := range []struct {
		name string
		w    FrameWriter
		time int64
		data []byte
		want string
	}{
		{"pcap before 1970", pcap, -1, nil, "write capture file: time is 1969-12-31 23:59:59, expected 1970-01-01 00:00:00 to 2106-02-07 06:28:15"},
		{"pcap after 2106", pcap, (math.MaxUint32 + 1) * 1e9, nil, "write capture file: time is 2106-02-07 06:28:16, expected 1970-01-01 00:00:00 to 2106-02-07 06:28:15"},
		{"pcap large frame", pcap, 0, make([]byte, maxFrame+1), "write capture file: frame has 262145 bytes, expected at most 262144"},
		{"pcapng before 1970", ng, math.MinInt64, nil, "write capture file: time is 1677-09-21 00:12:43, expected 1970-01-01 00:00:00 to 2262-04-11 23:47:15"},
		{"pcapng late", ng, math.MaxInt64, nil, "write capture file: time is 2262-04-11 23:47:16, expected 1970-01-01 00:00:00 to 2262-04-11 23:47:15"},
		{"pcapng large frame", ng, 0, make([]byte, maxFrame+1), "write capture file: frame has 262145 bytes, expected at most 262144"},
	} {
		if err := tt.w.WriteFrame(tt.time, tt.data, ""); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, tt.want)
		}
	}
}

// brokenWriter takes some bytes and then no more, like a full disk.
type brokenWriter struct{ room int }

var errFull = errors.New("no space left")

func (w *brokenWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestWriteErrorIsReported(t *testing.T) {
	for _, w := range []FrameWriter{NewPcapWriter(&brokenWriter{10}), NewPcapngWriter(&brokenWriter{10})} {
		if err := w.Close(); !errors.Is(err, errFull) {
			t.Errorf("%T: got %v, want %v", w, err, errFull)
		}
		if err := w.WriteFrame(0, testFrame(60, 1), ""); !errors.Is(err, errFull) {
			t.Errorf("%T: got %v afterwards, want %v", w, err, errFull)
		}
	}
	if _, err := CreateWriter(filepath.Join(t.TempDir(), "missing", "a.pcap")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestOthersReadIt has the programs read our files for which they are written.
func TestOthersReadIt(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		netlab.Miss(t, "needs a program: %v", err)
	}
	for name, comment := range map[string]string{"a.pcap": "", "a.pcapng": "arp-answered: eth0:0"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := CreateWriter(path)
		if err != nil {
			t.Fatal(err)
		}
		w.WriteFrame(1700000000_123456789, testFrame(61, 1), "arp-answered: eth0:0")
		w.WriteFrame(1700000001_000000001, testFrame(60, 1), "")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(tshark, "-n", "-r", path, "-T", "fields", "-E", "separator=|", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.comment")
		cmd.Env = append(os.Environ(), "TZ=UTC")
		var problems bytes.Buffer
		cmd.Stderr = &problems
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("tshark: %v\n%s", err, &problems)
		}
		lines := strings.Fields(strings.ReplaceAll(string(out), " ", "_"))
		want := []string{"61|" + strings.ReplaceAll(comment, " ", "_"), "60|"}
		times := []string{"1700000000.123456789|", "1700000001.000000001|"}
		if len(lines) != 2 {
			t.Fatalf("%s: tshark shows\n%s", name, out)
		}
		for i := range want {
			// Newer versions write the time as a date.
			if !strings.HasSuffix(lines[i], want[i]) || !strings.Contains(lines[i], times[i]) && !strings.Contains(lines[i], times[i][10:20]) {
				t.Errorf("%s: tshark shows %s, want %s%s", name, lines[i], times[i], want[i])
			}
		}
	}
}

func TestRecordedFormat(t *testing.T) {
	var b bytes.Buffer
	w := NewPcapngWriter(&b, "v0", "eth12")
	w.Flush()
	b.Reset()
	if err := errors.Join(w.WriteRecorded(1, Recorded{Time: 3, Direction: Withheld, Data: []byte{1, 2}}, "hi"), w.WriteStatistics(1, 0x0102030405060708, 9, 4), w.Close()); err != nil {
		t.Fatal(err)
	}
	want := []byte{
		6, 0, 0, 0, // enhanced packet block
		56, 0, 0, 0,
		1, 0, 0, 0, // interface
		0, 0, 0, 0, 3, 0, 0, 0, // time
		2, 0, 0, 0, 2, 0, 0, 0, // captured, on the wire
		1, 2, 0, 0,
		1, 0, 2, 0, 'h', 'i', 0, 0, // opt_comment
		2, 0, 4, 0, 2, 0, 0, 0, // epb_flags: outbound
		0, 0, 0, 0, // opt_endofopt
		56, 0, 0, 0,

		5, 0, 0, 0, // interface statistics block
		52, 0, 0, 0,
		1, 0, 0, 0, // interface
		4, 3, 2, 1, 8, 7, 6, 5, // time, high half first
		4, 0, 8, 0, 9, 0, 0, 0, 0, 0, 0, 0, // isb_ifrecv
		5, 0, 8, 0, 4, 0, 0, 0, 0, 0, 0, 0, // isb_ifdrop
		0, 0, 0, 0, // opt_endofopt
		52, 0, 0, 0,
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got  %x\nwant %x", b.Bytes(), want)
	}
}
