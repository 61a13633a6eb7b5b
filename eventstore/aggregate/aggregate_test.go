package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/eventstore"
	. "zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
)

// A toy aggregate: a lamp that counts its switches. Names are held by whoever came first.
type (
	lamp    struct{ On, Broken bool }
	command interface{ isCommand() }
	event   interface {
		domain.Event
		isEvent()
	}
	turnOn    struct{}
	turnOff   struct{}
	smash     struct{}
	add       struct{ N int }
	turnedOn  struct{ By string }
	turnedOff struct{}
	added     struct{ N int }
	alien     struct{}
)

func (turnOn) isCommand()           {}
func (turnOff) isCommand()          {}
func (smash) isCommand()            {}
func (add) isCommand()              {}
func (turnedOn) EventType() string  { return "lamp.turned_on" }
func (turnedOff) EventType() string { return "lamp.turned_off" }
func (added) EventType() string     { return "lamp.added" }
func (alien) EventType() string     { return "alien.landed" }
func (turnedOn) isEvent()           {}
func (turnedOff) isEvent()          {}
func (added) isEvent()              {}

var errBroken = domain.Reject("lamp.broken", "the lamp is broken")

var lamps = domain.Decider[lamp, command, event]{
	Category: "lamp",
	Decide: func(s lamp, r domain.Request[command]) ([]event, error) {
		switch c := r.Command.(type) {
		case turnOn:
			if s.On {
				return nil, nil
			}
			return []event{turnedOn{By: r.Actor.ID}}, nil
		case turnOff:
			if !s.On {
				return nil, nil
			}
			return []event{turnedOff{}}, nil
		case add:
			return []event{added(c)}, nil
		}
		return nil, errBroken
	},
	Evolve: func(s lamp, e event) lamp {
		switch e.(type) {
		case turnedOn:
			s.On = true
		case turnedOff:
			s.On = false
		}
		return s
	},
}

var catalogue = domain.NewCatalogue([]domain.Type{
	domain.Stored[turnedOn](), domain.Stored[turnedOff](), domain.Stored[added](), domain.Stored[alien](),
})

var at = time.Date(2026, time.March, 1, 2, 0, 0, 0, time.UTC)

func ask(id string, c command) domain.Request[command] {
	return domain.Request[command]{ID: id, At: at, Actor: domain.Actor{ID: "k1", Role: domain.RoleCity}, Policy: domain.Policy{Version: 3}, Command: c}
}

// each runs f with and without a cache: nothing but speed may differ.
func each(t *testing.T, f func(t *testing.T, cache *Cache)) {
	t.Run("without cache", func(t *testing.T) { f(t, nil) })
	t.Run("with cache", func(t *testing.T) { f(t, NewCache(2)) })
}

func TestExecuteWritesEventAndMetadata(t *testing.T) {
	store := &memory.Store{Now: func() time.Time { return at }}
	r := Runner{Store: store, Catalogue: catalogue}
	got, err := Execute(t.Context(), r, lamps, "1", ask("c1", turnOn{}), Options{Causation: "e0"})
	if want := (Result{Revision: 0, Position: 1, Events: 1}); err != nil || got != want {
		t.Fatalf("Execute = %+v, %v, want %+v", got, err, want)
	}
	var stored []eventstore.Recorded
	for rec, err := range store.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, rec)
	}
	want := []eventstore.Recorded{{
		NewEvent: eventstore.NewEvent{
			ID: EventID("c1", "lamp-1", 0), Type: "lamp.turned_on", Data: []byte(`{"By":"k1"}`),
			Meta: eventstore.Metadata{Schema: 1, Actor: "k1", Role: "city", Command: "c1", Causation: "e0", Correlation: "c1", At: at, Policy: 3},
		},
		Stream: "lamp-1", Position: 1, StoredAt: at,
	}}
	for i := range stored {
		stored[i].Meta.Salt = eventstore.Salt{} // The store's own.
	}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Error(diff)
	}
}

func TestExecuteNothingWritten(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		r := Runner{Store: &memory.Store{}, Catalogue: catalogue, Cache: cache}
		if got, err := Execute(t.Context(), r, lamps, "1", ask("c0", turnOff{}), Options{}); err != nil || got != (Result{Revision: eventstore.NoStream}) {
			t.Errorf("on an empty stream: %+v, %v", got, err)
		}
		mustExecute(t, r, "1", ask("c1", turnOn{}))
		want := Result{Revision: 0, Position: 1}
		if got, err := Execute(t.Context(), r, lamps, "1", ask("c2", turnOn{}), Options{}); err != nil || got != want {
			t.Errorf("already so: %+v, %v, want %+v", got, err, want)
		}
		got, err := Execute(t.Context(), r, lamps, "1", ask("c3", smash{}), Options{})
		if !errors.Is(err, errBroken) || got != want {
			t.Errorf("rejected: %+v, %v", got, err)
		}
	})
}

func TestExecuteExpect(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		r := Runner{Store: &memory.Store{}, Catalogue: catalogue, Cache: cache}
		mustExecute(t, r, "1", ask("c1", turnOn{}))
		wrong, right := eventstore.Revision(7), eventstore.Revision(0)
		_, err := Execute(t.Context(), r, lamps, "1", ask("c2", turnOff{}), Options{Expect: &wrong})
		if w, ok := errors.AsType[*eventstore.WrongRevision](err); !ok || w.Actual != 0 || w.Expected != 7 {
			t.Errorf("wrong expectation: %v", err)
		}
		for range 2 { // The second time the expectation is stale, but the command is the same.
			if _, err := Execute(t.Context(), r, lamps, "1", ask("c3", turnOff{}), Options{Expect: &right}); err != nil {
				t.Errorf("right expectation: %v", err)
			}
		}
		m := &meddler{Store: r.Store, left: 1}
		r.Store = m
		right = 1
		if _, err := Execute(t.Context(), r, lamps, "1", ask("c4", turnOn{}), Options{Expect: &right}); !errors.Is(err, eventstore.ErrWrongRevision) {
			t.Errorf("an overtaken expectation was retried: %v", err)
		}
	})
}

// meddler writes an event of its own just before each of the next appends, and loses the next acknowledgements.
type meddler struct {
	eventstore.Store
	left, lost int
	appends    int
}

var errLost = errors.New("connection reset")

func (m *meddler) Append(ctx context.Context, s string, r eventstore.Revision, es ...eventstore.NewEvent) (eventstore.Appended, error) {
	m.appends++
	if m.left > 0 {
		m.left--
		e := es[0]
		e.ID, e.Type, e.Data = EventID("meddler", s, m.appends), "lamp.added", []byte(`{"N":1}`)
		if _, err := m.Store.Append(ctx, s, eventstore.AnyRevision, e); err != nil {
			return eventstore.Appended{}, err
		}
	}
	done, err := m.Store.Append(ctx, s, r, es...)
	if err == nil && m.lost > 0 {
		m.lost--
		return eventstore.Appended{}, errLost
	}
	return done, err
}

func TestExecuteDecidesAgainBounded(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		m := &meddler{Store: &memory.Store{}, left: 3}
		r := Runner{Store: m, Catalogue: catalogue, Cache: cache}
		got, err := Execute(t.Context(), r, lamps, "1", ask("c1", turnOn{}), Options{})
		if want := (Result{Revision: 3, Position: 4, Events: 1}); err != nil || got != want {
			t.Fatalf("after three lost races: %+v, %v, want %+v", got, err, want)
		}
		m.left, m.appends = 99, 0
		if _, err := Execute(t.Context(), r, lamps, "2", ask("c2", turnOn{}), Options{}); !errors.Is(err, eventstore.ErrWrongRevision) || m.appends != 4 {
			t.Errorf("after %d appends: %v", m.appends, err)
		}
	})
}

func TestExecuteRepeatAfterLostAck(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		m := &meddler{Store: &memory.Store{}, lost: 1}
		r := Runner{Store: m, Catalogue: catalogue, Cache: cache}
		if _, err := Execute(t.Context(), r, lamps, "1", ask("c1", add{N: 5}), Options{}); !errors.Is(err, errLost) {
			t.Fatalf("the acknowledgement was not lost: %v", err)
		}
		got, err := Execute(t.Context(), r, lamps, "1", ask("c1", add{N: 5}), Options{})
		if want := (Result{Revision: 0, Position: 1}); err != nil || got != want {
			t.Errorf("repeat: %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestExecuteLateRepeatDoesNotUndoWhatCameAfter(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		r := Runner{Store: &memory.Store{}, Catalogue: catalogue, Cache: cache}
		mustExecute(t, r, "1", ask("c1", turnOn{}))
		mustExecute(t, r, "1", ask("c2", turnOff{}))
		mustExecute(t, r, "1", ask("c1", turnOn{}))
		if s, rev, err := Load(t.Context(), r, lamps, "1"); err != nil || s.On || rev != 1 {
			t.Errorf("Load = %+v, %d, %v", s, rev, err)
		}
	})
}

func TestExecuteOneCommandIDForTwoSteps(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		r := Runner{Store: &memory.Store{}, Catalogue: catalogue, Cache: cache}
		mustExecute(t, r, "1", ask("c1", turnOn{}))
		if _, err := Execute(t.Context(), r, lamps, "1", ask("c1", turnOff{}), Options{}); !errors.Is(err, ErrCommandReused) {
			t.Errorf("error = %v", err)
		}
		mustExecute(t, r, "2", ask("c1", turnOn{})) // Another stream is another matter.
		mustExecute(t, r, "1", ask(CommandID("c1", "off"), turnOff{}))
	})
}

func TestExecuteEightRacingWriters(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		store := &memory.Store{}
		r := Runner{Store: store, Catalogue: catalogue, Cache: cache}
		var wg sync.WaitGroup
		var mu sync.Mutex
		written := 0
		for i := range 8 {
			wg.Go(func() {
				got, err := Execute(t.Context(), r, lamps, "1", ask(fmt.Sprint("f", i), turnOn{}), Options{})
				if err != nil || got.Revision != 0 || got.Position != 1 {
					t.Errorf("writer %d: %+v, %v", i, got, err)
				}
				mu.Lock()
				written += got.Events
				mu.Unlock()
			})
		}
		wg.Wait()
		if written != 1 {
			t.Errorf("%d events were written, not 1", written)
		}
		for i := range 8 { // Now each has something to write: none is lost, none is doubled.
			wg.Go(func() {
				for n := range 20 {
					req := ask(fmt.Sprintf("a%d.%d", i, n), add{N: i})
					_, err := Execute(t.Context(), r, lamps, "1", req, Options{})
					for errors.Is(err, eventstore.ErrWrongRevision) {
						_, err = Execute(t.Context(), r, lamps, "1", req, Options{})
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var ids []string
		for rec, err := range store.Stream(t.Context(), "lamp-1", 0) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, rec.Meta.Command)
		}
		slices.Sort(ids)
		if len(ids) != 161 || len(slices.Compact(ids)) != 161 {
			t.Errorf("%d events of %d commands", len(ids), len(slices.Compact(ids)))
		}
	})
}

func TestLoadAsOf(t *testing.T) {
	each(t, func(t *testing.T, cache *Cache) {
		now := at
		r := Runner{Store: &memory.Store{Now: func() time.Time { return now }}, Catalogue: catalogue, Cache: cache}
		mustExecute(t, r, "1", ask("c1", turnOn{}))
		now = at.Add(time.Hour)
		mustExecute(t, r, "1", ask("c2", turnOff{}))
		for _, c := range []struct {
			asOf time.Time
			on   bool
			rev  eventstore.Revision
		}{{at.Add(-1), false, eventstore.NoStream}, {at, true, 0}, {at.Add(time.Hour - 1), true, 0}, {at.Add(time.Hour), false, 1}} {
			if s, rev, err := LoadAsOf(t.Context(), r, lamps, "1", c.asOf); err != nil || s.On != c.on || rev != c.rev {
				t.Errorf("as of %s: %+v, %d, %v", c.asOf, s, rev, err)
			}
		}
	})
}

func TestLoadRefusesWhatItCannotRead(t *testing.T) {
	for name, e := range map[string]eventstore.NewEvent{
		"unknown type":      {Type: "lamp.exploded", Data: []byte(`{}`), Meta: eventstore.Metadata{Schema: 1}},
		"unknown version":   {Type: "lamp.added", Data: []byte(`{}`), Meta: eventstore.Metadata{Schema: 2}},
		"another aggregate": {Type: "alien.landed", Data: []byte(`{}`), Meta: eventstore.Metadata{Schema: 1}},
		"broken JSON":       {Type: "lamp.added", Data: []byte(`{`), Meta: eventstore.Metadata{Schema: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			store := &memory.Store{}
			e.ID = EventID(name, "lamp-1", 0)
			if _, err := store.Append(t.Context(), "lamp-1", eventstore.NoStream, e); err != nil {
				t.Fatal(err)
			}
			r := Runner{Store: store, Catalogue: catalogue}
			if _, _, err := Load(t.Context(), r, lamps, "1"); err == nil {
				t.Error("loaded")
			}
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	r := Runner{Store: &memory.Store{}, Catalogue: catalogue, Cache: NewCache(2)}
	for i := range 5 {
		mustExecute(t, r, fmt.Sprint(i), ask("on", turnOn{}))
	}
	for i := range 5 { // Also right after an entry was pushed out.
		if s, rev, err := Load(t.Context(), r, lamps, fmt.Sprint(i)); err != nil || !s.On || rev != 0 {
			t.Errorf("lamp %d: %+v, %d, %v", i, s, rev, err)
		}
	}
}

func TestIDs(t *testing.T) {
	if ID(Stream("lamp", "a-b")) != "a-b" || ID("lamp") != "" {
		t.Error("stream names do not round-trip")
	}
	// Frozen: a retry across versions of the program must give the same ids.
	if got := fmt.Sprintf("%x", EventID("c1", "lamp-1", 0)); got != "e56ace76277953a8926b5b7b3d951ca8" {
		t.Errorf("EventID = %s", got)
	}
	if a, b := CommandID("c1", "a"), CommandID("c1", "b"); a == b || a != CommandID("c1", "a") {
		t.Errorf("CommandID: %s %s", a, b)
	}
	namespace := uuid.MustParse("7a756a69-616e-5001-8001-636f6d6d6164")
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringN(100, 300, -1))
		command, stream, n := text.Draw(t, "command"), text.Draw(t, "stream"), rapid.IntRange(0, 1000).Draw(t, "n")
		if got, want := EventID(command, stream, n), uuid.NewSHA1(namespace, []byte(command+"\n"+stream+"\n"+strconv.Itoa(n))); got != want {
			t.Errorf("EventID = %x, want %x", got, want)
		}
		steps := rapid.SliceOfN(text, 0, 3).Draw(t, "steps")
		want := uuid.NewSHA1(namespace, []byte(command+"\n"+strings.Join(steps, "\n"))).String()
		if got := CommandID(command, steps...); got != want {
			t.Errorf("CommandID = %s, want %s", got, want)
		}
	})
	if n := testing.AllocsPerRun(100, func() {
		EventID("0e5d1f6c-5a39-4b0e-9c3b-6a4c3d2e1f00", "lamp-0e5d1f6c-5a39-4b0e-9c3b-6a4c3d2e1f00", 3)
	}); n > 0 {
		t.Errorf("an event id costs %.0f allocations", n)
	}
}

func mustExecute(t *testing.T, r Runner, id string, req domain.Request[command]) Result {
	t.Helper()
	got, err := Execute(t.Context(), r, lamps, id, req, Options{})
	if err != nil {
		t.Fatalf("execute %s: %v", req.ID, err)
	}
	return got
}
