package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/projections"
)

// worker runs one process.
type worker struct {
	runner  *Runner
	process Process
	view    string
	wants   []string
	end     context.CancelFunc

	saved eventstore.Position // Checkpoint in the view store.
	noted uint64              // Number of events up to there; 0 if not known.
	mute  eventstore.Position // Up to here an older version has sent what was to be sent.
	old   int                 // That version; 0 if none.
	room  []projections.Event // Of the batch at hand, empty in between.
	rows  projections.Rows    // As committed.

	// What others see; the runner's lock guards it.
	seen          mark
	active        bool
	idle          bool
	stopped       bool
	err           error
	errAt         eventstore.Position
	sent, refused uint64
}

// mark is a place in the log.
type mark struct {
	position eventstore.Position
	ordinal  uint64 // Number of events up to and including it; 0 if not known.
	storedAt time.Time
}

func (w *worker) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		err := w.open(ctx)
		for err == nil && ctx.Err() == nil {
			if err = w.period(ctx); err == nil {
				failures = 0
			}
		}
		if ctx.Err() != nil {
			return
		}
		stop, isStop := errors.AsType[*stopError](err)
		switch {
		case (isStop || errors.Is(err, projections.ErrFenced)) && !(w.runner.Shared && errors.Is(err, projections.ErrFenced)):
			w.halt(ctx, stop, err)
			return
		case errors.Is(err, eventstore.ErrClosed), errors.Is(err, projections.ErrFenced):
			w.runner.change(func() { w.runner.failed = fmt.Errorf("process %s: follow the log: %w", w.process.Name(), err) })
			w.end()
			return
		}
		failures++
		w.runner.change(func() { w.err, w.idle = err, false })
		w.pause(ctx, failures, err)
	}
}

func (w *worker) halt(ctx context.Context, stop *stopError, err error) {
	var at eventstore.Position
	if stop != nil {
		at, err = stop.at, stop.err
	}
	w.runner.log().ErrorContext(ctx, "process stopped", slog.String("process", w.process.Name()), slog.Uint64("position", uint64(at)), slog.Any("err", err))
	if f := w.runner.Metrics.Stop; f != nil {
		f(w.process.Name(), err)
	}
	w.runner.change(func() { w.stopped, w.idle, w.err, w.errAt = true, false, err, at })
}

func (w *worker) pause(ctx context.Context, failures int, cause error) {
	r := w.runner
	if r.Metrics.Retry != nil {
		r.Metrics.Retry(w.process.Name(), cause)
	}
	wait := orElse(r.BackoffMax, 30*time.Second)
	if least := orElse(r.BackoffMin, time.Second); failures < 20 {
		wait = min(wait, least<<(failures-1))
	}
	r.log().WarnContext(ctx, "process retries", slog.String("process", w.process.Name()), slog.Duration("wait", wait), slog.Any("err", cause))
	rest(ctx, wait)
}

func rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// open finds where the process stands.
func (w *worker) open(ctx context.Context) error {
	active, err := w.runner.Views.Active(ctx, w.view)
	if err != nil {
		return fmt.Errorf("open process %s: %w", w.process.Name(), err)
	}
	if w.saved, err = w.runner.Views.Checkpoint(ctx, w.view, w.process.Version()); err != nil {
		return fmt.Errorf("open process %s: %w", w.process.Name(), err)
	}
	w.mute, w.old, w.noted = 0, 0, 0
	w.rows.Forget()
	if active == 0 {
		if w.mute, err = w.answered(ctx); err != nil {
			return fmt.Errorf("open process %s: %w", w.process.Name(), err)
		}
	}
	if active != 0 && active != w.process.Version() {
		w.old = active
		if w.mute, err = w.runner.Views.Checkpoint(ctx, w.view, active); err != nil {
			return fmt.Errorf("open process %s: %w", w.process.Name(), err)
		}
	}
	w.runner.change(func() { w.seen.position, w.active = w.saved, active == w.process.Version() })
	return nil
}

// answered is up to where the log itself shows that this process has answered, for one whose view is gone: a batch before
// the cause of the last event it wrote. What it sends again from there on is recognised by its targets.
func (w *worker) answered(ctx context.Context) (eventstore.Position, error) {
	var cause string
	found, before := false, 0
	for rec, err := range w.runner.Aggregates.Store.AllBack(ctx, eventstore.LastPosition) {
		switch {
		case err != nil:
			return 0, err
		case cause == "":
			if rec.Meta.Actor == w.actor() {
				cause = rec.Meta.Causation // "" from Resume: look on.
			}
		case !found:
			found = uuid.UUID(rec.ID).String() == cause
		case w.wants == nil || slices.Contains(w.wants, rec.Type):
			if before++; before >= w.runner.batchMax() {
				return rec.Position, nil
			}
		}
	}
	return 0, nil
}

// period goes from one Resume to the next: it comes at the head of the log, so that it sees what is done already.
func (w *worker) period(ctx context.Context) error {
	if err := w.pass(ctx); err != nil {
		return err
	}
	if err := w.activate(ctx); err != nil {
		return err
	}
	if err := w.resume(ctx); err != nil {
		return err
	}
	period, cancel := context.WithTimeout(ctx, w.runner.resumeEvery())
	defer cancel()
	for period.Err() == nil {
		if err := w.pass(ctx); err != nil {
			return err
		}
		w.runner.change(func() { w.err, w.idle = nil, true })
		err := w.runner.Aggregates.Store.Wait(period, w.seen.position)
		w.runner.change(func() { w.idle = false })
		if err != nil && period.Err() == nil {
			return err
		}
		if w.runner.Linger > 0 {
			rest(period, w.runner.Linger)
		}
	}
	return nil
}

// pass answers all events up to the head, batch by batch.
func (w *worker) pass(ctx context.Context) error {
	r := w.runner
	batch, last := w.room[:0], w.seen
	empty := func() { // What was in it is not to live for it.
		clear(batch)
		batch = batch[:0]
		w.room = batch
	}
	defer empty()
	for rec, err := range r.Aggregates.Store.All(ctx, w.seen.position) {
		if err != nil {
			return fmt.Errorf("read log after %d: %w", last.position, err)
		}
		if w.wants == nil || slices.Contains(w.wants, rec.Type) {
			e, err := projections.Decode(r.Aggregates.Catalogue, rec)
			if err != nil {
				if before := w.answer(ctx, batch, last); before != nil {
					return before
				}
				return &stopError{rec.Position, err}
			}
			batch = append(batch, e)
		}
		last = mark{rec.Position, rec.Ordinal + 1, rec.StoredAt}
		if len(batch) >= r.batchMax() {
			if err := w.answer(ctx, batch, last); err != nil {
				return err
			}
			empty()
		}
	}
	return w.answer(ctx, batch, last)
}

// unsavedMax is how many events that do not concern a process it may read again after a restart: a checkpoint for each
// look at a busy log would cost more than reading it.
const unsavedMax = 1024

// answer reacts to events, executes what follows and commits. If React refuses an event, those before it count.
func (w *worker) answer(ctx context.Context, events []projections.Event, next mark) error {
	if next.position == w.seen.position {
		return nil
	}
	if len(events) == 0 && w.active && next.ordinal < w.noted+unsavedMax {
		w.runner.change(func() { w.seen, w.err = next, nil })
		return nil
	}
	err := w.commit(ctx, next.position, len(events), func(v projections.View, failed func() error) ([]parcel, error) {
		return w.react(ctx, v, failed, events)
	})
	if stop, ok := errors.AsType[*stopError](err); ok {
		good := slices.IndexFunc(events, func(e projections.Event) bool { return e.Position == stop.at })
		if good > 0 {
			e := &events[good-1]
			if before := w.answer(ctx, events[:good], mark{e.Position, e.Ordinal + 1, e.StoredAt}); before != nil {
				return before
			}
		}
		return err
	}
	if err != nil {
		return err
	}
	w.noted = next.ordinal
	w.runner.change(func() { w.seen, w.err = next, nil })
	return nil
}

func (w *worker) react(ctx context.Context, v projections.View, failed func() error, events []projections.Event) ([]parcel, error) {
	if v.Position() == 0 && w.old != 0 {
		if err := w.inherit(ctx, v); err != nil {
			return nil, err
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	policy, err := w.runner.Policy(ctx)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	var parcels []parcel
	for i := range events {
		out, err := w.guard(func() ([]Outgoing, error) { return w.process.React(ctx, v, events[i]) })
		switch {
		case failed() != nil:
			return nil, failed()
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, &stopError{events[i].Position, fmt.Errorf("react to %s: %w", events[i].Type, err)}
		}
		if events[i].Position > w.mute {
			parcels = w.fromEvent(parcels, &events[i], out, events[i+1:], policy)
		}
	}
	return parcels, nil
}

// guard turns a panic of a process into its error.
func (w *worker) guard(f func() ([]Outgoing, error)) (out []Outgoing, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("%w: %v", errPanic, x)
		}
	}()
	return f()
}

// inherit copies the rejections an older version recorded: they wait for a human, not for a version.
func (w *worker) inherit(ctx context.Context, v projections.View) error {
	return w.runner.Views.Read(ctx, w.view, func(old projections.Reader) error {
		for p, err := range old.Scan(ctx, rejectedPrefix, rejectedEnd, false) {
			if err != nil {
				return err
			}
			v.Set(p.Key, p.Value)
		}
		return nil
	})
}

// commit executes commands, records what was rejected, and only then moves the checkpoint. f gets the view, and who tells
// whether reading it failed.
func (w *worker) commit(ctx context.Context, next eventstore.Position, events int,
	f func(v projections.View, failed func() error) ([]parcel, error),
) error {
	err := w.runner.Views.Batch(ctx, w.view, w.process.Version(), w.saved, next, func(stored projections.View) error {
		watched := &projections.Watched{View: stored}
		return w.rows.Batch(watched, events, func(v projections.View) error {
			parcels, err := f(v, watched.Err)
			if err != nil || len(parcels) == 0 {
				return err
			}
			rejected, err := w.deliver(ctx, parcels)
			if err != nil {
				return err
			}
			for key, x := range rejected {
				projections.Put(v, key, x)
			}
			return nil
		})
	})
	if err != nil {
		w.rows.Forget()
		return err
	}
	w.saved = next
	return nil
}

// activate shows readers the view, and drops an older version's.
func (w *worker) activate(ctx context.Context) error {
	if w.active {
		return nil
	}
	if err := w.runner.Views.Activate(ctx, w.view, w.process.Version()); err != nil {
		return fmt.Errorf("activate process %s: %w", w.process.Name(), err)
	}
	if w.old != 0 {
		if err := w.runner.Views.Drop(ctx, w.view, w.old); err != nil {
			w.runner.log().WarnContext(ctx, "view not dropped", slog.String("view", w.view), slog.Int("version", w.old), slog.Any("err", err))
		}
	}
	w.runner.change(func() { w.active = true })
	return nil
}

// resume sends what is overdue.
func (w *worker) resume(ctx context.Context) error {
	err := w.commit(ctx, w.seen.position, 0, func(v projections.View, failed func() error) ([]parcel, error) {
		policy, err := w.runner.Policy(ctx)
		if err != nil {
			return nil, fmt.Errorf("read policy: %w", err)
		}
		out, err := w.guard(func() ([]Outgoing, error) { return w.process.Resume(ctx, v, w.runner.now()) })
		switch {
		case failed() != nil:
			return nil, failed()
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, &stopError{w.seen.position, fmt.Errorf("resume: %w", err)}
		}
		return w.fromResume(ctx, v, out, policy)
	})
	if err == nil {
		w.noted = w.seen.ordinal
	}
	return err
}

func (w *worker) count(p parcel, err error) {
	r := w.runner
	no, isNo := errors.AsType[*domain.Rejection](err)
	r.mu.Lock()
	w.sent++
	if isNo {
		w.refused++
	}
	r.mu.Unlock()
	if r.Metrics.Sent != nil {
		r.Metrics.Sent(w.process.Name())
	}
	if isNo {
		if r.Metrics.Rejected != nil {
			r.Metrics.Rejected(w.process.Name(), no.Code)
		}
		r.log().Warn("command rejected", slog.String("process", w.process.Name()), slog.String("stream", p.Target), slog.String("code", no.Code))
	}
}
