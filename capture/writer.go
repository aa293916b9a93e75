package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A FrameWriter writes Ethernet frames to a capture file. Its methods may be called
// from several goroutines. What is written is buffered until Flush or Close.
type FrameWriter interface {
	// WriteFrame writes a whole frame, captured at time: nanoseconds since the Unix
	// epoch. The comment is for people; a format that has none drops it. Neither is
	// kept.
	WriteFrame(time int64, data []byte, comment string) error

	// Flush hands what is buffered to the file.
	Flush() error

	// Close flushes, and closes the file if it was CreateWriter that opened it. A
	// file without frames is a valid capture too.
	Close() error
}

// CreateWriter creates the file path, or empties it, and writes pcapng to it if
// its name ends in .pcapng, classic pcap otherwise.
func CreateWriter(path string) (FrameWriter, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create capture file: %w", err)
	}
	if strings.EqualFold(filepath.Ext(path), ".pcapng") {
		w := NewPcapngWriter(f)
		w.file = f
		return w, nil
	}
	w := NewPcapWriter(f)
	w.file = f
	return w, nil
}

// output is what both writers stand on.
type output struct {
	mu   sync.Mutex
	buf  *bufio.Writer
	file *os.File // to be closed; nil if it is the caller's
}

func (o *output) Flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.buf.Flush(); err != nil {
		return fmt.Errorf("write capture file: %w", err)
	}
	return nil
}

func (o *output) Close() error {
	err := o.Flush()
	if o.file == nil {
		return err
	}
	if e := o.file.Close(); err == nil && e != nil {
		err = fmt.Errorf("close capture file: %w", e)
	}
	return err
}

// checkFrame refuses what a reader of the file would refuse. The latest time is in
// seconds.
func checkFrame(t int64, data []byte, latest int64) error {
	if len(data) > maxFrame {
		return fmt.Errorf("write capture file: frame has %d bytes, expected at most %d", len(data), maxFrame)
	}
	if t < 0 || t/1e9 > latest {
		return fmt.Errorf("write capture file: time is %s, expected %s to %s",
			time.Unix(0, t).UTC().Format(time.DateTime), time.Unix(0, 0).UTC().Format(time.DateTime), time.Unix(latest, 0).UTC().Format(time.DateTime))
	}
	return nil
}

// A PcapWriter writes the classic format, little endian, with nanoseconds. It has
// no comments, and no time after the year 2106.
//
// It is our own because pcapgo's brings all of gopacket/layers into the program: 5 MB
// of tables that are filled before main begins, 3 ms of each start, for two headers.
// In the tests pcapgo reads what this writes.
type PcapWriter struct {
	output
	head []byte // of a record, reused
}

// pcapNanos is the magic number of nanoseconds: microseconds would lose what a card's
// clock and the other formats hold, and every reader of the last ten years knows it.
const pcapNanos = 0xa1b23c4d

// NewPcapWriter writes a file header to w; an error of w is reported by the first
// Flush or WriteFrame that meets it.
func NewPcapWriter(w io.Writer) *PcapWriter {
	p := &PcapWriter{output{buf: bufio.NewWriterSize(w, readAhead)}, make([]byte, 0, pcapRecord)}
	header := binary.LittleEndian.AppendUint32(nil, pcapNanos)
	header = binary.LittleEndian.AppendUint16(header, 2) // version 2.4
	header = binary.LittleEndian.AppendUint16(header, 4)
	header = append(header, make([]byte, 8)...) // time zone and accuracy: nobody sets them
	header = binary.LittleEndian.AppendUint32(header, maxFrame)
	header = binary.LittleEndian.AppendUint32(header, linkEthernet)
	p.buf.Write(header) // into an empty buffer: cannot fail
	return p
}

// WriteFrame writes a frame; see FrameWriter. The comment is dropped.
func (w *PcapWriter) WriteFrame(t int64, data []byte, _ string) error {
	if err := checkFrame(t, data, math.MaxUint32); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	h := binary.LittleEndian.AppendUint32(w.head[:0], uint32(t/1e9))
	h = binary.LittleEndian.AppendUint32(h, uint32(t%1e9))
	h = binary.LittleEndian.AppendUint32(h, uint32(len(data)))
	h = binary.LittleEndian.AppendUint32(h, uint32(len(data)))
	w.buf.Write(h) // the buffer remembers its first error
	if _, err := w.buf.Write(data); err != nil {
		return fmt.Errorf("write capture file: %w", err)
	}
	return nil
}

// A PcapngWriter writes pcapng, little endian, with nanoseconds and comments. It is
// our own because pcapgo's writes no options with a packet.
type PcapngWriter struct {
	output
	block []byte // the block being built, reused
}

// NewPcapngWriter writes a section header and the descriptions of interfaces to w, by
// their names; without any it is one that has none. An error of w is reported by the
// first Flush or WriteFrame that meets it.
func NewPcapngWriter(w io.Writer, interfaces ...string) *PcapngWriter {
	p := &PcapngWriter{output: output{buf: bufio.NewWriterSize(w, readAhead)}}

	p.begin(ngSection)
	p.put32(ngByteOrder)
	p.put32(1)              // version 1.0
	p.put32(math.MaxUint32) // length of the section: not known beforehand
	p.put32(math.MaxUint32)
	p.option(ngApplication, "ipalias")
	p.option(ngEndOfOptions, "")
	p.end() // into an empty buffer: cannot fail

	if len(interfaces) == 0 {
		interfaces = []string{""}
	}
	for _, name := range interfaces {
		p.begin(ngIface)
		p.put32(linkEthernet)
		p.put32(maxFrame)
		if name != "" {
			p.option(ngName, name)
		}
		p.option(ngResolution, "\x09") // 10^-9 s
		p.option(ngEndOfOptions, "")
		p.end()
	}
	return p
}

// WriteFrame writes a frame of the first interface; see FrameWriter. A comment longer
// than an option can be, 65535 bytes, is cut.
func (w *PcapngWriter) WriteFrame(t int64, data []byte, comment string) error {
	return w.write(0, 0, t, data, comment)
}

// WriteRecorded writes what came off a tape of an interface, by its place among those
// of NewPcapngWriter, with the direction that it went.
func (w *PcapngWriter) WriteRecorded(iface int, r Recorded, comment string) error {
	flags := uint32(ngInbound)
	if r.Direction != In {
		flags = ngOutbound
	}
	return w.write(iface, flags, r.Time, r.Data, comment)
}

// WriteStatistics writes how many frames of an interface there were at time t, and
// how many of them are missing from the file.
func (w *PcapngWriter) WriteStatistics(iface int, t int64, frames, missing uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(ngStatistics)
	w.put32(uint32(iface))
	w.put32(uint32(uint64(t) >> 32))
	w.put32(uint32(t))
	w.option(ngReceived, string(binary.LittleEndian.AppendUint64(nil, frames)))
	w.option(ngDropped, string(binary.LittleEndian.AppendUint64(nil, missing)))
	w.option(ngEndOfOptions, "")
	if err := w.end(); err != nil {
		return fmt.Errorf("write capture file: %w", err)
	}
	return nil
}

// write writes a frame; flags are those of its block, 0 for none.
func (w *PcapngWriter) write(iface int, flags uint32, t int64, data []byte, comment string) error {
	if err := checkFrame(t, data, maxSeconds-1); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(ngEnhanced)
	w.put32(uint32(iface))
	w.put32(uint32(uint64(t) >> 32))
	w.put32(uint32(t))
	w.put32(uint32(len(data)))
	w.put32(uint32(len(data)))
	w.block = append(w.block, data...)
	w.pad()
	if comment != "" {
		// UTF-8 by the format's law, also after the cut.
		w.option(ngComment, strings.ToValidUTF8(comment[:min(len(comment), math.MaxUint16)], ""))
	}
	if flags != 0 {
		w.put32(ngFlags | 4<<16) // an option's code and length
		w.put32(flags)
	}
	if comment != "" || flags != 0 {
		w.option(ngEndOfOptions, "")
	}
	if err := w.end(); err != nil {
		return fmt.Errorf("write capture file: %w", err)
	}
	return nil
}

func (w *PcapngWriter) begin(typ uint32) {
	w.block = w.block[:0]
	w.put32(typ)
	w.put32(0) // the length: end knows it
}

func (w *PcapngWriter) end() error {
	length := uint32(len(w.block) + 4)
	binary.LittleEndian.PutUint32(w.block[4:], length)
	w.put32(length)
	_, err := w.buf.Write(w.block)
	return err
}

func (w *PcapngWriter) put32(v uint32) { w.block = binary.LittleEndian.AppendUint32(w.block, v) }

func (w *PcapngWriter) option(code uint16, value string) {
	w.block = binary.LittleEndian.AppendUint16(w.block, code)
	w.block = binary.LittleEndian.AppendUint16(w.block, uint16(len(value)))
	w.block = append(w.block, value...)
	w.pad()
}

func (w *PcapngWriter) pad() {
	for len(w.block)%4 != 0 {
		w.block = append(w.block, 0)
	}
}
