package responder

import (
	"reflect"
	"testing"
)

// TestPrefetch: the sizes that the assembly knows are those of the program, and it stops
// where its numbers end, none included.
func TestPrefetch(t *testing.T) {
	typ := reflect.TypeFor[row]()
	tx, _ := typ.FieldByName("tx")
	if typ.Size() != 24 || tx.Offset != 16 || window != 4 {
		t.Errorf("a row of %d bytes, its last word at %d, a window of %d: prefetch_*.s want 24, 16 and 4", typ.Size(), tx.Offset, window)
	}
	rows, index := make([]row, 8), make([]uint32, 8)
	prefetchSlots(index, nil)
	prefetchRows(rows, nil)
	prefetchSlots(index, []uint32{0, 7})
	prefetchRows(rows, []uint32{7, 0})
	if rows[7] != (row{}) || index[7] != 0 {
		t.Error("it changed something")
	}
}
