package pebbleviews

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"zujian/projections"
)

// Replies keeps what was answered under an idempotency key until it expires. It shares the database, not the keyspace,
// of the views; unlike them it can't be built again, and losing a reply in a crash only means deciding again.
type Replies struct {
	views *Views
	now   func() time.Time

	mu    sync.Mutex
	begun map[string]int64 // When replies put once expire: who puts one again with the same expiry need not note it.
	swept int64            // What expires before is gone: a sweep need not pass over what earlier ones left of it.
}

const (
	sweepBatch = 1000    // Bounds one deletion; sweeping goes on until nothing is left.
	begunMax   = 4 << 10 // More requests are never at work at once; of those that end early a few stay.
)

// Replies opens the replies in the database.
func (v *Views) Replies(now func() time.Time) *Replies {
	return &Replies{views: v, now: now, begun: map[string]int64{}}
}

func replyKey(key string) []byte { return append([]byte{keyReply}, key...) }

func expiryKey(expires int64, key string) []byte {
	k := binary.BigEndian.AppendUint64([]byte{keyExpiry}, uint64(expires))
	return append(k, key...)
}

// noted takes a reply that was put before with the same expiry off those begun. What has expired may have been swept.
func (r *Replies) noted(key string, at int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, ok := r.begun[key]
	delete(r.begun, key)
	return ok && before == at && r.now().UnixMicro() < at
}

func (r *Replies) note(key string, at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.begun) >= begunMax {
		clear(r.begun)
	}
	r.begun[key] = at
	r.swept = min(r.swept, at)
}

// Get finds a reply that has not expired. Its bytes are the caller's.
func (r *Replies) Get(key string) ([]byte, bool, error) {
	if err := r.views.enter(); err != nil {
		return nil, false, err
	}
	defer r.views.leave()
	raw, ok, err := get(r.views.db, replyKey(key))
	if err == nil && ok && len(raw) < 8 {
		err = errors.New("damaged")
	}
	if err != nil {
		return nil, false, fmt.Errorf("get reply: %w", err)
	}
	if !ok || r.now().UnixMicro() >= int64(binary.BigEndian.Uint64(raw)) {
		return nil, false, nil
	}
	return raw[8:], true, nil
}

// Put keeps a reply until expires, in place of an earlier one. Microseconds count. It is not synced.
func (r *Replies) Put(key string, value []byte, expires time.Time) error {
	if err := projections.CheckReply(key, value, expires); err != nil {
		return err
	}
	at := expires.UnixMicro()
	if err := r.views.enter(); err != nil {
		return err
	}
	defer r.views.leave()
	b := r.views.db.NewBatch()
	defer func() { _ = b.Close() }() // It was applied or is given up.
	op := b.SetDeferred(1+len(key), 8+len(value))
	op.Key[0] = keyReply
	copy(op.Key[1:], key)
	binary.BigEndian.PutUint64(op.Value, uint64(at))
	copy(op.Value[8:], value)
	err := op.Finish()
	again := r.noted(key, at)
	if !again {
		op = b.SetDeferred(1+8+len(key), 0)
		op.Key[0] = keyExpiry
		binary.BigEndian.PutUint64(op.Key[1:], uint64(at))
		copy(op.Key[9:], key)
		err = errors.Join(err, op.Finish())
	}
	if err = errors.Join(err, b.Commit(pebble.NoSync)); err != nil {
		return fmt.Errorf("put reply: %w", err)
	}
	if !again {
		r.note(key, at)
	}
	r.views.wrote(8 + len(value) + 2*len(key))
	return nil
}

// Sweep deletes what has expired, at least a first part of it when ctx ends, and says how many replies that were. Call it
// now and then; Get never shows an expired one.
func (r *Replies) Sweep(ctx context.Context) (swept int, err error) {
	for {
		n, more, err := r.sweep()
		swept += n
		if err != nil || !more {
			return swept, err
		}
		if err := ctx.Err(); err != nil {
			return swept, err
		}
	}
}

func (r *Replies) sweep() (n int, more bool, err error) {
	if err := r.views.enter(); err != nil {
		return 0, false, err
	}
	defer r.views.leave()
	r.mu.Lock()
	from, now := r.swept, r.now().UnixMicro()
	r.mu.Unlock()
	db := r.views.db
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: expiryKey(from, ""), UpperBound: expiryKey(now+1, "")})
	if err != nil {
		return 0, false, fmt.Errorf("sweep replies: %w", err)
	}
	b := db.NewBatch()
	defer func() { _ = b.Close() }() // It was applied or is given up.
	var errs []error
	entries := 0
	for ok := it.First(); ok && entries < sweepBatch; ok = it.Next() {
		entries++
		expires, key := it.Key()[1:9], string(it.Key()[9:])
		errs = append(errs, b.Delete(it.Key(), nil))
		raw, there, err := get(db, replyKey(key))
		errs = append(errs, err)
		if there && len(raw) >= 8 && string(raw[:8]) == string(expires) { // Else a later Put prolonged it.
			errs = append(errs, b.Delete(replyKey(key), nil))
			n++
		}
	}
	if err := errors.Join(append(errs, it.Error(), it.Close(), b.Commit(pebble.NoSync))...); err != nil {
		return 0, false, fmt.Errorf("sweep replies: %w", err)
	}
	if more = entries == sweepBatch; !more {
		r.mu.Lock()
		r.swept = max(r.swept, now)
		r.mu.Unlock()
	}
	return n, more, nil
}
