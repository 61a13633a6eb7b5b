package aggregate_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"

	"zujian/eventstore"
	. "zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
)

// counter counts how often a stream is read.
type counter struct {
	eventstore.Store
	mu    sync.Mutex
	reads int
}

func (c *counter) Stream(ctx context.Context, stream string, from eventstore.Revision) iter.Seq2[eventstore.Recorded, error] {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.Store.Stream(ctx, stream, from)
}

func TestOnceReadsAStreamOnce(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		c := &counter{Store: &memory.Store{}}
		r := Runner{Store: c, Catalogue: catalogue, Cache: cache}
		mustExecute(t, r, "1", ask("c1", turnOn{}))
		ctx := Once(t.Context())
		c.reads = 0
		load := func(ctx context.Context, on bool, at eventstore.Revision) {
			t.Helper()
			if s, rev, err := Load(ctx, r, lamps, "1"); err != nil || s.On != on || rev != at {
				t.Errorf("Load = %+v, %d, %v, want %t, %d", s, rev, err, on, at)
			}
		}
		var wg sync.WaitGroup
		load(ctx, true, 0)
		for range 4 {
			wg.Go(func() { load(ctx, true, 0) })
		}
		wg.Wait()
		if c.reads != 1 {
			t.Errorf("read %d times", c.reads)
		}
		begin := func(ctx context.Context) *Steps[lamp, command, event] {
			t.Helper()
			s := new(Steps[lamp, command, event])
			if err := s.Begin(ctx, r, lamps, "1"); err != nil {
				t.Fatal(err)
			}
			return s
		}
		first, second := begin(ctx), begin(ctx)
		for range 2 { // The second time they are repeats.
			for i, s := range []*Steps[lamp, command, event]{first, second} { // What one decides, the other does not see.
				if err := s.Decide(ask([]string{"c2", "c3"}[i], add{N: i}), Options{}); err != nil {
					t.Fatal(err)
				}
				if s.Revision() != 1 {
					t.Errorf("steps %d stand at %d", i, s.Revision())
				}
			}
		}
		load(ctx, true, 0)
		if _, err := first.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustExecute(t, r, "1", ask("c4", turnOff{})) // Execute reads what is new.
		load(ctx, true, 0)
		load(t.Context(), false, 2)
		load(Once(t.Context()), false, 2)
		if _, err := second.Commit(t.Context()); !errors.Is(err, eventstore.ErrWrongRevision) {
			t.Errorf("on a stream that moved on: %v", err)
		}
	})
}

func TestBeginNewExpectsNothingThere(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		c := &counter{Store: &memory.Store{}}
		r := Runner{Store: c, Catalogue: catalogue, Cache: cache}
		var first, second Steps[lamp, command, event]
		for i, s := range []*Steps[lamp, command, event]{&first, &second} {
			s.BeginNew(r, lamps, "1")
			if s.Revision() != eventstore.NoStream || s.Position() != 0 {
				t.Errorf("begins at %d, %d", s.Revision(), s.Position())
			}
			if err := s.Decide(ask([]string{"c1", "c2"}[i], turnOn{}), Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := first.Commit(t.Context()); err != nil || got.Revision != 0 || c.reads != 0 {
			t.Errorf("%+v, %v after %d reads", got, err, c.reads)
		}
		if _, err := second.Commit(t.Context()); !errors.Is(err, eventstore.ErrWrongRevision) {
			t.Errorf("of what is there: %v", err)
		}
	})
}

func TestTakeAsNewLooksAtNothing(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		c := &counter{Store: &memory.Store{}}
		r := Runner{Store: c, Catalogue: catalogue, Cache: cache}
		mustExecute(t, r, "1", ask("c1", turnOn{}))
		ctx := Once(t.Context())
		TakeAsNew(ctx, lamps, "1")
		c.reads = 0
		if s, rev, err := Load(ctx, r, lamps, "1"); err != nil || s.On || rev != eventstore.NoStream || c.reads != 0 {
			t.Errorf("Load = %+v, %d, %v after %d reads", s, rev, err, c.reads)
		}
		s := new(Steps[lamp, command, event])
		if err := errors.Join(s.Begin(ctx, r, lamps, "1"), s.Decide(ask("c2", turnOn{}), Options{})); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(t.Context()); !errors.Is(err, eventstore.ErrWrongRevision) {
			t.Errorf("Commit: %v", err)
		}
		TakeAsNew(t.Context(), lamps, "1") // Nothing to take it in.
		if s, _, err := Load(t.Context(), r, lamps, "1"); err != nil || !s.On {
			t.Errorf("Load = %+v, %v", s, err)
		}
	})
}
