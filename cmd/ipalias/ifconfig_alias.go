package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/internal/control"
)

// alias does what is asked for with an alias: through the daemon, all or nothing.
// It is one request to the daemon, so that there is no moment at which the old address is
// gone and the new one not yet there. The words "up" and "netmask" ask for nothing that an
// alias lacks; they are accepted because every old script has them.
func (q *ifRequest) alias(ctx context.Context, e env, r remote) error {
	edit := control.Edit{Do: control.Set, Label: q.name}
	// 172.16.3.10/24 would be refused by the daemon for its host bits; ifconfig(8) takes it.
	if p, err := netip.ParsePrefix(q.address); err == nil && p != p.Masked() {
		// ifconfig's way to say a netmask. A prefix without host bits is all of it.
		q.address = p.Addr().String()
		if !q.netmask.IsValid() && p.Addr().Is4() {
			q.netmask = netmask(p.Bits())
		}
	}
	if q.address != "" {
		var err error
		if edit.Addresses, err = readAddresses(edit.Label, []string{q.address}); err != nil {
			return err
		}
	}
	// All words are checked before anything is changed: nothing is half done.
	if err := q.checkOthers(ctx, r); err != nil {
		return err
	}
	if err := q.checkNetwork(ctx, r, edit.Addresses); err != nil {
		return err
	}
	// Down deletes and does not just silence: an alias of 1996 was a device that was gone with
	// "down". One of the file is not forgotten by that, so "up" finds it.
	switch {
	case q.down:
		edit.Do = control.Delete
	// Of an alias that is up already nothing was deleted, and nothing is changed.
	case q.address == "" && q.up:
		var err error
		if edit, err = q.comeBack(ctx, r); err != nil {
			return err
		}
	}
	if edit.Do == control.Set && len(edit.Addresses) == 0 { // nothing but words about what is so already
		return printResult(e, r, &control.Result{Changes: []string{}, Warnings: []string{}}, nil)
	}
	result, err := r.client().Edit(ctx, edit)
	return printResult(e, r, result, err)
}

// comeBack makes the edit that brings back what was deleted of a label of the
// configuration; one without addresses if nothing was.
// An addition that was deleted is nowhere any more: only the file remembers.
func (q *ifRequest) comeBack(ctx context.Context, r remote) (control.Edit, error) {
	edit := control.Edit{Do: control.Set, Label: q.name}
	show, err := r.client().Show(ctx, q.name)
	if err != nil {
		return edit, refused(err)
	}
	for _, i := range show.Interfaces {
		for n := range i.Labels {
			l := &i.Labels[n]
			for _, entry := range l.Entries {
				if entry.From == control.Removed {
					edit.Do, edit.Addresses = control.Add, append(edit.Addresses, entry.Range)
				}
			}
			// To bring back a part and say nothing would leave addresses dead that "up" had promised.
			if l.More > 0 && edit.Do == control.Add {
				return edit, fmt.Errorf("%s has more entries than are listed: ipalias add %[1]s ADDRESS... brings them back", q.name)
			}
		}
	}
	return edit, nil
}

// checkOthers refuses the words that are about the card, but for those that say
// what is so already.
func (q *ifRequest) checkOthers(ctx context.Context, r remote) error {
	for _, o := range q.others {
		switch o.word {
		// In ifconfig(8) these made and deleted further aliases, with names of its own choice.
		case "add", "del":
			return fmt.Errorf("%s is not done here: ipalias %[1]s %s %s", o.word, q.name, o.value())
		case "mtu", "hw", "metric":
			// An alias has its card's. Those are asked of the daemon, which may be where we see no
			// cards, in another network namespace.
			show, err := r.client().Show(ctx, q.name)
			if err != nil {
				return refused(err)
			}
			same := slices.ContainsFunc(show.Interfaces, func(i control.InterfaceShow) bool {
				return o.is(i.MTU, i.MAC)
			})
			if !same {
				return o.refuse(q.name)
			}
		default:
			return o.refuse(q.name)
		}
	}
	return nil
}

// is tells whether a word says what is so already, of a card with this MTU and MAC.
// It errs to false: a word that is refused without need costs a look, one that is passed
// over in silence leaves a setting that somebody relies on unmade.
func (o ifOther) is(mtu int, mac string) bool {
	switch o.word {
	case "mtu":
		return o.value() == fmt.Sprint(mtu)
	case "hw":
		return strings.EqualFold(o.value(), mac)
	case "metric":
		return o.value() == "0" || o.value() == "1" // what ifconfig shows for none
	}
	return false
}

// checkNetwork refuses a netmask or a broadcast address other than those of the
// network that holds the alias. 255.255.255.255, by which people said that an alias
// brings no route, says what is so here anyway.
// They are checked and not ignored: who types another mask expects what it does, a route to
// that network, and nothing here would make it.
func (q *ifRequest) checkNetwork(ctx context.Context, r remote, addresses []string) error {
	if !q.netmask.IsValid() && !q.broadcast.IsValid() {
		return nil
	}
	networks, addresses, err := q.network(ctx, r, addresses)
	if err != nil {
		return err
	}
	for _, text := range addresses {
		first, last, ok := ends(text)
		// What is no address is for the daemon to refuse, in better words.
		if !ok {
			continue
		}
		mask, broadcast := maskOf(networks, first, last)
		maskFits := !q.netmask.IsValid() || q.netmask == mask || q.netmask == netmask(32)
		// The address itself goes as its broadcast: with a mask of 32 bits old scripts
		// say it so.
		broadcastFits := !q.broadcast.IsValid() || q.broadcast == broadcast || q.broadcast == first
		if !maskFits || !broadcastFits {
			return fmt.Errorf("%s has netmask %s and broadcast %s, those of the network on link that holds it: leave them out, or give the interface another network in its configuration",
				text, mask, broadcast)
		}
	}
	return nil
}

// network gives what is on link for the alias, and the addresses that it has
// already if no new ones are asked for.
func (q *ifRequest) network(ctx context.Context, r remote, addresses []string) (networks, _ []string, err error) {
	if len(addresses) > 0 { // the label need not exist yet
		stats, err := r.client().Stats(ctx)
		if err != nil {
			return nil, nil, refused(err)
		}
		for _, i := range stats.Interfaces {
			if i.Name == cardName(q.name) {
				networks = i.Networks
			}
		}
		return networks, addresses, nil
	}
	show, err := r.client().Show(ctx, q.name)
	if err != nil {
		return nil, nil, refused(err)
	}
	for _, i := range show.Interfaces {
		networks = i.Networks
		for n := range i.Labels {
			l := &i.Labels[n]
			for _, entry := range inForce(l) {
				addresses = append(addresses, entry.Range)
			}
		}
	}
	return networks, addresses, nil
}
