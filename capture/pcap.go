package capture

import "encoding/binary"

// The classic format, draft-ietf-opsawg-pcap: one file header, then records. There
// is nothing to find the next record by but the length of this one, so the first
// length that is wrong ends the reading.

const (
	pcapHeader = 24 // magic, version, two words unused, snapshot length, link type
	pcapRecord = 16 // seconds, fraction, captured length, length on the wire
)

// openPcap reads the file header. unit is how many nanoseconds one unit of a
// stamp's fraction has.
func (r *Reader) openPcap(order binary.ByteOrder, unit int64) error {
	r.order, r.unit, r.next = order, unit, r.nextRecord
	if err := r.load("pcap file header", pcapHeader); err != nil {
		return err
	}
	// Before 2.4 the two lengths of a record were swapped; nothing has written that
	// for twenty years, and nothing newer exists.
	if major, minor := order.Uint16(r.buf[4:]), order.Uint16(r.buf[6:]); major != 2 || minor != 4 {
		return r.fail("pcap file header: version is %d.%d, expected 2.4", major, minor)
	}
	// The snapshot length is not looked at: many writers leave it at 0 or 1500
	// whatever they write, and tcpdump and Wireshark read those files. The upper half
	// of the link type's word tells of a frame check sequence.
	if link := order.Uint32(r.buf[20:]) & 0xffff; link != linkEthernet {
		return r.fail("pcap file header: link type is %s, expected %s", linkName(link), linkName(linkEthernet))
	}
	return nil
}

func (r *Reader) nextRecord() (Frame, error) {
	r.begin()
	if err := r.load("packet record header", pcapRecord); err != nil {
		return Frame{}, err
	}
	seconds, fraction := r.order.Uint32(r.buf), r.order.Uint32(r.buf[4:])
	captured, length := r.order.Uint32(r.buf[8:]), r.order.Uint32(r.buf[12:])
	if captured > maxFrame {
		return Frame{}, r.fail("packet record: captured length is %d, expected at most %d", captured, maxFrame)
	}
	if err := r.load("packet record", pcapRecord+int(captured)); err != nil {
		return Frame{}, err
	}
	// Cannot overflow: 2^32 seconds and 2^32 microseconds are less than half of what
	// 63 bits of nanoseconds hold.
	time := int64(seconds)*1e9 + int64(fraction)*r.unit
	return r.frame("packet record", time, captured, length, r.buf[pcapRecord:])
}
