package main

import (
	"bytes"
	"runtime"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
)

// Untagged frames, VLAN 100 and, within it, 200, all on one card. The kernel has
// no device for either VLAN.
const howtoVLANs = howto + `
[interface."v0.100".aliases]
"v0.100:0" = "172.16.3.10"

[interface."v0.100.200".aliases]
"v0.100.200:0" = "172.16.3.10"
`

// tagged puts tags on a frame, the outermost first: a type and what follows it.
func tagged(frame []byte, tags ...[2]uint16) []byte {
	for i := len(tags) - 1; i >= 0; i-- {
		frame = framegen.Tag(frame, tags[i][0], tags[i][1])
	}
	return frame
}

// Whatever tags a frame has on the wire, its answer has the same with the same
// priority; which of them the kernel takes out of a frame before the daemon sees
// it (the outermost, of either type) is no matter.
func TestVLANTags(t *testing.T) {
	const c, s = framegen.TypeVLAN, framegen.TypeQinQ
	a, b := lab(t)
	p := start(t, a.Command(binary, "-c", file(t, howtoVLANs)))
	p.wait(t, p.stdout, "answering for", 3)
	w := tap(t, b)
	for _, tc := range []struct {
		name    string
		in, out [][2]uint16
		silent  bool
	}{
		{name: "none"},
		{name: "a VLAN", in: [][2]uint16{{c, 100}}, out: [][2]uint16{{c, 100}}},
		{name: "priority and drop eligible", in: [][2]uint16{{c, 0xb000 | 100}}, out: [][2]uint16{{c, 0xb000 | 100}}},
		{name: "a service tag", in: [][2]uint16{{s, 0x6000 | 100}}, out: [][2]uint16{{s, 0x6000 | 100}}},
		{name: "QinQ", in: [][2]uint16{{s, 0x2000 | 100}, {c, 0xe000 | 200}}, out: [][2]uint16{{s, 0x2000 | 100}, {c, 0xe000 | 200}}},
		{name: "two customer tags", in: [][2]uint16{{c, 100}, {c, 200}}, out: [][2]uint16{{c, 100}, {c, 200}}},
		{name: "priority alone", in: [][2]uint16{{c, 0xe000}}},
		{name: "priority of a provider", in: [][2]uint16{{s, 0xe000}}},
		{name: "priority within a VLAN", in: [][2]uint16{{c, 100}, {c, 0xe000}}, out: [][2]uint16{{c, 100}}},
		{name: "another VLAN", in: [][2]uint16{{c, 101}}, silent: true},
		{name: "another within", in: [][2]uint16{{s, 100}, {c, 201}}, silent: true},
		{name: "the inner one alone", in: [][2]uint16{{c, 200}}, silent: true},
		{name: "three", in: [][2]uint16{{s, 100}, {c, 200}, {c, 300}}, silent: true},
	} {
		arp := framegen.Ether(peerMAC, daemonMAC, framegen.TypeARP, framegen.ARP{
			Operation: 2,
			SenderMAC: daemonMAC,
			Sender:    v0alias,
			TargetMAC: peerMAC,
			Target:    gateway,
		}.Bytes())
		payload := bytes.Repeat([]byte("tag"), 400)
		got := w.answers(
			tagged(whoHas(peerMAC, gateway, v0alias), tc.in...),
			tagged(question(peerMAC, v0alias, 1, payload), tc.in...),
		)
		if tc.silent {
			if len(got) != 0 {
				t.Errorf("%s: answered with %x", tc.name, got)
			}
			continue
		}
		if len(got) != 2 || !bytes.Equal(got[0], tagged(arp, tc.out...)) {
			t.Errorf("%s: got %x, want an ARP reply and an echo reply", tc.name, got)
			continue
		}
		head := tagged(framegen.Ether(peerMAC, daemonMAC, framegen.TypeIPv4, nil), tc.out...)
		reply := framegen.ICMPMessage(0, 0, 1, payload)
		if !bytes.HasPrefix(got[1], head) || !bytes.HasSuffix(got[1], reply) || len(got[1]) != len(head)+20+len(reply) {
			t.Errorf("%s: got %x, want the echo reply behind %x", tc.name, got[1], head)
		}
	}
	p.interrupt(t)
	p.hasTotal(t, "vlan-other", 8)
}

// A tag that was never in the frame: the sender's kernel keeps it beside the frame,
// and a veth pair hands it over so. The kernel's own ping is the client.
func TestVLANTagBesideTheFrame(t *testing.T) {
	a, b := lab(t, "ping")
	p := start(t, a.Command(binary, "-c", file(t, howtoVLANs)))
	p.wait(t, p.stdout, "answering for", 3)
	w := tap(t, b)
	must(t, b, "ip", "neigh", "replace", "172.16.3.10", "lladdr", netlab.MACA.String(), "dev", netlab.CardB, "nud", "permanent")
	const tci = 0x6000 | 100
	pushTag(t, b, framegen.TypeVLAN, tci)
	// The kernel of b has no device for VLAN 100, so ping does not see its answers; the wire does.
	client(b, "ping", "-c", "1", "-W", "0.1", "-s", "3000", "172.16.3.10")
	for _, length := range []int{1500, 1500, 68} {
		var f []byte
		w.until(func(frame []byte) bool { f = frame; return !announcement(frame) })
		if !bytes.HasPrefix(f, tagged(framegen.Ether(peerMAC, daemonMAC, framegen.TypeIPv4, nil), [2]uint16{framegen.TypeVLAN, tci})) {
			t.Fatalf("got %x, want an answer tagged %#x", f, tci)
		}
		if got := int(be16(f[18+2:])); got != length {
			t.Errorf("a piece of %d bytes, want %d", got, length)
		}
	}
	p.interrupt(t)
	p.hasTotal(t, "echo-answered", 1)
}

// pushTag has the kernel tag every IPv4 frame that leaves the second card of n: what
// "tc filter add ... action vlan push" does where there is that module.
func pushTag(t *testing.T, n *netlab.Namespace, tpid, tci int) {
	t.Helper()
	err := n.Do(func() error {
		prog, err := loadClassifier([]bpfInsn{
			{code: 0xb7, regs: 2, imm: int32(tpid<<8&0xff00 | tpid>>8)}, // r2 = tpid, in network byte order
			{code: 0xb7, regs: 3, imm: int32(tci)},                      // r3 = tci
			{code: 0x85, imm: 18},                                       // bpf_skb_vlan_push(r1, r2, r3)
			{code: 0xb7, regs: 0, imm: 0},                               // r0 = TC_ACT_OK
			{code: 0x95},                                                // return
		})
		if err != nil {
			return err
		}
		defer unix.Close(prog)
		card, err := netlink.LinkByName(netlab.CardB)
		if err != nil {
			return err
		}
		clsact := netlink.QdiscAttrs{LinkIndex: card.Attrs().Index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0)}
		if err := netlink.QdiscAdd(&netlink.GenericQdisc{QdiscAttrs: clsact, QdiscType: "clsact"}); err != nil {
			return err
		}
		return netlink.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: card.Attrs().Index,
				Parent:    netlink.HANDLE_MIN_EGRESS,
				Protocol:  unix.ETH_P_IP,
				Priority:  1,
				Handle:    1,
			},
			Fd:           prog,
			Name:         "push",
			DirectAction: true,
		})
	})
	if err != nil {
		netlab.Miss(t, "this kernel can't tag what a card sends: %v", err)
	}
}

// bpfInsn is struct bpf_insn.
type bpfInsn struct {
	code, regs uint8
	off        int16
	imm        int32
}

// loadClassifier loads a program of type BPF_PROG_TYPE_SCHED_CLS.
func loadClassifier(program []bpfInsn) (fd int, err error) {
	license := []byte("GPL\x00")
	var pinned runtime.Pinner
	defer pinned.Unpin()
	pinned.Pin(&program[0])
	pinned.Pin(&license[0])
	attr := struct { // union bpf_attr, as BPF_PROG_LOAD has it
		typ, count        uint32
		insns, license    uint64
		logLevel, logSize uint32
		log               uint64
	}{
		typ:     unix.BPF_PROG_TYPE_SCHED_CLS,
		count:   uint32(len(program)),
		insns:   uint64(uintptr(unsafe.Pointer(&program[0]))),
		license: uint64(uintptr(unsafe.Pointer(&license[0]))),
	}
	r, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}
