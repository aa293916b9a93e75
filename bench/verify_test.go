package bench

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

func TestWorkloadsAreAnsweredRight(t *testing.T) {
	for _, w := range Workloads() {
		l := target(t, Tables[0]).Load(w)
		if err := l.Check(64); err != nil {
			t.Error(err)
		}
		if answers := l.Run(64 * BatchSize); w.answers && answers != 64*BatchSize {
			t.Errorf("%s: %d answers to %d frames", w.Name, answers, 64*BatchSize)
		}
	}
}

// A check that nothing fails is none.
func TestCompareSeesEveryByte(t *testing.T) {
	for _, template := range []*template{request(), echo(pingFrame)} {
		f := bytes.Clone(template.frame)
		template.aim(f, address(elsewhere))
		want := Expect(f, ourMAC)
		if err := Compare(want, want); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			got := bytes.Clone(want)
			got[i] ^= 1
			if Compare(got, want) == nil {
				t.Errorf("byte %d of %x may be anything", i, want)
			}
		}
		if Compare(want[:len(want)-1], want) == nil {
			t.Error("a frame cut short is taken")
		}
	}
}

// gopacket's decoder is the second opinion on the frames that are sent: lengths,
// checksums and all.
func TestFramesAreWellFormed(t *testing.T) {
	for _, n := range []int{shortFrame, pingFrame, longFrame} {
		tm := echo(n)
		f := bytes.Clone(tm.frame)
		tm.aim(f, address(elsewhere))
		p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
		if p.ErrorLayer() != nil || p.Layer(layers.LayerTypeICMPv4) == nil {
			t.Fatalf("%d bytes: %v", n, p)
		}
		var out []gopacket.SerializableLayer
		for _, layer := range p.Layers() {
			out = append(out, layer.(gopacket.SerializableLayer))
		}
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, out...); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buf.Bytes(), f) || len(f) != n {
			t.Errorf("gopacket would write\n%x, ours is\n%x", buf.Bytes(), f)
		}
	}
}

func TestTables(t *testing.T) {
	for _, table := range Tables {
		seen := make(map[uint32]bool, min(table.Size, 1<<16))
		for i := range uint32(min(table.Size, 1<<16)) {
			seen[table.Addr(i)] = true
		}
		if uint64(len(seen)) != min(table.Size, 1<<16) {
			t.Errorf("%s: addresses occur twice", table.Name)
		}
	}
}

func TestHostileIsHostile(t *testing.T) {
	l := target(t, Tables[0]).Load(Workloads()[len(Workloads())-1])
	seen := map[string]int{}
	for range 64 {
		l.Fill()
		l.Answer()
		for _, v := range l.worker.Verdicts() {
			layer, _, _ := strings.Cut(v.String(), "-")
			seen[layer]++
		}
	}
	for _, layer := range []string{"arp", "ip", "fragment", "echo", "icmp", "udp", "tcp", "vlan", "eth"} {
		if seen[layer] == 0 {
			t.Errorf("no frame ends in a verdict of %s: %v", layer, seen)
		}
	}
}
