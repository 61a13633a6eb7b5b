package domain

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ErrOtherForm means that bytes were not packed by this form: by that of a type with other fields, or not at all.
var ErrOtherForm = errors.New("domain: packed in another form")

const (
	knownFew  = 16 // Texts of most values.
	hexAtOnce = 32 // Bytes: a hash.
)

var errPacked = errors.New("domain: damaged packed value")

// Packed tells whether b begins as what this form packed does.
func (f Form[T]) Packed(b []byte) bool {
	return len(b) >= FormBytes && [FormBytes]byte(b) == f.mark
}

// Unpack reads what Pack wrote. Nothing of b stays in use.
func (f Form[T]) Unpack(b []byte) (t T, err error) {
	if !f.Packed(b) {
		return t, fmt.Errorf("unpack %T: %w", t, ErrOtherForm)
	}
	at := new(T)
	u := unpacker{b: b[FormBytes:]}
	u.texts = u.few[:0]
	u.room.Grow(u.textBytes())
	if u.value(f.shape, placeOf(at)); u.bad || len(u.b) > 0 {
		return t, fmt.Errorf("unpack %T: %w", t, errPacked)
	}
	return *at, nil
}

// unpacker walks one packed value. Once it is bad, all that is read is zero.
type unpacker struct {
	b     []byte
	bad   bool
	texts []string
	room  strings.Builder  // All new texts, one after the other.
	few   [knownFew]string // Of texts.
}

// textBytes is room for the texts of most values.
func (u *unpacker) textBytes() int { return len(u.b) * 2 }

func (u *unpacker) number() uint64 {
	if len(u.b) > 0 && u.b[0] < 0x80 {
		n := u.b[0]
		u.b = u.b[1:]
		return uint64(n)
	}
	n, size := binary.Uvarint(u.b)
	if size <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[size:]
	return n
}

func (u *unpacker) signed() int64 {
	n := u.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) fail() { u.bad, u.b = true, nil }

func (u *unpacker) take(n uint64) []byte {
	if n > uint64(len(u.b)) {
		u.fail()
		return nil
	}
	b := u.b[:n]
	u.b = u.b[n:]
	return b
}

func (u *unpacker) flag() bool {
	b := u.take(1)
	if len(b) == 1 && b[0] > 1 {
		u.fail()
	}
	return len(b) == 1 && b[0] == 1
}

// count is how long a list or a map is; there is false for none at all. An element takes a byte at least.
func (u *unpacker) count() (n int, there bool) {
	c := u.number()
	if c == 0 {
		return 0, false
	}
	if c-1 > uint64(len(u.b)) {
		u.fail()
		return 0, false
	}
	return int(c - 1), true
}

// value reads one value into p, which is zero.
func (u *unpacker) value(s *shape, p place) {
	switch s.kind {
	case asText:
		*as[string](p) = u.text()
	case asInt, asDay, asMonth:
		if !p.setInt(s.size, u.signed()) {
			u.fail()
		}
	case asUint:
		if !p.setUint(s.size, u.number()) {
			u.fail()
		}
	case asBool:
		*as[bool](p) = u.flag()
	case asFloat:
		if b := u.take(8); b != nil {
			*as[uint64](p) = binary.BigEndian.Uint64(b)
		}
	case asObject:
		u.object(s, p)
	case asTexts:
		if n, there := u.count(); there {
			all := make([]string, n)
			for i := range all {
				all[i] = u.text()
			}
			*as[[]string](p) = all
		}
	case asList:
		u.list(s, p)
	case asPointer:
		if u.flag() {
			to := newPlace(s.elem.typ)
			*as[place](p) = to
			u.value(s.elem, to)
		}
	case asCounts:
		if n, there := u.count(); there {
			all := make(map[string]int64, n)
			for range n {
				name := u.text()
				all[name] = u.signed()
			}
			*as[map[string]int64](p) = all
		}
	default:
		if s.elem != nil {
			u.named(s, p.value(s.like))
			return
		}
		u.other(s, p)
	}
}

func (u *unpacker) object(s *shape, p place) {
	bits := u.take(uint64(s.bitBytes()))
	if bits == nil {
		return
	}
	for i := range s.fields {
		if bits[i/8]&(1<<(i%8)) != 0 {
			f := &s.fields[i]
			u.value(f.shape, p.field(f.offset))
		}
	}
}

func (u *unpacker) list(s *shape, p place) {
	n, there := u.count()
	if !there {
		return
	}
	v := p.value(s.like)
	if n == 0 {
		v.Set(reflect.MakeSlice(s.typ, 0, 0))
		return
	}
	v.Grow(n)
	v.SetLen(n)
	list := as[listHead](p)
	for i := 0; i < n && !u.bad; i++ {
		u.value(s.elem, list.at(i, s.elem.size))
	}
}

// named reads a map.
func (u *unpacker) named(s *shape, v reflect.Value) {
	n, there := u.count()
	if !there {
		return
	}
	all := reflect.MakeMapWithSize(s.typ, n)
	for range n {
		name, at := u.text(), newPlace(s.elem.typ)
		if u.value(s.elem, at); u.bad {
			return
		}
		all.SetMapIndex(reflect.ValueOf(name).Convert(s.typ.Key()), at.value(s.elem.like))
	}
	v.Set(all)
}

func (u *unpacker) other(s *shape, p place) {
	raw := u.take(u.number())
	if u.bad {
		return
	}
	r := plainReader{b: raw}
	if r.value(s, p) && r.at == len(raw) {
		return
	}
	p.value(s.like).SetZero()
	if json.Unmarshal(raw, p.pointer(s.like)) != nil {
		u.fail()
	}
}

func (u *unpacker) text() string {
	head := u.number()
	n, from := head/textKinds, u.room.Len()
	switch head % textKinds {
	case textPlain:
		u.room.Write(u.take(n))
	case textKnown:
		if n >= uint64(len(u.texts)) {
			u.fail()
			return ""
		}
		return u.texts[n]
	case textHex:
		for part := range slices.Chunk(u.take(n), hexAtOnce) {
			var text [2 * hexAtOnce]byte
			for i, c := range part {
				text[2*i], text[2*i+1] = hexDigits[c>>4], hexDigits[c&15]
			}
			u.room.Write(text[:2*len(part)])
		}
	case textUUID:
		switch n {
		case 0:
			if id := u.take(uuidBytes); id != nil {
				text := formatUUID(id)
				u.room.Write(text[:])
			}
		case splitUUID:
			before, id, behind := u.text(), u.text(), u.text()
			from = u.room.Len()
			u.room.WriteString(before)
			u.room.WriteString(id)
			u.room.WriteString(behind)
		default:
			u.fail()
		}
	}
	if u.bad {
		return ""
	}
	s := u.room.String()[from:]
	if len(s) >= knownLeast && len(u.texts) < knownMost {
		u.texts = append(u.texts, s)
	}
	return s
}
