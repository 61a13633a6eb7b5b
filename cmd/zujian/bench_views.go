package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/pebbleviews"
	"zujian/projections/redisviews"
)

const (
	benchCatchUpRequired  = 70e3 // Events a second, on a quiet machine.
	benchReplayRequired   = 3e6
	benchDecodersRequired = 1.6 // Two beside one.
	benchViewRounds       = 3
	benchCityMonths       = 36
)

// benchViews replays a log of real events, the demo city's: raw, decoded, and folded into every view there is.
func benchViews(b *bench) (_ []benchRow, err error) {
	h, err := benchCity(b, "views")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	return profiled(b, func() ([]benchRow, error) { return measureViews(b, h) })
}

// benchCity makes a demo city in a folder of its own below the bench's.
func benchCity(b *bench, name string) (*house, error) {
	g := b.below(name)
	homes := min(max(int(b.seconds*100), 40), 2000)
	b.say("making a city of %d homes with three years of history", homes)
	h, _, err := makeCity(g, homes, benchCityMonths, 1, nil)
	if err != nil {
		return nil, err
	}
	b.say("replaying %d events", h.log.Stats().Events)
	return h, nil
}

func measureViews(b *bench, h *house) ([]benchRow, error) {
	var raw, one, all, folded []slicing
	var cost []float64
	for round := -1; round < benchViewRounds; round++ { // The first warms up.
		log, a, err1 := replayRaw(b.ctx, h.store)
		c, err2 := decodeAll(b.ctx, h.catalogue, log, 1)
		d, err3 := decodeAll(b.ctx, h.catalogue, log, cores)
		used := processorTime()
		e, err4 := foldAll(b, h)
		used = processorTime() - used
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, err
		}
		if round >= 0 {
			raw, one, all, folded = append(raw, a), append(one, c), append(all, d), append(folded, e)
			cost = append(cost, float64(used.Nanoseconds())/1e3/float64(len(log)))
		}
	}
	rate := func(s slicing) float64 { return s.rate }
	fixed := func(v float64) []slicing { return slices.Repeat([]slicing{{rate: v}}, benchViewRounds) }
	return []benchRow{
		compare("raw replay of a city's events, one core", "events/s", "required when quiet", raw, fixed(benchReplayRequired), rate),
		compare("decoding them, one core", "events/s", "reading them raw", one, raw, rate),
		compare(fmt.Sprintf("decoding them, %d cores (of two at least %.1f)", cores, benchDecodersRequired), "events/s", "one core", all, one, rate),
		compare("catch-up of all views and the index", "events/s", "decoding alone, all cores", folded, all, rate),
		compare("catch-up of all views and the index", "events/s", "required when quiet", folded, fixed(benchCatchUpRequired), rate),
		{Name: "the same, processor time of an event", Value: median(cost), Unit: "µs"},
	}, nil
}

// replayRaw reads the log from its beginning, and gives what it read for the decoders.
func replayRaw(ctx context.Context, store eventstore.Store) (log []eventstore.Recorded, s slicing, err error) {
	defer onCores(1)()
	n, start := 0, time.Now()
	for _, err := range store.All(ctx, 0) {
		if err != nil {
			return nil, s, err
		}
		n++
	}
	s.rate = float64(n) / time.Since(start).Seconds()
	for r, err := range store.All(ctx, 0) {
		if err != nil {
			return nil, s, err
		}
		r.Data = append([]byte(nil), r.Data...)
		log = append(log, r)
	}
	return log, s, nil
}

// onCores limits the program to so many cores until what it returns is called: collecting garbage is work too.
func onCores(n int) (back func()) {
	before := runtime.GOMAXPROCS(n)
	return func() { runtime.GOMAXPROCS(before) }
}

func decodeAll(ctx context.Context, types domain.Catalogue, log []eventstore.Recorded, cores int) (s slicing, err error) {
	defer onCores(cores)()
	start := time.Now()
	work, _ := errgroup.WithContext(ctx)
	for c := range cores {
		work.Go(func() error {
			for i := c; i < len(log); i += cores {
				if _, err := projections.Decode(types, log[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = work.Wait()
	s.rate = float64(len(log)) / time.Since(start).Seconds()
	return s, err
}

// foldAll builds every view from the first event in a fresh database, reading the log as service does.
func foldAll(b *bench, h *house) (s slicing, err error) {
	dir := filepath.Join(b.dir, "fold")
	v, err := pebbleviews.Open(dir, viewOptions(b.g))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, v.Close(), os.RemoveAll(dir)) }()
	return foldInto(b, h, v)
}

// foldInto builds every view from the first event in an empty view store.
func foldInto(b *bench, h *house, v projections.Views) (slicing, error) {
	return foldFrom(b, h, h.store, v, views(h.city))
}

// foldFrom builds some views of a city's log, called directly or far away, in an empty view store.
func foldFrom(b *bench, h *house, log engine, v projections.Views, list []projections.Projection) (s slicing, err error) {
	r := projections.Runner{Store: log, Views: v, Catalogue: h.catalogue, Now: b.g.Now}
	if _, own := v.(*pebbleviews.Views); own { // As service does.
		r.Workers, r.BatchMax = cores, viewBatch()
	} else {
		r.BatchMax = redisviews.BatchEvents
	}
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	head, err := log.Head(b.ctx)
	if err != nil {
		return s, err
	}
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- r.Run(ctx, list) }()
	for _, p := range list {
		err = errors.Join(err, r.WaitFor(ctx, p.Name(), head.Position))
	}
	s.rate = float64(head.Events) / time.Since(start).Seconds()
	stop()
	return s, errors.Join(err, <-done)
}
