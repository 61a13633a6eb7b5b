package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"zujian/eventstore"
)

// behindMin is how many events in one go make a subscription that was live say that it has fallen behind.
const behindMin = 4096

// caughtUp tells that the reader has all there was at a time. The time is a field newer than the client module's messages.
func caughtUp(now time.Time) *streams.ReadResp {
	m := &streams.ReadResp_CaughtUp{}
	if at, err := proto.Marshal(timestamppb.New(now)); err == nil {
		m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), at))
	}
	return &streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: m}}
}

// subscribe serves a catch-up subscription: confirmation, what is there, caught up, what comes.
func (s *Server) subscribe(call streams.Streams_ReadServer, q query) error {
	ctx := call.Context()
	id := uuid.UUID(s.o.NewID()).String()
	v := s.virtual.of(q.stream)
	b := s.hub.listen(topicOf(q.stream, v))
	defer s.hub.drop(b)
	var next func(func(item) error) (int, error)
	var err error
	if q.stream == "" {
		next, err = s.followAll(ctx, call, q)
	} else {
		next, err = s.followStream(ctx, q, v)
	}
	if err != nil {
		return err
	}
	if err := call.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: id},
	}}); err != nil {
		return err
	}
	for live := false; ; {
		seen := 0
		_, err := next(func(it item) error {
			if seen++; live && seen == behindMin {
				live = false
				if err := call.Send(&streams.ReadResp{Content: &streams.ReadResp_FellBehind_{FellBehind: &streams.ReadResp_FellBehind{}}}); err != nil {
					return err
				}
			}
			return call.Send(q.enc.event(it))
		})
		if err != nil {
			return err
		}
		if !live {
			live = true
			if err := call.Send(caughtUp(s.o.Now())); err != nil {
				return err
			}
		}
		select {
		case <-b.rung:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return errNotReady
		}
	}
}

// followStream returns what yields the events after those it has yielded before.
func (s *Server) followStream(ctx context.Context, q query, v *virtual) (func(func(item) error) (int, error), error) {
	look := func() (window, error) {
		if v != nil {
			return v.window(ctx, s.o.Store)
		}
		w, err := s.window(ctx, q.stream)
		if err == nil && w.deleted {
			err = streamDeleted(base(q.stream))
		}
		return w, err
	}
	w, err := look()
	if err != nil {
		return nil, err
	}
	next := q.revision + 1
	switch {
	case q.start:
		next = 0
	case q.end:
		next = w.last + 1
	}
	return func(yield func(item) error) (n int, err error) {
		w, err := look()
		if err != nil || w.last < next || w.gone {
			return 0, err
		}
		err = s.walk(ctx, q.stream, v, w, next, false, q.resolve, func(it item) error {
			n++
			next = it.original().Revision + 1
			return yield(it)
		})
		return n, err
	}, nil
}

// followAll is the same for all, and sends checkpoints of a filtered subscription: how far it has read in vain.
func (s *Server) followAll(ctx context.Context, call streams.Streams_ReadServer, q query) (func(func(item) error) (int, error), error) {
	at := q.position
	if q.start {
		at = 0
	}
	if q.end {
		head, err := s.o.Store.Head(ctx)
		if err != nil {
			return nil, err
		}
		at = head.Position
	}
	told := at
	scanned := uint64(0)
	return func(yield func(item) error) (n int, err error) {
		for r, err := range s.o.Store.All(ctx, at) {
			if err != nil {
				return n, fmt.Errorf("read all: %w", err)
			}
			if q.filter == nil || q.filter.match(&r) {
				it := item{event: &r}
				if q.resolve {
					if it, err = s.resolve(ctx, r); err != nil {
						return n, err
					}
				}
				if err := yield(it); err != nil {
					return n, err
				}
				n++
			}
			at = r.Position
			if scanned++; q.filter == nil || scanned < q.filter.every {
				continue
			}
			scanned = 0
			if at > told {
				told = at
				if err := call.Send(checkpoint(at)); err != nil {
					return n, err
				}
			}
		}
		return n, nil
	}, nil
}

func checkpoint(at eventstore.Position) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{
		CommitPosition: uint64(at), PreparePosition: uint64(at),
	}}}
}
