package domain

import (
	"encoding/binary"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Append writes the T at an address, in the bytes of json.Marshal(at).
func (f Form[T]) Append(b []byte, at *T) ([]byte, error) {
	w := plainWriter{address: true}
	if out := w.value(b, f.shape, placeOf(at)); !w.fails {
		return out, nil
	}
	raw, err := json.Marshal(at)
	return append(b, raw...), err
}

// AppendLasting writes x, which MUST be a T, in the bytes of json.Marshal(x), and tells whether what is written gives back x
// itself, so that it need not be read again. It never says so wrongly, and says no to what it does not know. What JSON
// changes: an empty list left out, a time's zone and clock reading, text that is no UTF-8, anything behind an interface,
// fields that are not written.
func (f Form[T]) AppendLasting(b []byte, x any) (_ []byte, lasting bool, err error) {
	var w plainWriter
	if out := w.value(b, f.shape, inside[T](x)); !w.fails {
		return out, !w.changed, nil
	}
	raw, err := json.Marshal(x)
	return append(b, raw...), false, err
}

// Sorted is the form of the same values with the fields of every object in the order of their names, as RFC 8785 has them.
// It panics if something in T is left to encoding/json: only a programming error gets here.
func (f Form[T]) Sorted() Form[T] {
	f = FormOf[T]()
	f.shape.sort()
	return f
}

func (s *shape) sort() {
	switch s.kind {
	case asOther, asOwn, asVerdict:
		panic("domain: the order of fields in " + s.typ.String() + " is its own")
	case asObject:
		slices.SortFunc(s.fields, func(a, b fieldPart) int { return strings.Compare(a.name(), b.name()) })
		for i := range s.fields {
			s.fields[i].shape.sort()
		}
	case asList, asPointer:
		s.elem.sort()
	default: // Of one value, or sorted as it is.
	}
}

// plainWriter writes one document.
type plainWriter struct {
	fails   bool // json.Marshal refuses a value, or must write the document.
	changed bool // It gives back something else.
	address bool // What is written has an address in Go: it may be written otherwise.
}

func (w *plainWriter) keeps(all bool) { w.changed = w.changed || !all }

// value appends what lies at p.
func (w *plainWriter) value(b []byte, s *shape, p place) []byte {
	switch s.kind {
	case asText:
		return w.text(b, *as[string](p))
	case asObject:
		return w.object(b, s, p)
	case asDay:
		d := *as[Day](p)
		w.keeps(d == 0 || d >= DayMin && d <= DayMax)
		return append(d.append(append(b, '"')), '"')
	case asMonth:
		m := *as[Month](p)
		w.keeps(m == 0 || m.First() >= DayMin && m.First() <= DayMax)
		return append(m.append(append(b, '"')), '"')
	case asInt:
		return appendInt(b, p.word(s.size))
	case asUint:
		return strconv.AppendUint(b, p.unsigned(s.size), 10)
	case asBool:
		return strconv.AppendBool(b, *as[bool](p))
	case asTexts:
		return w.texts(b, *as[[]string](p))
	case asList:
		return w.list(b, s, p)
	case asVerdict:
		return w.verdict(b, *as[Verdict](p))
	case asCounts:
		return w.counts(b, *as[map[string]int64](p))
	case asPointer:
		return w.pointer(b, s, p)
	case asTime:
		return w.time(b, *as[time.Time](p))
	default:
		if w.address {
			return w.other(b, p.pointer(s.like))
		}
		return w.other(b, p.value(s.like).Interface())
	}
}

// other has a value written by json.Marshal.
func (w *plainWriter) other(b []byte, x any) []byte {
	raw, err := json.Marshal(x)
	w.changed, w.fails = true, w.fails || err != nil
	return append(b, raw...)
}

// addressed is value of what has an address, wherever that is held from which it is reached.
func (w *plainWriter) addressed(b []byte, s *shape, p place) []byte {
	before := w.address
	w.address = true
	b = w.value(b, s, p)
	w.address = before
	return b
}

// pointer: what a pointer to null is written as comes back as no pointer.
func (w *plainWriter) pointer(b []byte, s *shape, p place) []byte {
	to := p.elem()
	if to == (place{}) {
		return append(b, "null"...)
	}
	switch s.elem.typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		w.changed = true
	default:
	}
	return w.addressed(b, s.elem, to)
}

// time writes a time. What is no UTC, or no year of four digits, json.Marshal writes or refuses.
func (w *plainWriter) time(b []byte, t time.Time) []byte {
	y := t.Year()
	if t.Location() != time.UTC || y < 0 || y > 9999 {
		return w.other(b, t)
	}
	w.keeps(t == t.Round(0).UTC() && y >= 1)
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func (w *plainWriter) text(b []byte, text string) []byte {
	if plain(text) {
		return appendPlain(b, text)
	}
	w.keeps(utf8.ValidString(text))
	return appendText(b, text)
}

// plain is true of a text of printable ASCII that JSON, as we write it, leaves alone.
func plain(text string) bool {
	n := len(text)
	if n < wordBytes {
		for i := range n {
			if quoted[text[i]] {
				return false
			}
		}
		return true
	}
	b, found := bytesOf(text), uint64(0)
	for i := range (n - 1) / wordBytes {
		found |= quotedOf(binary.LittleEndian.Uint64(b[i*wordBytes:]))
	}
	return (found|quotedOf(binary.LittleEndian.Uint64(b[n-wordBytes:])))&highs == 0
}

var quoted = func() (all [256]bool) {
	for c := range all {
		all[c] = c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, byte(c)) >= 0
	}
	return all
}()

// Eight bytes at once: in the results the highest bit is set of each byte that is meant, and of none of ASCII below the first.
const (
	wordBytes = 8
	ones      = 0x0101010101010101
	highs     = 0x80 * ones
)

// quotedOf means what plain does not; two pairs of those differ in a bit alone.
func quotedOf(x uint64) uint64 {
	return x | (x + ones) | under(x, ' ') | same(x, '\\') | same(x|ones*('"'^'&'), '&') | same(x|ones*('<'^'>'), '>')
}

func under(x uint64, c byte) uint64 { return x - ones*uint64(c) }

func same(x uint64, c byte) uint64 { return x ^ ones*uint64(c) - ones }

func appendPlain(b []byte, text string) []byte { return append(append(append(b, '"'), text...), '"') }

// appendText writes a text of plain characters, or has it written.
func appendText(b []byte, text string) []byte {
	if plain(text) {
		return appendPlain(b, text)
	}
	wide := false
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c == '"' || c == '\\':
			return appendQuoted(b, text)
		case c >= utf8.RuneSelf:
			wide = true
		}
	}
	if wide && !plainWide(text) {
		return appendQuoted(b, text)
	}
	b = append(b, '"')
	for i := range len(text) { // As json.Marshal does for the sake of HTML.
		switch c := text[i]; c {
		case '<', '>', '&':
			b = append(b, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendQuoted(b []byte, text string) []byte {
	raw, _ := json.Marshal(text) // A text is always written.
	return append(b, raw...)
}

// plainWide is true of characters beyond ASCII that json.Marshal leaves alone.
func plainWide(text string) bool {
	for _, c := range text {
		if c == utf8.RuneError || c == '\u2028' || c == '\u2029' {
			return false
		}
	}
	return true
}

func (w *plainWriter) object(b []byte, s *shape, p place) []byte {
	for _, h := range s.hidden {
		w.keeps(p.field(h.offset).value(h.like).IsZero())
	}
	from := len(b)
	for i := range s.fields {
		f := &s.fields[i]
		at := p.field(f.offset)
		switch kind := f.shape.kind; {
		case kind == asText && !f.asks: // As most are, here and not by value.
			if text := *as[string](at); text != "" || !f.omits() {
				b = w.text(append(b, f.next...), text)
			}
			continue
		case kind == asInt && !f.asks:
			if n := at.word(f.shape.size); n != 0 || !f.omits() {
				b = appendInt(append(b, f.next...), n)
			}
			continue
		case f.omitEmpty && f.shape.empty(at) || f.omitZero && f.shape.tellsZero(at):
			w.keeps(f.shape.zero(at)) // An empty list comes back as none.
			continue
		}
		b = w.value(append(b, f.next...), f.shape, at)
	}
	return enclosed(b, from, '{', '}')
}

// appendInt writes a whole number; most have one digit.
func appendInt(b []byte, n int64) []byte {
	if 0 <= n && n <= 9 {
		return append(b, '0'+byte(n))
	}
	return strconv.AppendInt(b, n, 10)
}

// enclosed ends a list or an object, all of whose parts since from have a comma before them.
func enclosed(b []byte, from int, first, last byte) []byte {
	if len(b) == from {
		return append(b, first, last)
	}
	b[from] = first
	return append(b, last)
}

// empty is what omitempty leaves out.
func (s *shape) empty(p place) bool {
	switch s.kind {
	case asTexts, asList, asVerdict:
		return as[listHead](p).len == 0
	case asCounts:
		return len(*as[map[string]int64](p)) == 0
	case asObject, asTime:
		return false
	case asOther, asOwn:
		v := p.value(s.like)
		switch v.Kind() {
		case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
			return v.Len() == 0
		case reflect.Struct:
			return false
		default:
			return v.IsZero()
		}
	default:
		return s.zero(p)
	}
}

// tellsZero is what omitzero leaves out.
func (s *shape) tellsZero(p place) bool {
	if !s.isZero || s.kind == asDay || s.kind == asMonth {
		return s.zero(p)
	}
	if s.kind == asTime {
		return as[time.Time](p).IsZero()
	}
	v := p.value(s.like)
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return true
	}
	return v.Interface().(interface{ IsZero() bool }).IsZero()
}

// zero is true of the zero value.
func (s *shape) zero(p place) bool {
	switch s.kind {
	case asText:
		return *as[string](p) == ""
	case asInt, asUint, asBool, asFloat, asDay, asMonth, asPointer, asCounts:
		return p.word(s.size) == 0
	case asTexts, asList, asVerdict:
		return as[listHead](p).first == place{}
	case asTime:
		return *as[time.Time](p) == time.Time{}
	case asObject:
		if !s.floats { // -0 is zero among others, and not by itself.
			return s.nothing(p)
		}
	default:
	}
	return p.value(s.like).IsZero()
}

// nothing is zero of an object.
func (s *shape) nothing(p place) bool {
	for i := range s.fields {
		if f := &s.fields[i]; !f.shape.zero(p.field(f.offset)) {
			return false
		}
	}
	for _, h := range s.hidden {
		if !p.field(h.offset).value(h.like).IsZero() {
			return false
		}
	}
	return true
}

func (w *plainWriter) list(b []byte, s *shape, p place) []byte {
	list := as[listHead](p)
	if list.first == (place{}) {
		return append(b, "null"...)
	}
	from := len(b)
	for i := range list.len {
		b = w.addressed(append(b, ','), s.elem, list.at(i, s.elem.size))
	}
	return enclosed(b, from, '[', ']')
}

func (w *plainWriter) texts(b []byte, all []string) []byte {
	if all == nil {
		return append(b, "null"...)
	}
	from := len(b)
	for _, text := range all {
		b = w.text(append(b, ','), text)
	}
	return enclosed(b, from, '[', ']')
}

func (w *plainWriter) verdict(b []byte, v Verdict) []byte {
	b, err := v.appendJSON(b)
	w.fails = w.fails || err != nil
	for i := range v {
		w.keeps(v[i].lasting())
	}
	return b
}

// counts writes counts in order of names.
func (w *plainWriter) counts(b []byte, all map[string]int64) []byte {
	if all == nil {
		return append(b, "null"...)
	}
	var room [namesUsual]string
	names := sortedNames(room[:0], all)
	from := len(b)
	for _, name := range names {
		b = w.text(append(b, ','), name)
		b = appendInt(append(b, ':'), all[name])
	}
	return enclosed(b, from, '{', '}')
}

const namesUsual = 32 // For so many names the caller has room.

// sortedNames appends the names of all to names, which is empty, in order.
func sortedNames[V any](names []string, all map[string]V) []string {
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
