package capture

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
)

// poke gives a copy of b with v at offset at.
func poke(b []byte, at int, v ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], v)
	return b
}

var claims4G = []byte{0xff, 0xff, 0xff, 0xff}

// damaged are files that can't be read to their end.
var damaged = func() []struct {
	name   string
	file   []byte
	frames int   // that are good
	offset int64 // of the error
	want   string
} {
	frame := testFrame(60, 1)
	pcap := cat(pcapHead(le, 0xa1b2c3d4, 1), record(le, 1, 0, 60, 60, frame)) // 24 + 76 bytes
	rec := record(le, 2, 0, 60, 60, frame)
	section, eth := sectionBlock(le), ifaceBlock(le, 1, 0) // 28 + 20 bytes
	ng := cat(section, eth, packetBlock(le, 0, 1, frame))  // 48 + 92 bytes
	packet := packetBlock(le, 0, 2, frame)
	return []struct {
		name   string
		file   []byte
		frames int
		offset int64
		want   string
	}{
		{"empty", nil, 0, 0, "file is empty, expected a pcap or pcapng capture"},
		{"three bytes", pcap[:3], 0, 0, "file has only 3 bytes, expected a pcap or pcapng capture"},
		{"text", []byte("hello, world\n"), 0, 0, `file begins with "hell", expected a pcap or pcapng capture`},
		{"gzip", []byte("\x1f\x8b\x08\x00rest"), 0, 0, "file is compressed with gzip: unpack it first, expected a pcap or pcapng capture"},
		{"modified pcap", []byte("\x34\xcd\xb2\xa1rest"), 0, 0, "file is in the modified pcap format of old Red Hat systems: convert it with editcap, expected a pcap or pcapng capture"},
		{"header cut", pcap[:23], 0, 0, "pcap file header: file ends after 23 of 24 bytes"},
		{"version", poke(pcap, 6, 3), 0, 0, "pcap file header: version is 2.3, expected 2.4"},
		{"link type", pcapHead(be, 0xa1b2c3d4, 113), 0, 0, `pcap file header: link type is 113 (Linux cooked, from capturing on "any"), expected 1 (Ethernet)`},
		{"unknown link type", pcapHead(be, 0xa1b2c3d4, 147), 0, 0, `pcap file header: link type is 147, expected 1 (Ethernet)`},
		{"record header cut", cat(pcap, rec[:15]), 1, 100, "packet record header: file ends after 15 of 16 bytes"},
		{"record cut", cat(pcap, rec[:75]), 1, 100, "packet record: file ends after 75 of 76 bytes"},
		{"record claims 4 GiB", cat(pcap, poke(rec, 8, claims4G...), rec), 1, 100, "packet record: captured length is 4294967295, expected at most 262144"},
		{"record claims a byte too many", cat(pcap, record(le, 2, 0, maxFrame+1, maxFrame+1, nil), make([]byte, maxFrame+1)), 1, 100,
			"packet record: captured length is 262145, expected at most 262144"},
		{"record claims 262144", cat(pcap, record(le, 2, 0, maxFrame, maxFrame, frame)), 1, 100, "packet record: file ends after 76 of 262160 bytes"},
		{"record longer than its frame", cat(pcap, poke(rec, 12, 59)), 1, 100, "packet record: captured length 60 is more than the frame's own length 59"},

		{"section cut in its length", section[:7], 0, 0, "block header: file ends after 7 of 8 bytes"},
		{"section cut in its magic", section[:11], 0, 0, "section header block: file ends after 11 of 12 bytes"},
		{"section cut", section[:27], 0, 0, "section header block: file ends after 27 of 28 bytes"},
		{"section magic", poke(section, 8, 1, 2, 3, 4), 0, 0, "section header block: byte-order magic is 01020304, expected 1a2b3c4d or 4d3c2b1a"},
		{"section too short", block(be, ngSection, []byte{0x1a, 0x2b, 0x3c, 0x4d}, make([]byte, 8)), 0, 0, "section header block: length is 24, expected at least 28"},
		{"section version", poke(section, 12, 2), 0, 0, "section header block: version is 2.0, expected 1.0"},
		{"section option", sectionBlock(le, []byte{4, 0, 8, 0}), 0, 0, "section header block: option 4 has 8 bytes, the block only 0 more"},
		{"second section magic", cat(ng, poke(section, 8, 1, 2, 3, 4)), 1, 140, "section header block: byte-order magic is 01020304, expected 1a2b3c4d or 4d3c2b1a"},

		{"80 bytes ask for 4 GiB", cat(section, eth, poke(packet, 4, 0xfc, 0xff, 0xff, 0xff)[:32]), 0, 48, "packet block: length is 4294967292, expected at most 16777216"},
		{"block claims 16 MiB", cat(ng, poke(packet, 4, 0, 0, 0, 1)), 1, 140, "packet block: file ends after 92 of 16777216 bytes"},
		{"block of length 0", cat(ng, poke(packet, 4, 0)), 1, 140, "packet block: length is 0, expected at least 12"},
		{"block of length 8", cat(ng, poke(packet, 4, 8)), 1, 140, "packet block: length is 8, expected at least 12"},
		{"block of length 91", cat(ng, poke(packet, 4, 91)), 1, 140, "packet block: length is 91, expected a multiple of 4"},
		{"block lengths differ", cat(ng, poke(packet, 88, 96)), 1, 140, "packet block: length at its end is 96, expected 92 as at its beginning"},
		{"unknown block claims 4 GiB", cat(ng, poke(block(le, 77), 4, claims4G...)), 1, 140, "block of type 0x0000004d: length is 4294967295, expected at most 16777216"},
		{"packet too short", cat(ng, block(le, ngEnhanced, make([]byte, 16))), 1, 140, "packet block: length is 28, expected at least 32"},
		{"packet claims 4 GiB", cat(ng, poke(packet, 20, claims4G...)), 1, 140, "packet block: captured length 4294967295 is more than the 60 bytes it has room for"},
		{"packet claims a byte too many", cat(ng, poke(packet, 20, 61)), 1, 140, "packet block: captured length 61 is more than the 60 bytes it has room for"},
		{"packet longer than its frame", cat(ng, poke(packet, 24, 59)), 1, 140, "packet block: captured length 60 is more than the frame's own length 59"},
		{"packet larger than any", cat(ng, packetBlock(le, 0, 1, make([]byte, maxFrame+4))), 1, 140, "packet block: captured length 262148 is more than the largest frame's 262144"},
		{"packet of interface 1", cat(ng, poke(packet, 8, 1)), 1, 140, "packet block: interface is 1, expected one of the 1 that its section has described"},
		{"packet of interface 4294967295", cat(ng, poke(packet, 8, claims4G...)), 1, 140, "packet block: interface is 4294967295, expected one of the 1 that its section has described"},
		{"packet before its interface", cat(ng, section, packet), 1, 168, "packet block: interface is 0, expected one of the 0 that its section has described"},
		{"packet option", cat(ng, packetBlock(le, 0, 1, frame, []byte{1, 0, 5, 0, 'a', 'b', 'c', 'd'})), 1, 140, "packet block: option 1 has 5 bytes, the block only 4 more"},
		{"packet link type", cat(ng, ifaceBlock(le, 127, 0), packetBlock(le, 1, 1, frame)), 1, 160, "packet block: link type of interface 1 is 127 (802.11 with radiotap), expected 1 (Ethernet)"},
		{"interface too short", cat(ng, block(le, ngIface, make([]byte, 4))), 1, 140, "interface block: length is 16, expected at least 20"},
		{"if_tsresol empty", cat(ng, ifaceBlock(le, 1, 0, option(le, ngResolution, ""))), 1, 140, "interface block: if_tsresol has 0 bytes, expected 1"},
		{"if_tsoffset short", cat(ng, ifaceBlock(le, 1, 0, option(le, ngTimeOffset, "1234567"))), 1, 140, "interface block: if_tsoffset has 7 bytes, expected 8"},
		{"simple too short", cat(ng, block(le, ngSimple)), 1, 140, "simple packet block: length is 12, expected at least 16"},
		{"simple claims 4 GiB", cat(ng, simpleBlock(le, math.MaxUint32, frame)), 1, 140, "simple packet block: captured length 4294967295 is more than the 60 bytes it has room for"},
		{"simple before its interface", cat(section, simpleBlock(le, 60, frame)), 0, 28, "simple packet block: interface is 0, expected one of the 0 that its section has described"},
		{"obsolete too short", cat(ng, block(le, ngObsolete, make([]byte, 16))), 1, 140, "obsolete packet block: length is 28, expected at least 32"},
		{"obsolete interface", cat(ng, obsoleteBlock(le, 9, 1, frame)), 1, 140, "obsolete packet block: interface is 9, expected one of the 1 that its section has described"},
	}
}()

func TestDamagedFiles(t *testing.T) {
	for _, tt := range damaged {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			frames, err := readAll(bytes.NewReader(tt.file))
			runtime.ReadMemStats(&after)
			var fe *FileError
			if !errors.As(err, &fe) {
				t.Fatalf("got error %v, want a FileError", err)
			}
			if got, want := err.Error(), fmt.Sprintf("byte %d: %s", tt.offset, tt.want); got != want || fe.Offset != tt.offset {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if len(frames) != tt.frames {
				t.Errorf("got %d frames before the damage, want %d", len(frames), tt.frames)
			}
			// The read-ahead buffer, the block buffer and this test's copies.
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
				t.Errorf("%d bytes were allocated for a file of %d", used, len(tt.file))
			}
		})
	}
}

// cutFiles are small good files with the places where cutting them leaves a good
// file.
func cutFiles() map[string]struct {
	file []byte
	good []int
} {
	type file = struct {
		file []byte
		good []int
	}
	a, b := testFrame(60, 1), testFrame(43, 2)
	build := func(parts ...[]byte) (f file) {
		for _, p := range parts {
			f.file = append(f.file, p...)
			f.good = append(f.good, len(f.file))
		}
		return f
	}
	return map[string]file{
		"pcap": build(
			pcapHead(be, 0xa1b23c4d, 1),
			record(be, 1, 0, 60, 60, a),
			record(be, 2, 0, 43, 60, b),
			record(be, 3, 0, 60, 60, a),
		),
		"pcapng": build(
			sectionBlock(le, option(le, ngApplication, "test")),
			ifaceBlock(le, 1, 0, option(le, ngResolution, "\x09")),
			packetBlock(le, 0, 1, a),
			simpleBlock(le, 43, b),
			sectionBlock(be),
			ifaceBlock(be, 1, 0),
			obsoleteBlock(be, 0, 1, b),
			packetBlock(be, 0, 3, a, option(be, ngComment, "x")),
		),
	}
}

func TestCutAtEveryByte(t *testing.T) {
	for name, f := range cutFiles() {
		whole, err := readAll(bytes.NewReader(f.file))
		if err != nil {
			t.Fatal(err)
		}
		for cut := range f.file {
			want, last := 0, 0 // frames that end before the cut; the last boundary before it
			for _, end := range f.good {
				if end <= cut {
					last = end
				}
			}
			for _, frame := range whole {
				if frame.Offset < int64(last) {
					want++
				}
			}
			got, err := readAll(bytes.NewReader(f.file[:cut]))
			if len(got) != want {
				t.Errorf("%s cut at %d: got %d frames, want %d", name, cut, len(got), want)
			}
			var fe *FileError
			switch {
			case cut == last && cut > 0:
				if err != nil {
					t.Errorf("%s cut at %d, between two records: %v", name, cut, err)
				}
			case !errors.As(err, &fe):
				t.Errorf("%s cut at %d: got error %v, want a FileError", name, cut, err)
			case fe.Offset != int64(last):
				t.Errorf("%s cut at %d: error is at %d, want %d", name, cut, fe.Offset, last)
			}
		}
	}
}

// TestOneByteWrong changes each byte of a file to a few values. Whatever happens, the
// frames that end before it must come through.
func TestOneByteWrong(t *testing.T) {
	for name, f := range cutFiles() {
		whole, _ := readAll(bytes.NewReader(f.file))
		for at := range f.file {
			for _, v := range []byte{0, 1, 0x7f, 0x80, 0xff, f.file[at] ^ 1, f.file[at] + 4} {
				got, _ := readAll(bytes.NewReader(poke(f.file, at, v)))
				for i, frame := range whole {
					end := f.good[slices.IndexFunc(f.good, func(e int) bool { return int64(e) > frame.Offset })]
					if end > at {
						break
					}
					if i >= len(got) || !bytes.Equal(got[i].Data, frame.Data) || got[i].Time != frame.Time {
						t.Fatalf("%s with byte %d set to %#x: frame %d was lost or changed", name, at, v, i)
					}
				}
			}
		}
	}
}
