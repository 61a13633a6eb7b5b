package projections_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/memory"
	. "zujian/projections"
)

// turn is a lease over a mutex that can be taken away.
type turn struct {
	sync.Mutex
	lose context.CancelFunc
}

func (m *turn) share(ctx context.Context, names []string, f func(context.Context, string) error) {
	for ctx.Err() == nil {
		time.Sleep(time.Millisecond)
		if m.TryLock() { // A blocked Lock would hold up the test's clock.
			var turn context.Context
			turn, m.lose = context.WithCancel(ctx)
			_ = f(turn, names[0]) // It goes on.
			m.Unlock()
		}
	}
}

func TestKeepersTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		last := write(t, store, people(50)...)
		p := &counts{name: "a", types: comings}
		var lease turn
		keep := func(share func(context.Context, []string, func(context.Context, string) error)) (*Keeper, context.CancelFunc, chan error) {
			k := &Keeper{
				Store: store, Views: Join(views, nil), Now: time.Now, Share: share,
				Runner: &Runner{Store: store, Views: views, Catalogue: catalogue, Now: time.Now},
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- k.Run(ctx, []Projection{p}) }()
			return k, cancel, done
		}
		one, stopOne, doneOne := keep(lease.share)
		time.Sleep(time.Second)
		two, stopTwo, doneTwo := keep(lease.share)
		reader, stopReader, doneReader := keep(nil)
		seen := func(at eventstore.Position) {
			t.Helper()
			for _, k := range []*Keeper{one, two, reader} {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				if err := k.WaitFor(ctx, "a", at); err != nil {
					t.Error(err)
				}
				cancel()
			}
			if got, want := dump(t, views, "a"), replayed(t, store, p); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		}
		seen(last)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := reader.WaitFor(ctx, "a", last+1); !errors.Is(err, ErrBehind) {
			t.Errorf("waiting for what is not there: %v", err)
		}
		cancel()
		if err := reader.WaitFor(t.Context(), "b", 0); !errors.Is(err, ErrUnknownView) {
			t.Error(err)
		}

		lease.lose() // The other follows, or the same again: nothing is lost.
		seen(write(t, store, people(5)...))
		stopOne()
		if err := <-doneOne; err != nil {
			t.Error(err)
		}
		last = write(t, store, people(5)...)
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := reader.WaitFor(ctx, "a", last); err != nil {
			t.Errorf("nobody took over: %v", err)
		}
		time.Sleep(2 * time.Second)
		if s := reader.Status(); len(s) != 1 || s[0].State != StateLive || s[0].Checkpoint != last || s[0].LagEvents != 0 {
			t.Errorf("status: %+v", s)
		}

		older := &Memory{}
		if err := errors.Join(CompareReplay(t.Context(), store, views, catalogue, p, older), older.Activate(t.Context(), "a", p.Version())); err != nil {
			t.Fatal(err)
		}
		last = write(t, store, people(5)...)
		for _, left := range []*Memory{older, {}} { // The view store comes back as it was before, then with nothing, and the log stands still.
			synctest.Wait()
			views.Views = left
			ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
			if err := reader.WaitFor(ctx, "a", last); err != nil {
				t.Errorf("what was lost did not come back: %v", err)
			}
			cancel()
		}

		synctest.Wait()
		views.Views = &Memory{} // The view store loses everything.
		last = write(t, store, people(5)...)
		if err := reader.Views.Read(t.Context(), "a", func(Reader) error { return nil }); !errors.Is(err, ErrNotBuilt) {
			t.Errorf("what was lost is read: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := two.WaitFor(ctx, "a", last); err != nil {
			t.Errorf("it was not built again: %v", err)
		}
		if got, want := dump(t, views, "a"), replayed(t, store, p); got != want {
			t.Errorf("built again: got %s\nwant %s", got, want)
		}
		stopTwo()
		stopReader()
		if err := errors.Join(<-doneTwo, <-doneReader); err != nil {
			t.Error(err)
		}
	})
}
