package redisviews

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"zujian/eventstore"
	"zujian/projections"
)

// BatchEvents is how many events a runner should fold at once: the script that stores them keeps Redis from everybody else.
const BatchEvents = 2048

const (
	inlineWrites = 4000            // A batch with more, or …
	inlineBytes  = 4 << 20         // … more bytes is staged in pieces.
	pieceValues  = 1000            // Values of one piece.
	stageKept    = 5 * time.Minute // Pieces of a batch that was never committed go by themselves.
)

// Batch implements projections.Views. f must not start another batch of the same version.
func (v *Views) Batch(ctx context.Context, name string, version int, prev, next eventstore.Position,
	f func(projections.View) error,
) error {
	if err := projections.CheckBatch(name, version, prev, next); err != nil {
		return err
	}
	s := space{name, version}
	k := v.keyspace(s)
	k.mu.Lock()
	defer k.mu.Unlock()
	st, err := v.standing(ctx, s)
	if err != nil {
		return err
	}
	if st.at != prev {
		return fmt.Errorf("batch %s after %d: %w: it is at %d", s, prev, projections.ErrFenced, st.at)
	}
	if k.at != st.mark || !st.there { // Somebody else wrote, or it is another life of the version.
		k.at, k.rows = st.mark, projections.NewRowCache(v.row, nil, st.rows == 0)
	}
	view := &batchView{reader: reader{views: v, space: s, from: st.mark, moved: st.seq, position: prev, fixed: true}, space: k}
	if err := f(view); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := v.commit(ctx, s, k, view, next); err != nil {
		return fmt.Errorf("batch %s after %d: %w", s, prev, err)
	}
	return nil
}

// batchView is a view inside a batch: its own writes over the committed rows.
type batchView struct {
	reader
	own   projections.Writes
	space *keyspace
}

func (v *batchView) Set(key string, value []byte) { v.own.Set(key, value) }
func (v *batchView) Delete(key string)            { v.own.Delete(key) }

func (v *batchView) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if value, mine := v.own.Get(key); mine {
		return value, value != nil, nil
	}
	if value, known := v.space.rows.Get(key); known {
		return value, value != nil, nil
	}
	if v.from.gen == "" {
		return nil, false, ctx.Err()
	}
	value, ok, err := v.reader.Get(ctx, key)
	if err != nil {
		return nil, false, err
	}
	if !ok {
		value = nil
	}
	v.space.rows.Read(key, value)
	return value, ok, nil
}

func (v *batchView) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[projections.Pair, error] {
	stored := func(func(projections.Pair, error) bool) {}
	if v.from.gen != "" {
		stored = v.reader.Scan(ctx, from, to, reverse)
	}
	return v.own.Over(stored, from, to, reverse)
}

// commit stores a batch, and then makes its rows known.
func (v *Views) commit(ctx context.Context, s space, k *keyspace, view *batchView, next eventstore.Position) error {
	mark := token()
	head := []any{
		view.from.gen, view.from.seq, uint64(view.position), uint64(next), token(), mark, keepUndo.Milliseconds(),
	}
	var sets, deletes []any
	bytes := 0
	last := view.own.Last()
	for _, p := range last {
		if p.Value != nil {
			sets = append(sets, p.Key, p.Value)
			bytes += len(p.Key) + len(p.Value)
		} else {
			deletes = append(deletes, p.Key)
			bytes += len(p.Key)
		}
	}
	args := append(head, len(sets)/2)
	if len(last) <= inlineWrites && bytes <= inlineBytes {
		args = append(append(args, sets...), deletes...)
	} else {
		if err := v.stage(ctx, s, mark, sets, deletes); err != nil {
			return err
		}
		args[len(args)-1] = -1
	}
	raw, err := commitScript.Run(ctx, v.db, []string{v.base(s)}, args...).Slice()
	if err != nil {
		k.at = mark0 // It may have happened: what is remembered can't be trusted.
		return v.fail(ctx, "commit", err)
	}
	if len(raw) == 2 {
		k.at = mark0
		return fmt.Errorf("%w: it is at %v", projections.ErrFenced, raw[1])
	}
	if err := k.committed(raw, view, mark); err != nil {
		k.at = mark0
		return err
	}
	return nil
}

// mark0 is no version's: what is remembered under it is forgotten at the next batch.
var mark0 = mark{gen: "?"}

func (k *keyspace) committed(raw []any, view *batchView, last string) error {
	if len(raw) != 3 {
		return errDamaged
	}
	gen, ok1 := raw[1].(string)
	text, ok2 := raw[2].(string)
	seq, err := strconv.ParseUint(text, 10, 64)
	if !ok1 || !ok2 || err != nil {
		return errDamaged
	}
	k.at = mark{gen, seq, last}
	for _, p := range view.own.All() {
		k.rows.Wrote(p.Key, p.Value)
	}
	return nil
}

// stage lays a large batch beside the version, in pieces, for the one script that stores it. Pieces are lists: keys with
// values, and keys to delete.
func (v *Views) stage(ctx context.Context, s space, mark string, sets, deletes []any) error {
	for suffix, values := range map[string][]any{"s:": sets, "d:": deletes} {
		list := v.base(s) + suffix + mark
		for from := 0; from < len(values); {
			to, bytes := from, 0
			for to < len(values) && to-from < pieceValues && bytes < inlineBytes {
				switch x := values[to].(type) {
				case string:
					bytes += len(x)
				case []byte:
					bytes += len(x)
				}
				to++
			}
			pipe := v.db.TxPipeline()
			pipe.RPush(ctx, list, values[from:to]...)
			pipe.PExpire(ctx, list, stageKept)
			if _, err := pipe.Exec(ctx); err != nil {
				return v.fail(ctx, "stage", err)
			}
			from = to
		}
	}
	return nil
}
