package projections

// tree is an immutable sorted map: setting a key copies the path to it and shares the rest, so a snapshot is a pointer.
// It is a treap: a search tree by key and a heap by a hash of the key, so its shape depends on its keys alone.
type tree struct {
	key         string
	value       []byte
	rank        uint64
	left, right *tree
}

// rankOf is FNV-1a with a finisher, so that similar keys get unlike ranks.
func rankOf(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	return h ^ h>>33
}

func (t *tree) get(key string) ([]byte, bool) {
	for t != nil {
		switch {
		case key < t.key:
			t = t.left
		case key > t.key:
			t = t.right
		default:
			return t.value, true
		}
	}
	return nil, false
}

func (t *tree) set(key string, value []byte) *tree {
	return t.insert(key, value, rankOf(key))
}

func (t *tree) insert(key string, value []byte, rank uint64) *tree {
	if t == nil {
		return &tree{key: key, value: value, rank: rank}
	}
	if key == t.key {
		c := *t
		c.value = value
		return &c
	}
	if rank > t.rank {
		left, right := t.split(key)
		return &tree{key: key, value: value, rank: rank, left: left, right: right}
	}
	c := *t
	if key < t.key {
		c.left = t.left.insert(key, value, rank)
	} else {
		c.right = t.right.insert(key, value, rank)
	}
	return &c
}

// split parts the keys below key from those above; key itself is not there.
func (t *tree) split(key string) (below, above *tree) {
	if t == nil {
		return nil, nil
	}
	c := *t
	if t.key < key {
		c.right, above = t.right.split(key)
		return &c, above
	}
	below, c.left = t.left.split(key)
	return below, &c
}

func (t *tree) remove(key string) *tree {
	if t == nil {
		return nil
	}
	if key == t.key {
		return merge(t.left, t.right)
	}
	c := *t
	if key < t.key {
		c.left = t.left.remove(key)
	} else {
		c.right = t.right.remove(key)
	}
	return &c
}

func merge(below, above *tree) *tree {
	switch {
	case below == nil:
		return above
	case above == nil:
		return below
	case below.rank > above.rank:
		c := *below
		c.right = merge(below.right, above)
		return &c
	default:
		c := *above
		c.left = merge(below, above.left)
		return &c
	}
}

// walk yields from <= key < to in order; to "" is no bound. It reports whether to go on.
func (t *tree) walk(from, to string, yield func(Pair) bool) bool {
	if t == nil {
		return true
	}
	inside := t.key >= from
	if inside && !t.left.walk(from, to, yield) {
		return false
	}
	if to != "" && t.key >= to {
		return true
	}
	if inside && !yield(Pair{Key: t.key, Value: t.value}) {
		return false
	}
	return t.right.walk(from, to, yield)
}

// back is walk in the opposite order.
func (t *tree) back(from, to string, yield func(Pair) bool) bool {
	if t == nil {
		return true
	}
	inside := to == "" || t.key < to
	if inside && !t.right.back(from, to, yield) {
		return false
	}
	if t.key < from {
		return true
	}
	if inside && !yield(Pair{Key: t.key, Value: t.value}) {
		return false
	}
	return t.left.back(from, to, yield)
}
