package redisviews

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"zujian/projections"
)

// Replies keeps what was answered under an idempotency key until it expires: pebbleviews.Replies for many processes.
// Losing a reply only means deciding again.
type Replies struct {
	views *Views
	now   func() time.Time
}

// Replies opens the replies beside the views.
func (v *Views) Replies(now func() time.Time) *Replies { return &Replies{views: v, now: now} }

func (r *Replies) key(key string) string { return r.views.prefix + ":reply:" + key }

// Get finds a reply that has not expired. Its bytes are the caller's.
func (r *Replies) Get(ctx context.Context, key string) ([]byte, bool, error) {
	raw, err := r.views.db.Get(ctx, r.key(key)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, r.views.fail(ctx, "get reply", err)
	}
	if len(raw) < 8 {
		return nil, false, fmt.Errorf("get reply: %w", errDamaged)
	}
	if r.now().UnixMicro() >= int64(binary.BigEndian.Uint64(raw)) {
		return nil, false, nil
	}
	return raw[8:], true, nil
}

// Put keeps a reply until expires, in place of an earlier one. Microseconds count, by the caller's clock; Redis forgets it
// soon after by its own.
func (r *Replies) Put(ctx context.Context, key string, value []byte, expires time.Time) error {
	if err := projections.CheckReply(key, value, expires); err != nil {
		return err
	}
	left := expires.Sub(r.now())
	if left <= 0 {
		left = time.Millisecond
	}
	raw := append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(value)), uint64(expires.UnixMicro())), value...)
	if err := r.views.db.Set(ctx, r.key(key), raw, left+time.Second).Err(); err != nil {
		return r.views.fail(ctx, "put reply", err)
	}
	return nil
}
