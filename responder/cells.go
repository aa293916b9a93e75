package responder

import "errors"

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

// A cell counts for one address and one worker.
type cell struct {
	rxPackets, rxBytes, txPackets, txBytes counter
}

func (c *cell) sent(bytes int) { c.txPackets.add(1); c.txBytes.add(uint64(bytes)) }

func (c *cell) load() Counters {
	return Counters{c.rxPackets.load(), c.rxBytes.load(), c.txPackets.load(), c.txBytes.load()}
}

const (
	segmentBits = 16
	segmentSize = 1 << segmentBits // cells: 2 MiB
	blockBits   = 7
	blockSize   = 1 << blockBits // cells that share a bit of segment.used: as many as a page holds
)

// A segment is so many cells, and a bit for each block of them that is in use: who
// reads the counters of a /8 looks at the pages that were written to, and no others.
type segment struct {
	used  [segmentSize >> blockBits / 64]counter
	cells [segmentSize]cell
}

// cells is the counter memory of one interface: for each worker an array that
// the addresses of the table index, in segments so that it can grow while workers
// write to it. The memory is mapped from the system, which hands out a page when it is
// first written to: an address that nobody asked for costs nothing, and the
// garbage collector knows nothing of it.
//
// An address keeps its index through every change of the table, so that its
// counters go on and nothing is ever moved.
type cells struct {
	workers [][]*segment // [worker][index>>segmentBits]
	next    uint32       // the first index that was never given away
}

func newCells(workers int) *cells {
	return &cells{workers: make([][]*segment, workers)}
}

// reserve gives n new indices in one run, and the memory for them.
//
// The workers' slices are replaced, not changed: a table that is in use keeps the
// ones it was built with.
func (c *cells) reserve(n uint32) (first uint32, err error) {
	first = c.next
	if uint64(first)+uint64(n) > indexEnd {
		return 0, errors.New("more than 4294967295 addresses were answered for since the start: restart")
	}
	need := int((uint64(first) + uint64(n) + segmentSize - 1) >> segmentBits)
	for i, have := range c.workers {
		if need <= len(have) {
			continue
		}
		more, err := mapSegments(need - len(have))
		if err != nil {
			return 0, err
		}
		c.workers[i] = append(have[:len(have):len(have)], more...)
	}
	c.next += n
	return first, nil
}

// at finds the cell of an index in one worker's segments.
func at(segments []*segment, index uint32) *cell {
	return &segments[index>>segmentBits].cells[index&(segmentSize-1)]
}

// use marks the block of an index as used. The worker that counts calls it with the
// first packet.
func use(segments []*segment, index uint32) {
	block := index & (segmentSize - 1) >> blockBits
	segments[index>>segmentBits].used[block/64].set(1 << (block % 64))
}

// used tells whether the block of an index is in use.
func used(segments []*segment, index uint32) bool {
	block := index & (segmentSize - 1) >> blockBits
	return segments[index>>segmentBits].used[block/64].load()>>(block%64)&1 != 0
}
