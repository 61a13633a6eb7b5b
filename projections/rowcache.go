package projections

// RowCache keeps the rows of one keyspace that its batches used last, for a view store whose reads are dear. It has two
// generations: when the young one is full it becomes the old one, and the old is forgotten. A row used again moves to the
// young. Missing rows are kept too, as nil. It holds what is committed and nothing else. The caller locks.
type RowCache struct {
	max        int64 // Bytes of both generations.
	complete   bool  // Nothing was forgotten since the keyspace was empty: what is not here is nowhere.
	bytes      int64 // Of the young one.
	young, old map[string][]byte
}

const rowOverhead = 80 // Bytes a map entry and two headers take, about.

// NewRowCache holds at most some bytes, none if that is not positive. empty says that the keyspace has no rows yet.
func NewRowCache(bytes int64, empty bool) RowCache { return RowCache{max: bytes, complete: empty} }

// Get finds a row; known is false when it must be read. A known row that is nil is not there.
func (r *RowCache) Get(key string) (value []byte, known bool) {
	if value, known = r.young[key]; known {
		return value, true
	}
	if value, known = r.old[key]; known {
		r.Put(key, value)
	}
	return value, known || r.complete
}

// Put remembers a row as read or committed; nil is a row that is not there.
func (r *RowCache) Put(key string, value []byte) {
	if r.max <= 0 {
		r.complete = false
		return
	}
	if before, there := r.young[key]; there {
		r.bytes += int64(len(value) - len(before))
		r.young[key] = value
		return
	}
	size := int64(len(key) + len(value) + rowOverhead)
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
