// Package capture moves Ethernet frames, a batch at a time, between where they
// come from and go to (a card, a capture file, memory) and a Handler that
// answers them. It knows no protocol.
//
// The three implementations of Port are Card, File and Memory. Handlers wrap
// each other: Recorder copies what passes for whoever wants it, Faults damages it
// on purpose.
package capture

import "context"

// ChecksumNotReady is set in a frame's flags where the sender left the
// transport checksum to a card that never saw the frame (TP_STATUS_CSUMNOTREADY:
// veth, virtio). The checksum field then holds nothing to verify.
const ChecksumNotReady uint8 = 1

// A Batch is what a Port hands to its Handler: frames in, answers out.
//
// Every slice belongs to the Port and is valid until Handle returns, but for Out:
// the Port has sent what it names before it calls Handle again.
type Batch struct {
	// Time is when the frames arrived, in nanoseconds since the Unix epoch. A
	// capture file hands over frames under the time it recorded for them.
	Time int64

	// Frames holds whole Ethernet frames, from the destination MAC on and without
	// the frame check sequence. A VLAN tag that the kernel took out is back in its
	// place. The Handler may overwrite a frame with its answer. A batch without
	// frames is a timer: Time has reached Wake.
	Frames [][]byte

	// Flags holds a byte of flags for each frame, see ChecksumNotReady.
	Flags []uint8

	// Out is where the Handler appends the frames to be sent, in order. They lie in
	// the buffers of Frames or in memory of the Handler's own.
	Out [][]byte

	// Wake is set by the Handler: the time, as Time counts, at which it wants to be
	// called again even if no frame comes; 0 for not at all. The Port may call
	// it sooner.
	Wake int64
}

// A Handler answers batches of frames. A Port calls it from one goroutine.
type Handler interface {
	Handle(*Batch)
}

// A Port is a place that frames come from and go to.
type Port interface {
	// Run hands every frame to h and sends what h answers, until ctx ends (then it
	// returns nil), the source is exhausted (nil) or it fails.
	Run(ctx context.Context, h Handler) error

	// Send sends one frame of somebody who is no Handler: an announcement, a probe.
	// It may be called while Run runs and does not keep frame.
	Send(frame []byte) error

	// Stats tells what the port itself counted. It may be called while Run runs.
	Stats() Stats

	// Close gives back what the port holds. Run must have returned.
	Close() error
}

// Stats counts what a Port did since it was opened.
type Stats struct {
	Received uint64 `json:"received"` // frames handed to the Handler
	Sent     uint64 `json:"sent"`     // frames that went out
	Dropped  uint64 `json:"dropped"`  // frames lost before the Handler saw them: the ring was full
	SendErr  uint64 `json:"send_errors"`
	Withheld uint64 `json:"withheld"` // frames that a Gate kept from going out
}

// Add adds what another Port counted, or the same one before.
func (s *Stats) Add(o Stats) {
	s.Received += o.Received
	s.Sent += o.Sent
	s.Dropped += o.Dropped
	s.SendErr += o.SendErr
	s.Withheld += o.Withheld
}
