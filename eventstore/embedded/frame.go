package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
)

// A frame is one event. All numbers are little-endian.
//
//	  0 u32 length of the frame       40 commitment [32]        112 u32 bytes of data
//	  4 u32 CRC-32C of all but this   72 event id [16]          116 u32 schema
//	  8 u64 ordinal                   88 i64 decided at, µs     120 u32 policy
//	 16 u64 position (its own end)    96 salt [16]              124 u8 stream, u8 type,
//	 24 u64 revision                                                u16 role, actor, command, causation, correlation:
//	 32 i64 stored at, µs                                           bytes of each text
//	136 type role actor stream command causation correlation data
//
// The lengths of stream and type have 13 bits: the upper 5 are the upper 5 of the lengths of role and of actor. The top
// bit of policy says that data is binary, that of schema that the event is from outside: then data starts with the
// metadata's length (u32) and the metadata.
//
// From byte 72 on it is the event's content as package leaf defines it.
const (
	offCRC, offOrdinal, offPosition, offRevision, offStoredAt = 4, 8, 16, 24, 32
	offCommitment, offID, offAt, offSalt                      = 40, 72, 88, 96
	offDataLen, offSchema, offPolicy, offLens, frameHeader    = 112, 116, 120, 124, 136

	frameBytesMax = frameHeader + eventstore.StreamBytesMax + eventstore.TypeBytesMax + rawHeader + eventstore.EventBytesMax

	rawHeader = 4       // Length of the metadata of an event from outside.
	flagBit   = 1 << 31 // Of schema: from outside. Of policy: binary.
	lensLow   = 1<<11 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

var (
	errShort  = errors.New("cut short")
	errLength = errors.New("impossible length")
	errCRC    = errors.New("checksum differs")
	errPlace  = errors.New("belongs to another position")
)

// frame is one event as it lies in the log, checked.
type frame []byte

func (f frame) ordinal() uint64               { return le.Uint64(f[offOrdinal:]) }
func (f frame) position() eventstore.Position { return eventstore.Position(le.Uint64(f[offPosition:])) }

func (f frame) revision() eventstore.Revision { return eventstore.Revision(le.Uint64(f[offRevision:])) }
func (f frame) storedAt() int64               { return int64(le.Uint64(f[offStoredAt:])) }
func (f frame) id() []byte                    { return f[offID : offID+16] }
func (f frame) suite() byte                   { return eventstore.Salt(f[offSalt:]).Suite() }
func (f frame) lens() lens                    { return lens(f[offLens:frameHeader]) }
func (f frame) outside() bool                 { return le.Uint32(f[offSchema:])&flagBit != 0 }

func (f frame) stream() []byte {
	l := f.lens()
	at := frameHeader + l.typ() + l.role() + l.actor()
	return f[at : at+l.stream()]
}

// lens are the lengths of the texts of a frame.
type lens []byte

func (l lens) stream() int      { return int(l[0]) | int(l[3]>>3)<<8 }
func (l lens) typ() int         { return int(l[1]) | int(l[5]>>3)<<8 }
func (l lens) role() int        { return int(le.Uint16(l[2:]) & lensLow) }
func (l lens) actor() int       { return int(le.Uint16(l[4:]) & lensLow) }
func (l lens) command() int     { return int(le.Uint16(l[6:])) }
func (l lens) causation() int   { return int(le.Uint16(l[8:])) }
func (l lens) correlation() int { return int(le.Uint16(l[10:])) }
func (l lens) total() int {
	return l.stream() + l.typ() + l.role() + l.actor() + l.command() + l.causation() + l.correlation()
}

// frameSize is the length of the event's frame.
func frameSize(stream string, e *eventstore.NewEvent) int {
	m := &e.Meta
	size := frameHeader + len(e.Type) + len(m.Role) + len(m.Actor) + len(stream) + len(m.Command) + len(m.Causation) +
		len(m.Correlation) + len(e.Data)
	if m.Outside {
		size += rawHeader + len(m.Raw)
	}
	return size
}

// appendFrame adds the event's frame to dst, all but what only the leader knows: ordinal, position, revision, stored
// at, checksum. In place of the commitment it leaves the hash of the content, so that the leader hashes little.
func appendFrame(dst []byte, stream string, e *eventstore.NewEvent) []byte {
	start := len(dst)
	var head [offID]byte
	le.PutUint32(head[0:], uint32(frameSize(stream, e)))
	copy(head[offID-len(leaf.Domain):], leaf.Domain)
	dst = leaf.AppendContent(append(dst, head[:]...), stream, e)
	content := leaf.Hash(e.Meta.Salt.Suite(), dst[start+offID-len(leaf.Domain):])
	copy(dst[start+offCommitment:], content[:])
	return dst
}

// finish writes the leader's part into a frame from appendFrame.
func (f frame) finish(seed uint32, ordinal uint64, end eventstore.Position, rev eventstore.Revision, storedAt int64) {
	le.PutUint64(f[offOrdinal:], ordinal)
	le.PutUint64(f[offPosition:], uint64(end))
	le.PutUint64(f[offRevision:], uint64(rev))
	le.PutUint64(f[offStoredAt:], uint64(storedAt))
	var content [32]byte
	copy(content[:], f[offCommitment:])
	commitment := leaf.Commit(f.suite(), ordinal, rev, content)
	copy(f[offCommitment:], commitment[:])
	le.PutUint32(f[offCRC:], f.crc(seed))
}

func (f frame) crc(seed uint32) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, f[:offCRC]), castagnoli, f[offCRC+4:])
}

// content is the hash of the event's content.
func (f frame) content(scratch []byte) (sum [32]byte, _ []byte) {
	scratch = append(append(scratch[:0], leaf.Domain...), f[offID:]...)
	return leaf.Hash(f.suite(), scratch), scratch
}

// readFrame checks the frame that starts b, at position at of the log, and returns it. errShort means b may be only
// the beginning of one.
func readFrame(b []byte, seed uint32, at eventstore.Position) (frame, error) {
	if len(b) < frameHeader {
		return nil, errShort
	}
	n := le.Uint32(b)
	if n < frameHeader || n > frameBytesMax {
		return nil, errLength
	}
	if int64(n) > int64(len(b)) {
		return nil, errShort
	}
	f := frame(b[:n:n])
	if le.Uint32(f[offCRC:]) != f.crc(seed) {
		return nil, errCRC
	}
	if f.position() != at+eventstore.Position(n) {
		return nil, errPlace
	}
	data := int(le.Uint32(f[offDataLen:]))
	if frameHeader+f.lens().total()+data != len(f) {
		return nil, errLength
	}
	if f.outside() && (data < rawHeader || int64(le.Uint32(f[len(f)-data:]))+rawHeader > int64(data)) {
		return nil, errLength
	}
	return f, nil
}

// decoder turns frames into events. It is used by one reader.
type decoder struct {
	names       *names
	role, actor string // Of the event before: usually the same.
	texts       string // The same of its other texts.
}

func (d *decoder) name(b []byte, before string) string {
	if string(b) == before {
		return before
	}
	return d.names.one(b)
}

// event decodes f. Data shares f's memory; the texts do not, so that a view that keeps a stream name does not keep the
// block it was read in.
func (d *decoder) event(f frame) eventstore.Recorded {
	l := f.lens()
	at := frameHeader
	next := func(n int) []byte { at += n; return f[at-n : at] }
	r := eventstore.Recorded{
		Revision: f.revision(), Position: f.position(), Ordinal: f.ordinal(), StoredAt: time.UnixMicro(f.storedAt()).UTC(),
	}
	copy(r.ID[:], f.id())
	r.Type = d.name(next(l.typ()), "")
	m := &r.Meta
	d.role, d.actor = d.name(next(l.role()), d.role), d.name(next(l.actor()), d.actor)
	m.Role, m.Actor = d.role, d.actor
	if b := next(l.stream() + l.command() + l.causation() + l.correlation()); string(b) != d.texts {
		d.texts = string(b)
	}
	texts := d.texts
	cut := func(n int) string { s := texts[:n]; texts = texts[n:]; return s }
	r.Stream = cut(l.stream())
	m.Command = cut(l.command())
	m.Causation = cut(l.causation())
	m.Correlation = texts
	m.Schema = int(le.Uint32(f[offSchema:]) &^ flagBit)
	m.Policy = int(le.Uint32(f[offPolicy:]) &^ flagBit)
	m.At = time.UnixMicro(int64(le.Uint64(f[offAt:]))).UTC()
	m.Salt = eventstore.Salt(f[offSalt:])
	r.Binary = le.Uint32(f[offPolicy:])&flagBit != 0
	if f.outside() {
		m.Outside = true
		m.Raw = string(next(int(le.Uint32(next(rawHeader)))))
	}
	r.Data = f[at:len(f):len(f)]
	return r
}

// DamageError says where the log is damaged and how. The open stops with it; a reader ends with it.
type DamageError struct {
	Position eventstore.Position // The first byte that cannot be trusted.
	What     string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("embedded: log damaged at position %d: %s", e.Position, e.What)
}

func damage(at eventstore.Position, format string, args ...any) error {
	return &DamageError{Position: at, What: fmt.Sprintf(format, args...)}
}
