// Package memory is the model store: the simplest thing that keeps the laws of eventstore. Tests hold the other
// stores to it; demos and tests of the layers above run on it. It keeps nothing on disk and is not for production.
//
// # Decisions
//
// Data is copied on its way in and shared on its way out: readers do not change it.
package memory

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"zujian/eventstore"
)

// Store is an eventstore.Store in memory. The zero Store is empty and ready.
type Store struct {
	Now func() time.Time // Recorded time; time.Now if nil. Set it before the first append.

	mu      sync.Mutex
	log     []eventstore.Recorded
	streams map[string][]int // Index into log of each event of a stream, by revision.
	grown   chan struct{}    // Closed at the next append; nil while nobody waits.
	closed  bool
}

var _ eventstore.Store = (*Store)(nil)

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Revision,
	events ...eventstore.NewEvent,
) (eventstore.Appended, error) {
	if err := eventstore.Check(stream, expected, events); err != nil {
		return eventstore.Appended{}, err
	}
	if err := ctx.Err(); err != nil {
		return eventstore.Appended{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.Appended{}, eventstore.ErrClosed
	}
	have := s.streams[stream]
	last := eventstore.Revision(len(have) - 1)
	seen, end := s.repeat(have, expected, events)
	switch {
	case end > 0:
		r := s.log[have[end-1]]
		return eventstore.Appended{Revision: r.Revision, Position: r.Position}, nil
	case seen, expected != eventstore.AnyRevision && expected != last:
		return eventstore.Appended{}, &eventstore.WrongRevision{Stream: stream, Expected: expected, Actual: last}
	}
	if err := s.add(stream, events); err != nil {
		return eventstore.Appended{}, err
	}
	return eventstore.Appended{
		Revision: last + eventstore.Revision(len(events)), Position: eventstore.Position(len(s.log)),
	}, nil
}

// repeat looks for these events in the stream: right after expected, or anywhere. It returns the number of events up
// to their end, or 0; and whether the first of them is there although the whole is not.
func (s *Store) repeat(have []int, expected eventstore.Revision, events []eventstore.NewEvent) (seen bool, end int) {
	from, to := int(expected)+1, int(expected)+1
	if expected == eventstore.AnyRevision {
		from, to = 0, len(have)-1
	}
	for at := from; at <= to && at < len(have); at++ {
		if s.log[have[at]].ID != events[0].ID {
			continue
		}
		seen = true
		if at+len(events) <= len(have) && slices.EqualFunc(have[at:at+len(events)], events,
			func(i int, e eventstore.NewEvent) bool { return s.log[i].ID == e.ID }) {
			return true, at + len(events)
		}
	}
	return seen, 0
}

func (s *Store) add(stream string, events []eventstore.NewEvent) error {
	events = slices.Clone(events)
	for i := range events {
		if m := &events[i].Meta; m.Salt.IsZero() && !m.Outside {
			var err error
			if m.Salt, err = eventstore.NewSalt(eventstore.SaltINTL, rand.Reader); err != nil {
				return err
			}
		}
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	at := now().UTC().Truncate(time.Microsecond)
	if n := len(s.log); n > 0 && at.Before(s.log[n-1].StoredAt) {
		at = s.log[n-1].StoredAt
	}
	if s.streams == nil {
		s.streams = map[string][]int{}
	}
	for _, e := range events {
		e = e.Normal()
		e.Data = bytes.Clone(e.Data)
		n := len(s.log)
		s.log = append(s.log, eventstore.Recorded{
			NewEvent: e, Stream: stream, Revision: eventstore.Revision(len(s.streams[stream])),
			Position: eventstore.Position(n + 1), Ordinal: uint64(n), StoredAt: at,
		})
		s.streams[stream] = append(s.streams[stream], n)
	}
	s.wake()
	return nil
}

func (s *Store) wake() {
	if s.grown != nil {
		close(s.grown)
		s.grown = nil
	}
}

// Stream implements eventstore.Store.
func (s *Store) Stream(ctx context.Context, stream string, from eventstore.Revision) iter.Seq2[eventstore.Recorded, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.streams[stream]
	at := min(max(int(from), 0), len(have))
	rs := make([]eventstore.Recorded, 0, len(have)-at)
	for _, i := range have[at:] {
		rs = append(rs, s.log[i])
	}
	return s.seq(ctx, rs)
}

// All implements eventstore.Store.
func (s *Store) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq(ctx, s.log[min(after, eventstore.Position(len(s.log))):]) // The log only grows: what is there stays.
}

// StreamBack implements eventstore.Store.
func (s *Store) StreamBack(ctx context.Context, stream string, from eventstore.Revision) iter.Seq2[eventstore.Recorded, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.streams[stream]
	var rs []eventstore.Recorded
	for at := min(from, eventstore.Revision(len(have)-1)); at >= 0; at-- {
		rs = append(rs, s.log[have[at]])
	}
	return s.seq(ctx, rs)
}

// AllBack implements eventstore.Store.
func (s *Store) AllBack(ctx context.Context, upTo eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	rs := slices.Clone(s.log[:min(upTo, eventstore.Position(len(s.log)))])
	slices.Reverse(rs)
	return s.seq(ctx, rs)
}

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.Head{}, eventstore.ErrClosed
	}
	return eventstore.Head{Position: eventstore.Position(len(s.log)), Events: uint64(len(s.log))}, ctx.Err()
}

func (s *Store) seq(ctx context.Context, rs []eventstore.Recorded) iter.Seq2[eventstore.Recorded, error] {
	closed := s.closed
	return func(yield func(eventstore.Recorded, error) bool) {
		if closed {
			yield(eventstore.Recorded{}, eventstore.ErrClosed)
			return
		}
		for _, r := range rs {
			if err := ctx.Err(); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Wait implements eventstore.Store.
func (s *Store) Wait(ctx context.Context, after eventstore.Position) error {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return eventstore.ErrClosed
		}
		if eventstore.Position(len(s.log)) > after {
			s.mu.Unlock()
			return nil
		}
		if s.grown == nil {
			s.grown = make(chan struct{})
		}
		grown := s.grown
		s.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close makes every later call fail with ErrClosed and ends every Wait.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake()
	return nil
}
