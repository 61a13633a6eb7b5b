package domain

import (
	"encoding/binary"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Form reads values of T from JSON, with the results and the errors of json.Unmarshal into a zero T. JSON as json.Marshal
// writes a T it reads several times as fast.
//
// # Decisions
//
// Reading events and rows is what a catch-up of views costs most after their own work, and encoding/json walks each
// document twice and finds each field by its name. A Form is worked out once for a type, and then expects fields in their
// order, or any other, plain texts and nothing that json.Marshal would not write but blanks. Whatever is otherwise (other
// or repeated names, null in odd places, numbers out of range) it leaves to encoding/json whole, from the beginning. So it
// need not know how such things are read, only what it knows for certain. The price: reflection in the kernel, as in
// encoding/json, and values found by their place in memory (place.go), which is half again as fast.
type Form[T any] struct {
	shape *shape
	mark  [FormBytes]byte // Of packed values.
}

// FormOf works out the form of T.
func FormOf[T any]() Form[T] {
	s := shapeOf(reflect.TypeFor[T](), nil)
	return Form[T]{s, markOf(s)}
}

// Unmarshal reads one value. Nothing of b stays in use.
func (f Form[T]) Unmarshal(b []byte) (T, error) { return f.unmarshal(b, nil) }

// unmarshal is Unmarshal with texts that a memo, if there is one, keeps.
func (f Form[T]) unmarshal(b []byte, memo Memo) (T, error) {
	t := new(T)
	err := f.read(t, b, memo)
	return *t, err
}

// read is unmarshal of a T that is zero.
func (f Form[T]) read(at *T, b []byte, memo Memo) error {
	r := plainReader{b: b, memo: memo}
	if r.value(f.shape, placeOf(at)) && r.end() {
		return nil
	}
	*at = *new(T)
	return json.Unmarshal(b, at)
}

// shape says how a type is read and written.
type shape struct {
	kind   shapeKind
	typ    reflect.Type
	size   uintptr
	like   any          // nil of a pointer to it.
	elem   *shape       // Of a list, a pointer, or a map from texts.
	fields []fieldPart  // Of an object, in the order they are written.
	hidden []hiddenPart // Fields of it that are not written.
	isZero bool         // It tells itself when it is zero.
	floats bool         // It is one, or an object that has one.
}

type shapeKind uint8

const (
	asOther shapeKind = iota // As encoding/json does.
	asOwn                    // By its own UnmarshalJSON, if it is a plain text or number; else as other.
	asText
	asBool
	asInt // Signed.
	asUint
	asFloat // 64 bits.
	asObject
	asList
	asTexts  // []string
	asCounts // map[string]int64
	asPointer
	asDay
	asVerdict
	asTime
	asMonth
)

type fieldPart struct {
	next      string // ,"name":
	head      uint32 // Of the key.
	omitEmpty bool
	omitZero  bool
	asks      bool // Its type whether it is zero.
	offset    uintptr
	shape     *shape
}

// omits tells whether it is left out when it is zero, if it does not ask its type whether it is.
func (f *fieldPart) omits() bool { return f.omitEmpty || f.omitZero }

// key is "name":
func (f *fieldPart) key() string { return f.next[1:] }

func (f *fieldPart) name() string { return f.next[2 : len(f.next)-2] }

type hiddenPart struct {
	offset uintptr
	like   any // nil of a pointer to it.
}

var (
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()
	tellsZero       = reflect.TypeFor[interface{ IsZero() bool }]()
	textUnmarshaler = reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()
)

// shapeOf works out a shape; inside are the types it is part of.
func shapeOf(t reflect.Type, inside []reflect.Type) *shape {
	s := &shape{typ: t, size: t.Size(), like: nilOf(t), isZero: t.Implements(tellsZero)}
	p := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[Day]():
		s.kind = asDay
	case t == reflect.TypeFor[Month]():
		s.kind = asMonth
	case t == reflect.TypeFor[Verdict]():
		s.kind = asVerdict
	case t == reflect.TypeFor[time.Time]():
		s.kind = asTime
	case t == reflect.TypeFor[[]string]():
		s.kind = asTexts
	case t == reflect.TypeFor[json.Number]() || slices.Contains(inside, t):
	case p.Implements(jsonUnmarshaler):
		if t.Kind() != reflect.Pointer {
			s.kind = asOwn
		}
	case p.Implements(textUnmarshaler), p.Implements(jsonMarshaler), p.Implements(textMarshaler):
	default:
		s.ofKind(append(inside, t))
	}
	return s
}

// nilOf is nil of a pointer to a type.
func nilOf(t reflect.Type) any { return reflect.Zero(reflect.PointerTo(t)).Interface() }

func (s *shape) ofKind(inside []reflect.Type) {
	switch s.typ.Kind() {
	case reflect.String:
		s.kind = asText
	case reflect.Bool:
		s.kind = asBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind = asInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind = asUint
	case reflect.Float64:
		s.kind, s.floats = asFloat, true
	case reflect.Pointer:
		s.kind, s.elem = asPointer, shapeOf(s.typ.Elem(), inside)
	case reflect.Slice:
		if s.typ.Elem().Kind() != reflect.Uint8 {
			s.kind, s.elem = asList, shapeOf(s.typ.Elem(), inside)
		}
	case reflect.Map:
		switch {
		case s.typ.Key() != reflect.TypeFor[string]():
		case s.typ.Elem() == reflect.TypeFor[int64]():
			s.kind = asCounts
		default: // In JSON as other.
			s.elem = shapeOf(s.typ.Elem(), inside)
		}
	case reflect.Struct:
		if fields, hidden, ok := fieldsOf(s.typ, 0, inside); ok {
			s.kind, s.fields, s.hidden = asObject, fields, hidden
			s.floats = slices.ContainsFunc(fields, func(f fieldPart) bool { return f.shape.floats })
		}
	default: // As other.
	}
}

// fieldsOf lists the fields of a struct, and those that are not written. Where a name stands twice or something unusual does,
// ok is false. They lie so many bytes further than in the struct alone.
func fieldsOf(t reflect.Type, further uintptr, inside []reflect.Type) (out []fieldPart, hidden []hiddenPart, ok bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		offset := further + f.Offset
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Tag.Get("json") == "-":
			hidden = append(hidden, hiddenPart{offset, nilOf(f.Type)})
			continue
		case strings.Contains(options, "string") || f.Anonymous && name != "" && !f.IsExported():
			return nil, nil, false
		case strings.Contains(options, "omitzero") && reflect.PointerTo(f.Type).Implements(tellsZero) && (f.Type.Kind() == reflect.Interface || !f.Type.Implements(tellsZero)):
			return nil, nil, false
		case f.Anonymous && name == "":
			if shapeOf(f.Type, inside).kind != asObject {
				return nil, nil, false
			}
			part, more, ok := fieldsOf(f.Type, offset, inside)
			if !ok {
				return nil, nil, false
			}
			out, hidden = append(out, part...), append(hidden, more...)
			continue
		case !f.IsExported():
			hidden = append(hidden, hiddenPart{offset, nilOf(f.Type)})
			continue
		case name == "":
			name = f.Name
		}
		part := fieldPart{
			next: `,"` + name + `":`, offset: offset, shape: shapeOf(f.Type, inside),
			omitEmpty: strings.Contains(options, "omitempty"), omitZero: strings.Contains(options, "omitzero"),
		}
		part.asks = part.omitZero && part.shape.isZero
		part.head = binary.LittleEndian.Uint32([]byte(part.key()))
		out = append(out, part)
	}
	if len(out) > fieldsMax {
		return nil, nil, false
	}
	seen := map[string]bool{}
	for i := range out {
		name := out[i].name()
		if seen[name] || strings.ContainsFunc(name, func(c rune) bool { return c != '_' && c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
			return nil, nil, false
		}
		seen[name] = true
	}
	return out, hidden, true
}
