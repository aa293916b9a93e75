package capture

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

// filterFrame joins the fields of a frame, each in hexadecimal.
func filterFrame(t *testing.T, fields ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(fields, ""), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFilterFor(t *testing.T) {
	const (
		ours      = "02 00 00 00 03 01"
		second    = "00 8e b8 83 19 20"
		other     = "02 00 00 00 03 02" // differs in the last two bytes
		otherHigh = "06 00 00 00 03 01" // differs in the first four
		crossed   = "02 00 00 00 19 20" // half of each of ours
		peer      = "02 00 00 00 03 c8"
		broadcast = "ff ff ff ff ff ff"
		multicast = "01 00 5e 00 00 01"
		arp       = "08 06"
		ipv4      = "08 00"
		ipv6      = "86 dd"
		vlan      = "81 00"
		qinq      = "88 a8"
		lldp      = "88 cc"
		length    = "00 26" // IEEE 802.3: a length, spanning tree
		payload   = "45 00 00 14"
	)
	macs := [][6]byte{{0x02, 0, 0, 0, 3, 1}, {0x00, 0x8e, 0xb8, 0x83, 0x19, 0x20}}
	for _, tc := range []struct {
		name   string
		fields []string
		pass   bool
	}{
		{"arp broadcast", []string{broadcast, peer, arp, "00 01"}, true},
		{"arp to us", []string{ours, peer, arp, "00 01"}, true},
		{"arp to another host", []string{other, peer, arp, "00 01"}, true},
		{"ipv4 to us", []string{ours, peer, ipv4, payload}, true},
		{"ipv4 to our second MAC", []string{second, peer, ipv4, payload}, true},
		{"ipv4 broadcast", []string{broadcast, peer, ipv4, payload}, true},
		{"ipv4 multicast", []string{multicast, peer, ipv4, payload}, true},
		{"ipv4 to another host", []string{other, peer, ipv4, payload}, false},
		{"ipv4 to another vendor's host", []string{otherHigh, peer, ipv4, payload}, false},
		{"ipv4 to halves of our MACs", []string{crossed, peer, ipv4, payload}, false},
		{"tagged, to us", []string{ours, peer, vlan, "00 64", ipv4, payload}, true},
		{"tagged, broadcast", []string{broadcast, peer, vlan, "00 64", arp, "00 01"}, true},
		{"tagged, to another host", []string{other, peer, vlan, "00 64", ipv4, payload}, false},
		{"802.1ad, to us", []string{ours, peer, qinq, "00 64", vlan, "00 c8", ipv4, payload}, true},
		{"802.1ad, to another host", []string{other, peer, qinq, "00 64", vlan, "00 c8", ipv4, payload}, false},
		{"ipv6 to us", []string{ours, peer, ipv6, "60 00 00 00"}, false},
		{"ipv6 multicast", []string{"33 33 00 00 00 01", peer, ipv6, "60 00 00 00"}, false},
		{"lldp", []string{"01 80 c2 00 00 0e", peer, lldp, "02 07"}, false},
		{"spanning tree", []string{"01 80 c2 00 00 00", peer, length, "42 42 03"}, false},
		{"header only", []string{ours, peer, ipv4}, true},
		{"cut in the type", []string{ours, peer, "08"}, false},
		{"one byte", []string{"ff"}, false},
		{"nothing", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm, err := bpf.NewVM(FilterFor(macs))
			if err != nil {
				t.Fatal(err)
			}
			frame := filterFrame(t, tc.fields...)
			n, err := vm.Run(frame)
			if err != nil {
				t.Fatal(err)
			}
			if pass := n > 0; pass != tc.pass {
				t.Errorf("passes: %v, want %v", pass, tc.pass)
			}
			if tc.pass && n < 65535+18 {
				t.Errorf("frames are cut to %d bytes", n)
			}
		})
	}
}

// However many MACs, the kernel must take the program, and each of them pass.
func TestFilterForMany(t *testing.T) {
	for _, count := range []int{0, 1, maxFilterMACs, maxFilterMACs + 1, 1000} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			macs := make([][6]byte, count)
			for i := range macs {
				macs[i] = [6]byte{0x02, 0, 0, byte(i >> 8), byte(i), 1}
			}
			prog := FilterFor(macs)
			const kernelLimit = 4096 // BPF_MAXINSNS
			if len(prog) > kernelLimit {
				t.Errorf("%d instructions, the kernel takes %d", len(prog), kernelLimit)
			}
			if _, err := bpf.Assemble(prog); err != nil {
				t.Error(err)
			}
			vm, err := bpf.NewVM(prog)
			if err != nil {
				t.Fatal(err)
			}
			frame := filterFrame(t, "00 00 00 00 00 00", "02 00 00 00 03 c8", "08 00", "45 00")
			for _, mac := range macs {
				copy(frame, mac[:])
				if n, err := vm.Run(frame); err != nil || n == 0 {
					t.Fatalf("%x: %d, %v; want it to pass", mac, n, err)
				}
			}
		})
	}
}
