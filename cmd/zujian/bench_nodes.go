package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"zujian/domain"
	"zujian/eventstore/embedded"
	"zujian/projections"
	"zujian/projections/pebbleviews"
	"zujian/projections/rentindex"
)

const (
	benchNodesRounds = 3
	benchIndexParts  = 4 // In so many the index is kept.
)

// benchNodes measures what one node of a register of many processes carries, beside one process over one folder: a node that
// keeps views, of a log far away and in Redis; one of several parts of the index; and a node that answers requests. All
// share this machine. Without redis-server it measures nothing.
func benchNodes(b *bench) (_ []benchRow, err error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		b.say("no redis-server here: left out")
		return nil, nil
	}
	rows, err := benchNodeViews(b)
	if err != nil {
		return nil, err
	}
	more, err := benchNodeFilings(b)
	return append(rows, more...), err
}

// benchNodeViews builds views near and far.
func benchNodeViews(b *bench) (_ []benchRow, err error) {
	h, err := benchCity(b, "nodes")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	dir := filepath.Join(b.dir, "nodes-far")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	far, _, stop, err := b.protocol(dir, h.log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, far.Close(), stop()) }()
	redis, err := b.startRedis()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	pebble, err := pebbleviews.Open(filepath.Join(b.dir, "nodes-near"), viewOptions(b.g))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pebble.Close()) }()
	all, whole := views(h.city), []projections.Projection{rentindex.Projection{Model: h.city.Model}}
	part := projections.PartsOf(whole[0], benchIndexParts)[:1]
	kinds := []struct {
		log  engine
		in   projections.Views
		list []projections.Projection
	}{{far, redis, all}, {h.store, pebble, all}, {far, redis, part}, {far, redis, whole}, {h.store, pebble, part}, {h.store, pebble, whole}}
	return profiled(b, func() ([]benchRow, error) {
		got := make([][]slicing, len(kinds))
		for range benchNodesRounds {
			for i, k := range kinds {
				s, err := foldFrom(b, h, k.log, k.in, k.list)
				if err != nil {
					return nil, err
				}
				got[i] = append(got[i], s)
				for _, p := range k.list {
					if err := projections.Retire(b.ctx, k.in, p.Name()); err != nil {
						return nil, err
					}
				}
			}
		}
		rate := func(s slicing) float64 { return s.rate }
		return []benchRow{
			compare("catch-up of all views, log by the protocol, kept in Redis", "events/s", "one folder", got[0], got[1], rate),
			compare(fmt.Sprintf("catch-up of one of %d parts of the index, likewise", benchIndexParts), "events/s", "the whole index", got[2], got[3], rate),
			compare(fmt.Sprintf("catch-up of one of %d parts of the index, in one folder", benchIndexParts), "events/s", "the whole index", got[4], got[5], rate),
		}, nil
	})
}

// benchNodeFilings files with a server over a log far away and Redis, and in turn with one over one folder.
func benchNodeFilings(b *bench) (_ []benchRow, err error) {
	flats := min(max(int(b.seconds*benchFilingsMax*0.3), 4*b.clients), benchFlatsMax)
	near, nearWorld, err := serveBench(b, b.below("nodes-one"), flats)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, near.close()) }()
	g := b.below("nodes-api")
	b.say("making %d homes", flats)
	farWorld, err := makeBenchWorld(b, g, flats)
	if err != nil {
		return nil, fmt.Errorf("make homes: %w", err)
	}
	log, err := embedded.Open(embedded.Options{Dir: filepath.Join(g.Data, "log"), Now: g.Now, Logger: g.Log})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	client, connection, stop, err := b.protocol(g.Data, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close(), stop()) }()
	redis, err := b.startRedis()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	config := *g.Config
	config.Store, config.Views = connection, redis.server.URL
	g.Config = &config
	far, err := serveHouse(b, g, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, far.close()) }()
	today := domain.DayOf(b.g.Now())
	files := func(s *benchServer, world []benchFlat) func() (bool, error) {
		var next atomic.Int64
		return func() (bool, error) {
			n := next.Add(1) - 1
			if n >= int64(len(world)) {
				return false, nil
			}
			_, err := s.post(filingBody(world[n], today, "E_SIGN"), world[n].key, http.StatusCreated)
			return true, err
		}
	}
	sides := []struct {
		*benchServer
		file func() (bool, error)
	}{{far, files(far, farWorld)}, {near, files(near, nearWorld)}}
	slice := time.Duration(b.seconds * float64(time.Second) / (2 * benchNodesRounds))
	var got [2][]slicing
	for round := -1; round < benchNodesRounds; round++ { // The first warms up.
		for i, s := range sides {
			length := slice
			if round < 0 {
				length = min(slice, benchSettle)
			}
			one, err := s.hammer(length, s.file)
			if err != nil {
				return nil, err
			}
			if round >= 0 && len(one.took) > 0 {
				got[i] = append(got[i], one)
			}
		}
	}
	if len(got[0]) == 0 || len(got[0]) != len(got[1]) {
		return nil, errors.New("the homes ran out before anything was measured")
	}
	rate := func(s slicing) float64 { return s.rate }
	return []benchRow{compare(fmt.Sprintf("filing over HTTP, %d clients, log by the protocol, views in Redis", b.clients), "filings/s", "one folder", got[0], got[1], rate)}, nil
}
