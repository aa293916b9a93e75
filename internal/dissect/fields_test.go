package dissect

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/ipalias/ipalias/internal/framegen"
)

func TestFields(t *testing.T) {
	frame := append(framegen.Tag(icmp(3, 3, 0, udp([]byte("x"))[14:]), framegen.TypeVLAN, 100), 0xff)
	want := `
 0 -  6 Ethernet destination: 00:8e:b8:83:19:20
 6 - 12 Ethernet source: 02:00:00:00:03:c8
12 - 14 VLAN tag 1 type: 0x8100
14 - 16 VLAN tag 1 control: vlan 100, priority 0, drop eligible 0
16 - 18 Ethernet type: 0x0800 (IPv4)
18 - 19 IP version and header length: 4, 20 bytes
19 - 20 IP TOS: 0x00
20 - 22 IP total length: 57
22 - 24 IP identification: 0
24 - 26 IP flags and offset: offset 0
26 - 27 IP TTL: 64
27 - 28 IP protocol: 1 (ICMP)
28 - 30 IP checksum: 0x1bd2
30 - 34 IP source: 172.16.3.200
34 - 38 IP destination: 172.16.3.10
38 - 39 ICMP type: 3 (unreachable)
39 - 40 ICMP code: 3
40 - 42 ICMP checksum: 0x5c0a
42 - 44 ICMP unused: 0x0000
44 - 46 ICMP mtu: 0
46 - 47 quoted IP version and header length: 4, 20 bytes
47 - 48 quoted IP TOS: 0x00
48 - 50 quoted IP total length: 29
50 - 52 quoted IP identification: 0
52 - 54 quoted IP flags and offset: offset 0
54 - 55 quoted IP TTL: 64
55 - 56 quoted IP protocol: 17 (UDP)
56 - 58 quoted IP checksum: 0x1bde
58 - 62 quoted IP source: 172.16.3.200
62 - 66 quoted IP destination: 172.16.3.10
66 - 68 quoted UDP source port: 40000
68 - 70 quoted UDP destination port: 33434
70 - 72 quoted UDP length: 9
72 - 74 quoted UDP checksum: 0x0a0e
74 - 75 quoted UDP payload: 1 byte: 78
75 - 76 trailing bytes: 1 byte: ff
`
	var got strings.Builder
	got.WriteByte('\n')
	for _, f := range Fields(frame) {
		fmt.Fprintf(&got, "%2d - %2d %s: %s\n", f.Start, f.End, f.Name, f.Value)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestFieldsRemarks(t *testing.T) {
	echo := icmp(8, 0, 1<<16|1, make([]byte, 8))
	message := framegen.UDPMessage(gateway, alias, 40000, 33434, []byte("x"))
	short := ip(framegen.IPv4{Protocol: framegen.UDP, Payload: append(message, "more"...)})
	for _, tc := range []struct {
		name, field, want string
		frame             []byte
	}{
		{"wrong header checksum", "IP checksum", fmt.Sprintf("0x0000 (wrong, expected 0x%x)", echo[24:26]), with(echo, 24, 0, 0)},
		{"wrong message checksum", "ICMP checksum", "0x0000 (wrong, expected 0xf7fd)", with(echo, 36, 0, 0)},
		{"cut field", "ICMP sequence", "00, cut short: 1 of 2 bytes", echo[:41]},
		{"no UDP checksum", "UDP checksum", "0x0000", with(udp(nil), 40, 0, 0)},
		{"UDP shorter than IP says", "UDP checksum", fmt.Sprintf("0x%x", short[40:42]), short},
		{"UDP shorter than IP says, wrong", "UDP checksum", fmt.Sprintf("0x0001 (wrong, expected 0x%x)", short[40:42]), with(short, 40, 0, 1)},
		{"UDP longer than IP says", "UDP checksum", "0x1234", with(udp([]byte("x")), 38, 0, 200, 0x12, 0x34)},
		{"UDP of no length", "UDP checksum", "0x1234", with(udp([]byte("x")), 38, 0, 7, 0x12, 0x34)},
		{"fragment", "IP flags and offset", "DF MF offset 8", with(echo, 20, 0x60, 1)},
		{"header length that is none", "IP payload", "16 bytes: 08 00 f7 fd 00 01 00 01 ...", with(echo, 14, 0x44)},
		{"timestamp", "ICMP transmit", "3661001 (01:01:01.001)", icmp(14, 0, 0, []byte{11: 0xc9, 8: 0, 9: 0x37, 10: 0xdc})},
		{"ARP with other lengths", "ARP addresses", "20 bytes: 02 00 00 00 03 c8 ac 10 ...",
			arp(framegen.ARP{HardwareLen: 8, Sender: gateway, Target: alias})},
	} {
		i := slices.IndexFunc(Fields(tc.frame), func(f Field) bool { return f.Name == tc.field })
		if i < 0 {
			t.Errorf("%s: no %s in %v", tc.name, tc.field, Fields(tc.frame))
		} else if got := Fields(tc.frame)[i].Value; got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestCompare(t *testing.T) {
	a := icmp(0, 0, 1<<16|1, make([]byte, 56))
	b := with(a, 22, 63)
	b[80] = 7
	var got []string
	for _, p := range Compare(a, b) {
		if p.Differ {
			got = append(got, p.Name+": "+p.A+" | "+p.B)
		}
	}
	want := []string{
		"IP TTL: 64 | 63",
		"ICMP payload: 56 bytes, from 38 on: 00 00 00 00 00 00 00 00 | 56 bytes, from 38 on: 07 00 00 00 00 00 00 00",
	}
	got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "checksum") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, p := range Compare(a, a) {
		if p.Differ {
			t.Errorf("%s of a frame differs from itself", p.Name)
		}
	}
}

// TestAgainstGopacket holds the fields of generated frames against those that
// another decoder finds.
func TestAgainstGopacket(t *testing.T) {
	g := framegen.New(framegen.Lab(), 1)
	compared := 0
	for range 3000 {
		for _, frame := range g.Next().Frames {
			ours := map[string]string{}
			for _, f := range Fields(frame) {
				ours[f.Name] = f.Value
			}
			for name, want := range oracle(frame) {
				compared++
				if got, _, _ := strings.Cut(ours[name], " "); got != want {
					t.Errorf("%s\n%s: got %q, want %q", Line(frame), name, got, want)
				}
			}
		}
	}
	if compared < 20000 {
		t.Errorf("only %d fields were compared", compared)
	}
}

// oracle gives what gopacket finds in a frame. It is known to panic on some.
func oracle(frame []byte) (fields map[string]string) {
	fields = map[string]string{}
	defer func() { recover() }()
	put := func(name string, value any) { fields[name] = fmt.Sprint(value) }
	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	if packet.ErrorLayer() != nil {
		return nil // it has layers then too, with zeros in them
	}
	for _, layer := range packet.Layers() {
		switch l := layer.(type) {
		case *layers.Ethernet:
			put("Ethernet destination", l.DstMAC)
			put("Ethernet source", l.SrcMAC)
		case *layers.ARP:
			put("ARP operation", l.Operation)
			if l.HwAddressSize == 6 && l.ProtAddressSize == 4 {
				put("ARP sender IP", net.IP(l.SourceProtAddress))
				put("ARP target IP", net.IP(l.DstProtAddress))
				put("ARP sender MAC", net.HardwareAddr(l.SourceHwAddress))
			}
		case *layers.IPv4:
			if l.Version != 4 || fields["IP TTL"] != "" {
				return fields // it does not mind versions; or IP in IP
			}
			put("IP TTL", l.TTL)
			put("IP identification", l.Id)
			put("IP total length", be.Uint16(l.Contents[2:]))
			put("IP source", l.SrcIP)
			put("IP destination", l.DstIP)
		case *layers.ICMPv4:
			put("ICMP type", l.TypeCode.Type())
			put("ICMP code", l.TypeCode.Code())
			return fields // gopacket goes on into nothing that is there
		case *layers.UDP:
			put("UDP source port", uint16(l.SrcPort))
			put("UDP destination port", uint16(l.DstPort))
			put("UDP length", be.Uint16(l.Contents[4:]))
			return fields
		case *layers.TCP:
			put("TCP source port", uint16(l.SrcPort))
			put("TCP sequence", l.Seq)
			put("TCP acknowledgement", l.Ack)
			put("TCP window", l.Window)
			return fields
		}
	}
	return fields
}

// FuzzFrame looks for frames that something here fails on, and holds what is
// promised of Fields: names are unique, and every byte is in exactly one.
func FuzzFrame(f *testing.F) {
	g := framegen.New(framegen.Lab(), 2)
	for range 200 {
		for _, frame := range g.Next().Frames {
			f.Add(frame)
		}
	}
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if line := Line(frame); line == "" || strings.ContainsAny(line, "\n\r\x00") || len(line) > 1000 {
			t.Errorf("not a line: %q", line)
		}
		Source(frame)
		Target(frame)
		Tags(frame)
		Compare(frame, frame[:len(frame)/2])
		at, names := 0, map[string]bool{}
		for _, field := range Fields(frame) {
			if field.Start != at || field.End <= field.Start {
				t.Fatalf("%s is at %d - %d, want it at %d", field.Name, field.Start, field.End, at)
			}
			if names[field.Name] {
				t.Fatalf("%s occurs twice", field.Name)
			}
			at, names[field.Name] = field.End, true
		}
		if at != len(frame) {
			t.Fatalf("the fields end at %d of %d", at, len(frame))
		}
	})
}
