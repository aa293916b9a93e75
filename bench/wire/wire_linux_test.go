package wire

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/internal/netlab"
)

// Every peer answers, and every reply of the sample is right.
func TestPeersAnswer(t *testing.T) {
	netlab.Need(t)
	l, err := newLab()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	err = l.gen.Do(func() error {
		for _, arp := range []bool{false, true} {
			for _, a := range []aim{few, large} {
				if testing.Short() && a == large {
					continue
				}
				template := blank(arp)
				program, err := generator(l.state, template)
				if err != nil {
					return err
				}
				for _, p := range peers {
					if p.arp && !arp {
						continue
					}
					stop, err := p.start(l, a)
					if err != nil {
						return err
					}
					got, err := l.send(program, template, a, 20_000, 50*time.Millisecond)
					if err := stop(); err != nil {
						t.Errorf("%s: %v", p.name, err)
					}
					if err != nil {
						return err
					}
					if answers := got.replies > 0; answers != (p.name != nobody) || answers && got.checked == 0 {
						t.Errorf("%s, %s, %s aliases: %+v", p.name, kind(arp), a.name, got)
					}
				}
				if err := program.Close(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckReplySeesWrongOnes(t *testing.T) {
	target := netip.MustParseAddr("172.16.3.11")
	for _, arp := range []bool{false, true} {
		reply := bench.Expect(request(arp, target, 7))
		if err := checkReply(reply, few); err != nil {
			t.Fatal(err)
		}
		for i := range reply {
			if !arp && (i == icmpSeq || i == icmpSeq+1) {
				continue // says itself what it answers; the checksum tells
			}
			wrong := bytes.Clone(reply)
			wrong[i] ^= 4
			if checkReply(wrong, few) == nil {
				t.Errorf("byte %d of %x may be anything", i, reply)
			}
		}
		if checkReply(bench.Expect(request(arp, netip.MustParseAddr("172.16.3.13"), 7)), few) == nil {
			t.Error("a reply from an address that nobody asked for is taken")
		}
	}
}
