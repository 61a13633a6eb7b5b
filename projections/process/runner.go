package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections"
)

// Runner runs processes, each in its own goroutine at its own pace. Set the fields, then call Run once.
type Runner struct {
	Aggregates aggregate.Runner // Where commands go, and the log that is followed.
	Views      projections.Views
	Policy     func(context.Context) (domain.Policy, error) // The rule set known now.
	Now        func() time.Time
	Logger     *slog.Logger // nil is silent.
	Metrics    Metrics

	Shared      bool          // Other processes may run these too: being fenced ends Run with projections.ErrFenced, for a new Runner to begin.
	ResumeEvery time.Duration // Between two calls of Resume; one minute if 0.
	Linger      time.Duration // How long to leave new events alone: most of what follows from them is done by who wrote them.
	BatchMax    int           // Events answered before a checkpoint; 128 if 0.
	Parallel    int           // Commands at once; 16 if 0.
	BackoffMin  time.Duration // First pause after an infrastructure error; 1 s if 0. It doubles each time.
	BackoffMax  time.Duration // Longest pause; 30 s if 0.

	mu      sync.Mutex
	started bool
	workers []*worker
	changed chan struct{} // Closed at the next change of a worker's status; nil while nobody waits.
	failed  error
}

// Metrics are called as things happen; nil fields are skipped. They must be quick and safe for concurrent use.
type Metrics struct {
	Sent     func(process string)            // A command was executed, whatever came of it.
	Rejected func(process, code string)      // It was rejected.
	Retry    func(process string, err error) // Infrastructure failed.
	Stop     func(process string, err error) // The process stopped for good.
}

// Status of one process.
type Status struct {
	projections.Status        // Name is the process's own.
	Sent               uint64 `json:"sent"`     // Commands executed since start.
	Rejected           uint64 `json:"rejected"` // Of them, refused.
	Idle               bool   `json:"idle"`     // At the head, waiting.
}

func (r *Runner) now() time.Time { return r.Now().UTC().Truncate(time.Microsecond) }

func orElse[T ~int | ~int64](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

func (r *Runner) parallel() int              { return orElse(r.Parallel, 16) }
func (r *Runner) batchMax() int              { return orElse(r.BatchMax, 128) }
func (r *Runner) resumeEvery() time.Duration { return orElse(r.ResumeEvery, time.Minute) }

func (r *Runner) log() *slog.Logger {
	if r.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Logger
}

// Run runs the processes until ctx ends, then returns nil when all its goroutines are done. It returns an error early
// only when it was set up wrongly or the store is closed; a process that fails stops alone, see Status.
func (r *Runner) Run(ctx context.Context, list []Process) error {
	if r.Aggregates.Store == nil || r.Views == nil || r.Policy == nil || r.Now == nil {
		return errors.New("process: Runner needs Aggregates, Views, Policy and Now")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	if r.started {
		r.mu.Unlock()
		return errors.New("process: Run called twice")
	}
	r.started = true
	for _, p := range list {
		w := &worker{runner: r, process: p, view: ViewName(p.Name()), wants: p.Types(), end: cancel}
		if err := w.check(r.workers); err != nil {
			r.mu.Unlock()
			return err
		}
		r.workers = append(r.workers, w)
	}
	workers := slices.Clone(r.workers)
	r.mu.Unlock()
	r.change(func() {}) // Those who waited for the names.
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() { w.run(ctx) })
	}
	<-ctx.Done()
	wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (w *worker) check(others []*worker) error {
	if err := projections.CheckBatch(w.view, w.process.Version(), 0, 0); err != nil {
		return err
	}
	if slices.ContainsFunc(others, func(o *worker) bool { return o.view == w.view }) {
		return fmt.Errorf("process: %s declared twice", w.process.Name())
	}
	return nil
}

// Status of every process, in the order given to Run.
func (r *Runner) Status() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	var head mark
	for _, w := range r.workers {
		if w.seen.position > head.position {
			head = w.seen
		}
	}
	out := make([]Status, len(r.workers))
	for i, w := range r.workers {
		s := projections.Status{
			Name: w.process.Name(), Version: w.process.Version(), State: projections.StateBuilding,
			Active: w.active, Checkpoint: w.seen.position, Head: head.position, ErrorAt: w.errAt,
		}
		switch {
		case w.stopped:
			s.State = projections.StateStopped
		case w.active:
			s.State = projections.StateLive
		}
		if w.err != nil {
			s.Error = w.err.Error()
		}
		if w.seen.position < head.position && w.seen.ordinal > 0 {
			s.LagSeconds = max(0, r.Now().Sub(w.seen.storedAt).Seconds())
			s.LagEvents = head.ordinal - min(w.seen.ordinal, head.ordinal)
		}
		out[i] = Status{Status: s, Sent: w.sent, Rejected: w.refused, Idle: w.idle}
	}
	return out
}

// change alters what others see of the workers and wakes those who wait for it.
func (r *Runner) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// until waits for a condition, which is called with the lock held.
func (r *Runner) until(ctx context.Context, done func() (bool, error)) error {
	for {
		r.mu.Lock()
		ok, err := done()
		if ok || err != nil {
			r.mu.Unlock()
			return err
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return projections.ErrBehind
			}
			return ctx.Err()
		}
	}
}

// WaitFor returns nil once a process has answered everything up to position. The errors are those of projections.Runner.WaitFor.
func (r *Runner) WaitFor(ctx context.Context, name string, position eventstore.Position) error {
	err := r.until(ctx, func() (bool, error) {
		for _, w := range r.workers {
			if w.process.Name() != name {
				continue
			}
			if w.seen.position < position && w.stopped {
				return false, fmt.Errorf("%w: stopped at %d: %w", projections.ErrBehind, w.errAt, w.err)
			}
			return w.seen.position >= position, nil
		}
		if r.started {
			return false, projections.ErrUnknownView
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait for process %s at %d: %w", name, position, err)
	}
	return nil
}

// WaitIdle returns nil once every process that has not stopped has answered all there is, what the answers caused
// included. Under a steady stream of requests it may never be so.
func (r *Runner) WaitIdle(ctx context.Context) error {
	for {
		var least eventstore.Position
		err := r.until(ctx, func() (bool, error) {
			first := true
			for _, w := range r.workers {
				if w.stopped {
					continue
				}
				if !w.idle {
					return false, nil
				}
				if first || w.seen.position < least {
					least, first = w.seen.position, false
				}
			}
			if first && r.started {
				least = ^eventstore.Position(0) // Nobody is running.
			}
			return r.started, nil
		})
		if err != nil {
			return fmt.Errorf("wait for idle processes: %w", err)
		}
		more := false
		for _, err := range r.Aggregates.Store.All(ctx, least) {
			if err != nil {
				return fmt.Errorf("wait for idle processes: %w", err)
			}
			more = true
			break
		}
		if !more {
			return nil
		}
		err = r.until(ctx, func() (bool, error) { // Someone has yet to wake up.
			return !slices.ContainsFunc(r.workers, func(w *worker) bool {
				return !w.stopped && w.idle && w.seen.position <= least
			}), nil
		})
		if err != nil {
			return fmt.Errorf("wait for idle processes: %w", err)
		}
	}
}
