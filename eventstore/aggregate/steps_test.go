package aggregate_test

import (
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
			s, err := Begin(t.Context(), r, lamps, "1")
			if err != nil {
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
