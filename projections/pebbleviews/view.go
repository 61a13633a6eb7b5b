package pebbleviews

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"zujian/eventstore"
	"zujian/eventstore/folder"
	"zujian/projections"
)

// reader is a view in a snapshot.
type reader struct {
	from     getter
	prefix   []byte
	position eventstore.Position
}

func (r *reader) Position() eventstore.Position { return r.position }

func (r *reader) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	value, ok, err := get(r.from, keyOf(r.prefix, key))
	if err != nil {
		return nil, false, fmt.Errorf("get %q: %w", key, err)
	}
	return value, ok, nil
}

func (r *reader) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[projections.Pair, error] {
	return func(yield func(projections.Pair, error) bool) {
		lower, upper := bounds(r.prefix, from, to)
		if to != "" && from >= to {
			return
		}
		it, err := r.from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			yield(projections.Pair{}, fmt.Errorf("scan %q to %q: %w", from, to, folder.Plain(err)))
			return
		}
		defer func() { _ = it.Close() }() // Its error is looked at below.
		scanAll(ctx, it, len(r.prefix), from, to, reverse, yield)
	}
}

// scanAll yields what an iterator has in its bounds.
func scanAll(ctx context.Context, it *pebble.Iterator, skip int, from, to string, reverse bool, yield func(projections.Pair, error) bool) {
	c := &cursor{it: it, skip: skip, reverse: reverse}
	for p, ok := c.next(); ok; p, ok = c.next() {
		if err := ctx.Err(); err != nil {
			yield(projections.Pair{}, err)
			return
		}
		if !yield(p, nil) {
			return
		}
	}
	if err := it.Error(); err != nil {
		yield(projections.Pair{}, fmt.Errorf("scan %q to %q: %w", from, to, folder.Plain(err)))
	}
}

func keyOf(prefix []byte, key string) []byte {
	k := make([]byte, 0, len(prefix)+len(key))
	return append(append(k, prefix...), key...)
}

func bounds(prefix []byte, from, to string) (lower, upper []byte) {
	lower, upper = keyOf(prefix, from), after(prefix)
	if to != "" {
		upper = keyOf(prefix, to)
	}
	return lower, upper
}

// cursor walks committed pairs.
type cursor struct {
	it      *pebble.Iterator
	skip    int // Bytes of the prefix.
	reverse bool
	started bool
}

func (c *cursor) next() (projections.Pair, bool) {
	var ok bool
	switch {
	case !c.started && c.reverse:
		ok = c.it.Last()
	case !c.started:
		ok = c.it.First()
	case c.reverse:
		ok = c.it.Prev()
	default:
		ok = c.it.Next()
	}
	c.started = true
	if !ok {
		return projections.Pair{}, false
	}
	value := append(make([]byte, 0, len(c.it.Value())), c.it.Value()...) // Never nil: that is a deletion.
	return projections.Pair{Key: string(c.it.Key()[c.skip:]), Value: value}, true
}

// batchView is a view inside a batch: its own writes over the committed rows.
type batchView struct {
	*projections.Writes // The keyspace's, emptied.
	db                  *pebble.DB
	space               *keyspace
	free                []*pebble.Iterator // Of this batch, for the next scan: the committed rows stand still meanwhile.
}

func (v *batchView) Position() eventstore.Position { return v.space.checkpoint }

func (v *batchView) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if value, mine := v.Writes.Get(key); mine {
		return value, value != nil, nil
	}
	if value, known := v.space.rows.Get(key); known {
		return value, value != nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	value, ok, err := get(v.db, keyOf(v.space.prefix, key))
	if err != nil {
		return nil, false, fmt.Errorf("get %q: %w", key, err)
	}
	v.space.rows.Read(key, value)
	return value, ok, nil
}

// Scan merges the committed pairs with this batch's writes so far.
func (v *batchView) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[projections.Pair, error] {
	return v.Over(func(yield func(projections.Pair, error) bool) {
		if to != "" && from >= to {
			return
		}
		it, err := v.iterator(from, to)
		if err != nil {
			yield(projections.Pair{}, fmt.Errorf("scan %q to %q: %w", from, to, folder.Plain(err)))
			return
		}
		defer func() { v.free = append(v.free, it) }()
		scanAll(ctx, it, len(v.space.prefix), from, to, reverse, yield)
	}, from, to, reverse)
}

func (v *batchView) iterator(from, to string) (*pebble.Iterator, error) {
	lower, upper := bounds(v.space.prefix, from, to)
	if n := len(v.free); n > 0 {
		it := v.free[n-1]
		v.free = v.free[:n-1]
		it.SetBounds(lower, upper)
		return it, nil
	}
	return v.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

func (v *batchView) release() {
	for _, it := range v.free {
		_ = it.Close() // What it had to say was said in Scan.
	}
	v.free = nil
}

// Room of one operation in a batch beside its key and value: a kind and two lengths; and of the batch itself.
const (
	opOverhead    = 1 + 2*binary.MaxVarintLen32
	batchOverhead = 64
)

// inOrder is the order of writes by their keys, those of one key as they came: a memtable finds the place of a key soonest
// beside the one before. It is valid until the next call.
func (k *keyspace) inOrder(all []projections.Pair) []written {
	order := slices.Grow(k.order[:0], len(all))
	for i, p := range all {
		order = append(order, written{head(p.Key), int32(i)})
	}
	slices.SortFunc(order, func(a, b written) int {
		switch {
		case a.head < b.head:
			return -1
		case a.head > b.head:
			return 1
		}
		return cmp.Or(strings.Compare(all[a.at].Key, all[b.at].Key), cmp.Compare(a.at, b.at))
	})
	k.order = order
	return order
}

// written is a write's place among others, and the head of its key: most keys differ in that, and are not looked at then.
type written struct {
	head uint64
	at   int32
}

// head is the first bytes of a key, and zeros behind a shorter one: in order as keys are, or the same.
func head(key string) (n uint64) {
	var room [8]byte
	copy(room[:], key)
	return binary.BigEndian.Uint64(room[:])
}

// commit writes all and the checkpoint, and then makes the rows known. It says how many bytes that took, about.
func (v *batchView) commit(next eventstore.Position) (size int, err error) {
	v.release()
	prefix, standing := v.space.prefix, v.space.standing
	size = batchOverhead + len(standing) + opOverhead + 8
	for _, p := range v.All() {
		size += len(prefix) + len(p.Key) + len(p.Value) + opOverhead
	}
	b := v.db.NewBatchWithSize(size)
	defer func() { _ = b.Close() }() // It was applied or is given up.
	all := v.All()
	order := v.space.inOrder(all)
	for n, w := range order {
		p := all[w.at]
		if n+1 < len(order) && order[n+1].head == w.head && all[order[n+1].at].Key == p.Key { // It was written again.
			continue
		}
		var op *pebble.DeferredBatchOp
		if p.Value != nil {
			op = b.SetDeferred(len(prefix)+len(p.Key), len(p.Value))
		} else {
			op = b.DeleteDeferred(len(prefix) + len(p.Key))
		}
		copy(op.Key[copy(op.Key, prefix):], p.Key)
		copy(op.Value, p.Value)
		if err := op.Finish(); err != nil {
			return 0, err
		}
	}
	if err := b.Set(standing, binary.BigEndian.AppendUint64(nil, uint64(next)), nil); err != nil {
		return 0, err
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return 0, err
	}
	for _, p := range all {
		v.space.rows.Wrote(p.Key, p.Value)
	}
	v.space.checkpoint = next
	return size, nil
}
