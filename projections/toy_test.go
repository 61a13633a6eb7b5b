package projections_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/memory"
	. "zujian/projections"
)

// A toy register: names are counted by letter.
type (
	came   struct{ Name string }
	left   struct{ Name string }
	ignore struct{ N int }
)

func (came) EventType() string   { return "toy.came" }
func (left) EventType() string   { return "toy.left" }
func (ignore) EventType() string { return "toy.ignored" }

var catalogue = domain.NewCatalogue([]domain.Type{domain.Stored[came](), domain.Stored[left](), domain.Stored[ignore]()})

// counts is a projection: how many are here, by first letter, and the last to come.
type counts struct {
	name    string
	version int
	types   []string
	before  func(context.Context, View, []Event) error // Runs first, if set.
}

func (c *counts) Name() string    { return c.name }
func (c *counts) Version() int    { return max(c.version, 1) }
func (c *counts) Types() []string { return c.types }

func (c *counts) Apply(ctx context.Context, v View, batch []Event) error {
	if c.before != nil {
		if err := c.before(ctx, v, batch); err != nil {
			return err
		}
	}
	for _, e := range batch {
		var name string
		n := 1
		switch f := e.Event.(type) {
		case came:
			name = f.Name
			Put(v, "last", name)
		case left:
			name, n = f.Name, -1
		default:
			continue
		}
		key := "count/" + name[:1]
		had, err := Get[int](ctx, v, key)
		if err != nil {
			return err
		}
		if had+n == 0 {
			v.Delete(key)
		} else {
			Put(v, key, had+n)
		}
	}
	return nil
}

var comings = []string{"toy.came", "toy.left"}

// write appends events to one stream and returns the last position.
func write(t testing.TB, s eventstore.Store, events ...domain.Event) eventstore.Position {
	t.Helper()
	var last eventstore.Position
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		last = writeRaw(t, s, e.EventType(), data)
	}
	return last
}

// writeTogether is write in one append: whoever sees one of the events sees all.
func writeTogether(t testing.TB, s eventstore.Store, events ...domain.Event) eventstore.Position {
	t.Helper()
	var out []eventstore.NewEvent
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, newEvent(e.EventType(), data))
	}
	return appendTo(t, s, out...)
}

var eventID atomic.Uint64

func newEvent(name string, data []byte) eventstore.NewEvent {
	e := eventstore.NewEvent{Type: name, Data: data, Meta: eventstore.Metadata{Schema: 1}}
	binary.BigEndian.PutUint64(e.ID[:], eventID.Add(1))
	return e
}

func appendTo(t testing.TB, s eventstore.Store, events ...eventstore.NewEvent) eventstore.Position {
	t.Helper()
	done, err := s.Append(t.Context(), "toy-1", eventstore.AnyRevision, events...)
	if err != nil {
		t.Fatal(err)
	}
	return done.Position
}

func writeRaw(t testing.TB, s eventstore.Store, name string, data []byte) eventstore.Position {
	t.Helper()
	return appendTo(t, s, newEvent(name, data))
}

func people(n int) []domain.Event {
	out := make([]domain.Event, n)
	for i := range out {
		name := fmt.Sprintf("%c%d", 'a'+i%7, i)
		switch {
		case i%5 == 4:
			out[i] = left{Name: fmt.Sprintf("%c%d", 'a'+(i-3)%7, i-3)}
		case i%11 == 3:
			out[i] = ignore{N: i}
		default:
			out[i] = came{Name: name}
		}
	}
	return out
}

// harness runs a Runner in the background of a test.
type harness struct {
	*Runner
	store  *memory.Store
	views  *faultyViews
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, store *memory.Store, views *faultyViews, list ...Projection) *harness {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := &harness{store: store, views: views, cancel: cancel, done: make(chan error, 1)}
	h.Runner = &Runner{Store: store, Views: views, Catalogue: catalogue, Now: time.Now, BatchMax: 8}
	go func() { h.done <- h.Run(ctx, list) }()
	return h
}

func (h *harness) stop(t *testing.T) {
	t.Helper()
	h.cancel()
	if err := <-h.done; err != nil {
		t.Errorf("Run = %v", err)
	}
}

// status of the version of a view that readers see, else of the one being built.
func (h *harness) status(name string) Status {
	for _, s := range h.Status() {
		if s.Name == name {
			return s
		}
	}
	return Status{}
}

func dump(t testing.TB, views Views, name string) string {
	t.Helper()
	var lines []string
	err := views.Read(t.Context(), name, func(r Reader) error {
		for p, err := range r.Scan(t.Context(), "", "", false) {
			if err != nil {
				return err
			}
			lines = append(lines, p.Key+"="+string(p.Value))
		}
		return nil
	})
	if errors.Is(err, ErrNotBuilt) {
		return "not built"
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, " ")
}

// faultyViews fails the next commits, reads or activations as told.
type faultyViews struct {
	Views
	mu      sync.Mutex
	commits map[string]int // How many of the next batches fail, by view.
	reads   map[string]int
	actives int
	log     []string // Activate and Drop calls.
}

func newViews() *faultyViews {
	return &faultyViews{Views: &Memory{}, commits: map[string]int{}, reads: map[string]int{}}
}

var errDisk = errors.New("disk on fire")

func (f *faultyViews) take(m map[string]int, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m[name]--
	return m[name] >= 0
}

func (f *faultyViews) set(m map[string]int, name string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m[name] = n
}

func (f *faultyViews) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, s)
}

func (f *faultyViews) notes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

func (f *faultyViews) Batch(ctx context.Context, name string, version int, prev, next eventstore.Position, fn func(View) error) error {
	err := f.Views.Batch(ctx, name, version, prev, next, func(v View) error {
		if err := fn(&faultyView{View: v, views: f, name: name}); err != nil {
			return err
		}
		if f.take(f.commits, name) {
			return errDisk
		}
		return nil
	})
	return err
}

func (f *faultyViews) Activate(ctx context.Context, name string, version int) error {
	f.mu.Lock()
	f.actives--
	failing := f.actives >= 0
	f.mu.Unlock()
	if failing {
		return errDisk
	}
	f.note(fmt.Sprintf("activate %s@%d", name, version))
	return f.Views.Activate(ctx, name, version)
}

func (f *faultyViews) Drop(ctx context.Context, name string, version int) error {
	f.note(fmt.Sprintf("drop %s@%d", name, version))
	return f.Views.Drop(ctx, name, version)
}

type faultyView struct {
	View
	views *faultyViews
	name  string
}

func (v *faultyView) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if v.views.take(v.views.reads, v.name) {
		return nil, false, errDisk
	}
	return v.View.Get(ctx, key)
}
