package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// syntax tells the mistake after which the text is no TOML any more. The
// parser says what it met; what the user did, most often, is leave out quotes.
func (d *decoder) syntax(p *unstable.Parser, err error) {
	at, msg := 0, err.Error()
	var bad *unstable.ParserError
	if errors.As(err, &bad) {
		at = int(p.Range(bad.Highlight).Offset)
	}
	start, line := d.lineAround(at)
	col := at - start
	switch {
	case strings.HasPrefix(msg, "basic strings cannot have new lines"), strings.HasPrefix(msg, "unterminated basic string"):
		msg = `found the end of the line inside a text in quotes, expected a closing "`
	case strings.HasPrefix(msg, "literal strings cannot have new lines"), strings.HasPrefix(msg, "unterminated literal string"):
		msg = `found the end of the line inside a text in quotes, expected a closing '`
	case strings.HasPrefix(msg, "invalid escape character"):
		msg = fmt.Sprintf("found %s in a text in double quotes, expected no backslash or a doubled one", quote(string(bad.Highlight)))
	case strings.HasPrefix(msg, "array is incomplete"):
		msg = "found the end of the file inside an array, expected a closing ]"
	case strings.HasPrefix(msg, "inline table is incomplete"):
		msg = "found the end of the file inside a table in braces, expected a closing }"
	case strings.Contains(msg, "UTF-8"):
		msg = "found a character that is no UTF-8, expected UTF-8 text"
	case strings.Contains(msg, "comment"): // no words there
	default:
		msg = d.met(at, msg)
		if back, better := bareWord(line, col); better != "" {
			at, msg = start+back, better
		}
	}
	d.fail(at, "syntax error: %s", msg)
}

// met puts the parser's commonest messages into "found X, expected Y".
func (d *decoder) met(at int, msg string) string {
	found := "the end of the file"
	if at < len(d.text)-1 || at < len(d.text) && !strings.Contains(msg, "end of input") {
		r, _ := utf8.DecodeRune(d.text[at:])
		found = fmt.Sprintf("%q", r)
		switch {
		case r == '\n', bytes.HasPrefix(d.text[at:], []byte("\r\n")):
			found = "the end of the line"
		case r == '\r':
			found = "a carriage return without a newline"
		}
	}
	// The messages of go-toml that people meet, by their beginnings. One that a later version words
	// in another way is passed on as it is.
	for _, known := range []struct{ said, expected string }{
		{"expected newline but got U+002C", "the end of the line; several values stand in brackets: [a, b]"},
		{"expected newline", "the end of the line"},
		{"expected '=' after key", "'=' behind the key"},
		{"expected ',' or ']'", "',' or ']' in the array"},
		{"expected ']'", "']' behind the name of the table"},
		{"invalid character at start of key", "a key"},
		{"unexpected character", "a value"},
		{"expected value", "a value"},
	} {
		if strings.HasPrefix(msg, known.said) {
			return fmt.Sprintf("found %s, expected %s", found, known.expected)
		}
	}
	return msg
}

// lineAround gives the line that holds an offset, without its end, and where it begins. Of
// a line that is longer than any that people write it gives what is near.
func (d *decoder) lineAround(at int) (start int, line string) {
	const near = 512
	start = bytes.LastIndexByte(d.text[:at], '\n') + 1
	start = max(start, at-near)
	text, _, _ := bytes.Cut(d.text[start:min(len(d.text), at+near)], []byte("\n"))
	return start, strings.TrimSuffix(string(text), "\r")
}

// bareWord says what is wrong with the word at col if that is a text without
// quotes: a label as a key, an address as a value. Without an idea it returns "".
// It goes by the line alone: what the parser was at, its error does not say.
func bareWord(line string, col int) (at int, msg string) {
	const ends = " \t\r,[]{}=\"'#"
	col = min(col, len(line))
	at = strings.LastIndexAny(line[:col], ends) + 1
	word := line[at:]
	if n := strings.IndexAny(word, ends); n >= 0 {
		word = word[:n]
	}
	before := line[:at]
	trimmed := strings.TrimSpace(before)
	// Behind a =, or within an array that began on a line above: after a comma, or indented.
	inValue := strings.Contains(before, "=") || strings.HasSuffix(trimmed, ",") || line != strings.TrimLeft(line, " \t") && !strings.Contains(line, "=")
	word = short(word)
	switch {
	case word == "":
		return at, ""
	case strings.HasPrefix(word, "//"):
		return at, "found //, expected # before a comment"
	case strings.HasPrefix(trimmed, "[") && !inValue && !strings.Contains(before, "]"):
		if !strings.ContainsFunc(word, notBare) {
			return at, ""
		}
		return at, fmt.Sprintf("found %s in a table's name, expected quotes around a part that has other characters than letters, digits, - and _", quote(word))
	// YAML.
	case !inValue && strings.HasSuffix(word, ":") && !strings.ContainsFunc(word[:len(word)-1], notBare):
		return at, fmt.Sprintf("found ':' behind %s, expected '='", word[:len(word)-1])
	case !inValue:
		if !strings.ContainsFunc(word, notBare) {
			return at, ""
		}
		return at, fmt.Sprintf(`found %s as a key without quotes, expected "%s" = ...`, word, word)
	}
	// What YAML and old ini files take for a truth value.
	switch strings.ToLower(word) {
	case "true", "yes", "on":
		return at, fmt.Sprintf("found %s, expected true or false; did you mean true?", word)
	case "false", "no", "off":
		return at, fmt.Sprintf("found %s, expected true or false; did you mean false?", word)
	}
	if !strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || strings.ContainsRune(".:@/", r) }) {
		return at, ""
	}
	return at, fmt.Sprintf(`found %s without quotes, expected "%s"`, word, word)
}

// notBare tells whether TOML allows r in a key only within quotes; a dot would
// part it.
func notBare(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}
