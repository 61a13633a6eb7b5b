package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
)

// benchRow is one figure beside its limit, both taken in the same run.
type benchRow struct {
	Name       string        `json:"name"`
	Value      float64       `json:"value"`
	Unit       string        `json:"unit"`
	Limit      string        `json:"limit"`
	LimitValue float64       `json:"limit_value"`
	Ratio      float64       `json:"ratio"` // Median of the rounds' own ratios, not of the medians.
	P50        time.Duration `json:"p50"`
	P99        time.Duration `json:"p99"`
}

const (
	benchEventBytes = 556 // Mean size of an event of the real register.
	benchRounds     = 5   // Slices of each kind; the disk's rate moves, so they alternate.
	benchWriters    = 64
	benchStreams    = 256 // Of each writer.
	benchZeroed     = 64 << 20
)

// benchLog measures the log in dir, which it makes and removes: durable appends beside what a bare file allows, raw
// replay, and the load of a stream. It takes about seconds.
func benchLog(ctx context.Context, dir string, seconds float64) (rows []benchRow, err error) {
	dir = filepath.Join(dir, "bench-log")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	slice := time.Duration(seconds * float64(time.Second) * 0.8 / (2 * 3 * benchRounds))
	for _, writers := range []int{benchWriters, 1} {
		more, err := benchAppend(ctx, filepath.Join(dir, fmt.Sprint(writers)), writers, slice)
		if err != nil {
			return nil, fmt.Errorf("bench %d writers: %w", writers, err)
		}
		rows = append(rows, more...)
	}
	streams := min(max(int(seconds*100), 50), 2000)
	more, err := benchRead(ctx, filepath.Join(dir, "read"), streams)
	if err != nil {
		return nil, fmt.Errorf("bench reading: %w", err)
	}
	return append(rows, more...), nil
}

// appender makes one event of one writer durable.
type appender interface {
	append(ctx context.Context, writer, n int) error
}

// slicing is what one slice of one appender measured.
type slicing struct {
	rate float64 // Events a second.
	took []time.Duration
	cpu  time.Duration // Of this process, for one of them.
}

func (s slicing) at(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	return s.took[min(int(q*float64(len(s.took))), len(s.took)-1)]
}

// benchAppend runs the log, a plain file and a zeroed file in turn, each with so many writers.
func benchAppend(ctx context.Context, dir string, writers int, slice time.Duration) ([]benchRow, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	s, err := embedded.Open(embedded.Options{Dir: filepath.Join(dir, "log")})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	plain, err := newBareFile(filepath.Join(dir, "plain"), 0)
	if err != nil {
		return nil, err
	}
	defer plain.close()
	zeroed, err := newBareFile(filepath.Join(dir, "zeroed"), benchZeroed)
	if err != nil {
		return nil, err
	}
	defer zeroed.close()
	kinds := [3]appender{newLogAppender(s, writers), plain, zeroed}
	var got [3][]slicing
	for round := -1; round < benchRounds; round++ { // The first warms up.
		for k, a := range kinds {
			res, err := runSlice(ctx, a, writers, slice)
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				got[k] = append(got[k], res)
			}
		}
	}
	name := fmt.Sprintf("append, %d writers", writers)
	if writers == 1 {
		name = "append, 1 writer"
	}
	rate := func(s slicing) float64 { return s.rate }
	tail := func(s slicing) float64 { return float64(s.at(0.999)) / 1e3 }
	rows := []benchRow{
		compare(name, "events/s", "pre-zeroed file", got[0], got[2], rate),
		compare(name, "events/s", "plain file", got[0], got[1], rate),
	}
	if writers > 1 {
		rows = append(rows, compare(name+", p99.9", "µs", "pre-zeroed file", got[0], got[2], tail))
	}
	return rows, nil
}

func compare(name, unit, limit string, own, peer []slicing, of func(slicing) float64) benchRow {
	var a, b, ratio, p50, p99 []float64
	for i := range own {
		a, b = append(a, of(own[i])), append(b, of(peer[i]))
		ratio = append(ratio, of(own[i])/max(of(peer[i]), 1e-9))
		p50, p99 = append(p50, float64(own[i].at(0.5))), append(p99, float64(own[i].at(0.99)))
	}
	return benchRow{
		Name: name, Value: median(a), Unit: unit, Limit: limit, LimitValue: median(b), Ratio: median(ratio),
		P50: time.Duration(median(p50)), P99: time.Duration(median(p99)),
	}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func runSlice(ctx context.Context, a appender, writers int, slice time.Duration) (slicing, error) {
	took, errs := make([][]time.Duration, writers), make([]error, writers)
	var wg sync.WaitGroup
	start := time.Now()
	for w := range writers {
		wg.Go(func() {
			for n, last := 0, start; last.Sub(start) < slice; n++ {
				if errs[w] = errors.Join(ctx.Err(), a.append(ctx, w, n)); errs[w] != nil {
					return
				}
				now := time.Now()
				took[w] = append(took[w], now.Sub(last))
				last = now
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	res := slicing{rate: float64(len(all)) / time.Since(start).Seconds(), took: all}
	slices.Sort(all)
	return res, errors.Join(errs...)
}

// logAppender appends to many streams, each at its expected revision.
type logAppender struct {
	store eventstore.Store
	names [][]string
	heads [][]eventstore.Revision
	seq   []uint64
}

func newLogAppender(s eventstore.Store, writers int) *logAppender {
	a := &logAppender{store: s, seq: make([]uint64, writers)}
	for w := range writers {
		names, heads := make([]string, benchStreams), make([]eventstore.Revision, benchStreams)
		for i := range names {
			names[i], heads[i] = fmt.Sprintf("contract-%04d-%08d", w, i), eventstore.NoStream
		}
		a.names, a.heads = append(a.names, names), append(a.heads, heads)
	}
	return a
}

func (a *logAppender) append(ctx context.Context, w, n int) error {
	i := n % benchStreams
	a.seq[w]++
	res, err := a.store.Append(ctx, a.names[w][i], a.heads[w][i], benchEvent(uint64(w)<<40|a.seq[w]))
	a.heads[w][i] = res.Revision
	return err
}

// benchData is JSON of the size of a real event.
var benchData = slices.Concat([]byte(`{"text":"`), slices.Repeat([]byte("x"), benchEventBytes-11), []byte(`"}`))

func benchEvent(n uint64) eventstore.NewEvent {
	e := eventstore.NewEvent{Type: "contract.filed", Data: benchData, Meta: eventstore.Metadata{
		Schema: 1, Actor: "key-7", Role: "broker", Command: "0190f6a2-7c1e-7d4f-8a55", Correlation: "0190f6a2-7c1e-7d4f",
		At: time.UnixMicro(1_770_000_000_000_000).UTC(), Policy: 3,
	}}
	binary.BigEndian.PutUint64(e.ID[:], n+1)
	return e
}

// bareFile is the limit: the same bytes into one file, one write and one fdatasync for all that wait, nothing else.
type bareFile struct {
	f    *os.File
	wrap int64 // Where a zeroed file starts over; 0 if the file grows.

	mu      sync.Mutex
	off     int64
	waiting []chan error
	leading bool
	kick    chan struct{}
	gone    sync.WaitGroup
	buf     []byte
	done    []chan error // By writer.
}

func newBareFile(path string, zeroed int64) (*bareFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for off := int64(0); off < zeroed; off += 1 << 20 {
		if _, err := f.WriteAt(make([]byte, 1<<20), off); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	b := &bareFile{f: f, wrap: zeroed, kick: make(chan struct{}, 1), done: make([]chan error, benchWriters)}
	for i := range b.done {
		b.done[i] = make(chan error, 1)
	}
	b.gone.Go(func() {
		for range b.kick {
			for b.commit() {
			}
		}
	})
	return b, f.Sync()
}

func (b *bareFile) append(_ context.Context, w, _ int) error {
	b.mu.Lock()
	b.waiting = append(b.waiting, b.done[w])
	lead := !b.leading
	b.leading = true
	b.mu.Unlock()
	if lead && b.commit() {
		b.kick <- struct{}{}
	}
	return <-b.done[w]
}

// commit writes what waits, and tells whether more came meanwhile; if not, nobody leads any more.
func (b *bareFile) commit() (more bool) {
	b.mu.Lock()
	taken := b.waiting
	b.waiting = nil
	b.mu.Unlock()
	b.buf = b.buf[:0]
	for range taken {
		b.buf = append(b.buf, benchData...)
	}
	if b.wrap > 0 && b.off+int64(len(b.buf)) > b.wrap {
		b.off = 0
	}
	_, err := b.f.WriteAt(b.buf, b.off)
	if err == nil {
		err = syscall.Fdatasync(int(b.f.Fd()))
	}
	b.off += int64(len(b.buf))
	for _, done := range taken {
		done <- err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leading = len(b.waiting) > 0
	return b.leading
}

func (b *bareFile) close() {
	close(b.kick)
	b.gone.Wait()
	_ = b.f.Close() // It is thrown away.
}

const benchStreamEvents = 100

// benchRead loads streams of 100 events each, mixed, and reads them by position and by stream.
func benchRead(ctx context.Context, dir string, streams int) ([]benchRow, error) {
	s, err := embedded.Open(embedded.Options{Dir: dir, DeferSync: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	const each = 10
	es := make([]eventstore.NewEvent, each)
	for part := range benchStreamEvents / each {
		for i := range streams {
			for j := range es {
				es[j] = benchEvent(uint64(part*streams*each + i*each + j))
			}
			if _, err := s.Append(ctx, fmt.Sprintf("contract-%08d", i), eventstore.Revision(part*each-1), es...); err != nil {
				return nil, err
			}
		}
	}
	if err := s.Sync(); err != nil {
		return nil, err
	}
	replay, err := benchReplay(ctx, s, streams*benchStreamEvents)
	if err != nil {
		return nil, err
	}
	load, err := benchLoad(ctx, s, streams)
	return []benchRow{replay, load}, err
}

func benchReplay(ctx context.Context, s *embedded.Store, want int) (benchRow, error) {
	var rates []float64
	for range benchRounds {
		n, start := 0, time.Now()
		for r, err := range s.All(ctx, 0) {
			if err != nil {
				return benchRow{}, err
			}
			if len(r.Data) != benchEventBytes {
				return benchRow{}, fmt.Errorf("event %d has %d bytes", r.Ordinal, len(r.Data))
			}
			n++
		}
		if n != want {
			return benchRow{}, fmt.Errorf("replayed %d events, not %d", n, want)
		}
		rates = append(rates, float64(n)/time.Since(start).Seconds())
	}
	const required = 3e6 // On a quiet core.
	v := median(rates)
	return benchRow{Name: "raw replay, one core", Value: v, Unit: "events/s", Limit: "required when quiet", LimitValue: required, Ratio: v / required}, nil
}

func benchLoad(ctx context.Context, s *embedded.Store, streams int) (benchRow, error) {
	var took []time.Duration
	for i := range min(streams*5, 5000) {
		start, n := time.Now(), 0
		for _, err := range s.Stream(ctx, fmt.Sprintf("contract-%08d", i*7919%streams), 0) {
			if err != nil {
				return benchRow{}, err
			}
			n++
		}
		if n != benchStreamEvents {
			return benchRow{}, fmt.Errorf("a stream has %d events, not %d", n, benchStreamEvents)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	res := slicing{took: took}
	p50 := float64(res.at(0.5)) / 1e3
	return benchRow{
		Name: "load of a stream of 100 events", Value: p50, Unit: "µs", P50: res.at(0.5), P99: res.at(0.99),
	}, nil
}
