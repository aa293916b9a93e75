package responder

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// String writes l for people: the first few ranges, and how many more there are.
func (l Ranges) String() string {
	const most = 8
	var words []string
	for _, r := range l.First(most).All() {
		words = append(words, r.String())
	}
	text := strings.Join(words, ", ")
	if more := l.Len() - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// IsZero tells whether l is empty: encoding/json leaves such a field out that
// says omitzero.
func (l Ranges) IsZero() bool { return l.Len() == 0 }

// MarshalJSON writes an array of all ranges, as strings "a", "a-b" or "a/n".
func (l Ranges) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, l.Len()*20+2)
	text = append(text, '[')
	for n, r := range l.All() {
		if n > 0 {
			text = append(text, ',')
		}
		text = append(text, '"')
		text = r.AppendTo(text) // digits, dots, colons: nothing to escape
		text = append(text, '"')
	}
	return append(text, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Ranges) UnmarshalJSON(text []byte) error {
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*l = Ranges{}.Grow(len(list))
	for _, s := range list {
		r, err := ParseRange(s)
		if err != nil {
			return err
		}
		*l = l.Append(r)
	}
	return nil
}

// ParseRange reads what Range.String writes. It is for programs; what people
// type is read by package config, which has words for their mistakes.
func ParseRange(s string) (r Range, err error) {
	if first, last, ok := strings.Cut(s, "-"); ok {
		if r.First, err = netip.ParseAddr(first); err == nil {
			r.Last, err = netip.ParseAddr(last)
		}
		if err == nil && r.Last.Less(r.First) {
			err = fmt.Errorf("the range %s ends before it begins", s)
		}
		return r, err
	}
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err == nil {
			r = PrefixRange(p)
		}
		return r, err
	}
	r.First, err = netip.ParseAddr(s)
	r.Last = r.First
	return r, err
}
