package domain

import (
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
	w := plainWriter{b: b}
	if w.value(f.shape, reflect.ValueOf(at).Elem()) {
		return w.b, nil
	}
	raw, err := json.Marshal(at)
	return append(b, raw...), err
}

// AppendLasting writes x, which MUST be a T, in the bytes of json.Marshal(x), and tells whether what is written gives back x
// itself, so that it need not be read again. It never says so wrongly, and says no to what it does not know. What JSON
// changes: an empty list left out, a time's zone and clock reading, text that is no UTF-8, anything behind an interface,
// fields that are not written.
func (f Form[T]) AppendLasting(b []byte, x any) (_ []byte, lasting bool, err error) {
	w := plainWriter{b: b}
	if w.value(f.shape, reflect.ValueOf(x)) {
		return w.b, !w.changed, nil
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

// plainWriter writes one document. Once a method is false json.Marshal refuses a value, or must write the document.
type plainWriter struct {
	b       []byte
	changed bool // It gives back something else.
}

func (w *plainWriter) keeps(all bool) { w.changed = w.changed || !all }

func (w *plainWriter) value(s *shape, v reflect.Value) bool {
	switch s.kind {
	case asText:
		return w.text(v.String())
	case asObject:
		return w.object(s, v)
	case asDay:
		d := Day(v.Int())
		w.keeps(d == 0 || d >= DayMin && d <= DayMax)
		w.b = append(d.append(append(w.b, '"')), '"')
	case asMonth:
		m := Month(v.Int())
		w.keeps(m == 0 || m.First() >= DayMin && m.First() <= DayMax)
		w.b = append(m.append(append(w.b, '"')), '"')
	case asInt:
		w.b = strconv.AppendInt(w.b, v.Int(), 10)
	case asUint:
		w.b = strconv.AppendUint(w.b, v.Uint(), 10)
	case asBool:
		w.b = strconv.AppendBool(w.b, v.Bool())
	case asTexts, asList:
		return w.list(s, v)
	case asVerdict:
		return w.verdict(v.Interface().(Verdict))
	case asCounts:
		return w.counts(v)
	case asPointer:
		return w.pointer(s, v)
	case asTime:
		return w.time(v)
	default:
		if v.CanAddr() { // What has an address may be written otherwise.
			v = v.Addr()
		}
		return w.other(v)
	}
	return true
}

// other has a value written by json.Marshal.
func (w *plainWriter) other(v reflect.Value) bool {
	raw, err := json.Marshal(v.Interface())
	w.b, w.changed = append(w.b, raw...), true
	return err == nil
}

// pointer: what a pointer to null is written as comes back as no pointer.
func (w *plainWriter) pointer(s *shape, v reflect.Value) bool {
	if v.IsNil() {
		w.b = append(w.b, "null"...)
		return true
	}
	switch s.elem.typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		w.changed = true
	default:
	}
	return w.value(s.elem, v.Elem())
}

// time writes a time. What is no UTC, or no year of four digits, json.Marshal writes or refuses.
func (w *plainWriter) time(v reflect.Value) bool {
	t := v.Interface().(time.Time)
	y := t.Year()
	if t.Location() != time.UTC || y < 0 || y > 9999 {
		return w.other(v)
	}
	w.keeps(t == t.Round(0).UTC() && y >= 1)
	w.b = append(t.AppendFormat(append(w.b, '"'), time.RFC3339Nano), '"')
	return true
}

func (w *plainWriter) text(text string) bool {
	if plain(text) {
		w.b = appendPlain(w.b, text)
		return true
	}
	b, ok := appendText(w.b, text)
	w.b = b
	w.keeps(ok && utf8.ValidString(text))
	return ok
}

// plain is true of a text of printable ASCII that JSON, as we write it, leaves alone.
func plain(text string) bool {
	for i := range len(text) {
		if quoted[text[i]] {
			return false
		}
	}
	return true
}

var quoted = func() (all [256]bool) {
	for c := range all {
		all[c] = c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, byte(c)) >= 0
	}
	return all
}()

func appendPlain(b []byte, text string) []byte { return append(append(append(b, '"'), text...), '"') }

// appendText writes a text of plain characters, or has it written.
func appendText(b []byte, text string) ([]byte, bool) {
	if plain(text) {
		return appendPlain(b, text), true
	}
	wide := false
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c == '"' || c == '\\':
			raw, err := json.Marshal(text)
			return append(b, raw...), err == nil
		case c >= utf8.RuneSelf:
			wide = true
		}
	}
	if wide && !plainWide(text) {
		raw, err := json.Marshal(text)
		return append(b, raw...), err == nil
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
	return append(b, '"'), true
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

func (w *plainWriter) object(s *shape, v reflect.Value) bool {
	for _, path := range s.hidden {
		w.keeps(v.FieldByIndex(path).IsZero())
	}
	sep := byte('{')
	for i := range s.fields {
		f := &s.fields[i]
		in := v
		for _, at := range f.index {
			in = in.Field(at)
		}
		switch {
		case f.omitEmpty && empty(in):
			if k := in.Kind(); k == reflect.Slice || k == reflect.Map {
				w.keeps(in.IsNil()) // An empty one comes back as none.
			}
			continue
		case f.omitZero && f.shape.zero(in):
			w.keeps(in.IsZero())
			continue
		}
		w.b = append(append(w.b, sep), f.key...)
		if !w.value(f.shape, in) {
			return false
		}
		sep = ','
	}
	if sep == '{' {
		w.b = append(w.b, '{')
	}
	w.b = append(w.b, '}')
	return true
}

// empty is what omitempty leaves out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

// zero is what omitzero leaves out.
func (s *shape) zero(v reflect.Value) bool {
	if s.isZero && s.kind != asDay && s.kind != asMonth && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		return v.Interface().(interface{ IsZero() bool }).IsZero()
	}
	return v.IsZero()
}

func (w *plainWriter) list(s *shape, v reflect.Value) bool {
	if v.IsNil() {
		w.b = append(w.b, "null"...)
		return true
	}
	w.b = append(w.b, '[')
	for i := range v.Len() {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		ok := true
		switch at := v.Index(i); s.kind {
		case asTexts:
			ok = w.text(at.String())
		default:
			ok = w.value(s.elem, at)
		}
		if !ok {
			return false
		}
	}
	w.b = append(w.b, ']')
	return true
}

func (w *plainWriter) verdict(v Verdict) bool {
	b, err := v.appendJSON(w.b)
	w.b = b
	for i := range v {
		w.keeps(v[i].lasting())
	}
	return err == nil
}

// counts writes counts in order of names.
func (w *plainWriter) counts(v reflect.Value) bool {
	if v.IsNil() {
		w.b = append(w.b, "null"...)
		return true
	}
	all := v.Convert(reflect.TypeFor[map[string]int64]()).Interface().(map[string]int64)
	var room [namesUsual]string
	names := sortedNames(room[:0], all)
	w.b = append(w.b, '{')
	for i, name := range names {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		if !w.text(name) {
			return false
		}
		w.b = strconv.AppendInt(append(w.b, ':'), all[name], 10)
	}
	w.b = append(w.b, '}')
	return true
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
