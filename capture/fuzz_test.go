package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"
)

// FuzzReader puts arbitrary bytes to the reader: it must not panic, not take memory
// beyond what the bytes are worth, fail with an offset that lies in the file, have
// healed the file by cutting it there, and read what pcapgo reads.
func FuzzReader(f *testing.F) {
	for _, c := range cutFiles() {
		f.Add(c.file)
	}
	for _, d := range damaged {
		if len(d.file) < 4096 {
			f.Add(d.file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		frames, err := readAll(bytes.NewReader(file))
		runtime.ReadMemStats(&after)
		// Buffers of the reader, which double, and this test's copies of the frames. The
		// megabyte is what fuzzing itself does meanwhile.
		if used, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+64*len(file)); used > most {
			t.Errorf("%d bytes were allocated for a file of %d", used, len(file))
		}
		last := int64(0)
		for i, frame := range frames {
			if frame.Time < 0 || frame.Length < len(frame.Data) || frame.Offset <= last || frame.Offset+int64(len(frame.Data)) > int64(len(file)) {
				t.Fatalf("frame %d of a file of %d: %+v", i, len(file), frame)
			}
			last = frame.Offset
		}
		if err == nil {
			compare(t, file, frames)
			return
		}
		var fe *FileError
		if !errors.As(err, &fe) || fe.Offset < last || fe.Offset > int64(len(file)) {
			t.Fatalf("error is %v, want one behind byte %d", err, last)
		}
		if fe.Offset > 0 {
			healed, err := readAll(bytes.NewReader(file[:fe.Offset]))
			if err != nil || len(healed) != len(frames) {
				t.Fatalf("cut at byte %d the file gives %d frames and %v, want %d and no error", fe.Offset, len(healed), err, len(frames))
			}
		}
	})
}

// compare holds frames against what pcapgo reads in the same file, which our reader
// has accepted. That also keeps pcapgo from allocating what no file should claim.
func compare(t *testing.T, file []byte, frames []Frame) {
	ng := binary.BigEndian.Uint32(file) == ngSection
	all := oracle(file, ng)
	if !ng && len(all) != len(frames) {
		t.Fatalf("pcapgo reads %d frames, we have %d", len(all), len(frames))
	}
	for i, theirs := range all {
		if i >= len(frames) {
			t.Fatalf("pcapgo reads frame %d, we have %d", i, len(frames))
		}
		ours := frames[i]
		if !bytes.Equal(ours.Data, theirs.data) || ours.Length != theirs.info.Length {
			t.Fatalf("frame %d: got length %d data %x\npcapgo has length %d data %x", i, ours.Length, ours.Data, theirs.info.Length, theirs.data)
		}
		if theirs.timed && ours.Time != theirs.info.Timestamp.UnixNano() {
			t.Fatalf("frame %d: got time %d, pcapgo has %d", i, ours.Time, theirs.info.Timestamp.UnixNano())
		}
	}
}

type oracleFrame struct {
	info  gopacket.CaptureInfo
	data  []byte
	timed bool // the time is worth comparing
}

// oracle reads a file with pcapgo up to its first error or panic: it refuses, or
// loses its place in, many files that are right.
func oracle(file []byte, ng bool) (frames []oracleFrame) {
	defer func() { recover() }()
	if !ng {
		r, err := pcapgo.NewReader(bytes.NewReader(file))
		if err != nil {
			return nil
		}
		r.SetSnaplen(maxFrame) // it insists on the file's, which many files ignore
		ours, _ := NewReader(bytes.NewReader(file))
		for at := pcapHeader; ; at = at + pcapRecord + len(frames[len(frames)-1].data) {
			data, info, err := r.ReadPacketData()
			if err != nil {
				return frames
			}
			// It computes the nanoseconds of a fraction in 32 bits.
			fraction := ours.order.Uint32(file[at+4:])
			frames = append(frames, oracleFrame{info, data, fraction < 1<<32/1000})
		}
	}
	if losesItsPlace(file) {
		return nil
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		return nil
	}
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			return frames
		}
		i, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			return frames
		}
		// Where its time can be relied on. 0 stands for "no option" to it, powers of two
		// and of more than 10^9 are rounded, and a simple packet has the zero time.
		n := i.TimestampResolution
		timed := !n.Binary() && n.Exponent() >= 1 && n.Exponent() <= 9 && !info.Timestamp.IsZero()
		frames = append(frames, oracleFrame{info, data, timed})
	}
}

// losesItsPlace tells of blocks whose lengths pcapgo gets wrong: statistics that are
// too short, and options whose padded length needs more than 16 bits.
func losesItsPlace(file []byte) bool {
	r := &Reader{src: bytes.NewReader(file)}
	for {
		r.begin()
		typ, body, err := r.block()
		if err != nil {
			return false
		}
		if typ == 5 || len(body) > 60000 {
			return true
		}
	}
}

// TestOracleReads makes sure that the comparison compares: on files that pcapgo can
// read, it reads all frames with their times.
func TestOracleReads(t *testing.T) {
	frame := testFrame(60, 1)
	for name, file := range map[string][]byte{
		"pcap":   cat(pcapHead(be, 0xa1b2c3d4, 1), record(be, 1, 5, 60, 60, frame), record(be, 2, 5, 60, 90, frame)),
		"pcapng": cat(sectionBlock(le), ifaceBlock(le, 1, 0), packetBlock(le, 0, 1700000000e6, frame), packetBlock(le, 0, 1, frame)),
	} {
		got := oracle(file, name == "pcapng")
		if len(got) != 2 || !got[0].timed || !got[1].timed {
			t.Errorf("%s: pcapgo reads %v", name, got)
		}
		frames, err := readAll(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, file, frames)
	}
}

// BenchmarkReader reads a capture of ten thousand small frames.
func BenchmarkReader(b *testing.B) {
	for _, name := range []string{"pcap", "pcapng"} {
		b.Run(name, func(b *testing.B) {
			var file bytes.Buffer
			var w FrameWriter = NewPcapWriter(&file)
			if name == "pcapng" {
				w = NewPcapngWriter(&file)
			}
			for i := range 10000 {
				if err := w.WriteFrame(int64(i), testFrame(60, byte(i)), fmt.Sprint(i)); err != nil {
					b.Fatal(err)
				}
			}
			w.Close()
			b.SetBytes(int64(file.Len()))
			for b.Loop() {
				r, err := NewReader(bytes.NewReader(file.Bytes()))
				for err == nil {
					_, err = r.Next()
				}
				if err != io.EOF {
					b.Fatal(err)
				}
			}
		})
	}
}
