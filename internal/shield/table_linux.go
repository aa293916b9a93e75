package shield

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// tableOwner is NFT_TABLE_F_OWNER, Linux 5.12: the table belongs to the netlink
	// socket that made it, and goes when that is closed.
	tableOwner = 0x2

	// patience is how long the kernel may take to acknowledge what it has carried
	// out already: it does so before the sending call returns. Whoever else changes
	// nftables holds that call up, not the acknowledgement.
	patience = 10 * time.Second
)

// A table is the nftables table of one shield. Its base chain is hooked to the
// card; what that does is replaced a generation at a time.
//
//	table netdev ipalias-eth0 { # owner
//		chain ingress {
//			type filter hook ingress device "eth0" priority filter; policy accept;
//			...
//
// After an error nothing but remove may be called.
type table struct {
	conn *nftables.Conn
	sock *netlink.Conn // conn's
	nft  *nftables.Table
	base *nftables.Chain

	number   uint32 // of the generation
	standing *generation
	setID    uint32 // unique in the connection; the library's own numbers are not safe for concurrent use
}

// tableName is how what a killed process left behind is recognised.
func tableName(card string) string { return "ipalias-" + card }

// newTable makes the table and the base chain, without rules.
func newTable(card string, owned bool) (*table, error) {
	t := &table{nft: &nftables.Table{Name: tableName(card), Family: nftables.TableFamilyNetdev}}
	keep := func(c *netlink.Conn) error {
		t.sock = c
		return nil
	}
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(keep))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", unsupported(err))
	}
	t.conn = conn
	if err := t.create(owned); err != nil {
		conn.CloseLasting()
		return nil, fmt.Errorf("make table %s: %w", t.nft.Name, unsupported(privilege(err)))
	}
	accept := nftables.ChainPolicyAccept
	t.base = t.conn.AddChain(&nftables.Chain{
		Name:     "ingress",
		Table:    t.nft,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  nftables.ChainHookIngress,
		Priority: nftables.ChainPriorityFilter,
		Policy:   &accept,
		Device:   card,
	})
	if err := t.flush(); err != nil {
		t.remove()
		return nil, fmt.Errorf("hook to the card: %w", unsupported(err))
	}
	return t, nil
}

// create makes the table itself. The library can give it no flags.
func (t *table) create(owned bool) error {
	err := t.createWith(map[bool]uint32{true: tableOwner}[owned])
	if owned && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)) {
		err = t.createWith(0) // a flag that the kernel does not know
	}
	return err
}

func (t *table) createWith(flags uint32) error {
	attributes := netlink.NewAttributeEncoder()
	attributes.String(unix.NFTA_TABLE_NAME, t.nft.Name)
	attributes.Bytes(unix.NFTA_TABLE_FLAGS, be32(flags))
	data, err := attributes.Encode()
	if err != nil {
		return err
	}
	message := func(kind int, flags netlink.HeaderFlags, family byte, resource byte, data []byte) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | flags},
			Data:   append([]byte{family, unix.NFNETLINK_V0, 0, resource}, data...), // struct nfgenmsg
		}
	}
	_, err = t.sock.SendMessages([]netlink.Message{
		message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil),
		message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, netlink.Acknowledge|netlink.Create|netlink.Excl,
			byte(nftables.TableFamilyNetdev), 0, data),
		message(unix.NFNL_MSG_BATCH_END, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil),
	})
	if err != nil {
		return err
	}
	if err := t.sock.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = t.sock.Receive()
	return err
}

// flush has the kernel carry out what was asked of conn, all or nothing.
func (t *table) flush() error {
	if err := t.sock.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return t.conn.Flush()
}

// remove takes the table away and closes the connection.
func (t *table) remove() error {
	t.conn.DelTable(t.nft)
	err := t.flush()
	if errors.Is(err, unix.ENOENT) { // somebody was faster, as without an owner anybody can be
		err = nil
	}
	return errors.Join(err, t.conn.CloseLasting())
}

// Sweep removes the shield that a killed process left before a card, if there is
// one. The error is ErrBusy where a living process has it, ErrPrivilege without
// CAP_NET_ADMIN. The card need not exist.
func Sweep(card string) error {
	if err := sweep(card); err != nil {
		return fmt.Errorf("sweep shield before %s: %w", card, err)
	}
	return nil
}

func sweep(card string) error {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return fmt.Errorf("open nftables: %w", unsupported(err))
	}
	defer conn.CloseLasting()
	// Even asking needs the capability, so that a refusal further on means an owner.
	left, err := conn.ListTableOfFamily(tableName(card), nftables.TableFamilyNetdev)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for table %s: %w", tableName(card), unsupported(privilege(err)))
	}
	conn.DelTable(left)
	err = conn.Flush()
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: table %s belongs to a process that lives", ErrBusy, left.Name)
	case err != nil:
		return fmt.Errorf("delete table %s: %w", left.Name, err)
	}
	return nil
}

func privilege(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	exe, exeErr := os.Executable()
	if exeErr != nil {
		exe = "/path/of/this/program"
	}
	return fmt.Errorf("%w: a shield takes the capability CAP_NET_ADMIN; run it as root, or once: setcap cap_net_raw,cap_net_admin+ep %s", ErrPrivilege, exe)
}

func unsupported(err error) error {
	for _, no := range []error{unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.EOPNOTSUPP} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
	}
	return err
}
