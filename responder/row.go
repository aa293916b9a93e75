package responder

import "sync/atomic"

// Counters of one alias address, or the sum of several. Bytes are those of whole
// Ethernet frames without the check sequence, as a card counts them.
type Counters struct {
	RxPackets uint64 `json:"rx_packets"`
	RxBytes   uint64 `json:"rx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxBytes   uint64 `json:"tx_bytes"`
}

func (c *Counters) add(o Counters) {
	c.RxPackets += o.RxPackets
	c.RxBytes += o.RxBytes
	c.TxPackets += o.TxPackets
	c.TxBytes += o.TxBytes
}

// A row counts for one address and one worker, in 24 bytes. Only its worker writes
// it.
//
// Packets and bytes of one direction share a word, so that counting a frame is one
// addition: 32 bits of bytes, a bit that catches their carry, 30 bits of packets and
// a bit for theirs. As long as a caught carry stands there the word is still right; the
// worker moves it to the upper bits, which are kept in carries.
type row struct {
	addr    uint32
	carries uint32
	rx, tx  counter
}

const (
	bytesBits   = 32
	packetShift = bytesBits + 1
	packetBits  = 63 - packetShift
	onePacket   = 1 << packetShift
	caught      = 1<<63 | 1<<bytesBits // the carries

	// In carries: how often bytes and packets ran over, received and sent. Beyond half
	// of what fits there, 2^39 bytes or 2^36 packets, they go elsewhere: see spill.
	busy        = 1 // the worker is just changing several words
	rxByteShift = 1
	txByteShift = rxByteShift + 8
	rxPackShift = txByteShift + 8
	txPackShift = rxPackShift + 7
	byteCarries = 1<<8 - 1
	packCarries = 1<<7 - 1
)

// upper gives what carries stand for.
func upper(carries uint32) Counters {
	return Counters{
		RxPackets: uint64(carries>>rxPackShift&packCarries) << packetBits,
		RxBytes:   uint64(carries>>rxByteShift&byteCarries) << bytesBits,
		TxPackets: uint64(carries>>txPackShift&packCarries) << packetBits,
		TxBytes:   uint64(carries>>txByteShift&byteCarries) << bytesBits,
	}
}

// lift moves caught carries of a row up and gives what is then to stand in
// r.carries, with the row still marked busy.
func (r *row) lift() (carries uint32) {
	carries = r.carries
	atomic.StoreUint32(&r.carries, carries|busy)
	carries = liftWord(&r.rx, carries, rxByteShift, rxPackShift)
	return liftWord(&r.tx, carries, txByteShift, txPackShift)
}

func liftWord(w *counter, carries uint32, byteShift, packShift int) uint32 {
	v := w.load()
	carries += uint32(v>>bytesBits&1) << byteShift
	carries += uint32(v>>63) << packShift
	atomic.StoreUint64((*uint64)(w), v&^caught)
	return carries
}

// carriesFull are the carries' own upper bits: with one of them set there is still
// room for as many again.
const carriesFull = 1<<7<<rxByteShift | 1<<7<<txByteShift | 1<<6<<rxPackShift | 1<<6<<txPackShift

// set makes r the row of another address, from zero; 0 makes it nobody's.
func (r *row) set(addr uint32) {
	atomic.StoreUint32(&r.carries, busy)
	atomic.StoreUint32(&r.addr, addr)
	atomic.StoreUint64((*uint64)(&r.rx), 0)
	atomic.StoreUint64((*uint64)(&r.tx), 0)
	atomic.StoreUint32(&r.carries, 0)
}

// count counts a frame in a word and tells whether it caught a carry.
func (w *counter) count(bytes int) bool { return w.add(onePacket|uint64(bytes))&caught != 0 }

// count counts a frame and its answer, likewise.
func (r *row) count(rx, tx int) bool {
	return (r.rx.add(onePacket|uint64(rx))|r.tx.add(onePacket|uint64(tx)))&caught != 0
}
