package esdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/metadata"

	"zujian/eventstore"
)

const watchDefault = 5 * time.Second

// tail keeps a subscription to the log's end until the store is closed, and another beside the first error or silence.
func (s *Store) tail() {
	for wait := pauseFirst; s.ctx.Err() == nil; {
		got, err := s.follow()
		if s.ctx.Err() != nil {
			return
		}
		if got {
			wait = pauseFirst
		}
		s.o.Log.Warn("event store: subscription ended", slog.Any("err", err))
		_ = pause(s.ctx, wait) // Its end is seen above.
		wait = min(wait*2, pauseMost)
	}
}

// follow subscribes behind what is known and takes what comes. It returns when that ends, or the head is found to be
// farther than the subscription has come.
func (s *Store) follow() (got bool, err error) {
	head, err := s.Head(s.ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(s.ctx, headerRaw, "1", headerBare, "1"))
	defer cancel()
	l, err := s.links.get(ctx)
	if err != nil {
		return false, err
	}
	defer l.leave()
	var from esdb.AllPosition = esdb.Start{}
	if head.Position > 0 {
		from = esdb.Position{Commit: uint64(head.Position), Prepare: uint64(head.Position)}
	}
	sub, err := call(s, ctx, func(_ context.Context, c *esdb.Client) (*esdb.Subscription, error) {
		return c.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: from})
	})
	if err != nil {
		return false, err
	}
	var seen point
	seen.reach(head.Position)
	watched := make(chan error, 1)
	if !s.spawn(func() { watched <- s.watch(ctx, cancel, &seen, l) }) {
		cancel()
		watched <- eventstore.ErrClosed
	}
	for {
		e := receive(sub)
		switch {
		case e.SubscriptionDropped != nil:
			err := e.SubscriptionDropped.Error
			if ctx.Err() == nil && judge(err) == severed {
				s.links.drop(l, err)
			}
			cancel()
			_ = sub.Close() // It returns nil always.
			return got, errors.Join(err, <-watched)
		case e.EventAppeared != nil:
			got = true
			r := e.EventAppeared.OriginalEvent()
			if s.kind.Load() == unknown {
				s.meet(r)
			}
			seen.reach(eventstore.Position(r.Position.Commit))
			if _, ok := s.mine(r); ok {
				s.head.reach(eventstore.Position(r.Position.Commit))
			}
		}
	}
}

func receive(sub *esdb.Subscription) (e *esdb.SubscriptionEvent) {
	defer func() {
		if p := recover(); p != nil {
			e = &esdb.SubscriptionEvent{SubscriptionDropped: &esdb.SubscriptionDropped{Error: fmt.Errorf("%w: %v", errPanicked, p)}}
		}
	}()
	return sub.Recv()
}

// watch asks for the head now and then. A subscription that has not told by the next time what was there the last is
// silent: it is ended.
func (s *Store) watch(ctx context.Context, end context.CancelFunc, seen *point, l *link) error {
	defer end()
	for due := eventstore.Position(0); ; {
		if err := pause(ctx, s.o.Watch); err != nil {
			return nil
		}
		if at := seen.load(); at < due {
			err := fmt.Errorf("the subscription is silent at %d, the log was at %d", at, due)
			s.links.drop(l, err)
			return err
		}
		head, err := s.Head(ctx) // It wakes those who wait, too.
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		due = head.Position
	}
}
