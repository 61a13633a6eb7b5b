package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/eventstore"
	"zujian/eventstore/memory"
	. "zujian/projections"
)

// replayed is what a view must hold.
func replayed(t testing.TB, store eventstore.Store, p Projection) string {
	t.Helper()
	r, err := Replay(t.Context(), store, catalogue, p, PositionMax)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for p, err := range r.Scan(t.Context(), "", "", false) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, p.Key+"="+string(p.Value))
	}
	return strings.Join(lines, " ")
}

func TestRunnerCatchesUpAndFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		write(t, store, people(100)...)
		a, b := &counts{name: "a", types: comings}, &counts{name: "b"}
		h := start(t, store, views, a, b)
		synctest.Wait()
		for _, p := range []Projection{a, b} {
			if got, want := dump(t, views, p.Name()), replayed(t, store, p); got != want || got == "" {
				t.Errorf("%s after catching up\n got %s\nwant %s", p.Name(), got, want)
			}
		}
		write(t, store, came{Name: "zoe"})
		synctest.Wait()
		if got := dump(t, views, "a"); !strings.Contains(got, "count/z=1") {
			t.Errorf("after one more: %s", got)
		}
		last := write(t, store, ignore{}) // a does not want it, but moves.
		synctest.Wait()
		want := []Status{
			{Name: "a", Version: 1, State: StateLive, Active: true, Checkpoint: last, Head: last},
			{Name: "b", Version: 1, State: StateLive, Active: true, Checkpoint: last, Head: last},
		}
		if diff := cmp.Diff(want, h.Status()); diff != "" {
			t.Error(diff)
		}
		if at, _ := views.Checkpoint(t.Context(), "a", 1); at != last {
			t.Errorf("checkpoint %d, not %d", at, last)
		}
		h.stop(t)
	})
}

// TestRunnerKeepsItsPace counts the batches of a log that is written all the time, and times the first after a pause.
func TestRunnerKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		batches := 0
		p := &counts{name: "a", before: func(context.Context, View, []Event) error { batches++; return nil }}
		ctx, cancel := context.WithCancel(t.Context())
		r := &Runner{Store: store, Views: views, Catalogue: catalogue, Now: time.Now, Pace: 10 * time.Millisecond}
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, []Projection{p}) }()
		time.Sleep(time.Second)
		write(t, store, came{Name: "ann"})
		synctest.Wait()
		if batches != 1 {
			t.Errorf("%d batches: after a pause an event is shown at once", batches)
		}
		for range 100 {
			write(t, store, came{Name: "bob"})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if batches < 9 || batches > 12 {
			t.Errorf("%d batches in a tenth of a second", batches)
		}
		batches = 0
		for range 120 {
			write(t, store, people(10)...)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if batches < 5 || batches > 8 {
			t.Errorf("%d batches of a busy log in an eighth of a second", batches)
		}
		if got, want := dump(t, views, "a"), replayed(t, store, p); got != want {
			t.Errorf("a\n got %s\nwant %s", got, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRunnerGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		write(t, store, people(20)...)
		seen := 0
		p := &counts{name: "a", types: comings, before: func(_ context.Context, _ View, b []Event) error { seen += len(b); return nil }}
		for range 3 {
			h := start(t, store, views, p)
			synctest.Wait()
			h.stop(t)
			write(t, store, came{Name: "x"})
		}
		if seen != 19+2 { // One of the 20 is not wanted; the last came after the last stop.
			t.Errorf("%d events were applied", seen)
		}
	})
}

// awayViews can't be reached.
type awayViews struct{ Views }

func (awayViews) Active(context.Context, string) (int, error) { return 0, ErrUnavailable }

// TestViewOfALongerLogIsRefused gives a view a log that ends before what the view knows, as an older copy of it does: what
// is written there would be missing in the view, so nothing is built on it.
func TestViewOfALongerLogIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, older, views := &memory.Store{}, &memory.Store{}, newViews()
		write(t, store, people(20)...)
		write(t, older, people(5)...)
		h := start(t, store, views, &counts{name: "a"})
		synctest.Wait()
		h.stop(t)
		list := []Projection{&counts{name: "a"}, &counts{name: "b"}} // Nobody has built the second.
		if err := CheckLog(t.Context(), store, views, list); err != nil {
			t.Errorf("its own log: %v", err)
		}
		if err := CheckLog(t.Context(), older, views, list); err == nil || !strings.Contains(err.Error(), "delete the views") {
			t.Errorf("a shorter log: %v", err)
		}
		if err := CheckLog(t.Context(), older, awayViews{views}, list); !errors.Is(err, ErrUnavailable) {
			t.Errorf("views that are away: %v", err)
		}
		was := dump(t, views, "a")
		var said error
		ctx, cancel := context.WithCancel(t.Context())
		r := &Runner{Store: older, Views: views, Catalogue: catalogue, Now: time.Now, Metrics: Metrics{Retry: func(_ string, err error) { said = err }}}
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, []Projection{&counts{name: "a"}}) }()
		synctest.Wait()
		write(t, older, people(30)...)
		synctest.Wait()
		if said == nil || !strings.Contains(said.Error(), "delete the views") {
			t.Errorf("said %v", said)
		}
		if got := dump(t, views, "a"); got != was {
			t.Errorf("it was built on: %s, was %s", got, was)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestInfrastructureErrorsAreRetriedAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		write(t, store, people(50)...)
		a, b := &counts{name: "a"}, &counts{name: "b"}
		views.set(views.commits, "a", 3)
		began := time.Now()
		h := start(t, store, views, a, b)
		synctest.Wait()
		if s := h.status("b"); s.State != StateLive {
			t.Errorf("b waits for a: %+v", s)
		}
		if s := h.status("a"); s.State != StateBuilding || s.Error != errDisk.Error() || s.LagEvents == 0 {
			t.Errorf("a while retrying: %+v", s)
		}
		last := write(t, store, came{Name: "zoe"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.WaitFor(ctx, "a", last); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != (1+2+4)*time.Second {
			t.Errorf("three failures took %s", took)
		}
		if got, want := dump(t, views, "a"), replayed(t, store, a); got != want {
			t.Errorf("a\n got %s\nwant %s", got, want)
		}
		if s := h.status("a"); s.Error != "" || s.State != StateLive {
			t.Errorf("a after all: %+v", s)
		}
		views.set(views.reads, "a", 1) // A read that fails is infrastructure too, even if Apply hides it.
		last = write(t, store, came{Name: "zoe"})
		if err := h.WaitFor(ctx, "a", last); err != nil || !strings.Contains(dump(t, views, "a"), "count/z=2") {
			t.Error(err, dump(t, views, "a"))
		}
		h.stop(t)
	})
}

func TestFailedProjectionStopsAloneAtItsPosition(t *testing.T) {
	broken := func(f func(Event) error) func(context.Context, View, []Event) error {
		return func(_ context.Context, _ View, batch []Event) error {
			for _, e := range batch {
				if c, ok := e.Event.(came); ok && c.Name == "poison" {
					return f(e)
				}
			}
			return nil
		}
	}
	for name, fail := range map[string]func(Event) error{
		"error": func(Event) error { return errors.New("cannot fold") },
		"panic": func(Event) error { panic("cannot fold") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, views := &memory.Store{}, newViews()
				write(t, store, came{Name: "first"})
				good := &counts{name: "good"}
				h := start(t, store, views, good, &counts{name: "bad", before: broken(fail)})
				synctest.Wait()
				write(t, store, came{Name: "before"})
				at := write(t, store, came{Name: "poison"})
				last := write(t, store, came{Name: "after"})
				synctest.Wait()
				s := h.status("bad")
				if s.State != StateStopped || s.ErrorAt != at || s.Checkpoint != at-1 || !strings.Contains(s.Error, "cannot fold") {
					t.Errorf("bad: %+v", s)
				}
				if got := dump(t, views, "bad"); !strings.Contains(got, `last="before"`) {
					t.Errorf("what came before the poison is lost: %s", got)
				}
				if s := h.status("good"); s.State != StateLive || s.Checkpoint != last {
					t.Errorf("good: %+v", s)
				}
				if err := h.WaitFor(t.Context(), "bad", last); !errors.Is(err, ErrBehind) {
					t.Errorf("waiting for a stopped view: %v", err)
				}
				if err := h.WaitFor(t.Context(), "bad", at-1); err != nil {
					t.Errorf("waiting for what a stopped view has: %v", err)
				}
				h.stop(t)
			})
		})
	}
}

func TestUndecodableEventStopsOnlyThoseWhoWantIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		write(t, store, came{Name: "a"})
		at := writeRaw(t, store, "toy.came", []byte(`{"Name":7}`))
		last := write(t, store, left{Name: "a"})
		h := start(t, store, views, &counts{name: "all"}, &counts{name: "leavers", types: []string{"toy.left"}})
		synctest.Wait()
		if s := h.status("all"); s.State != StateStopped || s.ErrorAt != at || s.Active {
			t.Errorf("all: %+v", s)
		}
		if s := h.status("leavers"); s.State != StateLive || s.Checkpoint != last {
			t.Errorf("leavers: %+v", s)
		}
		if got := dump(t, views, "all"); got != "not built" {
			t.Errorf("a view that never reached the head is shown: %s", got)
		}
		h.stop(t)
	})
}

func TestNewVersionIsBuiltBesideTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		write(t, store, people(20)...)
		h := start(t, store, views, &counts{name: "a"})
		synctest.Wait()
		h.stop(t)
		old := dump(t, views, "a")
		mid := write(t, store, came{Name: "new"})

		views.set(views.commits, "a", 1) // Hold the new version for a second.
		v2 := &counts{name: "a", version: 2, before: func(_ context.Context, v View, _ []Event) error { v.Set("v2", nil); return nil }}
		h = start(t, store, views, v2)
		synctest.Wait()
		if got := dump(t, views, "a"); got != old {
			t.Errorf("readers lost the old version: %s", got)
		}
		if s := h.status("a"); s.Version != 2 || s.State != StateBuilding || s.Active {
			t.Errorf("%+v", s)
		}
		if err := h.WaitFor(t.Context(), "a", mid-1); err != nil {
			t.Errorf("the old version has it: %v", err)
		}
		if err := h.WaitFor(t.Context(), "a", mid); err != nil {
			t.Error(err)
		}
		if got := dump(t, views, "a"); got != replayed(t, store, v2) || !strings.Contains(got, "v2=") {
			t.Errorf("after the swap: %s", got)
		}
		synctest.Wait()
		if got, want := fmt.Sprint(views.notes()), "[activate a@1 activate a@2 drop a@1]"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		h.stop(t)
	})
}

func TestRebuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		last := write(t, store, people(30)...)
		poisoned := true
		p := &counts{name: "a", before: func(_ context.Context, v View, b []Event) error {
			if poisoned && b[len(b)-1].Position == last+1 {
				return errors.New("bug")
			}
			return nil
		}}
		h := start(t, store, views, p, &counts{name: "b"})
		synctest.Wait()
		if err := h.Rebuild(t.Context(), "c"); !errors.Is(err, ErrUnknownView) {
			t.Error(err)
		}
		for range 3 { // There and back again.
			if err := h.Rebuild(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := CompareReplay(t.Context(), store, views, catalogue, p, &Memory{}); err != nil {
				t.Error(err)
			}
		}
		want := fmt.Sprintf("[activate a@1 activate b@1 drop a@%d activate a@%d drop a@1 drop a@1 activate a@1 drop a@%d drop a@%d activate a@%d drop a@1]",
			VersionMax+1, VersionMax+1, VersionMax+1, VersionMax+1, VersionMax+1)
		if got := fmt.Sprint(views.notes()); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		write(t, store, came{Name: "x"}) // Now a stops, is mended and rebuilt.
		synctest.Wait()
		if s := h.status("a"); s.State != StateStopped || s.ErrorAt != last+1 {
			t.Errorf("%+v", s)
		}
		poisoned = false
		if err := h.Rebuild(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if err := h.WaitFor(t.Context(), "a", last+1); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if diff := cmp.Diff([]Status{
			{Name: "a", Version: 1, State: StateLive, Active: true, Checkpoint: last + 1, Head: last + 1},
			{Name: "b", Version: 1, State: StateLive, Active: true, Checkpoint: last + 1, Head: last + 1},
		}, h.Status()); diff != "" {
			t.Error(diff)
		}
		h.stop(t)

		h = start(t, store, views, p, &counts{name: "b"}) // The next start knows the copy.
		synctest.Wait()
		last = write(t, store, came{Name: "y"})
		if err := h.WaitFor(t.Context(), "a", last); err != nil {
			t.Error(err)
		}
		h.stop(t)
	})
}

// TestRebuildOfAViewThatIsRetrying: both versions reach the main group together, the new one first.
func TestRebuildOfAViewThatIsRetrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		slow := &counts{name: "slow", before: func(_ context.Context, _ View, b []Event) error {
			if c, ok := b[0].Event.(came); ok && c.Name == "wait" {
				time.Sleep(5 * time.Second)
			}
			return nil
		}}
		h := start(t, store, views, &counts{name: "a"}, slow)
		synctest.Wait()
		views.set(views.commits, "a", 1)
		write(t, store, came{Name: "wait"})
		time.Sleep(5*time.Second + time.Millisecond) // Until the main group finds a failed.
		last := write(t, store, came{Name: "wait"})
		synctest.Wait() // The main group is busy with slow, and a pauses.
		if err := h.Rebuild(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.WaitFor(ctx, "a", last); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]Status{
			{Name: "a", Version: 1, State: StateLive, Active: true, Checkpoint: last, Head: last},
			{Name: "slow", Version: 1, State: StateLive, Active: true, Checkpoint: last, Head: last},
		}, h.Status()); diff != "" {
			t.Error(diff)
		}
		if got := fmt.Sprint(views.notes()); !strings.HasSuffix(got, fmt.Sprintf("activate a@%d drop a@1]", VersionMax+1)) {
			t.Error(got)
		}
		h.stop(t)
	})
}

func TestActivationIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		views.actives = 2
		last := write(t, store, people(5)...)
		h := start(t, store, views, &counts{name: "a"})
		if err := h.WaitFor(t.Context(), "a", last); err != nil || dump(t, views, "a") == "not built" {
			t.Error(err)
		}
		h.stop(t)
	})
}

func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		h := start(t, store, views, &counts{name: "a"})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		woken := make(chan error, 1)
		go func() { woken <- h.WaitFor(ctx, "a", 1) }()
		began := time.Now()
		synctest.Wait()
		write(t, store, came{Name: "a"})
		if err := <-woken; err != nil || time.Since(began) != 0 {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if err := h.WaitFor(ctx, "a", 2); !errors.Is(err, ErrBehind) || time.Since(began) != 2*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.WaitFor(cancelled, "a", 2); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := h.WaitFor(t.Context(), "b", 0); !errors.Is(err, ErrUnknownView) {
			t.Error(err)
		}
		if err := h.WaitAll(t.Context(), 1); err != nil {
			t.Error(err)
		}
		h.stop(t)
	})
}

// slowViews take a second to say which version of a view is in use.
type slowViews struct{ Views }

func (v slowViews) Active(ctx context.Context, name string) (int, error) {
	time.Sleep(time.Second)
	return v.Views.Active(ctx, name)
}

// TestWaitForWhileRunOpens waits for the last view of a list while the first is still being opened.
func TestWaitForWhileRunOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Store{}
		write(t, store, came{Name: "a"})
		r := &Runner{Store: store, Views: slowViews{&Memory{}}, Catalogue: catalogue, Now: time.Now}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, []Projection{&counts{name: "a"}, &counts{name: "b"}}) }()
		synctest.Wait()
		if err := r.WaitFor(t.Context(), "b", 1); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWaitForBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Store{}
		write(t, store, came{Name: "a"})
		r := &Runner{Store: store, Views: &Memory{}, Catalogue: catalogue, Now: time.Now}
		known, unknown := make(chan error, 1), make(chan error, 1)
		go func() { known <- r.WaitFor(t.Context(), "a", 1) }()
		go func() { unknown <- r.WaitFor(t.Context(), "b", 1) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, []Projection{&counts{name: "a"}}) }()
		if err := <-known; err != nil {
			t.Error(err)
		}
		if err := <-unknown; !errors.Is(err, ErrUnknownView) {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestFencedProjectionStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		h := start(t, store, views, &counts{name: "a"}, &counts{name: "b"})
		synctest.Wait()
		if err := views.Batch(t.Context(), "a", 1, 0, 1, func(View) error { return nil }); err != nil {
			t.Fatal(err)
		}
		write(t, store, came{Name: "x"}, came{Name: "y"})
		synctest.Wait()
		if a, b := h.status("a"), h.status("b"); a.State != StateStopped || b.State != StateLive || b.Checkpoint != 2 {
			t.Errorf("%+v\n%+v", a, b)
		}
		h.stop(t)
	})
}

func TestRunEndsWhenTheStoreCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Store{}
		h := start(t, store, newViews(), &counts{name: "a"})
		synctest.Wait()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-h.done; !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestRunRefusesBadSets(t *testing.T) {
	for name, list := range map[string][]Projection{
		"a name twice":      {&counts{name: "a"}, &counts{name: "a"}},
		"no name":           {&counts{}},
		"a name with slash": {&counts{name: "a/b"}},
		"version too large": {&counts{name: "a", version: VersionMax}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Runner{Store: &memory.Store{}, Views: &Memory{}, Catalogue: catalogue, Now: time.Now}
			if err := r.Run(t.Context(), list); err == nil {
				t.Error("it ran")
			}
		})
	}
}

func TestCompareReplayNamesTheFirstDifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		last := write(t, store, came{Name: "bo"}, came{Name: "di"})
		p := &counts{name: "a"}
		h := start(t, store, views, p)
		synctest.Wait()
		h.stop(t)
		write(t, store, came{Name: "later"}) // Not in the view yet, so not a difference.
		for _, c := range []struct {
			want  string
			spoil func(View)
		}{
			{"", func(View) {}},
			{`another value at key "count/b"`, func(v View) { v.Set("count/b", []byte("2")) }},
			{`lacks key "count/b"`, func(v View) { v.Delete("count/b") }},
			{`holds key "count/a"`, func(v View) { Put(v, "count/b", 1); Put(v, "count/a", 1) }},
			{`holds key "zz"`, func(v View) { v.Delete("count/a"); Put(v, "zz", 1) }},
			{`lacks key "last"`, func(v View) { v.Delete("zz"); v.Delete("last") }},
		} {
			if err := views.Batch(t.Context(), "a", 1, last, last, func(v View) error { c.spoil(v); return nil }); err != nil {
				t.Fatal(err)
			}
			err := CompareReplay(t.Context(), store, views, catalogue, p, &Memory{})
			if (c.want == "" && err != nil) || (c.want != "" && (!errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), c.want))) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		}
	})
}

// TestFewWorkersTakeTheLongestFirst has views of known lengths: the second time the longest is not left to the end, no more
// are at work at once than may be, and one alone takes few events.
func TestFewWorkersTakeTheLongestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		var working, most atomic.Int64
		view := func(name string, takes time.Duration) *counts {
			return &counts{name: name, before: func(context.Context, View, []Event) error {
				most.Store(max(most.Load(), working.Add(1)))
				defer working.Add(-1)
				time.Sleep(takes)
				return nil
			}}
		}
		list := []Projection{view("a", time.Second), view("b", time.Second), view("c", 3*time.Second)}
		ctx, cancel := context.WithCancel(t.Context())
		r := &Runner{Store: store, Views: views, Catalogue: catalogue, Now: time.Now, Workers: 2}
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, list) }()
		took := func(events int) time.Duration {
			synctest.Wait()
			began := time.Now()
			last := writeTogether(t, store, people(events)...)
			for _, p := range list {
				if err := r.WaitFor(ctx, p.Name(), last); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(began)
		}
		for n, of := range []struct {
			events int
			took   time.Duration
			most   int64
		}{{100, 4 * time.Second, 2}, {100, 3 * time.Second, 2}, {10, 5 * time.Second, 1}} {
			most.Store(0)
			if got := took(of.events); got != of.took || most.Load() != of.most {
				t.Errorf("batch %d took %v with %d at work, not %v with %d", n, got, most.Load(), of.took, of.most)
			}
		}
		for _, p := range list {
			if got, want := dump(t, views, p.Name()), replayed(t, store, p); got != want || got == "" {
				t.Errorf("%s\n got %s\nwant %s", p.Name(), got, want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
