package capture

import (
	"encoding/binary"
	"sync/atomic"
)

// A Direction is which way a recorded frame went.
type Direction uint8

const (
	In       Direction = iota // it came
	Out                       // it was handed to the Port to be sent
	Withheld                  // it would have been, but for a Gate
)

// A Recorded is one frame of a Tape.
type Recorded struct {
	Time      int64 // nanoseconds since the Unix epoch
	Direction Direction
	Note      uint8  // what the Handler thought of it; of those that came in
	Data      []byte // until the next call of Next
}

// A Tape carries copies of frames from the worker that sees them to somebody who
// reads them: a ring of bytes with one writer and one reader, made beforehand. A
// reader that is slow loses frames, and never makes the worker wait.
//
// A record is a head of 16 bytes and the frame, padded to a multiple of 16, so
// that a head is always in one piece.
type Tape struct {
	ring    []byte
	written atomic.Uint64 // where the next record goes, counted from the beginning
	read    atomic.Uint64 // where the next one to be read is
	lost    atomic.Uint64

	at   uint64 // the writer's: as written, with the records of the batch in hand
	data []byte // the reader's
}

// The head of a record.
const (
	tapeLength    = 0 // of the frame, 4 bytes
	tapeIndex     = 4 // of the frame in its batch, 2 bytes
	tapeDirection = 6
	tapeNote      = 7
	tapeTime      = 8
	tapeHead      = 16
)

// NewTape makes a tape that holds about size bytes, rounded down to a power of two.
func NewTape(size int) *Tape {
	n := 1 << 16
	for n*2 <= size {
		n *= 2
	}
	return &Tape{ring: make([]byte, n)}
}

// put writes a frame behind those that are not published yet. It counts as lost what
// finds no room.
func (t *Tape) put(time int64, d Direction, index int, frame []byte) {
	length := tapeHead + (len(frame)+tapeHead-1)&^(tapeHead-1)
	if uint64(length) > uint64(len(t.ring))-(t.at-t.read.Load()) {
		t.lost.Add(1)
		return
	}
	h := t.head(t.at)
	binary.LittleEndian.PutUint32(h[tapeLength:], uint32(len(frame)))
	binary.LittleEndian.PutUint16(h[tapeIndex:], uint16(index))
	h[tapeDirection], h[tapeNote] = byte(d), 0
	binary.LittleEndian.PutUint64(h[tapeTime:], uint64(time))
	at := (t.at + tapeHead) & uint64(len(t.ring)-1)
	n := copy(t.ring[at:], frame)
	copy(t.ring, frame[n:])
	t.at += uint64(length)
}

func (t *Tape) head(at uint64) []byte {
	at &= uint64(len(t.ring) - 1)
	return t.ring[at : at+tapeHead : at+tapeHead]
}

// note fills in what the handler thought of the frames that are not published yet.
func (t *Tape) note(of func(i int) uint8) {
	for at := t.written.Load(); at < t.at; {
		h := t.head(at)
		h[tapeNote] = of(int(binary.LittleEndian.Uint16(h[tapeIndex:])))
		at += tapeHead + uint64(binary.LittleEndian.Uint32(h[tapeLength:])+tapeHead-1)&^(tapeHead-1)
	}
}

// publish lets the reader have what was put.
func (t *Tape) publish() { t.written.Store(t.at) }

// Peek tells the time of the frame that Next would give. It fails if there is none.
func (t *Tape) Peek() (time int64, ok bool) {
	at := t.read.Load()
	if at == t.written.Load() {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(t.head(at)[tapeTime:])), true
}

// Next takes a frame off the tape. It fails if there is none.
func (t *Tape) Next() (r Recorded, ok bool) {
	at := t.read.Load()
	if at == t.written.Load() {
		return Recorded{}, false
	}
	h := t.head(at)
	length := uint64(binary.LittleEndian.Uint32(h[tapeLength:]))
	r.Direction, r.Note = Direction(h[tapeDirection]), h[tapeNote]
	r.Time = int64(binary.LittleEndian.Uint64(h[tapeTime:]))
	from := (at + tapeHead) & uint64(len(t.ring)-1)
	end := min(from+length, uint64(len(t.ring)))
	t.data = append(append(t.data[:0], t.ring[from:end]...), t.ring[:length-(end-from)]...)
	r.Data = t.data
	t.read.Store(at + tapeHead + (length+tapeHead-1)&^(tapeHead-1))
	return r, true
}

// Lost is how many frames found no room.
func (t *Tape) Lost() uint64 { return t.lost.Load() }
