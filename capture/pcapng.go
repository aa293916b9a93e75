package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// The newer format, draft-ietf-opsawg-pcapng: blocks, each with its type and, at
// both ends, its length. Sections begin anew with a byte order and interfaces of
// their own.

const (
	ngSection    = 0x0a0d0d0a // the same in either byte order
	ngIface      = 1
	ngObsolete   = 2 // the packet block before there was the enhanced one
	ngSimple     = 3
	ngStatistics = 5
	ngEnhanced   = 6
	ngByteOrder  = 0x1a2b3c4d

	ngBlockHead = 8  // type, length
	ngBlockMin  = 12 // and the length once more at the end

	// maxInterfaces of a section. An interface block costs its writer 20 bytes, so
	// without a limit the list would grow with the file.
	maxInterfaces = 65536
)

// The options that are read or written; the same numbers mean other things in other
// blocks.
const (
	ngEndOfOptions = 0
	ngComment      = 1 // any block
	ngName         = 2 // interface
	ngFlags        = 2 // enhanced packet
	ngApplication  = 4 // section header
	ngReceived     = 4 // statistics
	ngDropped      = 5 // statistics
	ngResolution   = 9 // interface
	ngTimeOffset   = 14

	// Of ngFlags, the lowest two bits.
	ngInbound  = 1
	ngOutbound = 2
)

// An ngInterface is what later blocks need of an interface description.
type ngInterface struct {
	link       uint16
	snapshot   uint32 // 0 for no limit
	resolution uint8  // if_tsresol: 10^-n, or 2^-n with the top bit set
	offset     int64  // if_tsoffset: seconds to be added to a stamp
}

// openPcapng reads the first section header, whose first bytes are loaded.
func (r *Reader) openPcapng() error {
	r.next = r.nextPacket
	_, body, err := r.block()
	if err != nil {
		return err
	}
	return r.section(body)
}

// nextPacket walks the blocks up to the next one that holds a frame. Blocks of
// other types are passed over, as the format wants it.
func (r *Reader) nextPacket() (Frame, error) {
	for {
		r.begin()
		typ, body, err := r.block()
		if err != nil {
			return Frame{}, err
		}
		switch typ {
		case ngSection:
			err = r.section(body)
		case ngIface:
			err = r.iface(body)
		case ngEnhanced, ngObsolete:
			return r.packet(typ, body)
		case ngSimple:
			return r.simplePacket(body)
		}
		if err != nil {
			return Frame{}, err
		}
	}
}

// block reads one whole block and returns what is between its head and its tail. The
// length of body is a multiple of four.
func (r *Reader) block() (typ uint32, body []byte, err error) {
	if err := r.load("block header", ngBlockHead); err != nil {
		return 0, nil, err
	}
	if binary.BigEndian.Uint32(r.buf) == ngSection {
		if err := r.byteOrder(); err != nil {
			return 0, nil, err
		}
	}
	typ = r.order.Uint32(r.buf)
	length := r.order.Uint32(r.buf[4:])
	switch {
	case length < ngBlockMin:
		err = r.fail("%s: length is %d, expected at least %d", blockName(typ), length, ngBlockMin)
	case length > maxBlock:
		err = r.fail("%s: length is %d, expected at most %d", blockName(typ), length, maxBlock)
	case length%4 != 0:
		err = r.fail("%s: length is %d, expected a multiple of 4", blockName(typ), length)
	default:
		err = r.load(blockName(typ), int(length))
	}
	if err != nil {
		return 0, nil, err
	}
	tail := len(r.buf) - 4
	if again := r.order.Uint32(r.buf[tail:]); again != length {
		return 0, nil, r.fail("%s: length at its end is %d, expected %d as at its beginning", blockName(typ), again, length)
	}
	return typ, r.buf[ngBlockHead:tail], nil
}

// byteOrder learns the byte order of a section, which its header's own length is
// written in already.
func (r *Reader) byteOrder() error {
	if err := r.load(blockName(ngSection), ngBlockHead+4); err != nil {
		return err
	}
	magic := r.buf[ngBlockHead:]
	switch {
	case binary.BigEndian.Uint32(magic) == ngByteOrder:
		r.order = binary.BigEndian
	case binary.LittleEndian.Uint32(magic) == ngByteOrder:
		r.order = binary.LittleEndian
	default:
		return r.fail("%s: byte-order magic is %x, expected 1a2b3c4d or 4d3c2b1a", blockName(ngSection), magic)
	}
	return nil
}

func (r *Reader) section(body []byte) error {
	const fixed = 16 // byte-order magic, version, section length
	if len(body) < fixed {
		return r.short(ngSection, body, fixed)
	}
	// The format has 1.2 read as 1.0: the number was once raised by mistake.
	major, minor := r.order.Uint16(body[4:]), r.order.Uint16(body[6:])
	if major != 1 || minor != 0 && minor != 2 {
		return r.fail("%s: version is %d.%d, expected 1.0", blockName(ngSection), major, minor)
	}
	r.interfaces = r.interfaces[:0]
	return r.options(ngSection, body[fixed:], nil)
}

func (r *Reader) iface(body []byte) error {
	const fixed = 8 // link type, two bytes unused, snapshot length
	if len(body) < fixed {
		return r.short(ngIface, body, fixed)
	}
	if len(r.interfaces) == maxInterfaces {
		return r.fail("%s: section has more than %d interfaces", blockName(ngIface), maxInterfaces)
	}
	i := ngInterface{link: r.order.Uint16(body), snapshot: r.order.Uint32(body[4:]), resolution: 6}
	err := r.options(ngIface, body[fixed:], func(code uint16, value []byte) error {
		switch {
		case code == ngResolution && len(value) != 1:
			return r.fail("%s: if_tsresol has %d bytes, expected 1", blockName(ngIface), len(value))
		case code == ngResolution:
			i.resolution = value[0]
		case code == ngTimeOffset && len(value) != 8:
			return r.fail("%s: if_tsoffset has %d bytes, expected 8", blockName(ngIface), len(value))
		case code == ngTimeOffset:
			i.offset = int64(r.order.Uint64(value))
		}
		return nil
	})
	r.interfaces = append(r.interfaces, i)
	return err
}

// packet reads an enhanced packet block, or the obsolete one, which has two bytes of
// interface number and two of a drop count where the other has four.
func (r *Reader) packet(typ uint32, body []byte) (Frame, error) {
	const fixed = 20 // interface, time in two halves, captured length, length on the wire
	if len(body) < fixed {
		return Frame{}, r.short(typ, body, fixed)
	}
	number := r.order.Uint32(body)
	if typ == ngObsolete {
		number = uint32(r.order.Uint16(body))
	}
	i, err := r.ethernet(typ, number)
	if err != nil {
		return Frame{}, err
	}
	time, ok := i.nanoseconds(uint64(r.order.Uint32(body[4:]))<<32 | uint64(r.order.Uint32(body[8:])))
	if !ok {
		return Frame{}, r.fail("%s: time is beyond the years 1970 to 2262", blockName(typ))
	}
	f, err := r.frame(blockName(typ), time, r.order.Uint32(body[12:]), r.order.Uint32(body[16:]), body[fixed:])
	if err != nil {
		return Frame{}, err
	}
	r.last = time
	padded := (len(f.Data) + 3) &^ 3
	return f, r.options(typ, body[fixed+padded:], nil)
}

// simplePacket reads a block that has the length on the wire alone: what was
// captured of it follows from the snapshot length of the first interface.
func (r *Reader) simplePacket(body []byte) (Frame, error) {
	const fixed = 4
	if len(body) < fixed {
		return Frame{}, r.short(ngSimple, body, fixed)
	}
	i, err := r.ethernet(ngSimple, 0)
	if err != nil {
		return Frame{}, err
	}
	length := r.order.Uint32(body)
	captured := length
	if i.snapshot != 0 {
		captured = min(captured, i.snapshot)
	}
	return r.frame(blockName(ngSimple), r.last, captured, length, body[fixed:])
}

// ethernet finds the interface of a frame. An interface of another kind is an error
// only when it has frames: captures list many that were silent.
func (r *Reader) ethernet(typ, number uint32) (*ngInterface, error) {
	if uint64(number) >= uint64(len(r.interfaces)) {
		return nil, r.fail("%s: interface is %d, expected one of the %d that its section has described", blockName(typ), number, len(r.interfaces))
	}
	i := &r.interfaces[number]
	if i.link != linkEthernet {
		return nil, r.fail("%s: link type of interface %d is %s, expected %s", blockName(typ), number, linkName(uint32(i.link)), linkName(linkEthernet))
	}
	return i, nil
}

// options hands each option of a block to each, if there is one. The list may lack
// its end: then it ends with the block.
func (r *Reader) options(typ uint32, list []byte, each func(code uint16, value []byte) error) error {
	for len(list) > 0 {
		code, length := r.order.Uint16(list), int(r.order.Uint16(list[2:])) // list is padded to 4
		list = list[4:]
		if code == ngEndOfOptions {
			return nil
		}
		if length > len(list) {
			return r.fail("%s: option %d has %d bytes, the block only %d more", blockName(typ), code, length, len(list))
		}
		if each != nil {
			if err := each(code, list[:length]); err != nil {
				return err
			}
		}
		list = list[(length+3)&^3:]
	}
	return nil
}

func (r *Reader) short(typ uint32, body []byte, fixed int) error {
	return r.fail("%s: length is %d, expected at least %d", blockName(typ), len(body)+ngBlockMin, fixed+ngBlockMin)
}

// nanoseconds turns a stamp into nanoseconds since the Unix epoch, rounded down, and
// tells whether that is possible: from 1970 to 2262.
func (i *ngInterface) nanoseconds(stamp uint64) (int64, bool) {
	// Nanoseconds in 128 bits first: a stamp of seconds, or a large offset, leaves 64.
	hi, lo := uint64(0), stamp
	switch n := uint(i.resolution & 0x7f); {
	case i.resolution&0x80 != 0:
		hi, lo = bits.Mul64(stamp, 1e9)
		if n >= 64 {
			hi, lo = 0, hi>>(n-64)
		} else {
			hi, lo = hi>>n, lo>>n|hi<<(64-n)
		}
	case n <= 9:
		scale := uint64(1)
		for ; n < 9; n++ {
			scale *= 10
		}
		hi, lo = bits.Mul64(stamp, scale)
	default:
		for ; n > 9 && lo > 0; n-- {
			lo /= 10
		}
	}
	// hi is below 1e9, the largest factor, so the quotient fits.
	seconds, rest := bits.Div64(hi, lo, 1e9)
	if i.offset < 0 {
		back := -uint64(i.offset)
		if back > seconds {
			return 0, false
		}
		seconds -= back
	} else {
		var carry uint64
		if seconds, carry = bits.Add64(seconds, uint64(i.offset), 0); carry != 0 {
			return 0, false
		}
	}
	if seconds >= maxSeconds {
		return 0, false
	}
	return int64(seconds*1e9 + rest), true
}

func blockName(typ uint32) string {
	switch typ {
	case ngSection:
		return "section header block"
	case ngIface:
		return "interface block"
	case ngEnhanced:
		return "packet block"
	case ngObsolete:
		return "obsolete packet block"
	case ngSimple:
		return "simple packet block"
	}
	return fmt.Sprintf("block of type 0x%08x", typ)
}
