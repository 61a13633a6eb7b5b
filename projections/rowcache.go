package projections

import (
	"encoding/binary"
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// RowCache keeps the rows of one keyspace that its batches used last, for a view store whose reads are dear. It has two
// generations: when the young one is full it becomes the old one, and the old is forgotten. A row used again moves to the
// young. Missing rows are kept too, as nil. It holds what is committed and nothing else. The caller locks.
//
// Two thirds of what views write are entries of indexes, which no batch reads: only rows of a kind, the first part of a
// key, that was ever asked for are kept.
type RowCache struct {
	max        int64    // Bytes of both generations.
	room       *RowRoom // More of it, if there is.
	taken      int64    // Of that.
	complete   bool     // Nothing was forgotten since the keyspace was empty: what is not here is nowhere, see rowKind.
	young, old rowBlocks
	kinds      map[string]*rowKind
	last       *rowKind // The kind of the key before: most come several together.
}

// rowKind is what is known of the rows whose keys have one first part.
type rowKind struct {
	name   string
	asked  bool // Some were asked for.
	passed bool // Before that some were written, and not kept.
}

const (
	rowOverhead  = 40  // Bytes beside a row's key and value, about: where it is, and two lengths.
	rowPastShare = 3   // Rows with a later one are cleared away when they are one part in so many.
	kindsMax     = 256 // Kinds told apart; all others are one.
)

func rowBytes(key string, value []byte) int64 { return int64(len(key) + len(value) + rowOverhead) }

// rowBlocks are rows in a few large blocks, in which the collector of garbage finds nothing to follow: there may be
// hundreds of thousands of rows. What was put in a block stays as it is.
type rowBlocks struct {
	at     map[uint64]rowPlace // By the hash of the key.
	blocks [][]byte
	bytes  int64 // Of all rows in blocks,
	past   int64 // and of those with a later one.
}

type rowPlace struct{ block, from uint32 }

const (
	rowBlockMin = 4 << 10 // Bytes of a first block; each is as large as those before it together, up to the most.
	rowBlockMax = 1 << 20
	rowHead     = 4 + 4 // Of a row in a block: the lengths of its key and its value, that one more by one; 0 is a row that is not there.
)

var rowSeed = maphash.MakeSeed()

// raw is the row at a place and what follows it, where its key ends, and the size of its value as it is written.
func (r *rowBlocks) raw(p rowPlace) (row []byte, end, size int) {
	row = r.blocks[p.block][p.from:]
	return row, rowHead + int(binary.LittleEndian.Uint32(row)), int(binary.LittleEndian.Uint32(row[4:]))
}

// row is the value at a place, if the row there is the key's own.
func (r *rowBlocks) row(p rowPlace, key string) (value []byte, own bool) {
	row, end, size := r.raw(p)
	switch {
	case string(row[rowHead:end]) != key:
		return nil, false
	case size == 0:
		return nil, true
	}
	return row[end : end+size-1 : end+size-1], true
}

// get finds a row.
func (r *rowBlocks) get(hash uint64, key string) (value []byte, known bool) {
	p, known := r.at[hash]
	if !known {
		return nil, false
	}
	return r.row(p, key)
}

// put adds a row, in place of an earlier one. It is false if that was another's: two keys may have one hash.
func (r *rowBlocks) put(hash uint64, key string, value []byte) (own bool) {
	own = true
	if p, known := r.at[hash]; known {
		var was []byte
		was, own = r.row(p, key)
		r.past += rowBytes(key, was) // About, if it was another's.
	}
	b := r.room(rowHead + len(key) + len(value))
	if r.at == nil {
		r.at = map[uint64]rowPlace{}
	}
	r.at[hash] = rowPlace{uint32(len(r.blocks) - 1), uint32(len(*b))}
	size := 0
	if value != nil {
		size = len(value) + 1
	}
	*b = binary.LittleEndian.AppendUint32(*b, uint32(len(key)))
	*b = binary.LittleEndian.AppendUint32(*b, uint32(size))
	*b = append(append(*b, key...), value...)
	r.bytes += rowBytes(key, value)
	return own
}

// tidy copies the rows that have no later one to blocks of their own, if that frees much.
func (r *rowBlocks) tidy() {
	if r.past < r.bytes/rowPastShare {
		return
	}
	fresh := rowBlocks{at: make(map[uint64]rowPlace, len(r.at))}
	for hash, p := range r.at {
		row, end, size := r.raw(p)
		end += max(size-1, 0)
		b := fresh.room(end)
		fresh.at[hash] = rowPlace{uint32(len(fresh.blocks) - 1), uint32(len(*b))}
		*b = append(*b, row[:end]...)
		fresh.bytes += int64(end - rowHead + rowOverhead)
	}
	*r = fresh
}

// room is a block with so much room.
func (r *rowBlocks) room(bytes int) *[]byte {
	if n := len(r.blocks); n > 0 {
		if b := &r.blocks[n-1]; cap(*b)-len(*b) >= bytes {
			return b
		}
	}
	size := max(min(max(int(r.bytes), rowBlockMin), rowBlockMax), bytes)
	r.blocks = append(r.blocks, make([]byte, 0, size))
	return &r.blocks[len(r.blocks)-1]
}

// NewRowCache holds at most some bytes, none if that is not positive, and more as long as room has it, which may be nil.
// empty says that the keyspace has no rows yet.
func NewRowCache(bytes int64, room *RowRoom, empty bool) RowCache {
	return RowCache{max: bytes, room: room, complete: empty}
}

// RowRoom is memory for the rows of several keyspaces together: which of them needs how much is not known beforehand. The
// zero RowRoom has none.
type RowRoom struct{ free atomic.Int64 }

// NewRowRoom has some bytes.
func NewRowRoom(bytes int64) *RowRoom {
	room := &RowRoom{}
	room.free.Store(bytes)
	return room
}

// roomStep is how much a cache takes at once.
const roomStep = 4 * rowBlockMax

func (r *RowRoom) take() bool {
	if r.free.Add(-roomStep) >= 0 {
		return true
	}
	r.free.Add(roomStep)
	return false
}

// Resize lets it hold at most some bytes from now on, gives back what it took of the room, and forgets what is too much:
// the old rows before the young, which may be the later of the same keys.
func (r *RowCache) Resize(bytes int64) {
	if r.taken > 0 {
		r.room.free.Add(r.taken)
	}
	r.room, r.taken = nil, 0
	tooMuch := r.young.bytes > bytes/2
	if (bytes < r.max || tooMuch) && r.old.bytes > 0 {
		r.complete, r.old = false, rowBlocks{}
	}
	if r.max = bytes; tooMuch {
		r.complete, r.young = false, rowBlocks{}
	}
}

// kind finds what is known of a key's like.
func (r *RowCache) kind(key string) *rowKind {
	name := kindOf(key)
	if r.last != nil && r.last.name == name {
		return r.last
	}
	k := r.kinds[name]
	if k == nil && len(r.kinds) >= kindsMax {
		name = ""
		k = r.kinds[name]
	}
	if k == nil {
		if r.kinds == nil {
			r.kinds = map[string]*rowKind{}
		}
		k = &rowKind{name: strings.Clone(name)}
		r.kinds[k.name] = k
	}
	r.last = k
	return k
}

// Get finds a row; known is false when it must be read. A known row that is nil is not there.
func (r *RowCache) Get(key string) (value []byte, known bool) {
	hash := maphash.String(rowSeed, key)
	if value, known = r.young.get(hash, key); known {
		return value, true
	}
	if value, known = r.old.get(hash, key); known {
		r.keep(hash, key, value)
		return value, true
	}
	k := r.kind(key)
	k.asked = true
	return nil, r.complete && !k.passed
}

// Wrote says what a batch has committed; nil is a row that is not there any more. It keeps copies.
func (r *RowCache) Wrote(key string, value []byte) {
	if k := r.kind(key); !k.asked {
		k.passed = true
		return
	}
	r.Read(key, value)
}

// Read remembers a row as read; nil is a row that is not there. It keeps copies.
func (r *RowCache) Read(key string, value []byte) { r.keep(maphash.String(rowSeed, key), key, value) }

func (r *RowCache) keep(hash uint64, key string, value []byte) {
	if r.max <= 0 {
		r.complete = false
		return
	}
	if r.young.bytes+rowBytes(key, value) > r.max/2 {
		r.young.tidy()
	}
	for r.young.bytes+rowBytes(key, value) > r.max/2 && r.young.bytes > 0 && r.room != nil && r.room.take() {
		r.max, r.taken = r.max+roomStep, r.taken+roomStep
	}
	if r.young.bytes+rowBytes(key, value) > r.max/2 && r.young.bytes > 0 {
		r.complete = r.complete && r.old.bytes == 0
		r.old, r.young = r.young, rowBlocks{}
	}
	if !r.young.put(hash, key, value) {
		r.complete = false
		delete(r.old.at, hash) // It may be the lost one's, as it was before.
	}
}
