package projections

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"zujian/eventstore"
)

// A key is its parts, one after the other with a zero byte between. A UUID in its usual form, 36 characters, stands in 19
// bytes: 0xf8 with its first two bits, and eighteen times 0x80 with seven more. None of them is a separator, and no text in
// UTF-8 begins with 0xf8 or more; a part that does has 0xff before it. So UUIDs are in the order of their texts, and behind
// all texts; most of what keys of views are made of are UUIDs.
const (
	keySeparator = "\x00"
	keyAfter     = "\x01" // The byte after the separator: ends a prefix's range.
	keyUUID      = 0xf8   // To keyUUID+3.
	keyBeyond    = "\xff"
	uuidText     = 36
	uuidBytes    = 19
)

// Key joins the parts of a key. Ids hold no control characters, so no part can reach into the next. Keys of texts are in
// order of their parts, and so are keys that differ in two UUIDs.
func Key(parts ...string) string {
	room := [256]byte{} // Longer keys are rare.
	return string(appendKey(room[:0], parts))
}

// Prefix is the beginning of all keys that have these parts and at least one more.
func Prefix(parts ...string) string { return ended(parts, keySeparator) }

// PrefixEnd is the first key after all keys that begin with Prefix(parts...).
func PrefixEnd(parts ...string) string { return ended(parts, keyAfter) }

func ended(parts []string, by string) string {
	room := [256]byte{}
	return string(append(appendKey(room[:0], parts), by...))
}

func appendKey(b []byte, parts []string) []byte {
	for i, p := range parts {
		if i > 0 {
			b = append(b, keySeparator...)
		}
		b = appendPart(b, p)
	}
	return b
}

func appendPart(b []byte, part string) []byte {
	if hi, lo, is := readUUID(part); is {
		return appendUUID(b, hi, lo)
	}
	if part != "" && part[0] >= keyUUID {
		b = append(b, keyBeyond...)
	}
	return append(b, part...)
}

// nibbles are the values of the digits that a UUID in its usual form has, and 0xff for other bytes.
var nibbles = func() (all [256]byte) {
	for i := range all {
		all[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		all[c] = byte(i)
	}
	return all
}()

// readUUID is a UUID's halves, if text is one as it is usually written.
func readUUID(text string) (hi, lo uint64, is bool) {
	if len(text) != uuidText || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return 0, 0, false
	}
	bad := byte(0)
	digits := func(n uint64, text string) uint64 {
		for i := range len(text) {
			d := nibbles[text[i]]
			bad |= d
			n = n<<4 | uint64(d&0xf)
		}
		return n
	}
	hi = digits(digits(digits(0, text[:8]), text[9:13]), text[14:18])
	lo = digits(digits(0, text[19:23]), text[24:])
	return hi, lo, bad < 0x10
}

func appendUUID(b []byte, hi, lo uint64) []byte {
	b = append(b, keyUUID|byte(hi>>62))
	for at := 55; at >= 6; at -= 7 {
		b = append(b, 0x80|byte(hi>>at))
	}
	b = append(b, 0x80|byte(hi<<1)|byte(lo>>63))
	for at := 56; at >= 0; at -= 7 {
		b = append(b, 0x80|byte(lo>>at))
	}
	return b
}

// partText is a part as Key was given it.
func partText(part string) string {
	switch {
	case part == "" || part[0] < keyUUID:
		return part
	case len(part) != uuidBytes || part[0] > keyUUID+3:
		return strings.TrimPrefix(part, keyBeyond)
	}
	hi, lo := uint64(part[0]&3), uint64(0)
	for i := 1; i < 9; i++ {
		hi = hi<<7 | uint64(part[i]&0x7f)
	}
	hi, lo = hi<<6|uint64(part[9]&0x7f)>>1, uint64(part[9])
	for i := 10; i < uuidBytes; i++ {
		lo = lo<<7 | uint64(part[i]&0x7f)
	}
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return uuid.UUID(id).String()
}

// Parts are the parts of a key, as Key was given them.
func Parts(key string) []string {
	parts := strings.Split(key, keySeparator)
	for i, p := range parts {
		parts[i] = partText(p)
	}
	return parts
}

// Tail is the last part of a key.
func Tail(key string) string { return partText(key[strings.LastIndex(key, keySeparator)+1:]) }

// KeyText is a key with its parts as Key was given them.
func KeyText(key string) string { return strings.Join(Parts(key), keySeparator) }

// kindOf is the first part of a key, "" of one that has no parts.
func kindOf(key string) string { return key[:max(0, strings.IndexByte(key, keySeparator[0]))] }

// PositionKey is a position as a key part: sixteen hexadecimal digits, in order.
func PositionKey(p eventstore.Position) string { return fmt.Sprintf("%016x", uint64(p)) }
