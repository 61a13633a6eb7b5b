package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
)

const (
	benchWakeRequired   = 200 * time.Microsecond // Group committed → subscriber woken, p50.
	benchOpenRequired   = 2 * time.Second        // With a million events.
	benchDecodeRequired = 1.3                    // Loading and decoding a stream beside decoding alone.
	benchOpenMost       = 1_000_000
	benchLoads          = 400
	benchOutgrown       = 8000 // Events that fill a log's small first segment, as they did in any that is used.
)

// benchReading measures what is read of a log: how soon a subscriber wakes, what loading adds to decoding, and how long
// a log whose process was killed takes to open.
func benchReading(b *bench) (rows []benchRow, err error) {
	for _, n := range []int{1, 16} {
		row, err := benchWake(b, n)
		if err != nil {
			return nil, fmt.Errorf("wake %d: %w", n, err)
		}
		rows = append(rows, row)
	}
	more, err := benchDecodedLoad(b)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	opened, err := benchOpen(b)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return append(append(rows, more), opened), nil
}

// benchWake lets subscribers wait for one event after the other, and times from the append's answer, which comes when its
// group is committed, to each subscriber's waking. Who wakes before the writer hears counts as at once.
func benchWake(b *bench, subscribers int) (_ benchRow, err error) {
	s, err := embedded.Open(embedded.Options{Dir: filepath.Join(b.dir, fmt.Sprint("wake", subscribers))})
	if err != nil {
		return benchRow{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	rounds := min(max(int(b.seconds*100), 20), 2000)
	var took []time.Duration
	var at eventstore.Position
	for i := range rounds {
		woken, errs := make([]time.Time, subscribers), make([]error, subscribers)
		var waiting sync.WaitGroup
		for n := range subscribers {
			waiting.Go(func() {
				errs[n] = s.Wait(b.ctx, at)
				woken[n] = time.Now()
			})
		}
		runtime.Gosched()
		done, err := s.Append(b.ctx, "wake-1", eventstore.Revision(i-1), benchEvent(uint64(i)))
		committed := time.Now()
		if err != nil {
			return benchRow{}, err
		}
		waiting.Wait()
		if err := errors.Join(errs...); err != nil {
			return benchRow{}, err
		}
		for _, t := range woken {
			took = append(took, max(t.Sub(committed), 0))
		}
		at = done.Position
	}
	slices.Sort(took)
	all := slicing{took: took}
	p50 := all.at(0.5)
	return benchRow{
		Name: fmt.Sprintf("committed → woken, %d subscribers, p50", subscribers), Value: float64(p50+1) / 1e3, Unit: "µs",
		Limit: "required at most", LimitValue: float64(benchWakeRequired) / 1e3, Ratio: float64(p50+1) / float64(benchWakeRequired),
		P50: p50, P99: all.at(0.99),
	}, nil
}

// benchDecodedLoad loads a stream of a hundred events and decodes each, beside decoding the same bytes alone.
func benchDecodedLoad(b *bench) (_ benchRow, err error) {
	s, err := embedded.Open(embedded.Options{Dir: filepath.Join(b.dir, "load"), DeferSync: true})
	if err != nil {
		return benchRow{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	const streams = 64
	if err := fillLog(b.ctx, s, benchOutgrown); err != nil {
		return benchRow{}, err
	}
	for i := range streams * benchStreamEvents {
		if _, err := s.Append(b.ctx, fmt.Sprintf("contract-%02d", i%streams), eventstore.Revision(i/streams-1), benchEvent(uint64(i))); err != nil {
			return benchRow{}, err
		}
	}
	var own, alone []slicing
	for range benchRounds {
		var loaded, decoded []time.Duration
		for i := range benchLoads {
			var raw [][]byte
			start := time.Now()
			for rec, err := range s.Stream(b.ctx, fmt.Sprintf("contract-%02d", i%streams), 0) {
				if err != nil {
					return benchRow{}, err
				}
				if err := decodeBench(rec.Data); err != nil {
					return benchRow{}, err
				}
				raw = append(raw, rec.Data)
			}
			loaded = append(loaded, time.Since(start))
			if len(raw) != benchStreamEvents {
				return benchRow{}, fmt.Errorf("a stream has %d events, not %d", len(raw), benchStreamEvents)
			}
			start = time.Now()
			for _, data := range raw {
				if err := decodeBench(data); err != nil {
					return benchRow{}, err
				}
			}
			decoded = append(decoded, time.Since(start))
		}
		slices.Sort(loaded)
		slices.Sort(decoded)
		own, alone = append(own, slicing{took: loaded}), append(alone, slicing{took: decoded})
	}
	p50 := func(s slicing) float64 { return float64(s.at(0.5)) / 1e3 }
	return compare(fmt.Sprintf("load of 100 events, decoded, p50 (at most %.1f)", benchDecodeRequired), "µs", "decoding them alone", own, alone, p50), nil
}

func decodeBench(data []byte) error {
	var e struct {
		Text string `json:"text"`
	}
	return json.Unmarshal(data, &e)
}

// benchOpen copies the folder of a log that is in use, as a kill leaves it, and opens the copy.
func benchOpen(b *bench) (_ benchRow, err error) {
	dir, killed := filepath.Join(b.dir, "open"), filepath.Join(b.dir, "killed")
	events := min(max(int(b.seconds*20_000), 2000), benchOpenMost)
	b.say("writing %d events to open them after a kill", events)
	s, err := embedded.Open(embedded.Options{Dir: dir, DeferSync: true})
	if err != nil {
		return benchRow{}, err
	}
	defer func() { err = errors.Join(err, s.Close(), os.RemoveAll(killed)) }()
	if err := fillLog(b.ctx, s, events); err != nil {
		return benchRow{}, err
	}
	if err := errors.Join(s.Sync(), os.CopyFS(killed, os.DirFS(dir))); err != nil {
		return benchRow{}, err
	}
	start := time.Now()
	again, err := embedded.Open(embedded.Options{Dir: killed})
	took := time.Since(start)
	if err != nil {
		return benchRow{}, err
	}
	if n := again.Stats().Events; n != int64(events) {
		err = fmt.Errorf("%d events are there, not %d", n, events)
	}
	row := benchLimit(fmt.Sprintf("open %s events after a kill", figure(float64(events))), "ms", took, "required of 1 M at most", benchOpenRequired)
	return row, errors.Join(err, again.Close())
}

// fillLog appends a hundred events at a time to streams of their own.
func fillLog(ctx context.Context, s *embedded.Store, events int) error {
	for from := 0; from < events; from += benchStreamEvents {
		es := make([]eventstore.NewEvent, min(benchStreamEvents, events-from))
		for i := range es {
			es[i] = benchEvent(uint64(from + i))
		}
		if _, err := s.Append(ctx, fmt.Sprintf("contract-%08d", from), eventstore.NoStream, es...); err != nil {
			return err
		}
	}
	return nil
}
