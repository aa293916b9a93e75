package bench

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/ipalias/ipalias/internal/framegen"
)

// A Workload is a kind of traffic: a sequence of frames, to be aimed at the
// addresses of a Table.
type Workload struct {
	Name string

	// Frame is the length of its frames in bytes, Ethernet header included, check
	// sequence not, as tcpdump counts; for mixtures the mean.
	Frame int

	// answers is which verdict it ends in, if that is the same for all frames.
	answers bool
	mixed   bool

	// few: it is aimed at few addresses of its own and makes no use of a table.
	few bool

	templates []template
}

// The hosts of the workloads. The peer is outside of every table.
var (
	ourMAC    = framegen.MAC{0x02, 0, 0, 0, 3, 1}
	peerMAC   = framegen.MAC{0x02, 0, 0, 0, 3, 0xc8}
	otherMAC  = framegen.MAC{0x02, 0, 0, 0, 3, 0xc9}
	peer      = netip.MustParseAddr("198.18.0.1") // of RFC 2544's benchmarking prefix
	elsewhere = netip.MustParseAddr("198.19.0.1") // no alias in any table
)

// Frame lengths in bytes. 60 is the shortest that Ethernet carries, with its check
// sequence 64; 98 is what ping sends; 1514 fills an MTU of 1500.
const (
	arpFrame   = 60
	shortFrame = 64
	pingFrame  = 98
	longFrame  = 1514
)

// Workloads are what is measured. They are made when they are asked for: most
// commands of the tool never ask, and must not take that long to start.
var Workloads = sync.OnceValue(func() []*Workload {
	all := []*Workload{
		{Name: "arp", answers: true, templates: one(request())},
		{Name: "echo-64", answers: true, templates: one(echo(shortFrame))},
		{Name: "echo-98", answers: true, templates: one(echo(pingFrame))},
		{Name: "echo-1514", answers: true, templates: one(echo(longFrame))},
		{Name: "other-mac", templates: one(otherHost(pingFrame))},
		{Name: "no-alias", templates: shuffle([]share{{1, noAliasEcho()}, {1, noAliasARP()}})},
		// As a promiscuous card on a busy segment sees it: most is for others, and each change of kind
		// is a branch that nobody foresees.
		{Name: "mixed", mixed: true, templates: shuffle([]share{
			{20, otherHost(pingFrame)},
			{20, otherHost(longFrame)},
			{20, noAliasARP()},
			{15, request()},
			{15, echo(pingFrame)},
			{10, echo(longFrame)},
		})},
		{Name: "hostile", mixed: true, few: true, templates: hostile()},
	}
	for _, w := range all {
		total := 0
		for i := range w.templates {
			total += len(w.templates[i].frame)
		}
		w.Frame = total / len(w.templates)
	}
	return all
})

// arpWorkload is the first of them, which uses every address of a table.
func arpWorkload() *Workload { return Workloads()[0] }

// FindWorkload finds a workload by its name.
func FindWorkload(name string) (*Workload, error) {
	for _, w := range Workloads() {
		if w.Name == name {
			return w, nil
		}
	}
	return nil, fmt.Errorf("no workload %q", name)
}

// Fits tells whether w is worth putting to a table: what is not aimed at the table
// is put to the smallest alone.
func (w *Workload) Fits(t *Table) bool { return t.few != nil || !w.few && w.Name != "other-mac" }

// A template is a frame without its target.
// Targets and checksums are written by arithmetic, without a look at the rest of the frame:
// making a frame must cost little beside answering it.
type template struct {
	frame []byte
	at    int    // of the target in the frame, 0 for no target
	sum   int    // of the IPv4 header checksum that the target changes, 0 for none
	acc   uint32 // sum of the IPv4 header without target and checksum
}

// Where the fields lie in an untagged frame.
const (
	ipAt      = 14
	ipSumAt   = ipAt + 10
	ipSrcAt   = ipAt + 12
	ipDstAt   = ipAt + 16
	arpAt     = 14
	arpTarget = arpAt + 24
)

// aim writes the target into a copy of t's frame.
func (t *template) aim(b []byte, target uint32) {
	if t.at == 0 {
		return
	}
	binary.BigEndian.PutUint32(b[t.at:], target)
	if t.sum != 0 {
		// RFC 1071: the sum is that of 16-bit words in any order, so what is fixed was summed before.
		s := t.acc + target>>16 + target&0xffff
		s = s&0xffff + s>>16
		s = s&0xffff + s>>16
		binary.BigEndian.PutUint16(b[t.sum:], ^uint16(s))
	}
}

// echo is an ICMP echo request of the peer in a frame of n bytes.
func echo(n int) *template {
	payload := make([]byte, n-ipAt-20-8)
	for i := range payload {
		payload[i] = byte(i ^ i>>8)
	}
	d := framegen.IPv4{
		ID:       0x1234,
		Flags:    framegen.DontFragment,
		Protocol: framegen.ICMP,
		Src:      peer,
		Dst:      netip.IPv4Unspecified(),
		Payload:  framegen.ICMPMessage(8, 0, 0x00070001, payload),
	}
	t := &template{frame: framegen.Ether(ourMAC, peerMAC, framegen.TypeIPv4, d.Bytes()), at: ipDstAt, sum: ipSumAt}
	// The header's sum is the inverse of its checksum, which framegen computed for target 0.
	t.acc = uint32(^binary.BigEndian.Uint16(t.frame[ipSumAt:]))
	return t
}

// request is an ordinary ARP request of the peer, padded as it comes from a wire.
func request() *template {
	a := framegen.ARP{SenderMAC: peerMAC, Sender: peer, Target: netip.IPv4Unspecified()}
	frame := framegen.Ether(framegen.Broadcast, peerMAC, framegen.TypeARP, a.Bytes())
	return &template{frame: append(frame, make([]byte, arpFrame-len(frame))...), at: arpTarget}
}

// otherHost is what a promiscuous card sees most: a frame for somebody else's MAC.
// It is told apart by its first six bytes; how long it is should make no difference.
func otherHost(n int) *template {
	t := echo(n)
	copy(t.frame, otherMAC[:])
	return t
}

// noAliasEcho and noAliasARP come to us but ask for nobody's address.
func noAliasEcho() *template {
	t := echo(shortFrame)
	t.aim(t.frame, address(elsewhere))
	t.at = 0
	return t
}

func noAliasARP() *template {
	t := request()
	t.aim(t.frame, address(elsewhere))
	t.at = 0
	return t
}

func address(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }

// hostile is everything that the fuzzers and the comparison with the kernel
// know to send to the smallest table: options, fragments, tags, TCP and UDP to
// closed ports, cut and damaged frames.
func hostile() []template {
	h := framegen.Host{
		MAC:     ourMAC,
		Network: netip.MustParsePrefix("172.16.3.0/24"),
		Gateway: netip.MustParseAddr("172.16.3.200"),
		From:    peerMAC,
	}
	for _, a := range Tables[0].few {
		h.Aliases = append(h.Aliases, NetAddr(a))
	}
	var list []template
	// A fixed seed: two runs have the same frames.
	for g := framegen.New(h, 1); len(list) < 4096; {
		for _, f := range g.Next().Frames {
			if len(f) <= slotSize {
				list = append(list, template{frame: f})
			}
		}
	}
	return list
}

// one is a sequence of one template.
func one(t *template) []template { return []template{*t} }

// A share says how often a template occurs among the others.
type share struct {
	weight int
	t      *template
}

// shuffle makes a sequence of 1000 frames, in which each template occurs as often as
// its weight says, in an order that is random, and long enough for no branch
// predictor to learn, but always the same.
func shuffle(shares []share) []template {
	total := 0
	for _, s := range shares {
		total += s.weight
	}
	var list []template
	for _, s := range shares {
		for range s.weight * 1000 / total {
			list = append(list, *s.t)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
