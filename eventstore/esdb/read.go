package esdb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/metadata"

	"zujian/eventstore"
)

// Request headers our own server understands (see eventstore/wire); any other ignores them.
const (
	headerRaw     = "zujian-ordinal"
	headerBare    = "zujian-bare"
	headerSettled = "zujian-settled"
)

func ordinalOf(e *esdb.RecordedEvent) (uint64, bool) {
	n, err := strconv.ParseUint(e.SystemMetadata[headerRaw], 10, 64)
	return n, err == nil
}

// opener starts a read.
type opener func(context.Context, *esdb.Client) (*esdb.ReadStream, error)

// attempt yields what one read gives, and how it ended: nil at its end, the yielding's stop as errStopped. Silence for
// longer than the timeout ends it: the client's Recv has no deadline of its own.
func (s *Store) attempt(ctx context.Context, open opener, yield func(*esdb.ResolvedEvent) bool) (err error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, headerRaw, "1"))
	defer cancel()
	l, err := s.links.get(ctx)
	if err != nil {
		return err
	}
	defer l.leave()
	stream, err := call(s, ctx, func(_ context.Context, c *esdb.Client) (*esdb.ReadStream, error) { return open(ctx, c) })
	if err != nil {
		return err
	}
	defer stream.Close()
	silent := false
	var mu sync.Mutex
	for {
		timer := time.AfterFunc(s.o.Timeout, func() {
			mu.Lock()
			silent = true
			mu.Unlock()
			cancel()
		})
		e, err := recv(stream)
		timer.Stop()
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case isEnd(err):
				s.links.worked(l)
				return nil
			case silent:
				err = fmt.Errorf("%w: nothing came for %v", context.DeadlineExceeded, s.o.Timeout)
				s.links.drop(l, err)
			case ctx.Err() == nil && judge(err) == severed:
				s.links.drop(l, err)
			}
			return err
		}
		if s.kind.Load() == unknown {
			s.meet(e.OriginalEvent())
		}
		if !yield(e) {
			return errStopped
		}
	}
}

var errStopped = errors.New("stopped")

func recv(stream *esdb.ReadStream) (e *esdb.ResolvedEvent, err error) {
	defer func() {
		if p := recover(); p != nil { // The client was closed under the read.
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return stream.Recv()
}

// meet finds out from its first event what kind of server this is.
func (s *Store) meet(e *esdb.RecordedEvent) {
	k := counted
	if _, ok := ordinalOf(e); ok {
		k = numbered
	}
	s.kind.CompareAndSwap(unknown, k)
}

// resume reads with open, again and again while the connection fails, until the read ends. open is called with each
// attempt and must start behind what was yielded.
func (s *Store) resume(ctx context.Context, what string, open opener, yield func(*esdb.ResolvedEvent) bool) error {
	bounded, cancel := s.bound(ctx)
	defer cancel()
	failing := time.Time{}
	for wait := pauseFirst; ; {
		got := false
		err := s.attempt(bounded, open, func(e *esdb.ResolvedEvent) bool {
			got = true
			return yield(e)
		})
		switch {
		case err == nil || errors.Is(err, errStopped) || notFound(err):
			return nil
		case s.ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed):
			return eventstore.ErrClosed
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case !errors.Is(err, context.DeadlineExceeded) && judge(err) == final:
			return fmt.Errorf("%s: %w", what, err)
		}
		if got || failing.IsZero() {
			failing, wait = time.Now(), pauseFirst
		}
		if time.Since(failing) > s.o.Patience {
			return fmt.Errorf("%w: %s: %w", eventstore.ErrUnavailable, what, err)
		}
		if pause(bounded, wait) != nil {
			continue // The next attempt says why.
		}
		wait = min(wait*2, pauseMost)
	}
}

// readBack yields up to n events of all from a position back, raw.
func (s *Store) readBack(ctx context.Context, from esdb.AllPosition, n uint64) iter.Seq2[*esdb.ResolvedEvent, error] {
	return func(yield func(*esdb.ResolvedEvent, error) bool) {
		left := n
		err := s.resume(ctx, "read all", func(ctx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
			return c.ReadAll(ctx, esdb.ReadAllOptions{From: from, Direction: esdb.Backwards}, left)
		}, func(e *esdb.ResolvedEvent) bool {
			from = e.OriginalEvent().Position
			left--
			return yield(e, nil) && left > 0
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// readOn yields the events of all after a position, raw, without end until yield stops it or the log ends.
func (s *Store) readOn(ctx context.Context, after eventstore.Position, yield func(*esdb.RecordedEvent) bool) error {
	return s.resume(ctx, "read all", func(ctx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
		return c.ReadAll(ctx, esdb.ReadAllOptions{From: s.from(after)}, math.MaxInt64)
	}, func(r *esdb.ResolvedEvent) bool {
		e := r.OriginalEvent()
		if eventstore.Position(e.Position.Commit) <= after {
			return true // The position itself is read, too.
		}
		after = eventstore.Position(e.Position.Commit)
		return yield(e)
	})
}

// from is where a read that is to yield what is after a position starts. Our own server takes any number, and is quicker
// with the next one; others want a position that they gave.
func (s *Store) from(after eventstore.Position) esdb.AllPosition {
	switch {
	case after == 0:
		return esdb.Start{}
	case s.kind.Load() == numbered:
		after++
	}
	return esdb.Position{Commit: uint64(after), Prepare: uint64(after)}
}

// All implements eventstore.Store.
func (s *Store) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	head, headErr := s.Head(ctx)
	return func(yield func(eventstore.Recorded, error) bool) {
		stopped, err := false, headErr
		if err == nil && after < head.Position {
			var failed error
			err = s.readOn(ctx, after, func(e *esdb.RecordedEvent) bool {
				if eventstore.Position(e.Position.Commit) > head.Position {
					return false
				}
				if failed = ctx.Err(); failed != nil {
					return false
				}
				r, ok, err := s.recorded(ctx, e)
				if err != nil {
					failed = err
					return false
				}
				if ok && !yield(r, nil) {
					stopped = true
					return false
				}
				return eventstore.Position(e.Position.Commit) < head.Position
			})
			err = errors.Join(err, failed)
		}
		if err == nil && !stopped {
			err = s.ended(ctx)
		}
		if err != nil && !stopped {
			yield(eventstore.Recorded{}, err)
		}
	}
}

// AllBack implements eventstore.Store.
func (s *Store) AllBack(ctx context.Context, upTo eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	head, headErr := s.Head(ctx)
	return func(yield func(eventstore.Recorded, error) bool) {
		if headErr != nil {
			yield(eventstore.Recorded{}, headErr)
			return
		}
		if upTo = min(upTo, head.Position); upTo == 0 {
			if err := s.ended(ctx); err != nil {
				yield(eventstore.Recorded{}, err)
			}
			return
		}
		for e, err := range s.readBack(ctx, s.backFrom(upTo), math.MaxInt64) {
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			if eventstore.Position(e.OriginalEvent().Position.Commit) > upTo {
				continue
			}
			r, ok, err := s.recorded(ctx, e.OriginalEvent())
			if err == nil {
				err = s.ended(ctx)
			}
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			if ok && !yield(r, nil) {
				return
			}
		}
	}
}

// backFrom is where a read back that is to yield the event at upTo starts: it leaves out what is at the position itself.
func (s *Store) backFrom(upTo eventstore.Position) esdb.AllPosition {
	next := upTo + 1
	if s.kind.Load() != numbered {
		if next = s.counts.next(upTo); next == 0 {
			return esdb.End{}
		}
	}
	return esdb.Position{Commit: uint64(next), Prepare: uint64(next)}
}

// Stream implements eventstore.Store.
func (s *Store) Stream(ctx context.Context, stream string, from eventstore.Revision) iter.Seq2[eventstore.Recorded, error] {
	return s.stream(ctx, stream, max(from, 0), esdb.Forwards)
}

// StreamBack implements eventstore.Store.
func (s *Store) StreamBack(ctx context.Context, stream string, from eventstore.Revision) iter.Seq2[eventstore.Recorded, error] {
	return s.stream(ctx, stream, from, esdb.Backwards)
}

func (s *Store) stream(ctx context.Context, stream string, from eventstore.Revision, direction esdb.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		next, failed, stopped := from, error(nil), false
		done := next < 0
		open := func(ctx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
			o := esdb.ReadStreamOptions{Direction: direction, From: esdb.Revision(uint64(max(next, 0)))}
			if next == eventstore.LastRevision {
				o.From = esdb.End{}
			}
			return c.ReadStream(ctx, s.o.Prefix+stream, o, math.MaxInt64)
		}
		var err error
		if !done {
			err = s.resume(ctx, "read "+stream, open, func(e *esdb.ResolvedEvent) bool {
				if failed = ctx.Err(); failed != nil {
					return false
				}
				r, ok, err := s.recorded(ctx, e.OriginalEvent())
				if err != nil {
					failed = err
					return false
				}
				if next = r.Revision + 1; direction == esdb.Backwards {
					next = r.Revision - 1
				}
				if ok && !yield(r, nil) {
					stopped = true
					return false
				}
				return next >= 0
			})
		}
		if err = errors.Join(err, failed); err == nil && !stopped {
			err = s.ended(ctx)
		}
		if err != nil && !stopped {
			yield(eventstore.Recorded{}, err)
		}
	}
}

// recorded gives an event as the port has it. ok is false for one that is not of this log.
func (s *Store) recorded(ctx context.Context, e *esdb.RecordedEvent) (r eventstore.Recorded, ok bool, err error) {
	r = eventstore.Recorded{
		NewEvent: eventstore.NewEvent{ID: e.EventID, Type: e.EventType, Data: e.Data, Meta: eventstore.ParseMetadata(e.UserMetadata)},
		Revision: eventstore.Revision(e.EventNumber), Position: eventstore.Position(e.Position.Commit),
		StoredAt: e.CreatedDate.UTC().Truncate(time.Microsecond),
	}
	if r.Stream, ok = s.mine(e); !ok {
		return r, false, nil
	}
	if e.ContentType != "application/json" {
		r.Binary = true
		if !r.Meta.Outside {
			r.Meta = eventstore.Metadata{Outside: true, Raw: string(e.UserMetadata)}
		}
	}
	if s.kind.Load() == numbered {
		r.Ordinal, _ = ordinalOf(e)
		return r, true, nil
	}
	r.Ordinal, err = s.counts.ordinal(ctx, s, r.Position)
	return r, true, err
}

// counts are the positions of this log's events in a server that does not number them: an event's ordinal is its index.
type counts struct {
	mu        sync.Mutex
	positions []eventstore.Position
	scanned   eventstore.Position
}

// upTo counts up to a position of the server's and returns where this log ends by then.
func (c *counts) upTo(ctx context.Context, s *Store, at eventstore.Position) (eventstore.Head, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scanned < at {
		err := s.readOn(ctx, c.scanned, func(e *esdb.RecordedEvent) bool {
			pos := eventstore.Position(e.Position.Commit)
			if _, ok := s.mine(e); ok {
				c.positions = append(c.positions, pos)
			}
			c.scanned = pos
			return pos < at
		})
		if err != nil {
			return eventstore.Head{}, err
		}
	}
	n := sort.Search(len(c.positions), func(i int) bool { return c.positions[i] > at })
	h := eventstore.Head{Events: uint64(n)}
	if n > 0 {
		h.Position = c.positions[n-1]
	}
	return h, nil
}

func (c *counts) ordinal(ctx context.Context, s *Store, at eventstore.Position) (uint64, error) {
	h, err := c.upTo(ctx, s, at)
	if err == nil && h.Position != at {
		err = fmt.Errorf("event at position %d is not in the log", at)
	}
	return h.Events - 1, err
}

// next is the position of the first event after at, 0 if none is known.
func (c *counts) next(at eventstore.Position) eventstore.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := sort.Search(len(c.positions), func(i int) bool { return c.positions[i] > at }); i < len(c.positions) {
		return c.positions[i]
	}
	return 0
}
