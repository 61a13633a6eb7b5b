package aggregate

import (
	"context"
	"fmt"
	"slices"

	"zujian/domain"
	"zujian/eventstore"
)

// Steps decides several commands on one aggregate, each on what those before it decided, and writes them in one append:
// all or none. Each command has its own id, as if it had been executed alone, so a repeat finds whichever were written.
// One goroutine uses it, from Begin or BeginNew on. It holds the whole state: whoever keeps it where it was declared makes
// no garbage of it.
type Steps[S, C any, E domain.Event] struct {
	runner  Runner
	decider domain.Decider[S, C, E]
	stream  string
	held    entry[S]
	at      eventstore.Revision // As loaded: where the append goes.
	events  []eventstore.NewEvent
}

// Begin loads the aggregate as it stands.
func (s *Steps[S, C, E]) Begin(ctx context.Context, r Runner, d domain.Decider[S, C, E], id string) error {
	held, err := load(ctx, r, d, id)
	if err != nil {
		return err
	}
	s.BeginNew(r, d, id)
	if held != nil {
		s.held, s.at = *held, held.revision
		s.held.recent = slices.Clip(held.recent)
	}
	return nil
}

// BeginNew is Begin of an aggregate that is to be new, without a look. If it is there, its append ends with
// eventstore.ErrWrongRevision.
func (s *Steps[S, C, E]) BeginNew(r Runner, d domain.Decider[S, C, E], id string) {
	*s = Steps[S, C, E]{runner: r, decider: d, stream: Stream(d.Category, id), held: entry[S]{revision: eventstore.NoStream}, at: eventstore.NoStream}
}

// Room makes room for so many events, for whoever knows how many there will be.
func (s *Steps[S, C, E]) Room(events int) {
	s.events, s.held.recent = slices.Grow(s.events, events), slices.Grow(s.held.recent, events)
}

// State is the state after what was decided so far.
func (s *Steps[S, C, E]) State() S { return s.held.state }

// Revision is where the stream stands after what was decided so far.
func (s *Steps[S, C, E]) Revision() eventstore.Revision { return s.held.revision }

// Position is that of the last event as loaded; 0 if there is none.
func (s *Steps[S, C, E]) Position() eventstore.Position { return s.held.position }

// Decide decides one command. A rejection takes nothing back and adds nothing. Options.Expect, if any, is what the stream
// must be at before the first event.
func (s *Steps[S, C, E]) Decide(req domain.Request[C], o Options) error {
	if o.Correlation == "" {
		o.Correlation = req.ID
	}
	before := len(s.events)
	events, out, err := decide(s.events, s.runner, s.decider, s.stream, &s.held, req, o)
	if err != nil {
		return err
	}
	for i, e := range events {
		s.held.state = s.decider.Evolve(s.held.state, e)
		s.held.remember(out[before+i].ID, out[before+i].Type)
		s.held.revision++
	}
	s.events = out
	return nil
}

// Take gives what was decided since the last Take, for Together: nothing more is to be committed of it.
func (s *Steps[S, C, E]) Take() eventstore.Part {
	p := eventstore.Part{Stream: s.stream, Expected: s.at, Events: slices.Clip(s.events)}
	s.at, s.events = s.held.revision, s.events[len(s.events):] // What is left of the room.
	return p
}

// Together writes what several Steps decided, all or none, in this order; parts without events are left out. The position is
// that of the last event, 0 if there was none to write. eventstore.ErrWrongRevision means what it means of Commit.
func Together(ctx context.Context, store eventstore.Together, parts ...eventstore.Part) (eventstore.Position, error) {
	parts = slices.DeleteFunc(parts, func(p eventstore.Part) bool { return len(p.Events) == 0 })
	if len(parts) == 0 {
		return 0, nil
	}
	done, err := store.AppendTogether(ctx, parts...)
	if err != nil {
		return 0, fmt.Errorf("append to %s and others: %w", parts[0].Stream, err)
	}
	return done[len(done)-1].Position, nil
}

// Commit writes what was decided, if anything. eventstore.ErrWrongRevision means that the stream moved on since Begin:
// whoever still wants it begins again.
func (s *Steps[S, C, E]) Commit(ctx context.Context) (Result, error) {
	if len(s.events) == 0 {
		return s.held.result(0), nil
	}
	done, err := s.runner.Store.Append(ctx, s.stream, s.at, s.events...)
	if err != nil {
		return Result{Revision: s.at}, fmt.Errorf("append to %s: %w", s.stream, err)
	}
	return Result{Revision: done.Revision, Position: done.Position, Events: len(s.events)}, nil
}
