package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of one JSON document.
const (
	bodyBytesMax   = 1 << 20 // A contract with 200 occupants is under 100 KB.
	jsonDepthMax   = 32
	jsonDigitsMax  = 19 // Longest int64; the schema bounds each field below it.
	combiningRun   = 4  // Longest run of combining marks: real scripts need two or three.
	jsonMembersMax = 20_000
)

// Codes of a document that is not acceptable JSON (problems.json, errors[].code).
const (
	codeSyntax    = "json.syntax"
	codeDuplicate = "json.duplicate_key"
	codeTrailing  = "json.trailing_data"
	codeDepth     = "json.too_deep"
	codeSize      = "json.too_many_values"
	codeUTF8      = "json.invalid_utf8"
	codeText      = "json.control_character"
	codeNumber    = "json.not_an_integer"
)

// strictJSON decodes one document into maps, slices, strings, json.Number, bool and nil, as jsonschema wants them.
// It refuses everything encoding/json forgives: duplicate names (also when spelled by escapes), invalid UTF-8, lone
// surrogates, a byte order mark, trailing data, deep nesting; of numbers it takes integers only, and of strings none
// with characters that a reader can't see (controls, bidirectional overrides, zero widths, private use).
func strictJSON(doc []byte) (any, *FieldError) {
	s := scanner{doc: doc}
	s.space()
	v := s.value("", 0)
	s.space()
	if s.err == nil && s.at < len(s.doc) {
		s.fail("", codeTrailing)
	}
	return v, s.err
}

type scanner struct {
	doc    []byte
	at     int
	values int
	err    *FieldError
}

func (s *scanner) fail(pointer, code string) {
	if s.err == nil {
		s.err = &FieldError{Pointer: pointer, Code: code}
	}
}

func (s *scanner) peek() byte {
	if s.at < len(s.doc) {
		return s.doc[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.doc) {
		switch s.doc[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) value(pointer string, depth int) any {
	if s.values++; s.values > jsonMembersMax {
		s.fail(pointer, codeSize)
	}
	if depth > jsonDepthMax {
		s.fail(pointer, codeDepth)
	}
	if s.err != nil {
		return nil
	}
	switch c := s.peek(); {
	case c == '{':
		return s.object(pointer, depth)
	case c == '[':
		return s.array(pointer, depth)
	case c == '"':
		return s.text(pointer)
	case c == '-' || (c >= '0' && c <= '9'):
		return s.number(pointer)
	case s.word("true"):
		return true
	case s.word("false"):
		return false
	case s.word("null"):
		return nil
	}
	s.fail(pointer, codeSyntax)
	return nil
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.doc[s.at:], []byte(w)) {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) object(pointer string, depth int) any {
	members := map[string]any{}
	s.at++
	s.space()
	if s.peek() == '}' {
		s.at++
		return members
	}
	for s.err == nil {
		s.space()
		if s.peek() != '"' {
			s.fail(pointer, codeSyntax)
			break
		}
		name := s.text(pointer)
		inner := pointer + "/" + escapePointer(name)
		if _, taken := members[name]; taken {
			s.fail(inner, codeDuplicate)
		}
		s.space()
		if s.peek() != ':' {
			s.fail(inner, codeSyntax)
			break
		}
		s.at++
		s.space()
		members[name] = s.value(inner, depth+1)
		s.space()
		if s.peek() == ',' {
			s.at++
			continue
		}
		if s.peek() != '}' {
			s.fail(pointer, codeSyntax)
		}
		s.at++
		break
	}
	return members
}

func (s *scanner) array(pointer string, depth int) any {
	items := []any{}
	s.at++
	s.space()
	if s.peek() == ']' {
		s.at++
		return items
	}
	for s.err == nil {
		s.space()
		items = append(items, s.value(pointer+"/"+strconv.Itoa(len(items)), depth+1))
		s.space()
		if s.peek() == ',' {
			s.at++
			continue
		}
		if s.peek() != ']' {
			s.fail(pointer, codeSyntax)
		}
		s.at++
		break
	}
	return items
}

// number takes -?(0|[1-9][0-9]*) except -0. Everything counted here is whole: fen, 0.01 ㎡, basis points.
func (s *scanner) number(pointer string) any {
	start := s.at
	if s.peek() == '-' {
		s.at++
	}
	digits := s.at
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.at++
	}
	n := s.at - digits
	switch c := s.peek(); {
	case n == 0, s.doc[digits] == '0' && n > 1:
		s.fail(pointer, codeSyntax)
	case c == '.' || c == 'e' || c == 'E', n > jsonDigitsMax, string(s.doc[start:s.at]) == "-0":
		s.fail(pointer, codeNumber)
	}
	return json.Number(s.doc[start:s.at])
}

// text reads a string and checks its characters.
func (s *scanner) text(pointer string) string {
	s.at++
	start := s.at
	for s.at < len(s.doc) && plain(s.doc[s.at]) {
		s.at++
	}
	if s.peek() == '"' { // Most texts.
		s.at++
		return string(s.doc[start : s.at-1])
	}
	out := slices.Clone(s.doc[start:s.at])
	marks := 0
	for s.err == nil {
		if s.at >= len(s.doc) {
			s.fail(pointer, codeSyntax)
			break
		}
		c := s.doc[s.at]
		if c == '"' {
			s.at++
			break
		}
		r := s.char(pointer, c)
		if r >= utf8.RuneSelf && unicode.Is(unicode.Mn, r) {
			marks++
		} else {
			marks = 0
		}
		if marks > combiningRun || !visible(r) {
			s.fail(pointer, codeText)
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// plain is true of visible ASCII that stands for itself.
func plain(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' && c != '\\' }

func (s *scanner) char(pointer string, c byte) rune {
	switch {
	case c < 0x20:
		s.fail(pointer, codeSyntax)
		return 0
	case c == '\\':
		return s.escape(pointer)
	case c < utf8.RuneSelf:
		s.at++
		return rune(c)
	}
	r, size := utf8.DecodeRune(s.doc[s.at:])
	if r == utf8.RuneError && size == 1 {
		s.fail(pointer, codeUTF8)
	}
	s.at += size
	return r
}

func (s *scanner) escape(pointer string) rune {
	s.at++
	c := s.peek()
	s.at++
	switch c {
	case '"', '\\', '/':
		return rune(c)
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
		r := s.hex4(pointer)
		if !utf16.IsSurrogate(r) {
			return r
		}
		if s.peek() == '\\' && s.at+1 < len(s.doc) && s.doc[s.at+1] == 'u' {
			s.at += 2
			if pair := utf16.DecodeRune(r, s.hex4(pointer)); pair != utf8.RuneError {
				return pair
			}
		}
		s.fail(pointer, codeUTF8)
		return 0
	}
	s.fail(pointer, codeSyntax)
	return 0
}

func (s *scanner) hex4(pointer string) rune {
	if s.at+4 > len(s.doc) {
		s.fail(pointer, codeSyntax)
		return 0
	}
	n, err := strconv.ParseUint(string(s.doc[s.at:s.at+4]), 16, 16)
	if err != nil {
		s.fail(pointer, codeSyntax)
	}
	s.at += 4
	return rune(n)
}

// visible is false of characters that hide or reorder text. Line feeds and tabs pass: clauses have lines.
func visible(r rune) bool {
	if r >= ' ' && r < 0x7f || r == '\n' || r == '\t' {
		return true
	}
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Noncharacter_Code_Point, unicode.Zl, unicode.Zp)
}

func escapePointer(name string) string {
	out := make([]byte, 0, len(name))
	for i := range len(name) {
		switch name[i] {
		case '~':
			out = append(out, "~0"...)
		case '/':
			out = append(out, "~1"...)
		default:
			out = append(out, name[i])
		}
	}
	return string(out)
}
