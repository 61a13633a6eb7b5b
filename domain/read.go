package domain

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// plainReader walks one document. Once a method is false the document is not plain, or not what the type takes.
type plainReader struct {
	b    []byte
	at   int
	memo Memo // nil makes each text anew.
}

// space goes to what is no blank: most who write JSON to us put some between a value and the next.
func (r *plainReader) space() {
	if r.at < len(r.b) && r.b[r.at] <= ' ' { // By itself, to be part of who calls it: what we write has none.
		r.skip()
	}
}

func (r *plainReader) skip() {
	for r.at < len(r.b) && strings.IndexByte(" \t\r\n", r.b[r.at]) >= 0 {
		r.at++
	}
}

func (r *plainReader) end() bool {
	r.space()
	return r.at == len(r.b)
}

func (r *plainReader) next(c byte) bool {
	if r.space(); r.at < len(r.b) && r.b[r.at] == c {
		r.at++
		return true
	}
	return false
}

// mark takes the byte that comes next; 0 is none.
func (r *plainReader) mark() byte {
	if r.space(); r.at == len(r.b) {
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *plainReader) has(s string) bool {
	if len(r.b)-r.at >= len(s) && string(r.b[r.at:r.at+len(s)]) == s {
		r.at += len(s)
		return true
	}
	return false
}

// value reads one value into p, which is zero.
func (r *plainReader) value(s *shape, p place) bool {
	r.space()
	switch s.kind {
	case asText:
		b, ok := r.text()
		if ok {
			*as[string](p) = r.kept(b)
			return true
		}
		return r.other(s, p)
	case asObject:
		return r.object(s, p)
	case asDay:
		if r.at+dateBytes <= len(r.b) {
			if d, ok := plainDay(r.b[r.at : r.at+dateBytes]); ok {
				*as[Day](p) = d
				r.at += dateBytes
				return true
			}
		}
		return r.own(s, p, as[Day](p))
	case asInt:
		n, ok := r.integer()
		return ok && p.setInt(s.size, n)
	case asUint:
		n, ok := r.integer()
		return ok && n >= 0 && p.setUint(s.size, uint64(n))
	case asBool:
		*as[bool](p) = r.has("true")
		return *as[bool](p) || r.has("false")
	case asTexts:
		return r.texts(s, p)
	case asCounts:
		return r.counts(s, p)
	case asList:
		return r.list(s, p)
	case asPointer:
		if r.has("null") {
			return true
		}
		to := newPlace(s.elem.typ)
		*as[place](p) = to
		return r.value(s.elem, to)
	case asFloat:
		return r.float(as[float64](p))
	case asVerdict:
		return r.verdict(as[Verdict](p))
	case asTime:
		return r.own(s, p, as[time.Time](p))
	case asMonth:
		return r.own(s, p, as[Month](p))
	case asOwn:
		return r.own(s, p, p.pointer(s.like).(json.Unmarshaler))
	default:
		return r.other(s, p)
	}
}

// text reads a text without escapes.
func (r *plainReader) text() ([]byte, bool) {
	if r.at >= len(r.b) || r.b[r.at] != '"' {
		return nil, false
	}
	b, wide, i := r.b[r.at+1:], uint64(0), 0
	for ; len(b)-i >= wordBytes; i += wordBytes {
		x := binary.LittleEndian.Uint64(b[i:])
		stops := (under(x, ' ') | same(x, '"') | same(x, '\\')) &^ x & highs
		if stops != 0 { // The lowest is right: what is wrong of them is above another.
			wide |= x & (stops&-stops - 1)
			i += bits.TrailingZeros64(stops) / 8
			break
		}
		wide |= x
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if b = b[:i]; wide&highs != 0 && !utf8.Valid(b) {
				return nil, false
			}
			r.at += i + 2
			return b, true
		case c < ' ' || c == '\\':
			return nil, false
		default:
			wide |= uint64(c)
		}
	}
	return nil, false
}

func (r *plainReader) kept(text []byte) string {
	if r.memo == nil {
		return string(text)
	}
	return r.memo.Text(text)
}

// integer reads a whole number.
func (r *plainReader) integer() (n int64, ok bool) {
	negative := r.next('-')
	from := r.at
	for ; r.at < len(r.b) && r.b[r.at]-'0' <= 9; r.at++ {
		n = n*10 + int64(r.b[r.at]-'0')
	}
	digits := r.at - from
	if digits == 0 || digits > 18 || digits > 1 && r.b[from] == '0' || r.at < len(r.b) && strings.IndexByte(".eE", r.b[r.at]) >= 0 {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// float reads the numbers that JSON has: a subset of what strconv takes.
func (r *plainReader) float(to *float64) bool {
	raw, ok := r.raw()
	if !ok || !json.Valid(raw) {
		return false
	}
	var err error
	*to, err = strconv.ParseFloat(string(raw), 64)
	return err == nil
}

func (r *plainReader) object(s *shape, p place) bool {
	if !r.next('{') {
		return false
	}
	if r.next('}') {
		return true
	}
	var given fieldSet
	for at := 0; ; at++ {
		if at = r.field(s, at); at < 0 || !given.add(at) {
			return false
		}
		f := &s.fields[at]
		if !r.value(f.shape, p.field(f.offset)) {
			return false
		}
		switch r.mark() {
		case ',':
		case '}':
			return true
		default:
			return false
		}
	}
}

// field is the number of the field whose name comes next, most likely at; -1 is none.
func (r *plainReader) field(s *shape, at int) int {
	r.space()
	if len(r.b)-r.at < keyLeast {
		return -1
	}
	head := binary.LittleEndian.Uint32(r.b[r.at:])
	for i := at; i < len(s.fields); i++ {
		if f := &s.fields[i]; f.head == head && r.has(f.key()) {
			return i
		}
	}
	for i := range min(at, len(s.fields)) {
		if f := &s.fields[i]; f.head == head && r.has(f.key()) {
			return i
		}
	}
	return -1
}

const keyLeast = 4 // Bytes of the key of a field.

// fieldSet is which fields of an object were given.
type fieldSet [fieldsMax / 64]uint64

const fieldsMax = 256 // Of an object; one of more is left to encoding/json.

// add is false of a field that is among them already.
func (s *fieldSet) add(at int) bool {
	had := s[at/64]
	s[at/64] |= 1 << (at % 64)
	return s[at/64] != had
}

// count is how many elements a list seems to have that goes on here, by the byte each comes with. It may have others: it ends
// here where the first list within it does.
func (r *plainReader) count(each byte) int {
	rest := r.b[r.at:]
	return bytes.Count(rest[:max(bytes.IndexByte(rest, ']'), 0)], []byte{each})
}

func (r *plainReader) texts(s *shape, p place) bool {
	from := r.at
	if !r.next('[') {
		return r.other(s, p)
	}
	all := []string{}
	for more := !r.next(']'); more; more = !r.next(']') {
		if len(all) == 0 {
			all = make([]string, 0, r.count(',')+1)
		} else if !r.next(',') {
			return false
		}
		r.space()
		b, ok := r.text()
		if !ok {
			r.at = from
			return r.other(s, p)
		}
		all = append(all, r.kept(b))
	}
	*as[[]string](p) = all
	return true
}

func (r *plainReader) counts(s *shape, p place) bool {
	from := r.at
	if !r.next('{') {
		return r.other(s, p)
	}
	all := map[string]int64{}
	for more := !r.next('}'); more; more = !r.next('}') {
		if len(all) > 0 && !r.next(',') {
			return false
		}
		r.space()
		name, ok := r.text()
		if !ok || !r.next(':') {
			r.at = from
			return r.other(s, p)
		}
		r.space()
		n, ok := r.integer()
		if !ok {
			return false
		}
		all[string(name)] = n
	}
	*as[map[string]int64](p) = all
	return true
}

func (r *plainReader) list(s *shape, p place) bool {
	if r.has("null") {
		return true
	}
	if !r.next('[') {
		return false
	}
	list := p.value(s.like)
	if r.next(']') {
		list.Set(reflect.MakeSlice(s.typ, 0, 0))
		return true
	}
	each := byte(',')
	if s.elem.kind == asObject {
		each = '{'
	}
	list.Grow(r.count(each))
	for head := as[listHead](p); ; {
		if head.len == head.cap {
			list.Grow(1)
		}
		head.len++
		if !r.value(s.elem, head.at(head.len-1, s.elem.size)) {
			return false
		}
		switch r.mark() {
		case ',':
		case ']':
			return true
		default:
			return false
		}
	}
}

// own lets a type read a text or a number itself.
func (r *plainReader) own(s *shape, p place, itself json.Unmarshaler) bool {
	from := r.at
	_, ok := r.text()
	if !ok {
		_, ok = r.integer()
	}
	if !ok {
		r.at = from
		return r.other(s, p)
	}
	return itself.UnmarshalJSON(r.b[from:r.at]) == nil
}

// other reads a value by encoding/json, which tells whether what looks like a value is one.
func (r *plainReader) other(s *shape, p place) bool {
	raw, ok := r.raw()
	return ok && json.Unmarshal(raw, p.pointer(s.like)) == nil
}

// raw goes to the end of what looks like a value.
func (r *plainReader) raw() ([]byte, bool) {
	from, depth, text := r.at, 0, false
	for ; r.at < len(r.b); r.at++ {
		switch c := r.b[r.at]; {
		case text && c == '\\':
			r.at++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			depth++
		case (c == '}' || c == ']' || c == ',') && depth == 0:
			return r.b[from:r.at], true
		case c == '}' || c == ']':
			depth--
		}
	}
	r.at = min(r.at, len(r.b))
	return r.b[from:r.at], depth == 0 && !text
}
