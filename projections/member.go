package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"time"

	"zujian/eventstore"
)

// member is one version of one projection being kept. Only the group that follows the log with it touches it.
type member struct {
	track      *track
	projection Projection
	slot       int // The version number in the view store: the projection's, or that plus VersionMax for a rebuild.
	wants      filter
	skips      func(eventstore.Recorded) bool // See Skipper; nil if it skips none.
	saved      eventstore.Position            // Checkpoint in the view store.
	seen       mark                           // Read up to here; at or behind saved only events it does not want are missing.
	failures   int                            // In a row.
	rows       rows                           // Decoded, as committed.
	picked     []Event                        // Of the chunk at hand; its memory serves the next.
	took       time.Duration                  // Of the last chunk.
}

// memberOf is a version of a projection in a slot of the view store.
func memberOf(t *track, p Projection, slot int) *member {
	m := &member{track: t, projection: p, slot: slot, wants: newFilter(p.Types())}
	if s, ok := p.(Skipper); ok && m.wants != nil {
		m.skips = s.Skips
	}
	return m
}

// applyError is the projection's own failure: trying again would not help.
type applyError struct{ err error }

func (e *applyError) Error() string { return e.err.Error() }
func (e *applyError) Unwrap() error { return e.err }

// stopError ends a projection at a position.
type stopError struct {
	at  eventstore.Position
	err error
}

func (e *stopError) Error() string { return fmt.Sprintf("stopped at %d: %v", e.at, e.err) }
func (e *stopError) Unwrap() error { return e.err }

// feed applies a chunk. The error is a *stopError, or infrastructure that may recover.
func (m *member) feed(ctx context.Context, r *Runner, c *chunk) error {
	if c.last.position < m.seen.position || (c.last.position == m.seen.position && !c.head) {
		return nil
	}
	events, bad, decodeErr := m.pick(c)
	defer clear(events) // Nothing of a chunk stays alive.
	if len(events) > 0 {
		next := c.last.position
		if decodeErr != nil {
			next = events[len(events)-1].Position
		}
		if err := m.batch(ctx, r, next, events); err != nil {
			return err
		}
	}
	if decodeErr != nil {
		return &stopError{bad, decodeErr}
	}
	if c.head && m.saved < c.last.position { // Stretches without wanted events are written down once, at the head.
		if err := m.commit(ctx, r, c.last.position, nil); err != nil {
			return m.verdict(err, c.last.position)
		}
	}
	if m.seen.position < c.last.position {
		m.seen = c.last
	}
	return nil
}

const pickedMin = 256 // Events whose memory is always kept.

// pick is what m wants of a chunk, up to the first event that could not be decoded.
func (m *member) pick(c *chunk) (events []Event, bad eventstore.Position, err error) {
	if m.picked = m.picked[:0]; cap(m.picked) > pickedMin && cap(m.picked) > 4*len(c.events) {
		m.picked = nil // Of a much larger chunk.
	}
	for i := range c.events {
		e := &c.events[i]
		if e.Position <= m.seen.position || !m.wants.wants(e.Type) {
			continue
		}
		if bad, is := c.errs[i]; is {
			if m.skips != nil && m.skips(bad.raw) {
				continue
			}
			return m.picked, e.Position, bad.err
		}
		m.picked = append(m.picked, *e)
	}
	return m.picked, 0, nil
}

// batch commits events. If the projection refuses them it goes event by event, so that all before the culprit count and its position is known.
func (m *member) batch(ctx context.Context, r *Runner, next eventstore.Position, events []Event) error {
	err := m.commit(ctx, r, next, events)
	if _, own := errors.AsType[*applyError](err); !own || len(events) == 1 {
		if err != nil {
			return m.verdict(err, events[0].Position)
		}
		return nil
	}
	for i := range events {
		if err := m.commit(ctx, r, events[i].Position, events[i:i+1]); err != nil {
			return m.verdict(err, events[i].Position)
		}
	}
	return nil
}

func (m *member) verdict(err error, at eventstore.Position) error {
	if own, ok := errors.AsType[*applyError](err); ok {
		return &stopError{at, own.err}
	}
	if errors.Is(err, ErrFenced) {
		return &stopError{at, err}
	}
	return err
}

func (m *member) commit(ctx context.Context, r *Runner, next eventstore.Position, events []Event) error {
	began := r.Now()
	err := r.Views.Batch(ctx, m.track.name, m.slot, m.saved, next, func(v View) error {
		if len(events) == 0 {
			return nil
		}
		w := &Watched{View: v}
		m.rows.turn(len(events))
		cached := &rowView{View: w, rows: &m.rows}
		err := apply(ctx, m.projection, cached, slices.Clip(events))
		if err == nil {
			cached.flush()
		}
		switch {
		case w.err != nil:
			return w.err // Also when the projection went on without its answer.
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return &applyError{fmt.Errorf("apply %s: %w", m.track.name, err)}
		}
		return nil
	})
	if err != nil {
		m.rows = rows{}
		return err
	}
	m.saved = next
	if n := len(events); n > 0 {
		m.seen = mark{next, events[n-1].Ordinal + 1, events[n-1].StoredAt}
		if r.Metrics.Batch != nil {
			r.Metrics.Batch(m.track.name, n, r.Now().Sub(began))
		}
	}
	return nil
}

// apply turns a panic of a projection into its error: one broken view must not take the program down.
func apply(ctx context.Context, p Projection, v View, events []Event) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("panic: %v\n%s", x, debug.Stack())
		}
	}()
	return p.Apply(ctx, v, events)
}

// Watched is a view that remembers a failed read. It tells a failure of the view store, which is worth another try, from
// one of the projection, even when the projection went on without its answer.
type Watched struct {
	View
	err error
}

// Err is the first failed read.
func (w *Watched) Err() error { return w.err }

// Get implements Reader.
func (w *Watched) Get(ctx context.Context, key string) ([]byte, bool, error) {
	value, ok, err := w.View.Get(ctx, key)
	if err != nil && w.err == nil {
		w.err = err
	}
	return value, ok, err
}

// Scan implements Reader.
func (w *Watched) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[Pair, error] {
	pairs := w.View.Scan(ctx, from, to, reverse)
	return func(yield func(Pair, error) bool) {
		for p, err := range pairs {
			if err != nil && w.err == nil {
				w.err = err
			}
			if !yield(p, err) {
				return
			}
		}
	}
}
