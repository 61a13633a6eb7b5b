package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"zujian/eventstore"
)

// Keeper is a Runner of many: it keeps views in a store that several processes share. Each view, or part of one, is kept by
// one of them at a time; they divide them, and take over from who dies. All of them answer WaitFor and Status by the
// checkpoints in the view store. So do processes that never keep any. Set the fields, then call Run once.
type Keeper struct {
	Runner *Runner // Over the same store and views; Run is called by this Keeper's.
	// Share calls f for names while this process alone may keep them, each with a context that ends when it may no longer,
	// again and again until f returns nil. It returns when ctx ends, after every f. It only spares work: views are fenced. nil =
	// this process never keeps any.
	Share func(ctx context.Context, names []string, f func(ctx context.Context, name string) error)
	// Parts is in how many parts views are kept that can be, at most PartsMax; 0 leaves them as they are. Another number is built
	// beside the one in use.
	Parts int
	Store eventstore.Store
	Views *Joined
	Now   func() time.Time

	mu     sync.Mutex
	list   []Projection // Of Run.
	kept   []keptView   // What is kept of it, here or elsewhere.
	status []Status
}

// keptView is one view store's view: a projection, or a part of one.
type keptView struct {
	Projection
	whole Projection
	parts int  // Of the whole it is one of so many.
	old   bool // Kept until readers have moved to another number.
}

const (
	statusEvery  = time.Second
	statusCount  = 5000                  // Events behind that are counted; more is "at least".
	waitPollMin  = 2 * time.Millisecond  // Between two looks at a checkpoint, doubled …
	waitPollMost = 50 * time.Millisecond // … up to this.
)

// errTurnOver asks for another turn.
var errTurnOver = errors.New("projections: the turn is over")

// Run keeps what views this process may, until ctx ends; then it returns nil. It returns an error early only when the list is
// wrong or the log is closed. Being fenced, or losing what the view store held, means to begin again from what the view
// store says.
func (k *Keeper) Run(ctx context.Context, list []Projection) error {
	if err := (&Runner{Store: k.Store, Views: k.Views, Now: k.Now}).check(list); err != nil {
		return err
	}
	if k.Parts < 0 || k.Parts > PartsMax {
		return fmt.Errorf("projections: %d parts, not 1 to %d", k.Parts, PartsMax)
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	if k.Share == nil {
		k.set(list, wholes(list))
		k.watch(ctx)
		return nil
	}
	kept := k.layout(ctx, list)
	k.set(list, kept)
	work.Go(func() { k.watch(ctx) })
	work.Go(func() { k.moveReaders(ctx, kept) })
	var failed error
	running := make(chan struct{})
	work.Go(func() {
		defer close(running)
		failed = k.Runner.Run(ctx, nil)
		cancel()
	})
	names := make([]string, len(kept))
	views := make(map[string]keptView, len(kept))
	for i, v := range kept {
		names[i], views[v.Name()] = v.Name(), v
	}
	k.Share(ctx, names, func(ctx context.Context, name string) error { return k.keep(ctx, views[name]) })
	cancel()
	<-running
	return failed
}

func (k *Keeper) set(list []Projection, kept []keptView) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list, k.kept = list, kept
}

func wholes(list []Projection) (out []keptView) {
	for _, p := range list {
		out = append(out, keptView{Projection: p, whole: p, parts: 1})
	}
	return out
}

// keep is this process's turn with a view.
func (k *Keeper) keep(ctx context.Context, v keptView) error {
	if v.old && k.unread(ctx, v) { // Kept now, it would begin again where another process has just cleared it away.
		return Retire(ctx, k.Views, v.Name())
	}
	turn, end := context.WithCancel(ctx)
	defer end()
	var moved bool
	var watch sync.WaitGroup
	if v.old {
		watch.Go(func() {
			defer end()
			moved = k.readersMoved(turn, v)
		})
	}
	err := k.Runner.Keep(turn, v.Projection)
	end()
	watch.Wait()
	if moved {
		return Retire(ctx, k.Views, v.Name())
	}
	return cmp.Or(err, ctx.Err(), errTurnOver)
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
	known := k.list == nil || slices.ContainsFunc(k.list, func(p Projection) bool { return p.Name() == name })
	k.mu.Unlock()
	if !known {
		return fmt.Errorf("%w %q", ErrUnknownView, name)
	}
	for poll := waitPollMin; ; poll = min(2*poll, waitPollMost) {
		at, err := k.Views.Position(ctx, name)
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

// Status of every view: in full of those this process keeps, else as the checkpoints say, at most a second or two old.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	last := k.status
	k.mu.Unlock()
	if k.Share == nil {
		return slices.Clone(last)
	}
	out := k.Runner.Status()
	here := map[string]bool{}
	for _, s := range out {
		here[s.Name] = true
	}
	for _, s := range last {
		if !here[s.Name] {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// watch looks at the checkpoints now and then. A view that stands before what was committed here, as after its store came
// back older, begins again: the log may not grow for long.
func (k *Keeper) watch(ctx context.Context) {
	for ctx.Err() == nil {
		look, cancel := context.WithTimeout(ctx, 5*statusEvery)
		saved := k.Runner.saved()
		seen := k.look(look)
		cancel()
		for _, s := range seen {
			if s.State != StateStopped && s.Checkpoint < saved[s.Name] {
				k.Runner.track(s.Name).fenced()
			}
		}
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
	kept := k.kept
	k.mu.Unlock()
	for _, p := range kept {
		if p.old && k.unread(ctx, p) {
			continue
		}
		s := Status{Name: p.Name(), Version: p.Version(), State: StateBuilding, Head: head.Position}
		at, err := k.Views.Position(ctx, p.Name())
		switch {
		case errors.Is(err, ErrNotBuilt):
			s.LagEvents = head.Events
		case err != nil:
			s.State, s.Error = StateStopped, "the view store is away"
		default:
			s.State, s.Active, s.Checkpoint = StateLive, true, at
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
