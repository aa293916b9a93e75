package main

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/nettools"
)

// An ifEntry is one paragraph of ifconfig's listing.
type ifEntry struct {
	Name      string      `json:"name"`
	Kind      string      `json:"kind"` // kindCard, kindAlias or kindKernelAlias
	Link      string      `json:"link"`
	MAC       string      `json:"mac,omitempty"`
	Addresses []ifAddress `json:"addresses"`
	More      int         `json:"more,omitempty"` // addresses that are left out
	Flags     []string    `json:"flags"`
	MTU       int         `json:"mtu"`
	// Always 1, which is what net-tools writes for a metric of 0.
	Metric   int         `json:"metric"`
	Counters *ifCounters `json:"counters,omitempty"` // none for an alias of the kernel's: it has none
}

// The kinds of entries.
const (
	kindCard        = "card"
	kindAlias       = "alias"        // the daemon's
	kindKernelAlias = "kernel-alias" // ip addr add ... label eth0:5
)

// An ifAddress is written as text: an entry of an alias may be a range, which 1996 had no
// word for. Its mask is that of the network that it lies in.
type ifAddress struct {
	Address   string `json:"address"` // or a range, or a prefix
	Peer      string `json:"peer,omitempty"`
	Broadcast string `json:"broadcast,omitempty"`
	Mask      string `json:"mask"`
}

// ifCounters are those that ifconfig prints, and have its names. Of an alias only what the
// daemon can count is not zero: packets, bytes, errors and drops, but no overruns, which
// happen to a card.
type ifCounters struct {
	RxPackets  uint64 `json:"rx_packets"`
	RxBytes    uint64 `json:"rx_bytes"`
	RxErrors   uint64 `json:"rx_errors"`
	RxDropped  uint64 `json:"rx_dropped"`
	RxOverruns uint64 `json:"rx_overruns"`
	TxPackets  uint64 `json:"tx_packets"`
	TxBytes    uint64 `json:"tx_bytes"`
	TxErrors   uint64 `json:"tx_errors"`
	TxDropped  uint64 `json:"tx_dropped"`
	TxOverruns uint64 `json:"tx_overruns"`
}

// The kernel's own aliases are addresses with a label; net-tools shows each label as an
// entry of its own, with the card's MAC, flags and MTU but no counters.
// cardEntries are the card's own entry and those of the kernel's aliases on it.
func cardEntries(c nettools.Card) []ifEntry {
	base := ifEntry{Kind: kindCard, Link: c.Title, Flags: c.Flags, MTU: c.MTU, Metric: 1, Addresses: []ifAddress{}}
	if c.Title == ethernetTitle {
		base.MAC = strings.ToUpper(c.MAC.String())
	}
	// A list in JSON is never null: jq's .flags[] fails on that.
	if base.Flags == nil {
		base.Flags = []string{}
	}
	list := []ifEntry{base}
	list[0].Name = c.Name
	counters := ifCounters(c.Stats)
	list[0].Counters = &counters
	// In the order of the kernel's list, so that an entry stands where ifconfig(8) has it. An
	// address without a label of its own has the card's name, and falls to the first.
	for _, a := range c.Addresses {
		n := 0
		for n < len(list) && list[n].Name != a.Label {
			n++
		}
		if n == len(list) {
			list = append(list, base)
			list[n].Name, list[n].Kind = a.Label, kindKernelAlias
		}
		addr := ifAddress{Address: a.Prefix.Addr().String(), Mask: netmask(a.Prefix.Bits()).String()}
		if a.Peer.IsValid() {
			addr.Peer = a.Peer.String()
		}
		if a.Broadcast.IsValid() {
			addr.Broadcast = a.Broadcast.String()
		}
		list[n].Addresses = append(list[n].Addresses, addr)
	}
	return list
}

// ethernetTitle is the hardware that aliases are on.
// In the words of net-tools of 1996, whatever the card's speed.
// Scripts of then find cards by the word Ethernet in the line, and later ones too. Titles
// of other hardware are without a MAC: their addresses are none that one could type.
const ethernetTitle = "10Mbps Ethernet"

// aliasEntry is a label that is in force; else there is none. One that is not
// answered for is not UP: its addresses are the host's own, say, or its interface
// only observes. Without a carrier none is RUNNING.
func aliasEntry(i *control.InterfaceShow, l *control.LabelShow) (e ifEntry, ok bool) {
	e = ifEntry{Name: l.Label, Kind: kindAlias, Link: ethernetTitle, MAC: strings.ToUpper(i.MAC), MTU: i.MTU, Metric: 1,
		Addresses: []ifAddress{}, More: l.More, Flags: []string{}}
	for _, entry := range inForce(l) {
		first, last, ok := ends(entry.Range)
		if !ok {
			continue // a later daemon may say what we can't read
		}
		mask, broadcast := maskOf(i.Networks, first, last)
		e.Addresses = append(e.Addresses, ifAddress{Address: entry.Range, Broadcast: broadcast.String(), Mask: mask.String()})
	}
	if len(e.Addresses) == 0 {
		return e, false
	}
	// UP is what monitoring looks for, so it must not stand for an intention. BROADCAST is
	// always there: aliases are on Ethernet only.
	if i.Up && l.Addresses > 0 && i.Mode != control.Observe {
		e.Flags = append(e.Flags, "UP")
	}
	e.Flags = append(e.Flags, "BROADCAST")
	if i.Carrier {
		e.Flags = append(e.Flags, "RUNNING")
	}
	// What the card lost, nobody knows whose it was.
	c, f := l.Counters, l.Faults
	e.Counters = &ifCounters{RxPackets: c.RxPackets, RxBytes: c.RxBytes, RxErrors: f.RxErrors, TxPackets: c.TxPackets, TxBytes: c.TxBytes, TxDropped: f.TxDropped}
	return e, true
}

// inForce gives the entries of a label that are neither removed nor set aside.
// Whatever a later daemon may add counts as not in force: an address that is shown is one
// that people take for answered.
func inForce(l *control.LabelShow) (list []control.EntryShow) {
	for _, entry := range l.Entries {
		if entry.From == control.FromFile || entry.From == control.Added {
			list = append(list, entry)
		}
	}
	return list
}

// ends gives the first and the last address of what a configuration may have: "a",
// "a-b" or "a/n".
// Of a /31 and a /32 all addresses are hosts' (RFC 3021), so broadcastOf is no end there.
// A range is not checked for its order: the daemon did so.
func ends(text string) (first, last netip.Addr, ok bool) {
	// Most are single addresses, and there may be a million of them: an error costs more than they.
	if a, err := netip.ParseAddr(text); err == nil {
		return a, a, a.Is4()
	}
	if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() {
		last := broadcastOf(p)
		if p.Bits() > 30 {
			last = p.Addr()
			if p.Bits() == 31 {
				last = last.Next()
			}
		}
		return p.Addr(), last, true
	}
	a, b, _ := strings.Cut(text, "-")
	first, err := netip.ParseAddr(a)
	last, err2 := netip.ParseAddr(b)
	return first, last, err == nil && err2 == nil && first.Is4() && last.Is4()
}

// An ifList prints entries as net-tools did in 1996, with the bytes as it added
// them later.
type ifList struct{ *listing }

func newIfList(e env, r remote) ifList { return ifList{newListing(e.stdout, r.asJSON, "interfaces")} }

func (l ifList) entries(list ...ifEntry) error {
	for n := range list {
		if err := l.add(&list[n], list[n].print); err != nil {
			return err
		}
	}
	return nil
}

// ifIndent is how far all lines but the first are indented: the width of the name.
const ifIndent = "          "

func (i *ifEntry) print(w io.Writer) {
	fmt.Fprintf(w, "%-9s Link encap:%s", i.Name, i.Link)
	if i.MAC != "" {
		fmt.Fprintf(w, "  HWaddr %s", i.MAC)
	}
	fmt.Fprintln(w)
	for n, a := range i.Addresses {
		// A label may have a million entries, and a paragraph of that height hides all others.
		if n == maxRanges {
			fmt.Fprintf(w, "%sand %d more\n", ifIndent, len(i.Addresses)-n+i.More)
			break
		}
		fmt.Fprintf(w, "%sinet addr:%s", ifIndent, a.Address)
		if a.Peer != "" {
			fmt.Fprintf(w, "  P-t-P:%s", a.Peer)
		}
		if a.Broadcast != "" {
			fmt.Fprintf(w, "  Bcast:%s", a.Broadcast)
		}
		fmt.Fprintf(w, "  Mask:%s\n", a.Mask)
	}
	flags := strings.Join(i.Flags, " ")
	// net-tools' own words, for a column that awk can count on.
	if flags == "" {
		flags = "[NO FLAGS]"
	}
	fmt.Fprintf(w, "%s%s  MTU:%d  Metric:%d\n", ifIndent, flags, i.MTU, i.Metric)
	if c := i.Counters; c != nil {
		fmt.Fprintf(w, "%sRX packets:%d errors:%d dropped:%d overruns:%d\n", ifIndent, c.RxPackets, c.RxErrors, c.RxDropped, c.RxOverruns)
		fmt.Fprintf(w, "%sTX packets:%d errors:%d dropped:%d overruns:%d\n", ifIndent, c.TxPackets, c.TxErrors, c.TxDropped, c.TxOverruns)
		// A line of its own below the HOWTO's: what reads its lines finds them unchanged.
		fmt.Fprintf(w, "%sRX bytes:%d (%s)  TX bytes:%d (%s)\n", ifIndent, c.RxBytes, rounded(c.RxBytes), c.TxBytes, rounded(c.TxBytes))
	}
	fmt.Fprintln(w)
}

// rounded writes bytes as net-tools 1.60 did, cut after one decimal.
// Units are powers of two under names that today mean ten, and "b" is a byte: as they were,
// since what parses this was written against it. At just 1024 it is still bytes, as there.
func rounded(n uint64) string {
	unit, name := uint64(1), "b"
	switch {
	case n > 1<<20:
		unit, name = 1<<20, "Mb"
	case n > 1<<10:
		unit, name = 1<<10, "Kb"
	}
	return strconv.FormatUint(n/unit, 10) + "." + strconv.FormatUint(n%unit*10/unit, 10) + " " + name
}
