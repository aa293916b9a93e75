package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/nettools"
)

// card does what is asked for with a card of the kernel's: with the privileges of
// whoever runs us, and nothing that takes an address away.
// It never asks the daemon: that has rights to send frames, and to let whoever may talk to
// it set addresses of the host would hand those rights on. An address goes before the
// switch, so that a card which comes up has it already; if the switch fails the address
// stays, and the same line typed again goes on from there.
func (q *ifRequest) card(e env, r remote) error {
	cards, err := nettools.Cards()
	if err != nil {
		return err
	}
	n := slices.IndexFunc(cards, func(c nettools.Card) bool { return c.Name == q.name })
	if n < 0 {
		return noCard(q.name, cards)
	}
	c := &cards[n]
	// A word that says what is so already is no reason to refuse: old scripts say
	// "mtu 1500" with everything.
	for _, o := range q.others {
		// All words before any change: a line that is refused has done nothing.
		if !o.is(c.MTU, c.MAC.String()) {
			return o.refuse(q.name)
		}
	}
	fresh, err := q.newAddress(c)
	if err != nil {
		return err
	}
	result := &control.Result{Changes: []string{}, Warnings: []string{}}
	if fresh != nil {
		err := nettools.AddAddress(c.Name, fresh.Prefix, fresh.Broadcast)
		if err != nil {
			return notDone(err, fmt.Sprintf("ip addr add %s dev %s", addressWords(fresh), c.Name))
		}
		result.Changes = append(result.Changes, fmt.Sprintf("+ %s %s", c.Name, addressWords(fresh)))
	}
	// Whoever gives a card an address wants it to work: ifconfig switches it on.
	// Down is done although it cuts connections: the word says just that, and nothing else.
	if up := q.up || q.address != ""; (up || q.down) && up != c.Up {
		state := map[bool]string{true: "up", false: "down"}[up]
		if err := nettools.SetUp(c.Name, up); err != nil {
			return notDone(err, fmt.Sprintf("ip link set dev %s %s", c.Name, state))
		}
		result.Changes = append(result.Changes, fmt.Sprintf("~ %s is %s", c.Name, state))
	}
	return printKernelResult(e, r, result)
}

// printKernelResult tells of a change that the kernel made. Nothing keeps it over a
// restart of the machine, as nothing ever did.
func printKernelResult(e env, r remote, result *control.Result) error {
	result.Changed = len(result.Changes) > 0
	if r.asJSON {
		return printJSON(e.stdout, result)
	}
	return printLines(e, result.Changes, result.Warnings, "nothing changed: it was so already")
}

// notDone says by which command the kernel can be asked for what it refused us.
// It is the command of today, for ipalias is no second ip(8): what fails here can be tried
// there, with all the options that ifconfig(8) never had.
func notDone(err error, command string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: it needs CAP_NET_ADMIN; as root there is also: %s", err, command)
	}
	return fmt.Errorf("%w, as for: %s", err, command)
}

// addressWords writes an address as ip addr takes it.
func addressWords(a *nettools.Address) string {
	if a.Broadcast.IsValid() {
		return fmt.Sprintf("%s brd %s", a.Prefix, a.Broadcast)
	}
	return a.Prefix.String()
}

// newAddress gives the address that the card is to have as well, nil for none. It
// refuses to change one that is there: to replace the address through which
// somebody is connected takes more care than a line of ifconfig says.
func (q *ifRequest) newAddress(c *nettools.Card) (*nettools.Address, error) {
	if q.address == "" && !q.netmask.IsValid() && !q.broadcast.IsValid() {
		return nil, nil
	}
	// The first without a label of an alias is the one that SIOCGIFADDR shows and SIOCSIFADDR
	// replaces: ifconfig(8) knows no second one by that name.
	have := slices.IndexFunc(c.Addresses, func(a nettools.Address) bool { return a.Label == c.Name })
	if q.address == "" && have < 0 {
		return nil, fmt.Errorf("%s has no address whose netmask or broadcast could be set: ipalias ifconfig %[1]s ADDRESS netmask MASK", c.Name)
	}
	want, masked, err := q.wanted(c, have)
	if err != nil {
		return nil, err
	}
	same := slices.IndexFunc(c.Addresses, func(a nettools.Address) bool { return a.Prefix.Addr() == want.Prefix.Addr() })
	switch {
	// The address with words that differ: AddAddress would fail with EEXIST, or make a second
	// one of another length beside the first.
	case same >= 0:
		a := c.Addresses[same]
		if (!masked || a.Prefix == want.Prefix) && (!q.broadcast.IsValid() || a.Broadcast == q.broadcast) {
			return nil, nil // it is so already
		}
		return nil, replacing(c.Name, &a, want)
	// Another address: ifconfig(8) would replace the first, silently.
	case have >= 0:
		return nil, replacing(c.Name, &c.Addresses[have], want)
	}
	return want, nil
}

// wanted makes an address of the words; masked tells whether they have its netmask.
// Have is the index in c.Addresses of the one that words without an address are about. It
// is looked at only then, and the caller has made sure that it is not -1. A mask that is not
// said counts as no demand: 172.16.3.1 on a card with 172.16.3.1/16 is so already.
func (q *ifRequest) wanted(c *nettools.Card, have int) (want *nettools.Address, masked bool, err error) {
	want = &nettools.Address{Broadcast: q.broadcast}
	var a netip.Addr
	// Not the class's length, which for 172.16.3.1 is 16: too long a mask is noticed at once,
	// one too short takes away routes to other networks.
	bits := 24 // as the HOWTO's listing has it, see docs/howto.md
	switch p, prefixErr := netip.ParsePrefix(q.address); {
	case q.address == "":
		a, bits = c.Addresses[have].Prefix.Addr(), c.Addresses[have].Prefix.Bits()
	case prefixErr == nil && p.Addr().Is4():
		a, bits, masked = p.Addr(), p.Bits(), true
	default:
		if a, err = parseAddress("address", q.address); err != nil {
			return nil, false, err
		}
		if a.IsLoopback() {
			bits = 8 // RFC 1122 3.2.1.3
		}
	}
	// Last, so that it outdoes the length in ADDRESS/LENGTH: it is the word for nothing else.
	if q.netmask.IsValid() {
		bits, _ = bitsOf(q.netmask)
		masked = true
	}
	want.Prefix = netip.PrefixFrom(a, bits)
	// ip(8) sets none unless asked; ifconfig always did, and old programs look for it.
	if !want.Broadcast.IsValid() && bits <= 30 && !a.IsLoopback() {
		want.Broadcast = broadcastOf(want.Prefix)
	}
	return want, masked, nil
}

// replacing refuses to take an address away. ifconfig would have: but a machine that is
// reached by that address would be gone, for a typing error in the name of an alias.
func replacing(card string, old, want *nettools.Address) error {
	return fmt.Errorf("%s has %s, and that is not taken away here: ip addr del %[2]s dev %[1]s && ip addr add %[3]s dev %[1]s",
		card, old.Prefix, addressWords(want))
}
