package config

import "bytes"

// What a configuration may hold before it is parsed. A text of 48 MiB that somebody sends
// may be nothing but values, of two bytes each, and the parser and the tree take a hundred
// bytes for one; or brackets, each of which is a call in a call. Nobody writes more: long
// lists of addresses stand in files of their own.
const (
	maxValues = 1 << 22 // values, and parts of dotted keys
	maxDepth  = 16      // arrays and tables in braces within one another
)

// excess looks for more than a configuration may hold. at is where it goes beyond, and
// what says beyond what, "" if it does not.
//
// It goes over the text as the parser does: strings and comments are passed over. Where the
// text is no TOML the two may differ, but there the parser ends.
func excess(text []byte) (at int, what string) {
	values, depth := 0, 0
	for at < len(text) {
		switch text[at] {
		case '"', '\'':
			at = stringEnd(text, at)
			continue
		case '#':
			n := bytes.IndexByte(text[at:], '\n')
			if n < 0 {
				return 0, ""
			}
			at += n
		case '[', '{':
			depth++
			values++
		case ']', '}':
			depth--
		// The dot of a number counts too, which no list of addresses has.
		case '=', ',', '.':
			values++
		}
		switch {
		case depth > maxDepth:
			return at, "too deep: found more than 16 brackets or braces within one another"
		case values > maxValues:
			return at, "too many values: found more than 4194304; expected long lists of addresses in a file of their own, \"@FILE\""
		}
		at++
	}
	return 0, ""
}

// stringEnd gives the offset behind a string, or where a line ends that should have ended it.
func stringEnd(text []byte, at int) int {
	quote := text[at]
	three := []byte{quote, quote, quote}
	escapes := quote == '"'
	if long := bytes.HasPrefix(text[at:], three); long {
		for at += 3; at < len(text); at++ {
			switch {
			case escapes && text[at] == '\\':
				at++
			case text[at] == quote && bytes.HasPrefix(text[at:], three):
				// One or two more of them belong to the text.
				for at += 3; at < len(text) && text[at] == quote; at++ {
				}
				return at
			}
		}
		return len(text)
	}
	for at++; at < len(text); at++ {
		switch c := text[at]; {
		case c == quote:
			return at + 1
		case c == '\n':
			return at
		case escapes && c == '\\':
			at++
		}
	}
	return len(text)
}
