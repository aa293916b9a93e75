package bench

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/ipalias/ipalias/responder"
)

// A Table is a set of alias addresses, numbered from 0 to Size-1.
// Tables differ in size and in kind, since these cost differently: scattered addresses lie in
// a hash, of which a random target misses the cache; a dense run is one range, however many
// addresses it has.
type Table struct {
	Name string // "64Ki-scattered"
	Size uint64

	few  []uint32 // all of them, if few
	base uint32   // of a dense table; 0: scattered
}

// Tables are what is measured, the smallest first.
var Tables = []*Table{
	{Name: "3", Size: 3, few: []uint32{0xac10030a, 0xac100364, 0xac1003c7}}, // 172.16.3.10, .100, .199
	{Name: "64Ki-scattered", Size: 1 << 16},
	{Name: "1Mi-scattered", Size: 1 << 20},
	{Name: "1Mi-dense", Size: 1 << 20, base: 10 << 24},
	{Name: "16Mi-dense", Size: 1 << 24, base: 10 << 24}, // 10.0.0.0/8
}

// FindTable finds a table by its name.
func FindTable(name string) (*Table, error) {
	for _, t := range Tables {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no table %q", name)
}

// Addr gives the address of a number below Size.
func (t *Table) Addr(i uint32) uint32 {
	// Computed and not listed: a list of the targets would itself be memory that misses.
	if t.base != 0 {
		return t.base + i
	}
	if t.few != nil {
		return t.few[i]
	}
	return 2<<30 | scatter(i)
}

// scatter is a permutation of the numbers below 2^30: multiplying by odd numbers
// and folding the upper bits in. With 2 above them they are addresses from
// 128.0.0.0 to 191.255.255.255, where none is special.
func scatter(i uint32) uint32 {
	const mask = 1<<30 - 1
	i ^= i >> 15
	i = i * 0x2c1b3c6d & mask
	i ^= i >> 12
	i = i * 0x297a2d39 & mask
	return i ^ i>>15
}

// ranges lists the table as a configuration would.
func (t *Table) ranges() responder.Ranges {
	if t.base != 0 {
		return responder.RangesOf(responder.Range{First: NetAddr(t.base), Last: NetAddr(t.base + uint32(t.Size-1))})
	}
	list := responder.Ranges{}.Grow(int(t.Size))
	for i := range t.Size {
		a := NetAddr(t.Addr(uint32(i)))
		list = list.Append(responder.Range{First: a, Last: a})
	}
	return list
}

// NetAddr gives the address that a number of Table.Addr stands for.
func NetAddr(a uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], a)
	return netip.AddrFrom4(b)
}
