package control

import (
	"bytes"
	"io"
	"testing"

	"github.com/ipalias/ipalias/capture"
)

// Wherever a recording breaks off, what was copied of it is a capture file up to its
// last whole frame.
func TestCopyBlocksKeepsWhole(t *testing.T) {
	var file bytes.Buffer
	w := capture.NewPcapngWriter(&file, "eth0")
	for n := range 3 {
		w.WriteFrame(int64(n), make([]byte, 20+n), "arp-answered")
	}
	w.WriteStatistics(0, 9, 3, 0)
	w.Close()
	all := file.Bytes()
	for n := range len(all) + 1 {
		var copied bytes.Buffer
		err := copyBlocks(&copied, bytes.NewReader(all[:n]))
		if whole := copied.Len() == n; whole != (err == nil) {
			t.Errorf("%d bytes of %d: %d copied, %v", n, len(all), copied.Len(), err)
		}
		if !bytes.HasPrefix(all, copied.Bytes()) {
			t.Fatalf("%d bytes: %x copied", n, copied.Bytes())
		}
		r, err := capture.NewReader(bytes.NewReader(copied.Bytes()))
		for err == nil {
			_, err = r.Next()
		}
		if copied.Len() > 0 && err != io.EOF {
			t.Errorf("%d bytes: the copy is damaged: %v", n, err)
		}
	}
	if err := copyBlocks(io.Discard, bytes.NewReader([]byte{6, 0, 0, 0, 255, 255, 255, 255})); err == nil {
		t.Error("a block of 4 GiB was copied")
	}
}
