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

// Append writes a T, in the bytes of json.Marshal. x MUST be a T.
func (f Form[T]) Append(b []byte, x any) ([]byte, error) {
	if out, ok := f.shape.append(b, reflect.ValueOf(x)); ok {
		return out, nil
	}
	raw, err := json.Marshal(x)
	return append(b, raw...), err
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

// append writes a value; ok is false for one that json.Marshal refuses, or must write.
func (s *shape) append(b []byte, v reflect.Value) (_ []byte, ok bool) {
	switch s.kind {
	case asText:
		return appendText(b, v.String())
	case asObject:
		return s.appendObject(b, v)
	case asDay:
		return append(Day(v.Int()).append(append(b, '"')), '"'), true
	case asMonth:
		return append(Month(v.Int()).append(append(b, '"')), '"'), true
	case asInt:
		return strconv.AppendInt(b, v.Int(), 10), true
	case asUint:
		return strconv.AppendUint(b, v.Uint(), 10), true
	case asBool:
		return strconv.AppendBool(b, v.Bool()), true
	case asTexts, asList, asVerdict:
		return s.appendList(b, v)
	case asCounts:
		return appendCounts(b, v)
	case asPointer:
		if v.IsNil() {
			return append(b, "null"...), true
		}
		return s.elem.append(b, v.Elem())
	case asTime:
		return appendTime(b, v)
	default:
		if v.CanAddr() { // What has an address may be written otherwise.
			v = v.Addr()
		}
		raw, err := json.Marshal(v.Interface())
		return append(b, raw...), err == nil
	}
}

// appendTime writes a time. What is no UTC, or no year of four digits, json.Marshal writes or refuses.
func appendTime(b []byte, v reflect.Value) ([]byte, bool) {
	t := v.Interface().(time.Time)
	if y := t.Year(); t.Location() != time.UTC || y < 0 || y > 9999 {
		raw, err := json.Marshal(t)
		return append(b, raw...), err == nil
	}
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"'), true
}

// appendText writes a text of plain characters, or has it written.
func appendText(b []byte, text string) ([]byte, bool) {
	wide, marked := false, false
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c == '"' || c == '\\':
			raw, err := json.Marshal(text)
			return append(b, raw...), err == nil
		case c == '<' || c == '>' || c == '&':
			marked = true
		case c >= utf8.RuneSelf:
			wide = true
		}
	}
	if wide && !plainWide(text) {
		raw, err := json.Marshal(text)
		return append(b, raw...), err == nil
	}
	b = append(b, '"')
	if !marked {
		return append(append(b, text...), '"'), true
	}
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

func (s *shape) appendObject(b []byte, v reflect.Value) (_ []byte, ok bool) {
	sep := byte('{')
	for i := range s.fields {
		f := &s.fields[i]
		in := v
		for _, at := range f.index {
			in = in.Field(at)
		}
		if f.omitEmpty && empty(in) || f.omitZero && f.shape.zero(in) {
			continue
		}
		b = append(append(b, sep), f.key...)
		if b, ok = f.shape.append(b, in); !ok {
			return b, false
		}
		sep = ','
	}
	if sep == '{' {
		b = append(b, '{')
	}
	return append(b, '}'), true
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

func (s *shape) appendList(b []byte, v reflect.Value) (_ []byte, ok bool) {
	if v.IsNil() {
		return append(b, "null"...), true
	}
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		switch at := v.Index(i); s.kind {
		case asTexts:
			b, ok = appendText(b, at.String())
		case asVerdict:
			var err error
			b, err = at.Addr().Interface().(*RuleResult).appendJSON(b)
			ok = err == nil
		default:
			b, ok = s.elem.append(b, at)
		}
		if !ok {
			return b, false
		}
	}
	return append(b, ']'), true
}

// appendCounts writes counts in order of names.
func appendCounts(b []byte, v reflect.Value) (_ []byte, ok bool) {
	if v.IsNil() {
		return append(b, "null"...), true
	}
	all := v.Convert(reflect.TypeFor[map[string]int64]()).Interface().(map[string]int64)
	var room [32]string
	names := room[:0]
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		if b, ok = appendText(b, name); !ok {
			return b, false
		}
		b = strconv.AppendInt(append(b, ':'), all[name], 10)
	}
	return append(b, '}'), true
}
