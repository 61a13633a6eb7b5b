package redisviews

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"zujian/eventstore"
	"zujian/projections"
)

const (
	undoMost    = 64      // Batches whose replaced values are fetched in one call.
	undoBytes   = 1 << 28 // Of replaced values one reader holds; more and it gives up.
	scanFirst   = 64      // Rows of a scan's first call, doubled with each …
	scanMost    = 512     // … up to this.
	scanBytes   = 1 << 20 // A call that brought more is followed by smaller ones.
	attemptsMax = 1000    // Calls to catch up with a version that moves: each brings undoMost batches.
)

// errGone means that a snapshot can't be read any more: its reader took too long, or Redis lost it.
var errGone = fmt.Errorf("redisviews: %w: the view moved on too far under this reader", projections.ErrUnavailable)

// reader is a version as it stood at from. What later batches replaced lies in undo, over what is read.
type reader struct {
	views    *Views
	space    space
	from     mark
	position eventstore.Position
	fixed    bool // Inside a batch: a version that moves is an error, not something to undo.

	mu    sync.Mutex
	moved uint64 // Undo holds all up to this batch.
	undo  projections.Writes
	bytes int
}

func (r *reader) Position() eventstore.Position { return r.position }

// ask runs the read script until it answers with rows.
func (r *reader) ask(ctx context.Context, args ...any) ([]any, error) {
	for range attemptsMax {
		all := append([]any{r.from.gen, r.moved, undoMost}, args...)
		raw, err := readScript.Run(ctx, r.views.db, []string{r.views.base(r.space)}, all...).Slice()
		if err != nil {
			return nil, r.views.fail(ctx, "read "+r.space.String(), err)
		}
		now, ok := raw[0].(int64)
		switch {
		case r.fixed && (!ok || now < 0 || uint64(now) != r.moved):
			return nil, fmt.Errorf("read %s in a batch: %w", r.space, projections.ErrFenced)
		case !ok || now < 0 || uint64(now) < r.moved: // The last: Redis came back older.
			return nil, errGone
		}
		if err := r.learn(raw[1]); err != nil {
			return nil, err
		}
		r.moved = uint64(now)
		if len(raw) > 2 {
			return raw[2:], nil
		}
	}
	return nil, errGone
}

// learn lays what batches replaced over what is read; the oldest value of a key is the one that counts.
func (r *reader) learn(raw any) error {
	batches, ok := raw.([]any)
	if !ok {
		return errDamaged
	}
	for _, one := range batches {
		pairs, ok := one.([]any)
		if !ok || len(pairs)%2 != 0 {
			return errDamaged
		}
		for i := 0; i < len(pairs); i += 2 {
			key, ok1 := pairs[i].(string)
			old, ok2 := pairs[i+1].(string)
			if !ok1 || !ok2 || old == "" {
				return errDamaged
			}
			if _, known := r.undo.Get(key); known {
				continue
			}
			r.bytes += len(key) + len(old)
			if old[0] == '1' {
				r.undo.Set(key, []byte(old[1:]))
			} else {
				r.undo.Delete(key)
			}
		}
	}
	if r.bytes > undoBytes {
		return errGone
	}
	return nil
}

var errDamaged = errors.New("redisviews: a damaged answer")

func (r *reader) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, err := r.ask(ctx, "g", key)
	if err != nil {
		return nil, false, fmt.Errorf("get %q: %w", key, err)
	}
	if value, known := r.undo.Get(key); known {
		return value, value != nil, nil
	}
	values, ok := raw[0].([]any)
	if !ok || len(values) != 1 {
		return nil, false, errDamaged
	}
	value, there := values[0].(string)
	return []byte(value), there, nil
}

func (r *reader) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[projections.Pair, error] {
	return func(yield func(projections.Pair, error) bool) {
		count := scanFirst
		for to == "" || from < to {
			if err := ctx.Err(); err != nil {
				yield(projections.Pair{}, err)
				return
			}
			part, err := r.part(ctx, from, to, reverse, count)
			if err != nil {
				yield(projections.Pair{}, fmt.Errorf("scan %q to %q: %w", from, to, err))
				return
			}
			for p, err := range part.pairs {
				if !yield(p, err) || err != nil {
					return
				}
			}
			if part.last {
				return
			}
			from, to = part.from, part.to
			if count = min(2*count, scanMost); part.bytes > scanBytes {
				count = max(count/4, 1)
			}
		}
	}
}

// part is one call's worth of a scan.
type part struct {
	pairs    iter.Seq2[projections.Pair, error]
	from, to string // What is left.
	last     bool
	bytes    int
}

// part reads the next rows of a range. The bounds of what it brings are those of the rows stored now, and what later
// batches replaced within them is laid over, so that nothing in between is missed.
func (r *reader) part(ctx context.Context, from, to string, reverse bool, count int) (part, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	low, high := "["+from, "("+to
	if from == "" {
		low = "-"
	}
	if to == "" {
		high = "+"
	}
	backwards := "0"
	if reverse {
		backwards = "1"
	}
	raw, err := r.ask(ctx, "s", low, high, backwards, count)
	if err != nil {
		return part{}, err
	}
	pairs, bytes, err := rowsOf(raw)
	if err != nil {
		return part{}, err
	}
	p := part{from: from, to: to, last: len(pairs) < count, bytes: bytes}
	lower, upper := from, to
	if !p.last {
		if edge := pairs[len(pairs)-1].Key; reverse {
			lower, p.to = edge, edge
			p.last = edge == "" // Nothing is below it.
		} else {
			upper, p.from = edge+"\x00", edge+"\x00"
		}
	}
	p.pairs = r.undo.Over(func(yield func(projections.Pair, error) bool) {
		for _, x := range pairs {
			if !yield(x, nil) {
				return
			}
		}
	}, lower, upper, reverse)
	return p, nil
}

func rowsOf(raw []any) (pairs []projections.Pair, bytes int, err error) {
	if len(raw) != 2 {
		return nil, 0, errDamaged
	}
	keys, ok1 := raw[0].([]any)
	values, ok2 := raw[1].([]any)
	if !ok1 || !ok2 || len(keys) != len(values) {
		return nil, 0, errDamaged
	}
	pairs = make([]projections.Pair, len(keys))
	for i := range keys {
		key, ok1 := keys[i].(string)
		value, ok2 := values[i].(string)
		if !ok1 || !ok2 { // A key without a row: something was lost.
			return nil, 0, errGone
		}
		pairs[i] = projections.Pair{Key: key, Value: []byte(value)}
		bytes += len(key) + len(value)
	}
	return pairs, bytes, nil
}
