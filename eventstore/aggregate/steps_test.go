package aggregate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zujian/eventstore"
	. "zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
)

func TestStepsWriteAllAtOnceOrNothing(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		m := &meddler{Store: &memory.Store{}}
		r := Runner{Store: m, Catalogue: catalogue, Cache: cache}
		begin := func() *Steps[lamp, command, event] {
			s := new(Steps[lamp, command, event])
			if err := s.Begin(t.Context(), r, lamps, "1"); err != nil {
				t.Fatal(err)
			}
			return s
		}
		decide := func(s *Steps[lamp, command, event], id string, c command) {
			t.Helper()
			if err := s.Decide(ask(id, c), Options{}); err != nil {
				t.Fatal(err)
			}
		}
		s := begin()
		decide(s, "c1", turnOn{})
		if !s.State().On {
			t.Error("the second step would not see the first")
		}
		decide(s, "c2", turnOn{}) // Already so.
		if err := s.Decide(ask("c3", smash{}), Options{}); !errors.Is(err, errBroken) {
			t.Errorf("rejected step: %v", err)
		}
		decide(s, "c4", turnOff{})
		if m.appends != 0 {
			t.Errorf("%d appends before Commit", m.appends)
		}
		got, err := s.Commit(t.Context())
		if want := (Result{Revision: 1, Position: 2, Events: 2}); err != nil || got != want || m.appends != 1 {
			t.Errorf("Commit = %+v, %v in %d appends, want %+v in one", got, err, m.appends, want)
		}
		var ids [][16]byte
		for rec, err := range m.Stream(t.Context(), "lamp-1", 0) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, rec.ID)
		}
		if diff := cmp.Diff([][16]byte{EventID("c1", "lamp-1", 0), EventID("c4", "lamp-1", 0)}, ids); diff != "" {
			t.Error("event ids are not those of single commands:", diff)
		}
		s = begin() // A repeat of the call writes nothing.
		decide(s, "c1", turnOn{})
		decide(s, "c4", turnOff{})
		if got, err := s.Commit(t.Context()); err != nil || got != (Result{Revision: 1, Position: 2}) {
			t.Errorf("repeat: %+v, %v", got, err)
		}
		s = begin()
		decide(s, "c5", turnOn{})
		m.left = 1
		if _, err := s.Commit(t.Context()); !errors.Is(err, eventstore.ErrWrongRevision) {
			t.Errorf("overtaken: %v", err)
		}
	})
}

// pairs is a store that appends to several streams at once, as far as these tests need it.
type pairs struct {
	*memory.Store
	got [][]eventstore.Part
}

func (p *pairs) AppendTogether(ctx context.Context, parts ...eventstore.Part) ([]eventstore.Appended, error) {
	p.got = append(p.got, parts)
	var out []eventstore.Appended
	for _, part := range parts {
		done, err := p.Append(ctx, part.Stream, part.Expected, part.Events...)
		if err != nil {
			return nil, err
		}
		out = append(out, done)
	}
	return out, nil
}

func TestTogetherWritesWhatSeveralStepsDecided(t *testing.T) {
	store := &pairs{Store: &memory.Store{}}
	r := Runner{Store: store, Catalogue: catalogue}
	begin := func(id string) *Steps[lamp, command, event] {
		s := new(Steps[lamp, command, event])
		if err := s.Begin(t.Context(), r, lamps, id); err != nil {
			t.Fatal(err)
		}
		return s
	}
	decide := func(s *Steps[lamp, command, event], id string, c command) {
		t.Helper()
		if err := s.Decide(ask(id, c), Options{}); err != nil {
			t.Fatal(err)
		}
	}
	one, two := begin("1"), begin("2")
	decide(one, "c1", turnOn{})
	first := one.Take()
	decide(two, "c2", turnOn{})
	decide(two, "c3", add{1})
	decide(one, "c4", turnOff{})
	at, err := Together(t.Context(), store, first, two.Take(), begin("3").Take(), one.Take())
	if err != nil || at != 4 || len(store.got) != 1 || len(store.got[0]) != 3 {
		t.Fatalf("written up to %d, %v, in %v", at, err, store.got)
	}
	for id, want := range map[string]eventstore.Revision{"1": 1, "2": 1, "3": eventstore.NoStream} {
		if s := begin(id); s.Revision() != want || s.State().On != (id == "2") {
			t.Errorf("lamp %s: %+v at %d", id, s.State(), s.Revision())
		}
	}
	again := begin("2")
	if at, err := Together(t.Context(), store, again.Take()); err != nil || at != 0 || len(store.got) != 1 || again.Position() != 3 {
		t.Errorf("nothing to write: %d, %v; the stream ends at %d", at, err, again.Position())
	}
	late := begin("2")
	decide(late, "c5", turnOff{})
	mustExecute(t, r, "2", ask("c6", turnOff{}))
	if _, err := Together(t.Context(), store, late.Take()); !errors.Is(err, eventstore.ErrWrongRevision) {
		t.Errorf("overtaken: %v", err)
	}
}
