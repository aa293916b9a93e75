package shield

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
	"github.com/ipalias/ipalias/responder"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// deadline is how long a test waits for what must happen; only a failing one
// waits so long.
const deadline = time.Minute

var (
	macHost = framegen.MAC(netlab.MACA)
	macPeer = framegen.MAC(netlab.MACB)
	macTest = framegen.MAC{2, 0, 0, 0, 3, 0xaa} // the sender of the frames that are counted

	hostIP  = netip.MustParseAddr("172.16.3.1")
	peerIP  = netip.MustParseAddr("172.16.3.200")
	onLink  = netip.MustParseAddr("172.16.3.10") // aliases
	offLink = netip.MustParseAddr("10.64.0.5")   // by the default route, back to the peer
	proxied = netip.MustParseAddr("10.65.0.5")   // by a route to another card, so proxy ARP answers
)

// A lab is a host that forwards and answers ARP for what it routes, a peer, and
// a packet socket on either end of the wire between them:
//
//	host 172.16.3.1 --- v0 ------- v1 --- 172.16.3.200 peer
//	     the shield's card, tap    wire
type lab struct {
	host, peer *netlab.Namespace
	wire       int
	tap        int
	count      *counter
	serial     uint16 // of the last marker
}

func newLab(t *testing.T) *lab {
	t.Helper()
	netlab.Need(t)
	l := &lab{host: netlab.Make(t, "host"), peer: netlab.Make(t, "peer")}
	err := netlab.Veth(
		netlab.End{Namespace: l.host, Name: netlab.CardA, MAC: netlab.MACA, Addresses: []netip.Prefix{netip.PrefixFrom(hostIP, 24)}},
		netlab.End{Namespace: l.peer, Name: netlab.CardB, MAC: netlab.MACB, Addresses: []netip.Prefix{netip.PrefixFrom(peerIP, 24)}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"net/ipv4/ip_forward":           "1",
		"net/ipv4/conf/v0/proxy_arp":    "1",
		"net/ipv4/neigh/v0/proxy_delay": "0",
		"net/ipv4/icmp_ratelimit":       "0",
		"net/ipv4/conf/v0/rp_filter":    "0", // the namespace inherits the machine's
		"net/ipv4/conf/all/rp_filter":   "0",
	} {
		if err := l.host.SetSysctl(key, value); err != nil {
			t.Fatal(err)
		}
	}
	l.in(t, l.host, func() error {
		loopback, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		_, far, _ := net.ParseCIDR("10.65.0.0/16")
		l.tap, err = packetSocket(netlab.CardA)
		return errors.Join(err,
			netlink.RouteAdd(&netlink.Route{Gw: net.IP(peerIP.AsSlice())}),
			netlink.RouteAdd(&netlink.Route{Dst: far, LinkIndex: loopback.Attrs().Index}))
	})
	l.in(t, l.peer, func() (err error) { l.wire, err = packetSocket(netlab.CardB); return err })
	t.Cleanup(func() { unix.Close(l.wire); unix.Close(l.tap) })
	l.in(t, l.host, func() (err error) { l.count, err = newCounter(); return err })
	t.Cleanup(func() { l.count.conn.CloseLasting() })
	l.hear(t) // so that the host knows the peer's MAC
	return l
}

func (l *lab) in(t *testing.T, n *netlab.Namespace, fn func() error) {
	t.Helper()
	if err := n.Do(fn); err != nil {
		t.Fatal(err)
	}
}

// packetSocket hears everything a card receives.
func packetSocket(card string) (int, error) {
	link, err := netlink.LinkByName(card)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	tv := unix.NsecToTimeval(int64(deadline))
	return fd, errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)), Ifindex: link.Attrs().Index}),
	)
}

// raise puts a shield before the host's card for the length of the test.
func (l *lab) raise(t *testing.T, interfaces ...responder.Interface) *Shield {
	t.Helper()
	var s *Shield
	l.in(t, l.host, func() (err error) { s, err = Raise(netlab.CardA); return err })
	t.Cleanup(func() {
		if err := s.Lower(); err != nil {
			t.Error(err)
		}
	})
	update(t, s, interfaces...)
	return s
}

// update has s shield interfaces and waits until it does.
func update(t *testing.T, s *Shield, interfaces ...responder.Interface) {
	t.Helper()
	if err := s.Update(interfaces); err != nil {
		t.Fatal(err)
	}
	wait(t, s)
}

func wait(t *testing.T, s *Shield) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) send(t *testing.T, frame []byte) {
	t.Helper()
	if len(frame) < 60 {
		frame = append(frame, make([]byte, 60-len(frame))...)
	}
	if _, err := unix.Write(l.wire, frame); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// hear sends frames to the host and returns what it sends by then: a ping of its
// own address comes after them, and the answer to that after whatever the frames
// caused. The host's ARP for the peer is left out.
func (l *lab) hear(t *testing.T, frames ...[]byte) (heard [][]byte) {
	t.Helper()
	for _, f := range frames {
		l.send(t, f)
	}
	l.serial++
	marker := uint32(0x6d61)<<16 | uint32(l.serial)
	l.send(t, framegen.Ether(macHost, macPeer, framegen.TypeIPv4, framegen.IPv4{Protocol: framegen.ICMP, Src: peerIP, Dst: hostIP,
		Payload: framegen.ICMPMessage(8, 0, marker, nil)}.Bytes()))
	for {
		f := receive(t, l.wire)
		switch {
		case len(f) >= 42 && isEchoReply(f, marker):
			return heard
		case len(f) >= 42 && binary.BigEndian.Uint16(f[12:]) == framegen.TypeARP && [4]byte(f[38:]) == peerIP.As4():
		default:
			heard = append(heard, f)
		}
	}
}

func isEchoReply(f []byte, rest uint32) bool {
	return binary.BigEndian.Uint16(f[12:]) == framegen.TypeIPv4 && f[14+9] == framegen.ICMP &&
		f[34] == 0 && binary.BigEndian.Uint32(f[38:]) == rest
}

func receive(t *testing.T, fd int) []byte {
	t.Helper()
	buf := make([]byte, 2048)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR { // the runtime's signals, since the socket has a timeout
			continue
		}
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		return buf[:n]
	}
}

// tapped counts the frames of macTest that the tap has heard since the last call.
func (l *lab) tapped(t *testing.T) (n int) {
	t.Helper()
	l.hear(t) // its marker is the last that the tap hears
	for {
		f := receive(t, l.tap)
		if [6]byte(f[6:]) == macTest {
			n++
		}
		if len(f) >= 42 && f[34] == 8 && binary.BigEndian.Uint32(f[38:]) == 0x6d61<<16|uint32(l.serial) {
			return n
		}
	}
}

// A counter counts the frames of macTest that pass the shield, in an ingress
// chain behind it.
type counter struct {
	conn  *nftables.Conn
	table *nftables.Table
	chain *nftables.Chain
}

func newCounter() (*counter, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, err
	}
	c := &counter{conn: conn}
	c.table = conn.AddTable(&nftables.Table{Name: "counter", Family: nftables.TableFamilyNetdev})
	behind := *nftables.ChainPriorityFilter + 100
	c.chain = conn.AddChain(&nftables.Chain{Name: "behind", Table: c.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookIngress, Priority: &behind, Device: netlab.CardA})
	conn.AddRule(&nftables.Rule{Table: c.table, Chain: c.chain, Exprs: []expr.Any{
		load(reg, expr.PayloadBaseLLHeader, 6, 6),
		equal(macTest[:]),
		&expr.Counter{},
	}})
	return c, conn.Flush()
}

func (c *counter) read(t *testing.T) uint64 {
	t.Helper()
	rules, err := c.conn.GetRules(c.table, c.chain)
	if err != nil || len(rules) != 1 {
		t.Fatalf("rules %v, %v", rules, err)
	}
	return rules[0].Exprs[2].(*expr.Counter).Packets
}

// tables lists the netdev tables of the host but for the counter's.
func (l *lab) tables(t *testing.T) (names []string) {
	t.Helper()
	list, err := l.count.conn.ListTablesOfFamily(nftables.TableFamilyNetdev)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range list {
		if table.Name != l.count.table.Name {
			names = append(names, table.Name)
		}
	}
	return names
}
