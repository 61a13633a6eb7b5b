package process_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
	"zujian/projections"
	. "zujian/projections/process"
)

// Two toy aggregates: an order wants one piece of a shelf, which holds two.
type (
	order   struct{ Placed, Done, Refused bool }
	shelf   struct{ Taken []string }
	command any
	place   struct{ Shelf string }
	confirm struct{}
	refuse  struct{}
	take    struct{ Order string }
	placed  struct{ Shelf string }
	done    struct{}
	refused struct{}
	taken   struct{ Order string }
)

func (placed) EventType() string  { return "order.placed" }
func (done) EventType() string    { return "order.confirmed" }
func (refused) EventType() string { return "order.refused" }
func (taken) EventType() string   { return "shelf.taken" }

var (
	errEmpty  = domain.Reject("shelf.empty", "the shelf is empty")
	errClosed = domain.Reject("order.closed", "the order is closed")
)

var orders = domain.Decider[order, command, domain.Event]{
	Category: "order",
	Decide: func(s order, r domain.Request[command]) ([]domain.Event, error) {
		switch c := r.Command.(type) {
		case place:
			if s.Placed {
				return nil, nil
			}
			return []domain.Event{placed(c)}, nil
		case confirm:
			if s.Refused {
				return nil, errClosed
			}
			return []domain.Event{done{}}, nil // Not idempotent by state: delivery must be.
		case refuse:
			if s.Refused {
				return nil, nil
			}
			return []domain.Event{refused{}}, nil
		}
		panic("unhandled command")
	},
	Evolve: func(s order, e domain.Event) order {
		switch e.(type) {
		case placed:
			s.Placed = true
		case done:
			s.Done = true
		case refused:
			s.Refused = true
		}
		return s
	},
}

var shelves = domain.Decider[shelf, command, domain.Event]{
	Category: "shelf",
	Decide: func(s shelf, r domain.Request[command]) ([]domain.Event, error) {
		c := r.Command.(take)
		switch {
		case slices.Contains(s.Taken, c.Order):
			return nil, nil
		case len(s.Taken) == 2:
			return nil, errEmpty
		}
		return []domain.Event{taken(c)}, nil
	},
	Evolve: func(s shelf, e domain.Event) shelf {
		s.Taken = append(slices.Clip(s.Taken), e.(taken).Order)
		return s
	},
}

var catalogue = domain.NewCatalogue([]domain.Type{
	domain.Stored[placed](), domain.Stored[done](), domain.Stored[refused](), domain.Stored[taken](),
})

// dealer takes a piece for each order placed and confirms what was taken.
type dealer struct {
	version int
	refuses bool // Answers an empty shelf by refusing the order.
	before  func(e projections.Event) error
	overdue func(r projections.Reader, now time.Time) []Outgoing
}

func (d *dealer) Name() string    { return "dealer" }
func (d *dealer) Version() int    { return max(d.version, 1) }
func (d *dealer) Types() []string { return []string{"order.placed", "shelf.taken"} }

func (d *dealer) React(_ context.Context, v projections.View, e projections.Event) ([]Outgoing, error) {
	if d.before != nil {
		if err := d.before(e); err != nil {
			return nil, err
		}
	}
	switch f := e.Event.(type) {
	case placed:
		id := aggregate.ID(e.Stream)
		v.Set("open/"+id, []byte(f.Shelf))
		o := Send(shelves, f.Shelf, command(take{Order: id}))
		if d.refuses {
			o = o.Otherwise(func(no *domain.Rejection) []Outgoing {
				if !errors.Is(no, errEmpty) {
					return nil
				}
				return []Outgoing{Send(orders, id, command(refuse{}))}
			})
		}
		return []Outgoing{o}, nil
	case taken:
		v.Delete("open/" + f.Order)
		return []Outgoing{Send(orders, f.Order, command(confirm{}))}, nil
	}
	return nil, nil
}

func (d *dealer) Resume(_ context.Context, r projections.Reader, now time.Time) ([]Outgoing, error) {
	if d.overdue == nil {
		return nil, nil
	}
	return d.overdue(r, now), nil
}

// shop is everything a test needs, over one store.
type shop struct {
	store *memory.Store
	views *projections.Memory
	fault *faults
	*Runner
	cancel context.CancelFunc
	done   chan error
	linger time.Duration
}

// faults fails the next appends after or before they happened, or the next commits of a view.
type faults struct {
	*memory.Store
	projections.Views
	mu         sync.Mutex
	lost, down int
	commits    int
	unread     int
	batches    int // Tried so far.
}

var errDown = errors.New("connection refused")

func (f *faults) next(n *int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	*n--
	return *n >= 0
}

func (f *faults) Append(ctx context.Context, s string, r eventstore.Revision, es ...eventstore.NewEvent) (eventstore.Appended, error) {
	if f.next(&f.down) {
		return eventstore.Appended{}, errDown
	}
	done, err := f.Store.Append(ctx, s, r, es...)
	if f.next(&f.lost) {
		return eventstore.Appended{}, errDown
	}
	return done, err
}

func (f *faults) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	if f.next(&f.unread) {
		return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, errDown) }
	}
	return f.Store.All(ctx, after)
}

func (f *faults) tried() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.batches
}

func (f *faults) Batch(ctx context.Context, name string, version int, prev, next eventstore.Position, fn func(projections.View) error) error {
	f.mu.Lock()
	f.batches++
	f.mu.Unlock()
	return f.Views.Batch(ctx, name, version, prev, next, func(v projections.View) error {
		if err := fn(v); err != nil {
			return err
		}
		if f.next(&f.commits) {
			return errDown
		}
		return nil
	})
}

func newShop() *shop {
	s := &shop{store: &memory.Store{}, views: &projections.Memory{}}
	s.fault = &faults{Store: s.store, Views: s.views}
	return s
}

func (s *shop) start(t *testing.T, list ...Process) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel, s.done = cancel, make(chan error, 1)
	s.Runner = &Runner{
		Aggregates: aggregate.Runner{Store: s.fault, Catalogue: catalogue}, Views: s.fault, Now: time.Now,
		Policy: func(context.Context) (domain.Policy, error) { return domain.Policy{Version: 4}, nil }, Linger: s.linger,
	}
	go func() { s.done <- s.Run(ctx, list) }()
}

func (s *shop) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	if err := <-s.done; err != nil {
		t.Errorf("Run = %v", err)
	}
}

// place puts orders in, each by a request of its own.
func (s *shop) place(t *testing.T, shelf string, ids ...string) {
	t.Helper()
	r := aggregate.Runner{Store: s.store, Catalogue: catalogue}
	for _, id := range ids {
		req := domain.Request[command]{ID: "request-" + id, At: time.Now().UTC(), Command: place{Shelf: shelf}}
		if _, err := aggregate.Execute(t.Context(), r, orders, id, req, aggregate.Options{}); err != nil {
			t.Fatal(err)
		}
	}
}

// facts is the log, a line an event.
func (s *shop) facts(t *testing.T) string {
	t.Helper()
	var out []string
	for e, err := range s.store.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Stream+" "+strings.SplitN(e.Type, ".", 2)[1])
	}
	return strings.Join(out, ", ")
}

func (s *shop) idle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := s.WaitIdle(ctx); err != nil {
		t.Fatalf("WaitIdle: %v; %+v", err, s.Status())
	}
}

// fail has the next so many of a kind of call fail.
func (s *shop) fail(calls *int, n int) {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	*calls = n
}

func (s *shop) rejections(t *testing.T) (out []Rejected) {
	t.Helper()
	err := s.views.Read(t.Context(), ViewName("dealer"), func(r projections.Reader) error {
		var err error
		out, err = Rejections(t.Context(), r, "", 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const oneOrder = "order-o1 placed, shelf-s taken, order-o1 confirmed"

func TestProcessCarriesAnOrderThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.start(t, &dealer{})
		s.place(t, "s", "o1")
		s.idle(t)
		if got := s.facts(t); got != oneOrder {
			t.Errorf("facts: %s", got)
		}
		var all []eventstore.Recorded
		for e, err := range s.store.All(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		m := all[1].Meta
		wantCause := fmt.Sprintf("%x", all[0].ID)
		if m.Actor != "process:dealer" || m.Role != "system" || m.Policy != 4 || m.Correlation != "request-o1" ||
			strings.ReplaceAll(m.Causation, "-", "") != wantCause || m.Command != aggregate.CommandID(m.Causation, "dealer", "0") || m.At.Location() != time.UTC {
			t.Errorf("metadata: %+v", m)
		}
		if all[2].Meta.Correlation != "request-o1" {
			t.Errorf("the correlation is lost on the way: %+v", all[2].Meta)
		}
		st := s.Status()[0]
		if st.State != projections.StateLive || st.Sent != 2 || st.Rejected != 0 || !st.Idle || st.Checkpoint != 3 || st.LagEvents != 0 {
			t.Errorf("status: %+v", st)
		}
		s.stop(t)
	})
}

func TestRedeliveryIsHarmless(t *testing.T) {
	faultsOf := map[string]func(*faults){
		"crash between command and checkpoint":   func(f *faults) { f.commits = 3 },
		"acknowledgement lost after the command": func(f *faults) { f.lost = 3 },
		"store down before the command":          func(f *faults) { f.down = 3 },
		"all of it":                              func(f *faults) { f.commits, f.lost, f.down = 2, 2, 2 },
	}
	for name, fail := range faultsOf {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop()
				s.place(t, "s", "o1")
				fail(s.fault)
				s.start(t, &dealer{})
				s.idle(t)
				if got := s.facts(t); got != oneOrder {
					t.Errorf("facts: %s", got)
				}
				if st := s.Status()[0]; st.State != projections.StateLive || st.Error != "" {
					t.Errorf("status: %+v", st)
				}
				s.stop(t)
			})
		})
	}
	t.Run("the view is lost whole", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newShop()
			s.place(t, "s", "o1")
			for range 3 {
				s.views = &projections.Memory{}
				s.fault.Views = s.views
				s.start(t, &dealer{})
				s.idle(t)
				s.stop(t)
			}
			if got := s.facts(t); got != oneOrder {
				t.Errorf("facts: %s", got)
			}
		})
	})
}

func TestRejectionIsFinalAndRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.start(t, &dealer{})
		s.place(t, "s", "o1", "o2", "o3", "o4")
		s.place(t, "other", "o5")
		s.idle(t)
		got := s.rejections(t)
		if len(got) != 2 || got[0].Code != "shelf.empty" || got[0].Target != "shelf-s" || got[0].Stream != "order-o3" || got[1].Stream != "order-o4" {
			t.Errorf("rejections: %+v", got)
		}
		err := s.views.Read(t.Context(), ViewName("dealer"), func(r projections.Reader) error {
			rest, err := Rejections(t.Context(), r, got[0].Key, 100)
			if len(rest) != 1 || rest[0] != got[1] {
				t.Errorf("after the first: %+v", rest)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if st := s.Status()[0]; st.Rejected != 2 || st.State != projections.StateLive {
			t.Errorf("status: %+v", st)
		}
		if got := s.facts(t); strings.Count(got, "confirmed") != 3 {
			t.Errorf("facts: %s", got)
		}
		s.stop(t)
	})
}

func TestRejectionMayBeAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.place(t, "s", "o1", "o2", "o3")
		s.fault.commits = 1 // Twice, to see that the answer is delivered once.
		s.start(t, &dealer{refuses: true})
		s.idle(t)
		if got := s.facts(t); strings.Count(got, "order-o3 refused") != 1 || strings.Count(got, "confirmed") != 2 {
			t.Errorf("facts: %s", got)
		}
		if got := s.rejections(t); len(got) != 0 {
			t.Errorf("an answered rejection is recorded: %+v", got)
		}
		s.stop(t)
	})
}

func TestFailingReactStopsTheProcessThere(t *testing.T) {
	for name, before := range map[string]func(projections.Event) error{
		"error": func(e projections.Event) error {
			if e.Stream == "order-o2" {
				return errors.New("cannot react")
			}
			return nil
		},
		"panic": func(e projections.Event) error {
			if e.Stream == "order-o2" {
				panic("cannot react")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop()
				s.place(t, "s", "o1", "o2", "o3")
				s.start(t, &dealer{before: before})
				synctest.Wait()
				st := s.Status()[0]
				if st.State != projections.StateStopped || st.ErrorAt != 2 || st.Checkpoint != 1 || !strings.Contains(st.Error, "cannot react") {
					t.Errorf("status: %+v", st)
				}
				if got := s.facts(t); strings.Count(got, "taken") != 1 {
					t.Errorf("facts: %s", got)
				}
				if err := s.WaitFor(t.Context(), "dealer", 3); !errors.Is(err, projections.ErrBehind) {
					t.Errorf("WaitFor: %v", err)
				}
				if err := s.WaitFor(t.Context(), "dealer", 1); err != nil {
					t.Errorf("WaitFor: %v", err)
				}
				s.stop(t)

				s.start(t, &dealer{}) // Mended.
				s.idle(t)
				if got := s.facts(t); strings.Count(got, "taken") != 2 || strings.Count(got, "confirmed") != 2 {
					t.Errorf("facts: %s", got)
				}
				s.stop(t)
			})
		})
	}
}

// tally counts orders in a row of its view, up to one that it refuses.
type tally struct{ dealer }

func (*tally) React(ctx context.Context, v projections.View, e projections.Event) ([]Outgoing, error) {
	f, isOrder := e.Event.(placed)
	if isOrder && f.Shelf == "broken" {
		return nil, errDown
	}
	n, err := projections.Get[int](ctx, v, "orders")
	projections.Put(v, "orders", n+1)
	return nil, err
}

// TestKeptRows: what a process keeps in its view is as committed whenever it goes on from there: after a batch that failed,
// before an event that it refuses, and where another has moved the view.
func TestKeptRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.start(t, &tally{})
		want := func(n int) {
			t.Helper()
			err := s.views.Read(t.Context(), ViewName("dealer"), func(r projections.Reader) error {
				got, err := projections.Get[int](t.Context(), r, "orders")
				if got != n {
					t.Errorf("%d orders counted, want %d", got, n)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		s.place(t, "s", "o1")
		s.idle(t)
		want(1)
		s.fail(&s.fault.commits, 1)
		s.place(t, "s", "o2", "o3")
		s.idle(t)
		want(3)
		s.fail(&s.fault.unread, 1)
		s.place(t, "s", "o4")
		synctest.Wait()
		if err := s.views.Batch(t.Context(), ViewName("dealer"), 1, 3, 4, func(v projections.View) error {
			projections.Put(v, "orders", 10)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		s.place(t, "s", "o5")
		s.idle(t)
		want(11)
		s.fail(&s.fault.unread, 1) // All of them are one batch then.
		s.place(t, "s", "o6", "o7")
		s.place(t, "broken", "o8")
		time.Sleep(time.Minute)
		want(13)
		s.stop(t)
	})
}

func TestPanickingDeciderStopsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.place(t, "s", "o1")
		s.start(t, &dealer{overdue: func(projections.Reader, time.Time) []Outgoing {
			return []Outgoing{Send(orders, "o1", command(7))}
		}})
		synctest.Wait()
		if st := s.Status()[0]; st.State != projections.StateStopped || !strings.Contains(st.Error, "unhandled command") {
			t.Errorf("status: %+v", st)
		}
		s.stop(t)
	})
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.place(t, "s", "o1")
		var calls []time.Duration
		var heads []eventstore.Position
		began := time.Now()
		due := began.Add(150 * time.Second)
		s.start(t, &dealer{overdue: func(r projections.Reader, now time.Time) []Outgoing {
			calls, heads = append(calls, now.Sub(began)), append(heads, r.Position())
			if now.Before(due) {
				return nil
			}
			return []Outgoing{ // One that may happen once, one that is refused for ever, one that is tried again each time.
				Send(orders, "o1", command(confirm{})).As("due"),
				Send(shelves, "s", command(take{Order: "p1"})),
				Send(shelves, "s", command(take{Order: "p2"})).As("p2"),
				Send(shelves, "s", command(take{Order: "p3"})),
			}
		}})
		time.Sleep(4*time.Minute + time.Second)
		synctest.Wait()
		if got, want := fmt.Sprint(calls), "[0s 1m0s 2m0s 3m0s 4m0s]"; got != want {
			t.Errorf("called at %s, want %s", got, want)
		}
		if heads[0] != 1 {
			t.Errorf("the first call came at position %d, not at the head", heads[0])
		}
		got := s.facts(t)
		if want := "order-o1 placed, shelf-s taken, order-o1 confirmed"; !strings.HasPrefix(got, want) ||
			strings.Count(got, "order-o1 confirmed") != 2 || strings.Count(got, "shelf-s taken") != 2 {
			t.Errorf("facts: %s", got)
		}
		if st := s.Status()[0]; st.Rejected != 3 { // p2 once, p3 at 3 and 4 minutes.
			t.Errorf("rejected: %+v", st)
		}
		if got := s.rejections(t); len(got) != 2 {
			t.Errorf("rejections: %+v", got)
		}
		s.stop(t)
	})
}

func TestNewVersionFoldsThePastSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.place(t, "s", "o1", "o2", "o3")
		s.start(t, &dealer{})
		s.idle(t)
		s.stop(t)
		before := s.facts(t)
		s.place(t, "other", "o4")
		reacted := 0
		s.start(t, &dealer{version: 2, before: func(projections.Event) error { reacted++; return nil }})
		s.idle(t)
		if got := s.facts(t); got != before+", order-o4 placed, shelf-other taken, order-o4 confirmed" {
			t.Errorf("facts: %s", got)
		}
		if st := s.Status()[0]; reacted != 7 || st.Sent != 2 || st.Version != 2 {
			t.Errorf("reacted to %d: %+v", reacted, st)
		}
		if got := s.rejections(t); len(got) != 1 || got[0].Stream != "order-o3" {
			t.Errorf("rejections: %+v", got)
		}
		if at, _ := s.views.Checkpoint(t.Context(), ViewName("dealer"), 1); at != 0 {
			t.Error("the old version is still there")
		}
		s.stop(t)
	})
}

func TestManyOrdersKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		var want []string
		for i := range 300 {
			s.place(t, fmt.Sprint(i%40), fmt.Sprint("o", i))
			if i < 80 {
				want = append(want, fmt.Sprint("o", i))
			}
		}
		s.start(t, &dealer{refuses: true})
		s.idle(t)
		got := s.facts(t)
		if strings.Count(got, "taken") != 80 || strings.Count(got, "refused") != 220 || strings.Count(got, "confirmed") != 80 {
			t.Errorf("%d taken, %d refused", strings.Count(got, "taken"), strings.Count(got, "refused"))
		}
		for _, id := range want { // First come, first served, however many go at once.
			if !strings.Contains(got, "order-"+id+" confirmed") {
				t.Errorf("%s was overtaken", id)
			}
		}
		s.stop(t)
	})
}

// TestCommandsOfOneCauseKeepTheirOrder: two events of one order each take from a shelf of their own.
func TestCommandsOfOneCauseKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.place(t, "s", "o1")
		slow := func(ctx context.Context, r aggregate.Runner, b Base) error {
			time.Sleep(time.Second) // Only the first: the others would overtake it if they could.
			_, err := aggregate.Execute(ctx, r, shelves, "a", Ask(b, command(take{Order: "first"})), b.Options)
			return err
		}
		s.start(t, &script{out: []Outgoing{
			{Target: "shelf-a", Run: slow},
			Send(shelves, "b", command(take{Order: "second"})),
			Send(shelves, "c", command(take{Order: "third"})),
		}})
		s.idle(t)
		if got := s.facts(t); got != "order-o1 placed, shelf-a taken, shelf-b taken, shelf-c taken" {
			t.Errorf("facts: %s", got)
		}
		s.stop(t)
	})
}

// script answers every order placed in the same way, or as it is told.
type script struct {
	dealer
	out    []Outgoing
	answer func(projections.Event, placed) []Outgoing
}

func (s *script) React(_ context.Context, _ projections.View, e projections.Event) ([]Outgoing, error) {
	f, ok := e.Event.(placed)
	switch {
	case !ok:
		return nil, nil
	case s.answer != nil:
		return s.answer(e, f), nil
	}
	return s.out, nil
}

func TestInfrastructureIsTriedAgainWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.place(t, "s", "o1")
		s.fault.down = 6
		began := time.Now()
		s.start(t, &dealer{})
		synctest.Wait()
		if st := s.Status()[0]; !strings.Contains(st.Error, errDown.Error()) || st.State == projections.StateStopped || st.Idle {
			t.Errorf("status: %+v", st)
		}
		s.idle(t)
		if took := time.Since(began); took != (1+2+4+8+16+30)*time.Second {
			t.Errorf("six failures took %s", took)
		}
		s.stop(t)
	})
}

func TestRunRefusesBadSets(t *testing.T) {
	for name, list := range map[string][]Process{
		"a name twice": {&dealer{}, &dealer{}},
		"version":      {&dealer{version: 1 << 30}},
	} {
		s := newShop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := &Runner{
			Aggregates: aggregate.Runner{Store: s.store, Catalogue: catalogue}, Views: s.views, Now: time.Now,
			Policy: func(context.Context) (domain.Policy, error) { return domain.Policy{}, nil },
		}
		if err := r.Run(ctx, list); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}

func TestRunEndsWhenTheStoreCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.start(t, &dealer{})
		s.idle(t)
		if err := s.WaitFor(t.Context(), "nobody", 1); !errors.Is(err, projections.ErrUnknownView) {
			t.Error(err)
		}
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-s.done; !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("Run = %v", err)
		}
	})
}

// TestLostViewSendsThePastOnlyOnce: the view store forgets everything; what had been answered is not sent again.
func TestLostViewSendsThePastOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		for i := range 600 {
			s.place(t, fmt.Sprint("s", i), fmt.Sprint("o", i))
		}
		s.start(t, &dealer{})
		s.idle(t)
		s.stop(t)
		before := s.facts(t)
		s.views = &projections.Memory{}
		s.fault.Views = s.views
		s.place(t, "new", "last")
		s.start(t, &dealer{})
		s.idle(t)
		if got := s.facts(t); got != before+", order-last placed, shelf-new taken, order-last confirmed" {
			t.Errorf("facts: %s", strings.TrimPrefix(got, before))
		}
		if st := s.Status()[0]; st.Sent < 2 || st.Sent > 300 {
			t.Errorf("sent %d of 1200 again", st.Sent)
		}
		s.stop(t)
	})
}

// TestSharedProcessBeginsAgainWhenFenced: another process answered meanwhile; this one ends, to open where the view is.
func TestSharedProcessBeginsAgainWhenFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.place(t, "s", "o1")
		s.start(t, &dealer{})
		s.idle(t)
		s.stop(t)
		s.Runner = nil
		first := true
		foreign := &dealer{before: func(projections.Event) error {
			if !first {
				return nil
			}
			first = false
			at, err := s.views.Checkpoint(t.Context(), ViewName("dealer"), 1)
			if err != nil {
				return err
			}
			return s.views.Batch(t.Context(), ViewName("dealer"), 1, at, at+1, func(projections.View) error { return nil })
		}}
		s.place(t, "s", "o2")
		r := &Runner{
			Aggregates: aggregate.Runner{Store: s.fault, Catalogue: catalogue}, Views: s.fault, Now: time.Now, Shared: true,
			Policy: func(context.Context) (domain.Policy, error) { return domain.Policy{Version: 4}, nil },
		}
		if err := r.Run(t.Context(), []Process{foreign}); !errors.Is(err, projections.ErrFenced) {
			t.Errorf("Run = %v", err)
		}
	})
}

// TestProcessLeavesNewEventsAloneForAWhile lets who placed the order do itself what the process would do.
func TestProcessLeavesNewEventsAloneForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.linger = time.Second
		s.start(t, &dealer{})
		synctest.Wait()
		s.place(t, "s", "o1")
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if got := s.facts(t); got != "order-o1 placed" {
			t.Errorf("within the second: %s", got)
		}
		time.Sleep(time.Nanosecond)
		s.idle(t)
		if got := s.facts(t); got != oneOrder {
			t.Errorf("after it: %s", got)
		}
		s.stop(t)
	})
}

// TestWhatIsDoneIsNotSent: of four orders one was carried out by who placed it, one has its piece from before it was placed,
// one's piece went to another shelf.
func TestWhatIsDoneIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		r := aggregate.Runner{Store: s.store, Catalogue: catalogue}
		put := func(shelf, order string) {
			t.Helper()
			req := domain.Request[command]{ID: "take-" + order, At: time.Now().UTC(), Command: take{Order: order}}
			if _, err := aggregate.Execute(t.Context(), r, shelves, shelf, req, aggregate.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		put("b", "early")
		s.place(t, "a", "whole", "open")
		s.place(t, "b", "early", "apart")
		put("a", "whole")
		put("c", "apart")
		var sent []string
		var mu sync.Mutex
		answer := func(e projections.Event, f placed) []Outgoing {
			id := aggregate.ID(e.Stream)
			o := Send(shelves, f.Shelf, command(take{Order: id}))
			run := o.Run
			o.Run = func(ctx context.Context, r aggregate.Runner, b Base) error {
				mu.Lock()
				sent = append(sent, id)
				mu.Unlock()
				return run(ctx, r, b)
			}
			return []Outgoing{o.Unless(func(e domain.Event) bool { return e == domain.Event(taken{Order: id}) })}
		}
		s.start(t, &script{answer: answer})
		s.idle(t)
		s.stop(t)
		slices.Sort(sent)
		if !slices.Equal(sent, []string{"apart", "early", "open"}) {
			t.Errorf("sent: %v", sent)
		}
	})
}

// TestForeignEventsMoveTheCheckpointSeldom: what does not concern a process costs it no commit each time it looks, but a
// restart reads little of it again, and what does concern it is answered as ever.
func TestForeignEventsMoveTheCheckpointSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.start(t, &dealer{})
		s.place(t, "s", "o1")
		s.idle(t)
		foreign := func(n int) {
			for i := range n {
				r := aggregate.Runner{Store: s.store, Catalogue: catalogue}
				req := domain.Request[command]{ID: fmt.Sprint("foreign-", s.fault.tried(), "-", i), At: time.Now().UTC(), Command: confirm{}}
				if _, err := aggregate.Execute(t.Context(), r, orders, "x", req, aggregate.Options{}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
		}
		checkpoint := func() eventstore.Position {
			at, err := s.views.Checkpoint(t.Context(), ViewName("dealer"), 1)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		before, from := s.fault.tried(), checkpoint()
		foreign(500)
		if st := s.Status()[0]; st.Checkpoint != 503 || s.fault.tried() != before || checkpoint() != from {
			t.Errorf("after 500 foreign events: %d commits, checkpoint %d: %+v", s.fault.tried()-before, checkpoint(), st)
		}
		foreign(700)
		if at := checkpoint(); s.fault.tried() != before+1 || at < 1000 {
			t.Errorf("after 1200 foreign events: %d commits, checkpoint %d", s.fault.tried()-before, at)
		}
		time.Sleep(time.Minute + time.Second) // Resume has its own.
		synctest.Wait()
		if at := checkpoint(); at != 1203 {
			t.Errorf("after Resume: checkpoint %d", at)
		}
		foreign(3)
		s.stop(t)
		s.start(t, &dealer{})
		s.place(t, "t", "o2")
		s.idle(t)
		if got := s.facts(t); !strings.HasSuffix(got, "order-o2 placed, shelf-t taken, order-o2 confirmed") || strings.Count(got, "taken") != 2 {
			t.Errorf("facts: %s", got[max(0, len(got)-200):])
		}
		s.stop(t)
	})
}
