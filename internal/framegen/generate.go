package framegen

import (
	"math/rand/v2"
	"net/netip"
)

// A Host is what the frames are made for, and its neighbourhood.
// Frames are made about its edges: an address beside an alias, a MAC one bit from its own.
type Host struct {
	MAC     MAC
	Aliases []netip.Addr // what it answers for
	Network netip.Prefix // on link
	Gateway netip.Addr
	From    MAC // where ordinary frames come from: the gateway's
}

// Lab is the host of the recordings of the kernel.
// A seed gives the same frames as long as it stays as it is.
func Lab() Host {
	return Host{
		MAC:     MAC{0x02, 0, 0, 0, 3, 1},
		From:    MAC{0x02, 0, 0, 0, 3, 0xc8},
		Network: netip.MustParsePrefix("172.16.3.0/24"),
		Gateway: netip.MustParseAddr("172.16.3.200"),
		Aliases: []netip.Addr{
			netip.MustParseAddr("172.16.3.1"),
			netip.MustParseAddr("172.16.3.10"),
			netip.MustParseAddr("172.16.3.100"),
		},
	}
}

// A Sequence is frames that belong together: mostly one, or the pieces of a
// datagram. Its identifications are its own for the next ten thousands of sequences.
type Sequence struct {
	Group   string // what it was made as: "echo", "tcp", ...
	Mutated bool
	Frames  [][]byte
}

// A Generator makes sequences.
type Generator struct {
	r  *rand.Rand
	h  Host
	id uint16 // of the next datagram
}

// New makes a Generator whose sequences depend on the seed and the host alone.
func New(h Host, seed uint64) *Generator {
	// PCG's numbers follow from its seed by definition; package rand's own source takes no seed.
	// The second half of it is "ipalias" in ASCII.
	return &Generator{r: rand.New(rand.NewPCG(seed, 0x6970616c696173)), h: h}
}

// The groups, and how many of seventeen sequences are of each.
var groups = []struct {
	name   string
	weight int
	make   func(*Generator) [][]byte
}{
	{"arp", 2, (*Generator).arp},
	{"echo", 2, (*Generator).echo},
	{"icmp", 1, (*Generator).icmp},
	// Options and fragments are where two IP stacks differ most.
	{"options", 3, (*Generator).options},
	{"fragments", 3, (*Generator).fragments},
	{"udp", 2, (*Generator).udp},
	{"udplite", 1, (*Generator).udplite},
	{"tcp", 2, (*Generator).tcp},
	{"protocol", 1, (*Generator).protocol},
}

// Groups names the groups of sequences that Next makes.
func Groups() []string {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	return names
}

// Next makes the next sequence.
func (g *Generator) Next() Sequence {
	total := 0
	for _, group := range groups {
		total += group.weight
	}
	at := g.r.IntN(total)
	for _, group := range groups {
		if at -= group.weight; at < 0 {
			s := Sequence{Group: group.name, Frames: group.make(g)}
			// Half is left as it was made: a mutation mostly hides what the group was for.
			g.surround(s.Frames)
			if g.chance(2) {
				s.Mutated = true
				s.Frames = g.mutate(s.Frames)
			}
			return s
		}
	}
	panic("unreachable")
}

// chance is true once in n times.
func (g *Generator) chance(n int) bool { return g.r.IntN(n) == 0 }

func pick[T any](g *Generator, list ...T) T { return list[g.r.IntN(len(list))] }

func (g *Generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	return b
}

// target is one of the addresses answered for, most of the time.
func (g *Generator) target() netip.Addr {
	if g.chance(24) {
		return g.oddAddress()
	}
	return pick(g, g.h.Aliases...)
}

// source is a host that may well ask.
func (g *Generator) source() netip.Addr {
	switch g.r.IntN(16) {
	case 0:
		return g.oddAddress()
	case 1, 2:
		return netip.AddrFrom4([4]byte{10, 9, byte(g.r.IntN(4)), byte(g.r.IntN(16))}) // off link; not many, hosts remember them
	case 3, 4, 5:
		a := g.h.Network.Addr().As4()
		a[3] = byte(g.r.IntN(256)) // on link
		return netip.AddrFrom4(a)
	}
	return g.h.Gateway
}

func (g *Generator) oddAddress() netip.Addr {
	n := g.h.Network.Addr().As4()
	any4 := netip.AddrFrom4
	return pick(g,
		pick(g, g.h.Aliases...),
		any4(n),
		any4([4]byte{n[0], n[1], n[2], 255}),
		any4([4]byte{n[0], n[1], n[2], 50}),
		any4([4]byte{n[0], n[1], n[2], 201}),
		any4([4]byte{}),
		// 0/8 and 127/8 are nobody's on a wire (RFC 1122 3.2.1.3), 240/4 is reserved (RFC 1112 4).
		any4([4]byte{0, 0, 0, 1}),
		any4([4]byte{0, 255, 255, 255}),
		any4([4]byte{127, 0, 0, 1}),
		any4([4]byte{127, 255, 255, 255}),
		any4([4]byte{224, 0, 0, 1}),
		any4([4]byte{224, 0, 0, 251}),
		any4([4]byte{239, 255, 255, 250}),
		any4([4]byte{240, 0, 0, 1}),
		any4([4]byte{255, 255, 255, 254}),
		any4([4]byte{255, 255, 255, 255}),
		any4([4]byte{169, 254, 1, 1}),
		any4([4]byte{8, 8, 8, 8}),
		any4([4]byte{192, 0, 2, 1}),
		any4([4]byte{1, 0, 0, 0}),
	)
}

func (g *Generator) oddMAC() MAC {
	return pick(g,
		g.h.MAC, g.h.From, Broadcast,
		MAC{},
		MAC{0x01, 0, 0x5e, 0, 0, 1},                    // IPv4 multicast
		MAC{0x33, 0x33, 0, 0, 0, 1},                    // IPv6 multicast
		MAC{0x01, 0x80, 0xc2, 0, 0, 0},                 // never forwarded by bridges, IEEE 802.1D
		MAC{0x02, 0, 0, 0, 3, 0xc9},                    // another host
		MAC{0x02, 0, 0, 0, 3, 0x02},                    // one bit from ours
		MAC{0x00, 0, 0, 0, 0, 1},                       // nearly zero
		MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xfe},        // nearly broadcast
		MAC{0x03, 0, 0, 0, 3, 0x01},                    // ours with the group bit
		MAC{0x02, 0, 0x5e, 0x10, 0, byte(g.r.IntN(4))}, // more hosts
	)
}

// datagram starts a datagram from a likely source to a likely target, with
// headers that are odd now and then and a fresh identification.
func (g *Generator) datagram(protocol byte) IPv4 {
	g.id++
	d := IPv4{Protocol: protocol, ID: g.id, Src: g.source(), Dst: g.target()}
	if g.chance(4) {
		d.TOS = pick(g, byte(g.r.Uint32()), 1, 2, 3, 0x10, 0x1c, 0x1e, 0x20, 0xb8, 0xe0, 0xff)
	}
	if g.chance(8) {
		d.TTL = pick[byte](g, 1, 2, 32, 63, 255)
	}
	if g.chance(6) {
		d.Flags = pick[uint16](g, DontFragment, DontFragment, Reserved, Reserved|DontFragment)
	}
	return d
}

func (g *Generator) frame(d IPv4) []byte {
	return Ether(g.h.MAC, g.h.From, TypeIPv4, d.Bytes())
}

// surround changes what is around the datagrams of a sequence, now and then.
// It comes before mutations and touches no byte of the datagrams, so that checksums stay right.
func (g *Generator) surround(frames [][]byte) {
	switch g.r.IntN(40) {
	case 0:
		mac := g.oddMAC()
		for _, f := range frames {
			copy(f, mac[:])
		}
	case 1:
		mac := g.oddMAC()
		for _, f := range frames {
			copy(f[6:], mac[:])
		}
	case 2:
		for i := range frames {
			frames[i] = Tag(frames[i], pick[uint16](g, TypeVLAN, TypeVLAN, TypeQinQ, 0x9100), g.control())
			if g.chance(4) {
				frames[i] = Tag(frames[i], pick[uint16](g, TypeVLAN, TypeQinQ), g.control())
			}
		}
	case 3, 4, 5:
		for i, f := range frames {
			frames[i] = append(f, g.bytes(g.padding(len(f)))...)
		}
	}
}

// control makes the priority and number of a VLAN tag: mostly number 0.
// Other tags are dropped at once by a host without VLANs, and would be wasted.
func (g *Generator) control() uint16 {
	return pick[uint16](g, 0, 0, 0xe000, 0x1000, 0xf000, 1, 100, 0xfff)
}

func (g *Generator) padding(n int) int {
	// As a card pads to the smallest frame of IEEE 802.3, its checksum aside.
	if n < 60 && !g.chance(4) {
		return 60 - n
	}
	return pick(g, 1, 2, 3, 4, 18, 100)
}

// size is the length of a payload: mostly small, or at an edge.
func (g *Generator) size() int {
	switch g.r.IntN(8) {
	case 0:
		// With headers of 20 and 8 bytes: 18 fills the smallest frame, 1472 the largest. An error quotes
		// 548 bytes (576 of RFC 1812 4.3.2.3 less its own 28), so UDP's payload of 520 is the last whole one.
		return pick(g, 0, 1, 2, 3, 4, 7, 8, 18, 520, 528, 548, 549, 1400, 1471, 1472)
	case 1:
		return g.r.IntN(1473)
	}
	return g.r.IntN(80)
}
