package responder

import (
	"math/rand/v2"
	"runtime"
)

// Reassembly, RFC 791 3.2 and RFC 815, with RFC 5722's stance on overlaps: a datagram
// whose pieces overlap is thrown away. It follows Linux's ip_frag_queue check by
// check, but for memory: datagrams and their bytes are bounded by what is
// allocated here, and when that is used up the oldest datagram makes room.
const (
	fragmentTime   = 30e9 // ns that a datagram waits for its pieces (ipfrag_time)
	chunkSize      = 2 << 10
	chunks         = 2048 // 4 MiB
	datagramChunks = 64 << 10 / chunkSize
	datagramMax    = 1024 // datagrams in the making
	runMax         = 128  // disjoint runs of pieces in one datagram
	distanceMax    = 64   // other pieces of one source between two of a datagram (ipfrag_max_dist)
	noChunk        = -1
	none           = -1 // index of no datagram
)

// A fragmentKey names a datagram, RFC 791 3.2; the interface is part of it
// because VLANs are networks of their own.
type fragmentKey struct {
	iface    uint32 // state.ordinal; a pointer could not lie in mapped memory
	src, dst uint32
	ident    uint16
	protocol uint8
}

// reassembler holds the datagrams of one worker.
type reassembler struct {
	datagrams []datagram
	memory    []byte             // chunks of chunkSize
	free      []int16            // chunks
	spare     []int32            // datagrams
	heads     [datagramMax]int32 // chains by hash of the key; none ends one
	seed      uint32
	oldest    int32
	youngest  int32
	whole     []byte       // a datagram that is complete
	pieces    [4096]uint32 // counts of pieces, by the hash of their source
}

func (r *reassembler) init() {
	r.whole = make([]byte, ipMaxLen+maxDatagram+1)
	r.seed = rand.Uint32()
	r.oldest, r.youngest = none, none
	for i := range r.heads {
		r.heads[i] = none
	}
	for i := range chunks {
		r.free = append(r.free, int16(chunks-1-i))
	}
	for i := range datagramMax {
		r.spare = append(r.spare, int32(datagramMax-1-i))
	}
}

// reserve gives w's reassembler its memory, once, before the first interface comes into
// force. It is mapped: of memory that the heap had used before, five megabytes would be
// resident although most never see a fragment.
func (w *Worker) reserve() (err error) {
	r := &w.fragments
	if r.memory != nil {
		return nil
	}
	datagrams, err := mapMemory[datagram](datagramMax)
	if err != nil {
		return err
	}
	runtime.AddCleanup(w, unmapMemory[datagram], datagrams)
	memory, err := mapMemory[byte](chunks * chunkSize)
	if err != nil {
		return err
	}
	runtime.AddCleanup(w, unmapMemory[byte], memory)
	r.datagrams, r.memory = datagrams, memory
	return nil
}

// reassemble takes a fragment. done is true if it made its datagram whole: p then
// is the datagram.
func (w *Worker) reassemble(p *packet) (v Verdict, done bool) {
	r := &w.fragments
	key := fragmentKey{p.l.ordinal, p.src, p.dst, be16(p.ip[ipIdent:]), p.ip[ipProtocol]}
	at := r.find(key)
	count := &r.pieces[hash(key.src^r.seed)>>20]
	*count++
	// A source that sent so much in between has come round to the same
	// identification: what is here belongs to another datagram.
	if at != none && *count-r.datagrams[at].nth > distanceMax {
		r.drop(at)
		at = none
	}
	if at == none {
		at = r.start(key, w.now)
	}
	d := &r.datagrams[at]
	d.nth = *count
	v = r.add(d, p)
	switch {
	case v == FragmentDuplicate:
		// Not even if its last-fragment flag is what was missing: as Linux.
	case v != FragmentHeld:
		r.drop(at)
	case d.last && d.l3 != 0 && d.have == d.end:
		done = r.complete(d, p)
		r.drop(at)
		if !done {
			v = FragmentBad
		}
	}
	return v, done
}

// head is the chain that a key is in. The seed keeps others from choosing it.
func (r *reassembler) head(k *fragmentKey) *int32 {
	h := hash(hash(k.src^r.seed)^k.dst) ^ uint32(k.ident)<<8 ^ uint32(k.protocol)
	return &r.heads[hash(h^r.seed)%datagramMax]
}

// find gives the datagram of a key, none if there is none.
func (r *reassembler) find(key fragmentKey) int32 {
	at := *r.head(&key)
	for at != none && r.datagrams[at].key != key {
		at = r.datagrams[at].next
	}
	return at
}

// start makes a new datagram; the oldest goes if there is no room.
func (r *reassembler) start(key fragmentKey, now int64) int32 {
	if len(r.spare) == 0 {
		r.drop(r.oldest)
	}
	at := r.spare[len(r.spare)-1]
	r.spare = r.spare[:len(r.spare)-1]
	d := &r.datagrams[at]
	head := r.head(&key)
	*d = datagram{key: key, started: now, next: *head, older: r.youngest, younger: none}
	*head = at
	for i := range d.chunks {
		d.chunks[i] = noChunk
	}
	if r.youngest != none {
		r.datagrams[r.youngest].younger = at
	} else {
		r.oldest = at
	}
	r.youngest = at
	return at
}

// drop gives back all that a datagram holds.
func (r *reassembler) drop(at int32) {
	d := &r.datagrams[at]
	for i, c := range d.chunks {
		if c != noChunk {
			r.free = append(r.free, c)
			d.chunks[i] = noChunk
		}
	}
	if d.older != none {
		r.datagrams[d.older].younger = d.younger
	} else {
		r.oldest = d.younger
	}
	if d.younger != none {
		r.datagrams[d.younger].older = d.older
	} else {
		r.youngest = d.older
	}
	link := r.head(&d.key)
	for *link != at {
		link = &r.datagrams[*link].next
	}
	*link = d.next
	r.spare = append(r.spare, at)
}

// add puts the piece p into d.
func (r *reassembler) add(d *datagram, p *packet) Verdict {
	field := be16(p.ip[ipFragment:])
	first := int(field&offsetMask) * 8
	data := p.payload()
	end := first + len(data)
	if field&flagMF == 0 {
		if end < d.end || d.last && end != d.end {
			return FragmentBad
		}
		d.last, d.end = true, end
	} else {
		end &^= 7 // a piece that is not the last is cut to whole units of 8 bytes
		if end > d.end {
			if d.last {
				return FragmentBad
			}
			d.end = end
		}
	}
	if end <= first {
		return FragmentBad
	}
	if v := d.insert(span{int32(first), int32(end)}); v != FragmentHeld {
		return v
	}
	// What lies beyond 65535 is not kept: such a datagram will never be whole.
	if end <= datagramChunks*chunkSize && !r.store(d, first, data[:end-first]) {
		return FragmentBad
	}
	d.have += end - first
	d.size = max(d.size, p.ihl+end-first)
	if field&flagDF != 0 {
		d.sizeDF = max(d.sizeDF, p.ihl+end-first)
	}
	d.ecn |= 1 << (p.ip[ipTOS] & 3)
	if first == 0 {
		copy(d.first[:], p.frame[:p.l3])
		copy(d.first[p.l3:], p.ip[:p.ihl])
		d.l3, d.ihl, d.opt, d.group, d.piece = p.l3, p.ihl, p.opt, p.group, end
	}
	d.ready = d.ready || p.ready
	return FragmentHeld
}

// store copies the bytes of a piece to their chunks. The oldest datagrams make
// room; a datagram that is alone and finds none is given up.
func (r *reassembler) store(d *datagram, at int, data []byte) bool {
	for len(data) > 0 {
		c := &d.chunks[at/chunkSize]
		for *c == noChunk {
			if n := len(r.free); n > 0 {
				*c = r.free[n-1]
				r.free = r.free[:n-1]
				break
			}
			old := r.oldest
			if &r.datagrams[old] == d {
				old = d.younger
			}
			if old == none {
				return false
			}
			r.drop(old)
		}
		n := copy(r.memory[int(*c)*chunkSize+at%chunkSize:(int(*c)+1)*chunkSize], data)
		data, at = data[n:], at+n
	}
	return true
}

// complete makes p the whole datagram d, with the header of its first piece: no
// fragment any more, the length of the whole, ECN as RFC 3168 5.3 wants it. ok is
// false if that can't be.
func (r *reassembler) complete(d *datagram, p *packet) (ok bool) {
	ecn, ok := mergeECN(d.ecn)
	if !ok || d.ihl+d.end > maxDatagram {
		return false
	}
	h := r.whole[:d.ihl]
	copy(h, d.first[d.l3:d.l3+d.ihl])
	h[ipTOS] |= ecn
	put16(h[ipTotalLen:], uint16(d.ihl+d.end))
	put16(h[ipFragment:], 0)
	if d.sizeDF == d.size {
		put16(h[ipFragment:], flagDF) // what was cut was not to be cut further
	}
	put16(h[ipChecksum:], 0)
	putChecksum(h[ipChecksum:], sum(0, h))
	r.copyTo(r.whole[d.ihl:], d, d.end)
	copy(p.frame, d.first[:d.l3])
	p.ip, p.ihl, p.opt, p.group, p.whole = r.whole[:d.ihl+d.end], d.ihl, d.opt, d.group, true
	p.ready = d.ready
	return true
}

// copyTo copies the first n bytes of d's payload.
func (r *reassembler) copyTo(to []byte, d *datagram, n int) {
	for i := 0; i*chunkSize < n; i++ {
		at := int(d.chunks[i]) * chunkSize
		copy(to[i*chunkSize:n], r.memory[at:at+chunkSize])
	}
}

// expire gives up the datagrams that waited too long. Who sent the first piece of
// one is told, RFC 792: Time Exceeded, code 1, about that piece. It tells when
// the next one runs out, 0 for never.
func (w *Worker) expire() (wake int64) {
	r := &w.fragments
	for r.oldest != none {
		d := &r.datagrams[r.oldest]
		if due := d.started + fragmentTime; due > w.now {
			return due
		}
		if d.l3 != 0 {
			w.timeExceeded(d)
		}
		r.drop(r.oldest)
	}
	return 0
}

// timeExceeded tells the sender of d's first piece that the rest did not come.
func (w *Worker) timeExceeded(d *datagram) {
	r := &w.fragments
	l := w.set.byOrdinal(d.key.iface)
	if l == nil {
		return // the interface is gone
	}
	if !l.table.has(d.key.dst) {
		return // the alias is gone
	}
	w.enter(l)
	n := min(d.piece, maxError)
	frame := r.whole[:d.l3+d.ihl+n]
	copy(frame, d.first[:d.l3+d.ihl])
	r.copyTo(frame[d.l3+d.ihl:], d, n)
	w.refuse(&packet{
		l: l, row: w.row(l, d.key.dst), frame: frame, l3: d.l3, ip: frame[d.l3:], ihl: d.ihl,
		src: d.key.src, dst: d.key.dst, to: d.key.src, opt: d.opt, group: d.group,
	}, icmpTimeExceeded, codeReassembly, 0, FragmentHeld)
}
