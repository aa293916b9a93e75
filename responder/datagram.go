package responder

// What is known of one datagram while its pieces come; reassembly.go keeps them.

// A datagram in the making.
type datagram struct {
	key     fragmentKey
	started int64
	end     int                                          // how long the payload is, as far as is known
	have    int                                          // bytes of it that are here
	last    bool                                         // the last piece came: end is final
	ecn     uint8                                        // a bit for each ECN code point seen
	first   [ethLen + maxTags*vlanTagLen + ipMaxLen]byte // L2 and IPv4 header of the first piece
	l3      int                                          // 0: the first piece has not come
	ihl     int
	opt     options
	group   bool
	ready   bool
	piece   int    // payload bytes of the first piece, for Time Exceeded
	size    int    // the longest piece with its header
	sizeDF  int    // the longest piece that must not be fragmented
	nth     uint32 // the last piece's number among those of its source
	chunks  [datagramChunks]int16
	runs    [runMax]span // pieces, in the order of their offsets
	nruns   int
	next    int32 // in the chain of its hash
	older   int32 // neighbours by age
	younger int32
}

// A span is a run of pieces that came one behind the other.
type span struct{ first, end int32 }

// insert adds a piece to the runs of d. A piece behind the last one lengthens its
// run or begins a new one; one within a run is a duplicate; anything else that
// touches a run overlaps it, RFC 5722 3.
func (d *datagram) insert(s span) Verdict {
	if n := d.nruns; n > 0 && d.runs[n-1].end < s.end || n == 0 {
		switch {
		case n > 0 && s.first < d.runs[n-1].end:
			return FragmentOverlap
		case n > 0 && s.first == d.runs[n-1].end:
			d.runs[n-1].end = s.end
			return FragmentHeld
		}
		return d.insertRun(n, s)
	}
	i := 0
	for i < d.nruns && d.runs[i].end <= s.first {
		i++
	}
	switch o := d.runs[i]; {
	case s.end <= o.first:
		return d.insertRun(i, s)
	case s.first >= o.first && s.end <= o.end:
		return FragmentDuplicate
	}
	return FragmentOverlap
}

func (d *datagram) insertRun(i int, s span) Verdict {
	if d.nruns == runMax {
		return FragmentBad
	}
	copy(d.runs[i+1:d.nruns+1], d.runs[i:d.nruns])
	d.runs[i] = s
	d.nruns++
	return FragmentHeld
}

// mergeECN gives the ECN bits of a whole from those of its pieces, a bit for each
// code point seen: CE if one had it, and nothing at all (RFC 3168 5.3) if pieces
// that are not ECN capable are mixed with others.
func mergeECN(seen uint8) (ecn uint8, ok bool) {
	const notECT, ce = 1 << 0, 1 << 3
	if seen&notECT != 0 && seen != notECT {
		return 0, false
	}
	if seen&ce != 0 {
		return 3, true
	}
	return 0, true
}
