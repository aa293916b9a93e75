package store

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const headerSize = 12

// castagnoli is CRC32C, RFC 3720 appendix B.4: finds every burst of up to 32
// flipped bits, and processors compute it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame makes a record of a payload. One slice, to be written with one call: a
// process that is killed leaves all of it or a beginning of it.
func frame(payload []byte) []byte {
	record := make([]byte, headerSize, headerSize+len(payload))
	binary.LittleEndian.PutUint32(record, uint32(len(payload)))
	binary.LittleEndian.PutUint32(record[4:], crc32.Checksum(record[:4], castagnoli))
	binary.LittleEndian.PutUint32(record[8:], crc32.Checksum(payload, castagnoli))
	return append(record, payload...)
}

// findings is what scan tells of a journal.
type findings struct {
	good      int64 // bytes up to the end of the last whole record
	whole     int   // records that replay took
	tail      int64 // bytes behind it that an interrupted append left
	damaged   int   // places that are neither
	damagedAt int64 // offset of the first of them
	why       string
}

func (f *findings) damage(at int64, why string) {
	if f.damaged == 0 {
		f.damagedAt, f.why = at, why
	}
	f.damaged++
}

// scan hands the payload of every good record in f to replay, which may keep
// it. Behind a damaged payload it goes on with the next record; a
// damaged header leaves nothing to go on with.
func scan(f io.Reader, replay func([]byte) error) (found findings, err error) {
	text, err := io.ReadAll(f)
	if err != nil {
		return found, err
	}
	switch {
	case len(text) < len(magic) && bytes.HasPrefix([]byte(magic), text):
		found.tail = int64(len(text))
		return found, nil
	case !bytes.HasPrefix(text, []byte(magic)):
		// Only its first line may be wrong: what follows is tried all the same.
		found.damage(0, "it does not begin as a journal does")
		if len(text) < len(magic) {
			return found, nil
		}
	}
	at := len(magic)
	for at < len(text) {
		rest := text[at:]
		// Bytes that were never written although the file had grown already:
		// some file systems leave zeros after a power cut.
		if unfinished(rest) {
			found.tail = int64(len(rest))
			break
		}
		length, ok := header(rest)
		if !ok {
			found.damage(int64(at), "a record's length is wrong")
			break
		}
		payload := rest[headerSize : headerSize+length : headerSize+length]
		if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(rest[8:]) {
			found.damage(int64(at), "a record's checksum is wrong")
		} else if err := replay(payload); err != nil {
			found.damage(int64(at), err.Error())
		} else {
			found.whole++
		}
		at += headerSize + length
	}
	found.good = int64(at)
	return found, nil
}

// header reads the length of the record that rest begins with, all of which
// lies in rest.
func header(rest []byte) (length int, ok bool) {
	n := binary.LittleEndian.Uint32(rest)
	return int(n), crc32.Checksum(rest[:4], castagnoli) == binary.LittleEndian.Uint32(rest[4:])
}

// unfinished tells whether rest is the beginning of a record, as an append that
// was interrupted leaves it.
func unfinished(rest []byte) bool {
	if len(bytes.Trim(rest, "\x00")) == 0 || len(rest) < headerSize {
		return true
	}
	length, ok := header(rest)
	return ok && length > len(rest)-headerSize
}
