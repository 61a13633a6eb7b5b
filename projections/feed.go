package projections

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"zujian/domain"
	"zujian/eventstore"
)

// chunk is a stretch of the log, decoded once for all who follow it.
type chunk struct {
	events []Event
	errs   map[int]undecoded // By index of the event.
	last   mark              // The last event read, wanted or not.
	head   bool              // Nothing was behind it when it was read.
}

// undecoded is an event that could not be decoded.
type undecoded struct {
	err error
	raw eventstore.Recorded
}

// mark is a place in the log.
type mark struct {
	position eventstore.Position
	ordinal  uint64 // Number of events up to and including it: the ordinal plus one.
	storedAt time.Time
}

// Decode turns a stored event into what projections see.
func Decode(types domain.Catalogue, r eventstore.Recorded) (Event, error) {
	e := Event{
		Stream: r.Stream, Revision: r.Revision, Position: r.Position, Ordinal: r.Ordinal,
		EventID: r.ID, Type: r.Type, StoredAt: r.StoredAt, Meta: r.Meta,
	}
	var err error
	if e.Event, err = types.Decode(r.Type, r.Meta.Schema, r.Data); err != nil {
		return e, fmt.Errorf("decode %s@%d at %d: %w", r.Stream, r.Revision, r.Position, err)
	}
	return e, nil
}

// filter tells wanted types; nil wants all.
type filter map[string]bool

func newFilter(types []string) filter {
	if types == nil {
		return nil
	}
	f := make(filter, len(types))
	for _, t := range types {
		f[t] = true
	}
	return f
}

func (f filter) wants(name string) bool { return f == nil || f[name] }

// sieve is what some members want together.
type sieve struct {
	all   bool
	types map[string]wanted
}

// wanted is who wants a type.
type wanted struct {
	always bool                               // Somebody wants every event of it.
	skips  []func(e eventstore.Recorded) bool // Of the others.
}

func sift(members []*member) (s sieve) {
	s.types = map[string]wanted{}
	for _, m := range members {
		s.all = s.all || m.wants == nil
		for name := range m.wants {
			w := s.types[name]
			if m.skips == nil {
				w.always = true
			} else {
				w.skips = append(w.skips, m.skips)
			}
			s.types[name] = w
		}
	}
	return s
}

func (s sieve) wants(e eventstore.Recorded) bool {
	w, ok := s.types[e.Type]
	if s.all || !ok || w.always {
		return s.all || ok
	}
	for _, skips := range w.skips {
		if !skips(e) {
			return true
		}
	}
	return false
}

const (
	aloneMax   = 64 // Below this many events a second goroutine costs more than it saves.
	skipMax    = 16 // A chunk reads at most this many times BatchMax events, wanted or not.
	clockEvery = 64 // Events between two looks at the clock.
)

// read sends the log after a position in chunks until its head, and closes out. The last chunk has head set, even
// if it is empty. Events nobody wants are never decoded. It owns its goroutines.
func (r *Runner) read(ctx context.Context, after mark, want sieve, room *readRoom, out chan<- *chunk) error {
	defer close(out)
	b := &reading{runner: r, out: out, last: after, raw: room.raw, room: room}
	defer func() { room.raw = kept(b.raw) }()
	for rec, err := range r.Store.All(ctx, after.position) {
		if err != nil {
			return fmt.Errorf("read log after %d: %w", b.last.position, err)
		}
		b.count++
		b.last = mark{rec.Position, rec.Ordinal + 1, rec.StoredAt}
		if want.wants(rec) {
			b.raw = append(b.raw, rec)
		}
		if b.full() {
			if err := b.send(ctx, false); err != nil {
				return err
			}
		}
	}
	return b.send(ctx, true)
}

// readRoom is memory of one pass over the log for the next: in service each reads one chunk.
type readRoom struct {
	raw    []eventstore.Recorded
	events []Event
}

const readRoomMax = 1 << 12 // Events; a chunk of a catch-up is larger.

// kept is the memory of events, emptied; nil if it is too much to keep.
func kept[T any](events []T) []T {
	if cap(events) > readRoomMax {
		return nil
	}
	clear(events)
	return events[:0]
}

// reading collects one chunk.
type reading struct {
	runner *Runner
	out    chan<- *chunk
	raw    []eventstore.Recorded
	room   *readRoom // For the events of the first chunk.
	count  int
	began  time.Time
	last   mark
}

func (b *reading) full() bool {
	if len(b.raw) >= b.runner.batchMax() || b.count >= skipMax*b.runner.batchMax() {
		return true
	}
	if b.count == 1 {
		b.began = b.runner.Now()
	}
	return b.count%clockEvery == 0 && b.runner.Now().Sub(b.began) >= b.runner.batchWait()
}

func (b *reading) send(ctx context.Context, head bool) error {
	c := b.runner.decode(b.raw, b.room.events)
	b.room.events = nil
	c.last, c.head = b.last, head
	clear(b.raw) // Decoding copies: nothing of the log's blocks stays alive.
	b.raw, b.count = b.raw[:0], 0
	select {
	case b.out <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// decode uses all cores: decoding, not folding, decides how fast views catch up. The events are where there is room for them.
func (r *Runner) decode(raw []eventstore.Recorded, room []Event) *chunk {
	c := &chunk{events: slices.Grow(room[:0], len(raw))[:len(raw)]}
	var mu sync.Mutex
	part := func(from, to int) {
		for i := from; i < to; i++ {
			e, err := Decode(r.Catalogue, raw[i])
			c.events[i] = e
			if err != nil {
				mu.Lock()
				if c.errs == nil {
					c.errs = map[int]undecoded{}
				}
				c.errs[i] = undecoded{err, raw[i]}
				mu.Unlock()
			}
		}
	}
	workers := runtime.GOMAXPROCS(0)
	if len(raw) < aloneMax || workers == 1 {
		part(0, len(raw))
		return c
	}
	var wg sync.WaitGroup
	step := (len(raw) + workers - 1) / workers
	for from := 0; from < len(raw); from += step {
		wg.Go(func() { part(from, min(from+step, len(raw))) })
	}
	wg.Wait()
	return c
}
