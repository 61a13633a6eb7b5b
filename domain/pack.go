package domain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
)

// Packing writes values of a type in few bytes, for stores of our own that can be built again: a third of JSON or less, and
// read several times as fast. What another form packed, that of a type with other fields, is refused.
//
// # Decisions
//
// A packed value begins with two bytes that name its form; the first is none that a text or a JSON document begins with. Then:
//
//	object      a bit for each field that is not zero, the lowest of the first byte first, and those fields
//	whole       varint (zigzag if signed); days and months too
//	yes or no   0, 1
//	real        8 bytes, big-endian
//	list, map   number of elements + 1, 0 for none at all (nil); of a map name and value in order of names
//	pointer     0 for nil, or 1 and the value
//	text        varint t, by its lowest two bits:
//	            0  t>>2 bytes follow
//	            1  text number t>>2 of this value: nothing is written twice
//	            2  a UUID, 16 bytes; or t>>2 = 1: the texts before, in and after a UUID
//	            3  t>>2 bytes follow, written as hexadecimal digits
//	other       length, JSON
//
// Identifiers and names of fields are most of a row in JSON. Whether a text is given as a number or in full depends on the
// value alone, so the same value has the same bytes.
type packer struct {
	b []byte
	*PackRoom
}

// PackRoom is memory that one packing after the other uses. The zero PackRoom is ready.
type PackRoom struct {
	texts  []string // Of the value so far.
	hashes []byte   // Of texts, so that most are told apart at once.
}

// FormBytes begin a packed value, and name its form.
const FormBytes = 2

const (
	textPlain = iota
	textKnown
	textUUID
	textHex

	textKinds    = 4
	splitUUID    = 1
	knownLeast   = 2       // Bytes of a text worth a number.
	knownMost    = 1 << 12 // Texts that have a number.
	hexLeast     = 4
	uuidText     = 36
	uuidBytes    = 16
	formMark     = 0x80 // To 0xbf.
	formMarkMask = 0x3f
)

// Pack appends the packed value at an address to b.
func (f Form[T]) Pack(b []byte, room *PackRoom, at *T) ([]byte, error) {
	p := packer{append(b, f.mark[:]...), room}
	defer func() {
		clear(room.texts) // They would keep whole rows in memory.
		room.texts, room.hashes = room.texts[:0], room.hashes[:0]
	}()
	if err := p.value(f.shape, placeOf(at)); err != nil {
		return b, fmt.Errorf("pack %T: %w", at, err)
	}
	return p.b, nil
}

// markOf names a form: fields, their order and how each is written.
func markOf(s *shape) (mark [FormBytes]byte) {
	h := fnv.New32a()
	s.describe(h.Write)
	sum := h.Sum32()
	return [FormBytes]byte{formMark | byte(sum>>24)&formMarkMask, byte(sum>>16) ^ byte(sum)}
}

func (s *shape) describe(write func([]byte) (int, error)) {
	_, _ = fmt.Fprintf(writer(write), "(%d", s.kind) // A hash takes everything.
	if s.elem != nil {
		s.elem.describe(write)
	}
	for _, f := range s.fields {
		_, _ = write([]byte(f.key()))
		f.shape.describe(write)
	}
	_, _ = write([]byte{')'})
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

var errNoJSON = errors.New("no JSON")

func (p *packer) value(s *shape, at place) error {
	switch s.kind {
	case asText:
		p.text(*as[string](at))
	case asInt, asDay, asMonth:
		p.b = binary.AppendVarint(p.b, at.word(s.size))
	case asUint:
		p.b = binary.AppendUvarint(p.b, at.unsigned(s.size))
	case asBool:
		p.flag(*as[bool](at))
	case asFloat:
		p.b = binary.BigEndian.AppendUint64(p.b, *as[uint64](at))
	case asObject:
		return p.object(s, at)
	case asTexts:
		all := *as[[]string](at)
		p.count(all != nil, len(all))
		for _, text := range all {
			p.text(text)
		}
	case asList:
		list := as[listHead](at)
		p.count(!s.zero(at), list.len)
		for i := range list.len {
			if err := p.value(s.elem, list.at(i, s.elem.size)); err != nil {
				return err
			}
		}
	case asPointer:
		p.flag(!s.zero(at))
		if !s.zero(at) {
			return p.value(s.elem, at.elem())
		}
	case asCounts:
		p.counts(*as[map[string]int64](at))
	default:
		if s.elem != nil {
			return p.named(s, at.value(s.like))
		}
		return p.other(s, at)
	}
	return nil
}

func (p *packer) flag(yes bool) {
	n := byte(0)
	if yes {
		n = 1
	}
	p.b = append(p.b, n)
}

// count writes how long a list or a map is, if there is one.
func (p *packer) count(there bool, n int) {
	if there {
		n++
	}
	p.b = binary.AppendUvarint(p.b, uint64(n))
}

func (p *packer) object(s *shape, at place) error {
	bits := len(p.b)
	for range s.bitBytes() {
		p.b = append(p.b, 0)
	}
	for i := range s.fields {
		f := &s.fields[i]
		in := at.field(f.offset)
		if f.shape.kind != asObject && f.shape.zero(in) { // Of an object that is not seen at once.
			continue
		}
		from := len(p.b)
		if err := p.value(f.shape, in); err != nil {
			return err
		}
		if f.shape.kind == asObject && !slices.ContainsFunc(p.b[from:], func(c byte) bool { return c != 0 }) {
			p.b = p.b[:from] // All its fields are zero.
			continue
		}
		p.b[bits+i/8] |= 1 << (i % 8)
	}
	return nil
}

func (s *shape) bitBytes() int { return len(s.fields)/8 + 1 }

func (p *packer) counts(all map[string]int64) {
	p.count(all != nil, len(all))
	var room [namesUsual]string
	names := sortedNames(room[:0], all)
	for _, name := range names {
		p.text(name)
		p.b = binary.AppendVarint(p.b, all[name])
	}
}

// named writes a map.
func (p *packer) named(s *shape, v reflect.Value) error {
	p.count(!v.IsNil(), v.Len())
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		p.text(k.String())
		at := newPlace(s.elem.typ)
		at.value(s.elem.like).Set(v.MapIndex(k))
		if err := p.value(s.elem, at); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) other(s *shape, at place) error {
	w := plainWriter{address: true}
	raw := w.value(nil, s, at)
	if w.fails {
		return errNoJSON
	}
	p.b = append(binary.AppendUvarint(p.b, uint64(len(raw))), raw...)
	return nil
}

func (p *packer) head(kind, n int) { p.b = binary.AppendUvarint(p.b, uint64(n*textKinds+kind)) }

func (p *packer) text(s string) {
	if i, ok := p.known(s); ok {
		p.head(textKnown, i)
		return
	}
	id, at := uuidIn(s)
	switch {
	case at == 0 && len(s) == uuidText:
		p.head(textUUID, 0)
		p.b = append(p.b, id[:]...)
	case at >= 0:
		p.head(textUUID, splitUUID)
		p.text(s[:at])
		p.text(s[at : at+uuidText])
		p.text(s[at+uuidText:])
	case len(s) >= hexLeast && len(s)%2 == 0 && allHex(s):
		p.head(textHex, len(s)/2)
		for i := 0; i < len(s); i += 2 {
			p.b = append(p.b, hexOf[s[i]]<<4|hexOf[s[i+1]])
		}
	default:
		p.head(textPlain, len(s))
		p.b = append(p.b, s...)
	}
	if len(s) >= knownLeast && len(p.texts) < knownMost {
		p.texts, p.hashes = append(p.texts, s), append(p.hashes, hashOf(s))
	}
}

func hashOf(s string) byte { return s[0] ^ s[1]<<2 ^ s[len(s)-1]<<3 ^ s[len(s)/2]<<1 ^ byte(len(s)) }

// known finds a text written before.
func (p *packer) known(s string) (int, bool) {
	if len(s) < knownLeast {
		return 0, false
	}
	h := hashOf(s)
	for from := 0; ; {
		i := bytes.IndexByte(p.hashes[from:], h)
		if i < 0 {
			return 0, false
		}
		if from += i; p.texts[from] == s {
			return from, true
		}
		from++
	}
}

const noHex = 0xff

// hexOf is the worth of a digit, lower case.
var hexOf = func() (t [256]byte) {
	for i := range t {
		t[i] = noHex
	}
	for i, c := range []byte(hexDigits) {
		t[c] = byte(i)
	}
	return t
}()

const hexDigits = "0123456789abcdef"

func allHex(s string) bool {
	for i := range len(s) {
		if hexOf[s[i]] == noHex {
			return false
		}
	}
	return true
}

// uuidIn is the first UUID in a text, and where it begins; -1 if there is none.
func uuidIn(s string) (id [uuidBytes]byte, at int) {
	for from := 0; len(s)-from >= uuidText; {
		dash := strings.IndexByte(s[from:], '-')
		if dash < 0 {
			return id, -1
		}
		if at := from + dash - 8; at >= 0 && len(s)-at >= uuidText {
			if id, ok := parseUUID(s[at : at+uuidText]); ok {
				return id, at
			}
		}
		from += dash + 1
	}
	return id, -1
}

// uuidDigits is where the digits of each byte stand in a UUID.
var uuidDigits = [uuidBytes]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

func parseUUID(s string) (id [uuidBytes]byte, ok bool) {
	if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	seen := byte(0)
	for i, at := range uuidDigits {
		high, low := hexOf[s[at]], hexOf[s[at+1]]
		seen |= high | low
		id[i] = high<<4 | low
	}
	return id, seen < 16
}

func formatUUID(id []byte) (s [uuidText]byte) {
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	for i, at := range uuidDigits {
		s[at], s[at+1] = hexDigits[id[i]>>4], hexDigits[id[i]&15]
	}
	return s
}
