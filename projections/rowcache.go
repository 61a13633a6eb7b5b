package projections

import "strings"

// RowCache keeps the rows of one keyspace that its batches used last, for a view store whose reads are dear. It has two
// generations: when the young one is full it becomes the old one, and the old is forgotten. A row used again moves to the
// young. Missing rows are kept too, as nil. It holds what is committed and nothing else. The caller locks.
//
// Two thirds of what views write are entries of indexes, which no batch reads: only rows of a kind, the first part of a
// key, that was ever asked for are kept.
type RowCache struct {
	max        int64 // Bytes of both generations.
	complete   bool  // Nothing was forgotten since the keyspace was empty: what is not here is nowhere, see rowKind.
	bytes      int64 // Of the young one.
	young, old map[string][]byte
	kinds      map[string]*rowKind
}

// rowKind is what is known of the rows whose keys have one first part.
type rowKind struct {
	asked  bool // Some were asked for.
	passed bool // Before that some were written, and not kept.
}

const (
	rowOverhead = 80  // Bytes a map entry and two headers take, about.
	kindsMax    = 256 // Kinds told apart; all others are one.
)

func rowBytes(key string, value []byte) int64 { return int64(len(key) + len(value) + rowOverhead) }

// NewRowCache holds at most some bytes, none if that is not positive. empty says that the keyspace has no rows yet.
func NewRowCache(bytes int64, empty bool) RowCache { return RowCache{max: bytes, complete: empty} }

// Resize lets it hold at most some bytes from now on, and forgets what is too much.
func (r *RowCache) Resize(bytes int64) {
	if bytes < r.max && len(r.old) > 0 {
		r.complete, r.old = false, nil
	}
	if r.max = bytes; r.bytes > bytes/2 {
		r.complete, r.young, r.bytes = false, nil, 0
	}
}

// kind finds what is known of a key's like.
func (r *RowCache) kind(key string) *rowKind {
	name := kindOf(key)
	k := r.kinds[name]
	if k == nil && len(r.kinds) >= kindsMax {
		name = ""
		k = r.kinds[name]
	}
	if k == nil {
		if r.kinds == nil {
			r.kinds = map[string]*rowKind{}
		}
		k = &rowKind{}
		r.kinds[strings.Clone(name)] = k
	}
	return k
}

// Get finds a row; known is false when it must be read. A known row that is nil is not there.
func (r *RowCache) Get(key string) (value []byte, known bool) {
	if value, known = r.young[key]; known {
		return value, true
	}
	if value, known = r.old[key]; known {
		r.Read(key, value)
		return value, true
	}
	k := r.kind(key)
	k.asked = true
	return nil, r.complete && !k.passed
}

// Wrote says what a batch has committed; nil is a row that is not there any more.
func (r *RowCache) Wrote(key string, value []byte) {
	if k := r.kind(key); !k.asked {
		k.passed = true
		return
	}
	r.Read(key, value)
}

// Read remembers a row as read; nil is a row that is not there.
func (r *RowCache) Read(key string, value []byte) {
	if r.max <= 0 {
		r.complete = false
		return
	}
	if before, there := r.young[key]; there {
		r.bytes -= rowBytes(key, before)
	}
	size := rowBytes(key, value)
	if r.bytes+size > r.max/2 && r.bytes > 0 {
		r.complete = r.complete && len(r.old) == 0
		r.old, r.young, r.bytes = r.young, nil, 0
	}
	if r.young == nil {
		r.young = map[string][]byte{}
	}
	r.young[key] = value
	r.bytes += size
}
