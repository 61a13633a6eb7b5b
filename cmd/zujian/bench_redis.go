package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"zujian/cmd/zujian/internal/peers"
	"zujian/projections"
	"zujian/projections/pebbleviews"
	"zujian/projections/people"
	"zujian/projections/redisviews"
)

const (
	benchRedisRounds = 3
	benchPage        = 50
)

// benchRedis builds all views in Redis and in Pebble in turn, and asks both the same questions; see benchRows, too. It starts a Redis of its
// own, on a socket in the bench's folder; without redis-server on the machine it measures nothing.
func benchRedis(b *bench) (_ []benchRow, err error) {
	redis, err := b.startRedis()
	if errors.Is(err, peers.ErrNotInstalled) {
		b.say("%v: left out", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	h, err := benchCity(b, "redis")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	pebble, err := pebbleviews.Open(filepath.Join(b.dir, "beside"), viewOptions(b.g))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pebble.Close()) }()
	sides := [2]projections.Views{redis, pebble}
	var fold, row, page [2][]slicing
	for range benchRedisRounds {
		for i, v := range sides {
			for _, p := range views(h.city) {
				err = errors.Join(err, projections.Retire(b.ctx, v, p.Name()))
			}
			s, err1 := foldInto(b, h, v)
			if err = errors.Join(err, err1); err != nil {
				return nil, err
			}
			fold[i] = append(fold[i], s)
		}
		for i, v := range sides {
			one, many, err := askViews(b, v)
			if err != nil {
				return nil, err
			}
			row[i], page[i] = append(row[i], one), append(page[i], many)
		}
	}
	many, err := benchRows(b, pebble, redis.server)
	if err != nil {
		return nil, err
	}
	rate := func(s slicing) float64 { return s.rate }
	return append([]benchRow{
		compare("catch-up of all views, kept in Redis", "events/s", "in Pebble", fold[0], fold[1], rate),
		compare("reading one row, in Redis", "reads/s", "in Pebble", row[0], row[1], rate),
		compare("reading one row, in Pebble", "reads/s", "in Redis", row[1], row[0], rate),
		compare(fmt.Sprintf("reading a page of %d, in Redis", benchPage), "reads/s", "in Pebble", page[0], page[1], rate),
		compare(fmt.Sprintf("reading a page of %d, in Pebble", benchPage), "reads/s", "in Redis", page[1], page[0], rate),
	}, many...), nil
}

// askViews reads rows and pages of the view of people, as a query does, one after the other.
func askViews(b *bench, v projections.Views) (row, page slicing, err error) {
	ctx, name := b.ctx, people.Projection{}.Name()
	var keys []string
	err = v.Read(ctx, name, func(r projections.Reader) error {
		for p, err := range r.Scan(ctx, "", "", false) {
			if err != nil {
				return err
			}
			keys = append(keys, p.Key)
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return row, page, errors.Join(err, errors.New("the view is empty"))
	}
	slice := time.Duration(b.seconds / 12 * float64(time.Second))
	row, err = repeat(slice, func() error {
		return v.Read(ctx, name, func(r projections.Reader) error {
			_, _, err := r.Get(ctx, keys[rand.IntN(len(keys))])
			return err
		})
	})
	if err != nil {
		return row, page, err
	}
	page, err = repeat(slice, func() error {
		return v.Read(ctx, name, func(r projections.Reader) error {
			n := 0
			for _, err := range r.Scan(ctx, keys[rand.IntN(len(keys))], "", false) {
				if n++; err != nil || n == benchPage {
					return err
				}
			}
			return nil
		})
	})
	return row, page, err
}

// repeat does something again and again for so long.
func repeat(slice time.Duration, f func() error) (s slicing, err error) {
	for began := time.Now(); time.Since(began) < slice; {
		start := time.Now()
		if err := f(); err != nil {
			return s, err
		}
		s.took = append(s.took, time.Since(start))
	}
	var sum time.Duration
	for _, d := range s.took {
		sum += d
	}
	s.rate = float64(len(s.took)) / max(sum.Seconds(), 1e-9)
	slices.Sort(s.took)
	return s, nil
}

// ownRedis is views in a Redis of the bench's own.
type ownRedis struct {
	*redisviews.Views
	server *peers.RedisServer
}

func (r *ownRedis) Close() error { return errors.Join(r.Views.Close(), r.server.Close()) }

func (b *bench) startRedis() (*ownRedis, error) {
	server, err := peers.StartRedis(b.dir, "--appendonly", "no")
	if err != nil {
		return nil, err
	}
	v, err := redisviews.Open(redisviews.Options{URL: server.URL})
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	r := &ownRedis{v, server}
	if err := peers.Until(b.ctx, v.Check); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}
