package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// order is what the builders below need of both byte orders.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// testFrame is an Ethernet frame of an unassigned type with n bytes in all.
func testFrame(n int, mark byte) []byte {
	f := append([]byte{
		0x02, 0, 0, 0, 0x03, 0x01, // destination
		0x02, 0, 0, 0, 0x03, 0xc8, // source
		0x88, 0xb5, // type: for experiments
	}, bytes.Repeat([]byte{mark}, n)...)
	return f[:n]
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func pcapHead(o order, magic, link uint32) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)     // version
	b = o.AppendUint16(b, 4)     //
	b = o.AppendUint32(b, 0)     // time zone
	b = o.AppendUint32(b, 0)     // precision
	b = o.AppendUint32(b, 65535) // snapshot length
	return o.AppendUint32(b, link)
}

func record(o order, seconds, fraction, captured, length uint32, data []byte) []byte {
	b := o.AppendUint32(nil, seconds)
	b = o.AppendUint32(b, fraction)
	b = o.AppendUint32(b, captured)
	b = o.AppendUint32(b, length)
	return append(b, data...)
}

func block(o order, typ uint32, body ...[]byte) []byte {
	all := cat(body...)
	for len(all)%4 != 0 {
		all = append(all, 0)
	}
	b := o.AppendUint32(nil, typ)
	b = o.AppendUint32(b, uint32(len(all)+12))
	b = append(b, all...)
	return o.AppendUint32(b, uint32(len(all)+12))
}

func option(o order, code uint16, value string) []byte {
	b := o.AppendUint16(nil, code)
	b = o.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func sectionBlock(o order, options ...[]byte) []byte {
	b := o.AppendUint32(nil, ngByteOrder)
	b = o.AppendUint16(b, 1)              // version
	b = o.AppendUint16(b, 0)              //
	b = o.AppendUint64(b, math.MaxUint64) // length of the section: unknown
	return block(o, ngSection, b, cat(options...))
}

func ifaceBlock(o order, link uint16, snapshot uint32, options ...[]byte) []byte {
	b := o.AppendUint16(nil, link)
	b = o.AppendUint16(b, 0) // reserved
	b = o.AppendUint32(b, snapshot)
	return block(o, ngIface, b, cat(options...))
}

func pad4(data []byte) []byte { return append(slices.Clone(data), make([]byte, -len(data)&3)...) }

func packetBlock(o order, iface uint32, stamp uint64, data []byte, options ...[]byte) []byte {
	b := o.AppendUint32(nil, iface)
	b = o.AppendUint32(b, uint32(stamp>>32))
	b = o.AppendUint32(b, uint32(stamp))
	b = o.AppendUint32(b, uint32(len(data))) // captured
	b = o.AppendUint32(b, uint32(len(data))) // on the wire
	return block(o, ngEnhanced, b, pad4(data), cat(options...))
}

func obsoleteBlock(o order, iface uint16, stamp uint64, data []byte) []byte {
	b := o.AppendUint16(nil, iface)
	b = o.AppendUint16(b, 0xffff) // drops: unknown
	b = o.AppendUint32(b, uint32(stamp>>32))
	b = o.AppendUint32(b, uint32(stamp))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, uint32(len(data)))
	return block(o, ngObsolete, b, pad4(data))
}

func simpleBlock(o order, length uint32, data []byte) []byte {
	return block(o, ngSimple, o.AppendUint32(nil, length), pad4(data))
}

// readAll reads until an error, which is nil for a clean end. Data is copied.
func readAll(src io.Reader) ([]Frame, error) {
	r, err := NewReader(src)
	if err != nil {
		return nil, err
	}
	var frames []Frame
	for {
		f, err := r.Next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		f.Data = slices.Clone(f.Data)
		frames = append(frames, f)
	}
}
