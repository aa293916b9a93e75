package shield

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// elementsAtOnce is how many elements of a set are loaded in one transaction. An
// interval has two. What a message holds of them, 28 to 80 bytes each, must stay
// below the 64 KiB of a netlink attribute, and a transaction below the default
// send buffer: only root of the first user namespace may enlarge that.
const elementsAtOnce = 512

// A generation is everything that belongs to one plan: address sets, chains and
// the maps that lead from a frame's tags to a chain. Nothing of it is in use
// until the base chain's rules lead there.
type generation struct {
	prefix string
	chains []*nftables.Chain
	sets   []*nftables.Set
	kinds  *nftables.Set // one of sets: Ethernet type -> chain
}

const maxTags = 2

// A stack is the VLAN identifiers of a frame, outermost first, priority tags' too.
type stack []uint16

// stacks lists with which tags the frames of an interface may come. Priority tags
// (VID 0) count as none wherever they stand, IEEE 802.1Q 6.9.
func stacks(tags []uint16) []stack {
	switch len(tags) {
	case 0:
		return []stack{{}, {0}, {0, 0}}
	case 1:
		return []stack{{tags[0]}, {tags[0], 0}, {0, tags[0]}}
	case 2:
		return []stack{{tags[0], tags[1]}}
	}
	return nil // the responder knows no such interface
}

// replace has the table drop what is for nets and nothing else. The new
// generation is loaded beside the old one, in as many transactions as it takes;
// then one has the base chain lead to it, and so no frame finds a shield that is
// half old. The old one is deleted in a transaction of its own: a frame that is
// on its way through old rules looks its tags up as of now, and in the maps of a
// generation that went with the switch it would find nothing and pass.
func (t *table) replace(nets []network) error {
	var next *generation
	if len(nets) > 0 {
		var err error
		if next, err = t.load(nets); err != nil {
			return err
		}
	}
	t.conn.FlushChain(t.base)
	if next != nil {
		t.addRule(t.base, notOurs()...)
		t.addRule(t.base, byEtherType(next.kinds)...)
	}
	if err := t.flush(); err != nil {
		return fmt.Errorf("switch over: %w", err)
	}
	old := t.standing
	t.standing = next
	if old == nil {
		return nil
	}
	t.forget(old)
	if err := t.flush(); err != nil {
		return fmt.Errorf("delete what was before: %w", err)
	}
	return nil
}

func (t *table) load(nets []network) (*generation, error) {
	t.number++
	g := &generation{prefix: fmt.Sprintf("g%d-", t.number)}
	var chains [maxTags + 1][]lead
	for i, n := range nets {
		set, err := t.loadAddresses(g, fmt.Sprintf("net%d", i), n.runs)
		if err != nil {
			return nil, fmt.Errorf("load addresses: %w", err)
		}
		known := map[int]*nftables.Chain{} // by number of tags, which is what moves the headers
		for _, ids := range stacks(n.tags) {
			tags := len(ids)
			if known[tags] == nil {
				known[tags] = t.addChain(g, fmt.Sprintf("net%d-tags%d", i, tags))
				t.addRule(known[tags], dropIP(set, tags)...)
				t.addRule(known[tags], dropARP(set, tags)...)
			}
			chains[tags] = append(chains[tags], lead{ids.key(), known[tags]})
		}
		// The kernel sends rules back, and the library can't take more of them than
		// fit into a message: a transaction must have few.
		if err := t.flush(); err != nil {
			return nil, fmt.Errorf("load rules: %w", err)
		}
	}
	if err := t.loadDispatch(g, chains); err != nil {
		return nil, fmt.Errorf("load tags: %w", err)
	}
	return g, nil
}

// loadAddresses loads an interval set.
func (t *table) loadAddresses(g *generation, name string, runs []interval) (*nftables.Set, error) {
	elements := make([]nftables.SetElement, 0, 2*len(runs))
	for _, r := range runs {
		// An end is the first address that is not in the set; a run up to
		// 255.255.255.255 would have none, but that is never an alias.
		elements = append(elements,
			nftables.SetElement{Key: be32(uint32(r.first))},
			nftables.SetElement{Key: be32(uint32(r.last + 1)), IntervalEnd: true})
	}
	set := t.newSet(g, name, nftables.TypeIPAddr)
	set.Interval = true
	return set, t.loadSet(set, elements)
}

// A lead is an element of a map: what has the key goes to the chain.
type lead struct {
	key   []byte
	chain *nftables.Chain
}

// loadMap loads a map from keys to chains.
func (t *table) loadMap(g *generation, name string, key nftables.SetDatatype, leads []lead) (*nftables.Set, error) {
	elements := make([]nftables.SetElement, 0, len(leads))
	for _, l := range leads {
		elements = append(elements, nftables.SetElement{Key: l.key, VerdictData: goTo(l.chain)})
	}
	set := t.newSet(g, name, key)
	set.IsMap, set.DataType = true, nftables.TypeVerdict
	return set, t.loadSet(set, elements)
}

// loadSet makes a set and loads its elements, in as many transactions as it takes.
func (t *table) loadSet(set *nftables.Set, elements []nftables.SetElement) error {
	if err := t.conn.AddSet(set, nil); err != nil {
		return err
	}
	for part := range slices.Chunk(elements, elementsAtOnce) {
		if err := t.conn.SetAddElements(set, part); err != nil {
			return err
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	return t.flush()
}

// loadDispatch makes what leads from a frame's Ethernet type and tags to the
// chains that look at its addresses. Those are given by number of tags.
func (t *table) loadDispatch(g *generation, chains [maxTags + 1][]lead) error {
	vid := nftables.TypeInetService // what nft lists as a 16-bit decimal number
	one, err := t.loadMap(g, "tags1", vid, chains[1])
	if err != nil {
		return err
	}
	two, err := t.loadMap(g, "tags2", nftables.MustConcatSetType(vid, vid), chains[2])
	if err != nil {
		return err
	}
	inner := t.addChain(g, "inner")
	t.addRule(inner, byTwoTags(two)...)
	outer := t.addChain(g, "outer")
	for _, kind := range tagTypes {
		t.addRule(outer, append(typeIs(1, kind), goTo(inner))...)
	}
	t.addRule(outer, byOneTag(one)...)

	var kinds []lead
	for _, kind := range tagTypes {
		kinds = append(kinds, lead{be16(kind), outer})
	}
	for _, untagged := range chains[0] {
		kinds = append(kinds, lead{be16(unix.ETH_P_IP), untagged.chain}, lead{be16(unix.ETH_P_ARP), untagged.chain})
	}
	g.kinds, err = t.loadMap(g, "kinds", nftables.TypeEtherType, kinds)
	return err
}

// forget deletes a generation that the base chain leads to no longer. What
// something still leads to can't be deleted: rules lead to sets and chains, and
// maps to chains.
func (t *table) forget(g *generation) {
	for _, c := range g.chains {
		t.conn.FlushChain(c)
	}
	for _, s := range g.sets {
		t.conn.DelSet(s)
	}
	for _, c := range g.chains {
		t.conn.DelChain(c)
	}
}

func (t *table) newSet(g *generation, name string, key nftables.SetDatatype) *nftables.Set {
	t.setID++
	set := &nftables.Set{Table: t.nft, ID: t.setID, Name: g.prefix + name, KeyType: key}
	g.sets = append(g.sets, set)
	return set
}

func (t *table) addChain(g *generation, name string) *nftables.Chain {
	c := t.conn.AddChain(&nftables.Chain{Name: g.prefix + name, Table: t.nft})
	g.chains = append(g.chains, c)
	return c
}

func (t *table) addRule(c *nftables.Chain, exprs ...expr.Any) {
	t.conn.AddRule(&nftables.Rule{Table: t.nft, Chain: c, Exprs: exprs})
}

// key writes identifiers as nftables compares them: each in registers of 32 bits
// of its own if there are several.
func (ids stack) key() []byte {
	if len(ids) == 1 {
		return be16(ids[0])
	}
	key := make([]byte, 4*len(ids))
	for i, id := range ids {
		binary.BigEndian.PutUint16(key[4*i:], id)
	}
	return key
}

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
