package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
)

// syn is the first segment of a connection to an alias, and udp a datagram for it.
func syn(alias netip.Addr) []byte {
	segment := framegen.TCPSegment{From: 4000, To: 22, Seq: 1, Flags: 2}.Bytes(gateway, alias)
	return datagram(peerMAC, framegen.IPv4{Protocol: framegen.TCP, Src: gateway, Dst: alias, Payload: segment})
}

func udp(from, alias netip.Addr) []byte {
	message := framegen.UDPMessage(from, alias, 4000, 53, []byte("who is there"))
	return datagram(peerMAC, framegen.IPv4{Protocol: framegen.UDP, Src: from, Dst: alias, Payload: message})
}

// Where closed is "drop" nothing is refused; ping is answered all the same.
func TestClosed(t *testing.T) {
	for _, tc := range []struct{ name, iface, label string }{
		{"on the interface", `closed = "drop"`, `{ address = "172.16.3.100", closed = "refuse" }`},
		{"on the label", ``, `"172.16.3.100"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := lab(t)
			p := ipaliasd(t, a, "-c", file(t, "[interface.v0]\n"+tc.iface+"\n[interface.v0.aliases]\n"+
				`"v0:0" = { address = "172.16.3.10", closed = "drop" }`+"\n"+`"v0:1" = `+tc.label+"\n"))
			w := tap(t, b)
			gre := datagram(peerMAC, framegen.IPv4{Protocol: 47, Src: gateway, Dst: v0alias})
			if got := w.answers(syn(v0alias), udp(gateway, v0alias), gre); len(got) != 0 {
				t.Errorf("answered with %x, want silence", got)
			}
			if got := w.answers(question(peerMAC, v0alias, 1, nil)); len(got) != 1 {
				t.Errorf("%d answers to ping, want one", len(got))
			}
			got := w.answers(syn(v1alias), udp(gateway, v1alias))
			if len(got) != 2 || got[0][14+9] != framegen.TCP || got[1][14+9] != framegen.ICMP {
				t.Errorf("the other alias answered with %x, want a reset and an ICMP error", got)
			}
			p.interrupt(t)
			p.hasTotal(t, "closed-dropped", 3)
		})
	}
}

// A machine with connections goes away and comes back, and ipaliasd keeps its address
// alive meanwhile. Drop leaves the connections alone; refuse resets them, also when
// what they send is larger than a frame.
func TestTakenOver(t *testing.T) {
	for _, tc := range []struct {
		closed  string
		verdict string
	}{{"drop", "closed-dropped"}, {"refuse", "tcp-reset"}} {
		t.Run(tc.closed, func(t *testing.T) {
			a, b := lab(t)
			p := ipaliasd(t, a, "-c", file(t, "[interface.v0]\nclosed = \""+tc.closed+"\"\n"+howto))
			must(t, a, "ip", "neigh", "replace", "172.16.3.200", "lladdr", netlab.MACB.String(), "dev", "v0", "nud", "permanent")
			w := tap(t, b)
			machine := func(verb string) {
				t.Helper()
				must(t, a, "ip", "addr", verb, "172.16.3.10/24", "dev", "v0")
				for deadline := time.Now().Add(patience); len(w.answers(question(peerMAC, v0alias, 1, nil))) != 1; {
					if time.Now().After(deadline) { // at first both answer, or nobody
						t.Fatalf("addr %s: not one of kernel and daemon answers", verb)
					}
				}
			}
			machine("add")
			var listener net.Listener
			if err := a.Do(func() (err error) {
				listener, err = net.Listen("tcp4", "172.16.3.10:7")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			client, err := dial(t, b, "tcp4", netip.AddrPortFrom(v0alias, 7))
			if err != nil {
				t.Fatal(err)
			}
			server, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()

			machine("del")
			sent := bytes.Repeat([]byte("0123456789abcdef"), 4096)
			if _, err := client.Write(sent); err != nil {
				t.Fatal(err)
			}
			w.answers() // whatever the daemon has to say about these has come
			if tc.closed == "refuse" {
				client.SetReadDeadline(time.Now().Add(patience))
				if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
					t.Errorf("%v, want a reset", err)
				}
			} else {
				machine("add")
				got := make([]byte, len(sent))
				server.SetReadDeadline(time.Now().Add(patience))
				if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("the connection did not survive: %v", err)
				}
			}
			p.interrupt(t)
			if p.total(tc.verdict) == 0 {
				t.Errorf("no frame was counted as %s", tc.verdict)
			}
		})
	}
}

// Who is not among those to answer gets nothing, neither ARP nor ping nor refusals,
// and is counted.
func TestFrom(t *testing.T) {
	other := netip.MustParseAddr("172.16.3.201")
	all := func(sender, alias netip.Addr) [][]byte {
		echo := framegen.ICMPMessage(8, 0, 1, nil)
		return [][]byte{
			whoHas(peerMAC, sender, alias),
			datagram(peerMAC, framegen.IPv4{Protocol: framegen.ICMP, Src: sender, Dst: alias, Payload: echo}),
			udp(sender, alias),
		}
	}
	for _, tc := range []struct {
		name, iface, v0, v1 string
	}{
		{"of the interface", `["172.16.3.200/32"]`, ``, `, from = ["172.16.3.200/32", "172.16.3.201/32"]`},
		{"of the label", `["172.16.3.0/24"]`, `, from = ["172.16.3.200"]`, ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := lab(t, "ping")
			must(t, b, "ip", "addr", "add", "172.16.3.201/24", "dev", "v1")
			p := ipaliasd(t, a, "-c", file(t, "[interface.v0]\nfrom = "+tc.iface+"\n[interface.v0.aliases]\n"+
				`"v0:0" = { address = "172.16.3.10"`+tc.v0+" }\n"+`"v0:1" = { address = "172.16.3.100"`+tc.v1+" }\n"))
			w := tap(t, b)
			if got := w.answers(all(gateway, v0alias)...); len(got) != 3 {
				t.Errorf("%d answers to who is to be answered, want three", len(got))
			}
			if got := w.answers(all(other, v0alias)...); len(got) != 0 {
				t.Errorf("somebody else was answered with %x", got)
			}
			if got := w.answers(all(other, v1alias)...); len(got) != 3 {
				t.Errorf("%d answers of the other label to somebody else, want three", len(got))
			}
			must(t, b, "ping", "-c", "1", "-W", "5", "-I", "172.16.3.200", "172.16.3.10")
			p.interrupt(t)
			p.hasTotal(t, "not-from", 3)
		})
	}
}

// Six errors at once to one destination, then one a second, as the kernel; fifty at
// once to all together.
func TestErrorLimits(t *testing.T) {
	a, b := lab(t)
	p := ipaliasd(t, a, "-c", file(t, howto))
	w := tap(t, b)
	begin := time.Now()
	var flood [][]byte
	for range 20 {
		flood = append(flood, udp(gateway, v0alias))
	}
	got := len(w.answers(flood...))
	if most := 6 + int(time.Since(begin)/time.Second); got < 6 || got > most {
		t.Errorf("%d errors to one destination, want 6 and one a second", got)
	}
	answered := got
	for answered == got {
		answered += len(w.answers(udp(gateway, v0alias)))
	}
	if passed := time.Since(begin); passed < time.Second {
		t.Errorf("the next error after %v, want a second", passed)
	}

	flood = nil
	for i := range 250 {
		flood = append(flood, udp(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), v0alias))
	}
	begin = time.Now()
	got = len(w.answers(flood...))
	// The last error of above may not be a millisecond ago yet.
	if most := 50 + int(time.Since(begin)/time.Millisecond); got < 49 || got > most {
		t.Errorf("%d errors to 250 destinations, want 50 and one a millisecond, at most %d", got, most)
	}
	p.interrupt(t)
	if n := p.total("error-limited"); n < 14 {
		t.Errorf("%d frames counted as error-limited, want at least 14", n)
	}
}
