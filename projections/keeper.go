package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"zujian/eventstore"
)

// Keeper is a Runner of many: it keeps views in a store that several processes share. One of them follows the log at a
// time, the others stand by and take over; all of them answer WaitFor and Status by the checkpoints in the view store. So
// do processes that never follow. Set the fields, then call Run once.
type Keeper struct {
	Runner func() *Runner // A fresh one each time this process begins to follow.
	// Alone calls f once this process alone may keep the views, with a context that ends when it may no longer. It
	// only spares work: views are fenced. nil = this process never follows.
	Alone func(ctx context.Context, f func(context.Context) error) error
	Store eventstore.Store
	Views Views
	Now   func() time.Time

	mu      sync.Mutex
	names   []Projection
	running *Runner // While this process follows.
	status  []Status
}

const (
	keeperPause  = 200 * time.Millisecond // Between two tries to follow.
	statusEvery  = time.Second
	statusCount  = 5000                  // Events behind that are counted; more is "at least".
	waitPollMin  = 2 * time.Millisecond  // Between two looks at a checkpoint, doubled …
	waitPollMost = 50 * time.Millisecond // … up to this.
)

// Run follows the log whenever this process may, until ctx ends; then it returns nil. It returns an error early only when
// the list is wrong or the log is closed. Being fenced, or losing what the view store held, means to begin again from what
// the view store says.
func (k *Keeper) Run(ctx context.Context, list []Projection) error {
	if err := k.Runner().check(list); err != nil {
		return err
	}
	k.mu.Lock()
	k.names = list
	k.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watch sync.WaitGroup
	watch.Go(func() { k.watch(ctx) })
	defer watch.Wait()
	defer cancel()
	if k.Alone == nil {
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		err := k.Alone(ctx, func(ctx context.Context) error { return k.follow(ctx, list) })
		if errors.Is(err, eventstore.ErrClosed) {
			return err
		}
		_ = idle(ctx, keeperPause) // Fenced, or the lease is lost: either way, again.
	}
	return nil
}

func (k *Keeper) follow(ctx context.Context, list []Projection) error {
	r := k.Runner()
	r.Shared = true
	k.mu.Lock()
	k.running = r
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.running = nil
		k.mu.Unlock()
	}()
	return r.Run(ctx, list)
}

func idle(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WaitFor returns nil once readers of a view see everything up to position, whoever keeps it. The errors are those of
// Runner.WaitFor, and ErrUnavailable.
func (k *Keeper) WaitFor(ctx context.Context, name string, position eventstore.Position) error {
	k.mu.Lock()
	known := k.names == nil || slices.ContainsFunc(k.names, func(p Projection) bool { return p.Name() == name })
	k.mu.Unlock()
	if !known {
		return fmt.Errorf("%w %q", ErrUnknownView, name)
	}
	for poll := waitPollMin; ; poll = min(2*poll, waitPollMost) {
		var at eventstore.Position
		err := k.Views.Read(ctx, name, func(r Reader) error { at = r.Position(); return nil })
		switch {
		case err == nil && at >= position:
			return nil
		case err == nil || errors.Is(err, ErrNotBuilt):
		case ctx.Err() == nil:
			return err
		}
		if err := idle(ctx, poll); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("wait for %s at %d: %w", name, position, ErrBehind)
			}
			return err
		}
	}
}

// Rebuild is Runner.Rebuild, for the process that follows.
func (k *Keeper) Rebuild(ctx context.Context, name string) error {
	k.mu.Lock()
	r := k.running
	k.mu.Unlock()
	if r == nil {
		return fmt.Errorf("rebuild %s: another process keeps the views", name)
	}
	return r.Rebuild(ctx, name)
}

// Status of every view: in full from the process that follows, else as the checkpoints say, at most a second or two old.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	r, last := k.running, k.status
	k.mu.Unlock()
	if r != nil {
		if s := r.Status(); len(s) > 0 {
			return s
		}
	}
	return slices.Clone(last)
}

// watch looks at the checkpoints now and then.
func (k *Keeper) watch(ctx context.Context) {
	for ctx.Err() == nil {
		look, cancel := context.WithTimeout(ctx, 5*statusEvery)
		seen := k.look(look)
		cancel()
		k.mu.Lock()
		k.status = seen
		k.mu.Unlock()
		_ = idle(ctx, statusEvery)
	}
}

func (k *Keeper) look(ctx context.Context) (out []Status) {
	head, err := k.Store.Head(ctx)
	if err != nil {
		return nil
	}
	k.mu.Lock()
	names := k.names
	k.mu.Unlock()
	for _, p := range names {
		s := Status{Name: p.Name(), Version: p.Version(), State: StateBuilding, Head: head.Position}
		err := k.Views.Read(ctx, p.Name(), func(r Reader) error {
			s.State, s.Active, s.Checkpoint = StateLive, true, r.Position()
			return nil
		})
		switch {
		case errors.Is(err, ErrNotBuilt):
			s.LagEvents = head.Events
		case err != nil:
			s.State, s.Error = StateStopped, "the view store is away"
		default:
			s.LagEvents, s.LagSeconds = k.behind(ctx, s.Checkpoint)
		}
		s.Head = max(s.Head, s.Checkpoint)
		out = append(out, s)
	}
	return out
}

// behind counts the events after a checkpoint, and tells how old the first is.
func (k *Keeper) behind(ctx context.Context, at eventstore.Position) (events uint64, seconds float64) {
	for rec, err := range k.Store.All(ctx, at) {
		if err != nil || events == statusCount {
			break
		}
		if events++; events == 1 {
			seconds = max(0, k.Now().Sub(rec.StoredAt).Seconds())
		}
	}
	return events, seconds
}
