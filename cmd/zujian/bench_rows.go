package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"zujian/cmd/zujian/internal/peers"
	"zujian/eventstore"
	"zujian/projections"
)

const (
	benchRowsRate  = 100_000 // Rows there are, for each second measured,
	benchRowsMost  = 1_000_000
	benchRowsOnce  = 500 // and changed at once: those of a batch of events.
	benchRowBytes  = 120
	benchRowsView  = "rows"
	benchRowsParts = 24 // Slices of the time measured: so many, and those of filling take what they take.
)

// rowTable is a table of many rows in the view store and the same in Redis.
type rowTable struct {
	b      *bench
	views  projections.Views
	redis  *peers.RedisRows
	rows   int
	folded eventstore.Position
}

// benchRows changes rows of many and asks for single ones, in Pebble as a view that is built does, and in Redis by its own
// commands, MGET and MSET of as many rows at once, and GET. Both have the rows in memory and write a log that survives the
// process, and wait for no disk.
func benchRows(b *bench, views projections.Views, server *peers.RedisServer) (_ []benchRow, err error) {
	redis, err := server.Rows(b.ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	t := &rowTable{b: b, views: views, redis: redis, rows: min(max(int(b.seconds*benchRowsRate), 4*benchRowsOnce), benchRowsMost)}
	b.say("filling %d rows", t.rows)
	for n := 0; n < t.rows; n += benchRowsOnce {
		keys := make([]string, min(benchRowsOnce, t.rows-n))
		for i := range keys {
			keys[i] = rowKey(n + i)
		}
		if err := errors.Join(t.inView(keys), t.inRedis(keys)); err != nil {
			return nil, err
		}
	}
	slice := time.Duration(b.seconds / benchRowsParts * float64(time.Second))
	var ours, theirs, asked, peer []slicing
	measure := func(to *[]slicing, f func() error) error {
		s, err := repeat(slice, f)
		*to = append(*to, s)
		return err
	}
	for range benchRedisRounds {
		if err := errors.Join(
			measure(&theirs, func() error { return t.inRedis(t.some()) }),
			measure(&ours, func() error { return t.inView(t.some()) }),
		); err != nil {
			return nil, err
		}
	}
	if err := views.Activate(b.ctx, benchRowsView, 1); err != nil {
		return nil, err
	}
	for range benchRedisRounds {
		if err := errors.Join(
			measure(&peer, func() error { return redis.Get(b.ctx, rowKey(rand.IntN(t.rows))) }),
			measure(&asked, func() error {
				return views.Read(b.ctx, benchRowsView, func(r projections.Reader) error {
					_, found, err := r.Get(b.ctx, rowKey(rand.IntN(t.rows)))
					if err == nil && !found {
						err = errors.New("a row is gone")
					}
					return err
				})
			}),
		); err != nil {
			return nil, err
		}
	}
	changed := compare(fmt.Sprintf("rows changed in a view of %d (required 1.2)", t.rows), "rows/s", "Redis, MGET and MSET", ours, theirs,
		func(s slicing) float64 { return s.rate * benchRowsOnce })
	p99 := compare(fmt.Sprintf("one row of %d, p99 (required at most 0.8)", t.rows), "µs", "Redis, GET", asked, peer,
		func(s slicing) float64 { return float64(s.at(0.99)) / 1e3 })
	return []benchRow{changed, p99}, nil
}

// rowKey scatters rows, as ids do.
func rowKey(n int) string { return fmt.Sprintf("unit/%016x%016x", uint64(n)*0x9e3779b97f4a7c15, n) }

// some are rows of a batch.
func (t *rowTable) some() []string {
	keys := make([]string, benchRowsOnce)
	for i := range keys {
		keys[i] = rowKey(rand.IntN(t.rows))
	}
	return keys
}

// next is a row after an event.
func next(row []byte) []byte {
	if len(row) == 0 {
		return bytes.Repeat([]byte{'r'}, benchRowBytes)
	}
	row = slices.Clone(row)
	row[0]++
	return row
}

func (t *rowTable) inView(keys []string) error {
	at := t.folded
	t.folded++
	return t.views.Batch(t.b.ctx, benchRowsView, 1, at, t.folded, func(v projections.View) error {
		for _, key := range keys {
			row, _, err := v.Get(t.b.ctx, key)
			if err != nil {
				return err
			}
			v.Set(key, next(row))
		}
		return nil
	})
}

func (t *rowTable) inRedis(keys []string) error { return t.redis.Change(t.b.ctx, keys, next) }
