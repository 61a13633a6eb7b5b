// Package leaf says what the verifiable register commits to: how an event becomes a commitment, and a commitment a
// leaf that anybody may read. Stores use it to make commitments, register to build the tree. It keeps nothing.
//
// All numbers are little-endian.
//
//	content    = H("zujian.content.1" ‖ id[16] ‖ i64 decided at, µs ‖ salt[16] ‖ u32 bytes of data ‖ u32 schema ‖
//	             u32 policy ‖ u8 bytes of stream ‖ u8 of type ‖ u16 of role, actor, command, causation, correlation ‖
//	             type ‖ role ‖ actor ‖ stream ‖ command ‖ causation ‖ correlation ‖ data)
//	commitment = H("zujian.event.v.1" ‖ u64 ordinal ‖ u64 revision ‖ content)
//	stream key = HMAC-SHA-256(log key, "zujian.stream.v1" ‖ stream)
//	tag        = the first 16 bytes of SHA-256("zujian.tag.v.001" ‖ stream key ‖ u64 revision)
//	leaf       = 0x01 ‖ suite ‖ u64 ordinal ‖ tag[16] ‖ commitment[32]
//
// The lengths of stream and type have 13 bits: the upper 5 are the upper 5 bits of the lengths of role and of actor. The
// top bit of policy says that data is binary, that of schema that the event is from outside: then data starts with the
// raw metadata's length (u32) and the raw metadata.
//
// H is SHA-256 for suite 0x01 (INTL) and SM3 for 0x02 (GM, GM/T 0004); the suite is the first byte of the salt.
//
// # Decisions
//
// A log that is copied event by event into another store keeps its root, so what is committed to is what every store
// keeps: what the caller gave, the salt, the event's place in its stream and in the whole log. Position and recorded
// time are each store's own and are left out: positions differ, and EventStoreDB sets its own time. When an event was
// there is proven better by the time at which witnesses cosigned the first checkpoint that covers it.
//
// The salt is carried with the event (in EventStoreDB as "salt" of its metadata) rather than derived from a key: a
// commitment can be checked from the log alone, the loss of a key does not make it uncheckable, and the theft of one
// does not open all leaves to guessing. Personal data in an event is ciphertext under its subject's key, so erasing the
// key changes no leaf. 15 random bytes are beyond guessing. An event from outside has no salt, since its metadata is its
// writer's and has no room for one; its random id, which is not public, does the same.
//
// A leaf is public, so it has nothing that says what happened or to whom: no type, time, stream or revision. The tag
// differs from event to event and can't be linked to the stream without the stream's key, which its owner gets: with it
// the owner finds all leaves of the stream, and sees that none was added or left out. The price: only the log key can
// make the tags again; without it the leaves as stored are the only copy.
package leaf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/emmansun/gmsm/sm3"

	"zujian/eventstore"
)

const (
	// Domain comes before the content under the hash.
	Domain = "zujian.content.1"

	eventDomain  = "zujian.event.v.1"
	streamDomain = "zujian.stream.v1"
	tagDomain    = "zujian.tag.v.001"

	// Size of a leaf in bytes.
	Size = 2 + 8 + TagSize + 32
	// TagSize is the size of a tag in bytes.
	TagSize = 16

	version = 0x01
	flagBit = 1 << 31
)

var le = binary.LittleEndian

// ErrSuite means that a commitment's suite is none that this program knows.
var ErrSuite = errors.New("leaf: unknown suite")

// Hash is the hash of the suite: SM3 for GM, else SHA-256. eventstore.Check lets no other suite in.
func Hash(suite byte, b []byte) [32]byte {
	if suite == eventstore.SaltGM {
		return sm3.Sum(b)
	}
	return sha256.Sum256(b)
}

// AppendContent adds the event's content, as it is hashed after Domain, to dst. The event has passed eventstore.Check.
func AppendContent(dst []byte, stream string, e *eventstore.NewEvent) []byte {
	m := &e.Meta
	schema, policy, data := uint32(m.Schema), uint32(m.Policy), len(e.Data)
	if m.Outside {
		schema |= flagBit
		data += 4 + len(m.Raw)
	}
	if e.Binary {
		policy |= flagBit
	}
	dst = append(dst, e.ID[:]...)
	dst = le.AppendUint64(dst, uint64(m.At.UnixMicro()))
	dst = append(dst, m.Salt[:]...)
	dst = le.AppendUint32(dst, uint32(data))
	dst = le.AppendUint32(dst, schema)
	dst = le.AppendUint32(dst, policy)
	dst = append(dst, byte(len(stream)), byte(len(e.Type)))
	high := [5]int{len(stream) >> 8, len(e.Type) >> 8} // The texts they share a field with are at most 1,024 bytes.
	for i, text := range [...]string{m.Role, m.Actor, m.Command, m.Causation, m.Correlation} {
		dst = le.AppendUint16(dst, uint16(len(text)|high[i]<<11))
	}
	for _, text := range [...]string{e.Type, m.Role, m.Actor, stream, m.Command, m.Causation, m.Correlation} {
		dst = append(dst, text...)
	}
	if m.Outside {
		dst = le.AppendUint32(dst, uint32(len(m.Raw)))
		dst = append(dst, m.Raw...)
	}
	return append(dst, e.Data...)
}

// Commit binds a content hash to its place in the log and in its stream.
func Commit(suite byte, ordinal uint64, rev eventstore.Revision, content [32]byte) [32]byte {
	var b [64]byte
	copy(b[:], eventDomain)
	le.PutUint64(b[16:], ordinal)
	le.PutUint64(b[24:], uint64(rev))
	copy(b[32:], content[:])
	return Hash(suite, b[:])
}

// Committed is what a leaf is made of.
type Committed struct {
	Ordinal    uint64
	Revision   eventstore.Revision
	Position   eventstore.Position // Where the event's own store has it; not in the leaf.
	Suite      byte
	Commitment [32]byte
	Stream     []byte // Valid only until the next one is read.
}

// rooms are where contents are put together to be hashed. One that grew for a rare event is as long as that.
var rooms = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// Of makes the commitment of a recorded event.
func Of(r *eventstore.Recorded) Committed {
	suite := r.Meta.Salt.Suite()
	room := rooms.Get().(*[]byte)
	*room = AppendContent(append((*room)[:0], Domain...), r.Stream, &r.NewEvent)
	content := Hash(suite, *room)
	rooms.Put(room)
	return Committed{
		Ordinal: r.Ordinal, Revision: r.Revision, Position: r.Position, Suite: suite,
		Commitment: Commit(suite, r.Ordinal, r.Revision, content), Stream: []byte(r.Stream),
	}
}

// Tagger makes leaves under one log key. It is used by one goroutine at a time.
type Tagger struct {
	inner, outer [sha256.BlockSize]byte // The key's two pads (RFC 2104).
	buf          []byte

	stream []byte // Of the leaf before, and its key: the next is of the same stream half of the time. None is "".
	key    [32]byte
}

// NewTagger returns the tagger of a log key of 32 bytes.
func NewTagger(logKey [32]byte) *Tagger {
	t := &Tagger{}
	copy(t.inner[:], logKey[:])
	t.outer = t.inner
	for i := range t.inner {
		t.inner[i] ^= 0x36
		t.outer[i] ^= 0x5c
	}
	return t
}

// String keeps the key out of fmt.
func (*Tagger) String() string { return "[redacted]" }

// GoString keeps the key out of fmt.
func (*Tagger) GoString() string { return "[redacted]" }

// StreamKey is the key that ties the tags of one stream to it. It is HMAC written out, since one is made for every leaf
// and crypto/hmac takes five times as long over its general form; a test holds the two together.
func (t *Tagger) StreamKey(stream []byte) [32]byte {
	if len(t.stream) > 0 && bytes.Equal(stream, t.stream) {
		return t.key
	}
	t.buf = append(append(append(t.buf[:0], t.inner[:]...), streamDomain...), stream...)
	sum := sha256.Sum256(t.buf)
	t.buf = append(append(t.buf[:0], t.outer[:]...), sum[:]...)
	t.stream, t.key = append(t.stream[:0], stream...), sha256.Sum256(t.buf)
	return t.key
}

// Tag is the tag of one event of the stream whose key it is.
func Tag(streamKey [32]byte, rev eventstore.Revision) [TagSize]byte {
	var b [56]byte
	copy(b[:], tagDomain)
	copy(b[16:], streamKey[:])
	le.PutUint64(b[48:], uint64(rev))
	sum := sha256.Sum256(b[:])
	return [TagSize]byte(sum[:])
}

// Append adds the leaf of c to dst.
func (t *Tagger) Append(dst []byte, c *Committed) []byte {
	tag := Tag(t.StreamKey(c.Stream), c.Revision)
	dst = append(dst, version, c.Suite)
	dst = le.AppendUint64(dst, c.Ordinal)
	dst = append(dst, tag[:]...)
	return append(dst, c.Commitment[:]...)
}

// NodeHash is the hash of a leaf in the tree (RFC 6962 §2.1).
func NodeHash(leaf []byte) [32]byte {
	var b [1 + Size]byte // The first byte is 0x00.
	return sha256.Sum256(append(b[:1], leaf...))
}

// TagOf is the part of a leaf that is its tag. b has Size bytes or more.
func TagOf(b []byte) []byte { return b[10 : 10+TagSize] }

// Leaf is a leaf, taken apart.
type Leaf struct {
	Suite      byte
	Ordinal    uint64
	Tag        [TagSize]byte
	Commitment [32]byte
}

// Parse takes a leaf apart.
func Parse(b []byte) (l Leaf, err error) {
	if len(b) != Size || b[0] != version {
		return l, fmt.Errorf("leaf: %d bytes are no leaf of version %d", len(b), version)
	}
	if l.Suite = b[1]; l.Suite != eventstore.SaltINTL && l.Suite != eventstore.SaltGM {
		return l, fmt.Errorf("%w 0x%02x", ErrSuite, l.Suite)
	}
	l.Ordinal = le.Uint64(b[2:])
	copy(l.Tag[:], TagOf(b))
	copy(l.Commitment[:], b[26:])
	return l, nil
}
