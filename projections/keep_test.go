package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/memory"
	. "zujian/projections"
)

// lettered is counts in parts: each counts some of the letters, and knows the last to come.
type lettered struct {
	counts
	index, of int
}

func (c *lettered) Name() string { return PartName(c.name, c.index, c.of) }

func (c *lettered) Part(index, of int) Projection {
	return &lettered{counts{name: c.name, version: c.version, types: c.types}, index, of}
}

func (c *lettered) Merge(_ string, values [][]byte) ([]byte, error) { return values[0], nil }

func (c *lettered) Apply(ctx context.Context, v View, batch []Event) error {
	for _, e := range batch {
		mine := func(name string) bool { return c.of < 2 || int(name[0])%c.of == c.index }
		switch f := e.Event.(type) {
		case came:
			if !mine(f.Name) {
				Put(v, "last", f.Name)
				continue
			}
		case left:
			if !mine(f.Name) {
				continue
			}
		}
		if err := c.counts.Apply(ctx, v, []Event{e}); err != nil {
			return err
		}
	}
	return nil
}

// leases are one for each name, over mutexes.
type leases struct {
	mu   sync.Mutex
	held map[string]bool
}

func (l *leases) take(name string, to bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to && l.held[name] {
		return false
	}
	if l.held == nil {
		l.held = map[string]bool{}
	}
	l.held[name] = to
	return true
}

func (l *leases) share(ctx context.Context, names []string, f func(context.Context, string) error) {
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			for done := false; !done && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
				if l.take(name, true) {
					done = f(ctx, name) == nil
					l.take(name, false)
				}
			}
		})
	}
	wg.Wait()
}

// TestKeeperInParts: another number of parts is built beside the one in use, readers move when it stands where they are, and
// the old parts go. At every moment the view is the whole.
func TestKeeperInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		p := &lettered{counts: counts{name: "a", types: comings}}
		other := &counts{name: "b", types: comings}
		joined := Join(views, []Projection{p, other})
		last := write(t, store, people(50)...)
		var l leases
		keep := func(parts int) (*Keeper, func()) {
			k := &Keeper{
				Store: store, Views: joined, Now: time.Now, Share: l.share, Parts: parts,
				Runner: &Runner{Store: store, Views: views, Catalogue: catalogue, Now: time.Now, BatchMax: 8},
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- k.Run(ctx, []Projection{p, other}) }()
			return k, func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		seen := eventstore.Position(0)
		settled := func(k *Keeper, parts int) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for now := 0; now != parts; {
				last = write(t, store, people(3)...)
				time.Sleep(40 * time.Millisecond)
				if err := errors.Join(k.WaitFor(ctx, "a", last), k.WaitFor(ctx, "b", last)); err != nil {
					t.Fatal(err)
				}
				at, err := joined.Position(ctx, "a")
				if err != nil || at < seen {
					t.Errorf("readers went from %d to %d, %v", seen, at, err)
				}
				seen = at
				if got, want := dump(t, joined, "a"), replayed(t, store, p); got != want {
					t.Fatalf("got %s\nwant %s", got, want)
				}
				if now, err = ReadParts(ctx, views, "a"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(3 * time.Second)
			names := map[string]bool{"b": true}
			for i := range parts {
				names[PartName("a", i, parts)] = true
			}
			for of := 1; of <= 4; of++ {
				for i := range of {
					name := PartName("a", i, of)
					if at, err := views.Checkpoint(ctx, name, 1); err != nil || (at > 0) != names[name] {
						t.Errorf("%d parts: %s stands at %d, %v", parts, name, at, err)
					}
				}
			}
			for _, s := range k.Status() {
				if !names[s.Name] || s.State != StateLive || s.LagEvents != 0 {
					t.Errorf("%d parts: %+v", parts, s)
				}
				delete(names, s.Name)
			}
			if len(names) > 0 {
				t.Errorf("%d parts: no status of %v", parts, names)
			}
		}
		for _, parts := range []int{0, 3, 0, 4, 1, 2} {
			k, stop := keep(parts)
			settled(k, map[int]int{0: max(1, lastParts(t, views)), 1: 1, 2: 2, 3: 3, 4: 4}[parts])
			stop()
		}
		left := PartName("a", 2, 3) // A crash left it, after readers had moved.
		leave := func(View) error { return nil }
		if err := errors.Join(views.Batch(t.Context(), left, 1, 0, 9, leave), views.Activate(t.Context(), left, 1)); err != nil {
			t.Fatal(err)
		}
		one, stopOne := keep(2)
		_, stopTwo := keep(2)
		settled(one, 2)
		synctest.Wait()
		views.Views = &Memory{} // The view store loses everything, and in how many parts the view was.
		seen = 0
		settled(one, 2)
		stopOne()
		stopTwo()
	})
}

// slowToWrite takes a while to write, and longer to say in how many parts a view is read.
type slowToWrite struct{ Views }

func (s slowToWrite) Active(ctx context.Context, name string) (int, error) {
	if strings.HasSuffix(name, "-parts") {
		time.Sleep(3 * time.Second)
	}
	return s.Views.Active(ctx, name)
}

func (s slowToWrite) Batch(ctx context.Context, name string, version int, prev, next eventstore.Position, f func(View) error) error {
	time.Sleep(time.Second)
	return s.Views.Batch(ctx, name, version, prev, next, f)
}

// TestKeepersClear: what a crash left of other parts goes for good, though several processes clear it away in turn.
func TestKeepersClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, slowToWrite{&Memory{}}
		p := &lettered{counts: counts{name: "a", types: comings}}
		write(t, store, people(50)...)
		left := PartName("a", 2, 3)
		leave := func(View) error { return nil }
		if err := errors.Join(views.Batch(t.Context(), left, 1, 0, 9, leave), views.Activate(t.Context(), left, 1)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var l leases
		var wg sync.WaitGroup
		for range 2 {
			k := &Keeper{
				Store: store, Views: Join(views, []Projection{p}), Now: time.Now, Share: l.share,
				Runner: &Runner{Store: store, Views: views, Catalogue: catalogue, Now: time.Now, BatchMax: 8},
			}
			wg.Go(func() {
				if err := k.Run(ctx, []Projection{p}); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Minute)
		cancel()
		wg.Wait()
		if at, err := views.Checkpoint(t.Context(), left, 1); err != nil || at != 0 {
			t.Errorf("%s stands at %d, %v", left, at, err)
		}
	})
}

func lastParts(t *testing.T, v Views) int {
	of, err := ReadParts(t.Context(), v, "a")
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// TestKeep: a turn ends by its context at whatever the view is, by a fence, and with Run; then another may have it.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		p := &counts{name: "a", types: comings}
		last := write(t, store, people(50)...)
		one, two := start(t, store, views), start(t, store, views)
		synctest.Wait()
		keep := func(h *harness, p Projection) (stop func(), done chan error) {
			ctx, cancel := context.WithCancel(t.Context())
			done = make(chan error, 1)
			go func() { done <- h.Keep(ctx, p) }()
			return cancel, done
		}
		reach := func() {
			t.Helper()
			last = write(t, store, people(5)...)
			for range 1000 {
				time.Sleep(50 * time.Millisecond)
				if at, _ := views.Checkpoint(t.Context(), "a", 1); at == last {
					return
				}
			}
			t.Fatal("it does not move on")
		}
		stop, done := keep(one, p)
		reach()
		if err := one.Keep(t.Context(), p); err == nil || errors.Is(err, ErrFenced) {
			t.Errorf("kept twice: %v", err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s := one.Status(); len(s) != 0 {
			t.Errorf("left, and still %+v", s)
		}

		stop, done = keep(two, p)
		reach()
		write(t, store, people(5)...)
		stopRival, rival := keep(one, p) // Both believe that it is their turn: one of them is fenced.
		for range 20 {
			write(t, store, people(1)...)
			time.Sleep(20 * time.Millisecond)
		}
		select {
		case err := <-done:
			if !errors.Is(err, ErrFenced) {
				t.Error(err)
			}
			stop, done = stopRival, rival
		case err := <-rival:
			if !errors.Is(err, ErrFenced) {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody is fenced")
		}
		reach()

		views.set(views.commits, "a", 1000) // It pauses longer and longer.
		write(t, store, people(5)...)
		time.Sleep(20 * time.Second)
		began := time.Now()
		stop()
		if err := <-done; err != nil || time.Since(began) > time.Second {
			t.Errorf("it left after %s: %v", time.Since(began), err)
		}
		views.set(views.commits, "a", 0)
		broken := &counts{name: "c", before: func(context.Context, View, []Event) error { return errDisk }}
		stop, done = keep(one, broken)
		time.Sleep(time.Second)
		if s := one.status("c"); s.State != StateStopped || !strings.Contains(s.Error, errDisk.Error()) {
			t.Errorf("%+v", s)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_, done = keep(one, p)
		reach()
		one.stop(t)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := one.Keep(t.Context(), p); err == nil {
			t.Error("kept by a runner that does not run")
		}
		two.stop(t)
	})
}

// TestKeepTogether: views whose turns begin together read the log once.
func TestKeepTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, views := &memory.Store{}, newViews()
		write(t, inner, people(20)...)
		store := &countedReads{Store: inner}
		r := &Runner{Store: store, Views: views, Catalogue: catalogue, Now: time.Now}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.Run(ctx, nil) })
		synctest.Wait()
		for i := range 5 {
			wg.Go(func() {
				if err := r.Keep(ctx, &counts{name: fmt.Sprint("v", i), types: comings}); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(5 * time.Second)
		if got := store.begun.Load(); got > 3 { // To the head, and by the main group from there.
			t.Errorf("the log was read %d times", got)
		}
		for i := range 5 {
			if got := dump(t, views, fmt.Sprint("v", i)); got != replayed(t, inner, &counts{name: "v", types: comings}) {
				t.Errorf("v%d: %s", i, got)
			}
		}
		cancel()
		wg.Wait()
	})
}

// countedReads counts how often the log is read from somewhere.
type countedReads struct {
	eventstore.Store
	begun atomic.Int64
}

func (c *countedReads) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	c.begun.Add(1)
	return c.Store.All(ctx, after)
}

// noNoise skips what it can tell is noise.
type noNoise struct{ counts }

func (*noNoise) Skips(e eventstore.Recorded) bool { return bytes.Contains(e.Data, []byte("noise")) }

// TestSkips: an event that all who want its type skip is not even decoded; one who does not skip it sees it.
func TestSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, views := &memory.Store{}, newViews()
		quiet, all := &noNoise{counts{name: "a", types: comings}}, &counts{name: "b", types: comings}
		h := start(t, store, views, quiet)
		write(t, store, people(5)...)
		writeRaw(t, store, "toy.came", []byte(`noise, and no JSON`))
		last := write(t, store, people(5)...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.WaitFor(ctx, "a", last); err != nil {
			t.Error(err)
		}
		h.stop(t)
		views.Views = &Memory{} // Now both read it together.
		h = start(t, store, views, quiet, all)
		last = write(t, store, came{Name: "noise"}, came{Name: "z"})
		if err := h.WaitFor(ctx, "a", last); err != nil {
			t.Error(err)
		}
		if s := h.status("b"); s.State != StateStopped {
			t.Errorf("b: %+v", s)
		}
		h.stop(t)
		if got := dump(t, views, "a"); !strings.Contains(got, "count/z=1") {
			t.Errorf("got %s", got)
		}
	})
}
