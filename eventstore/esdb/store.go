package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"zujian/eventstore"
)

// Options configure a store. Only Connection is mandatory.
type Options struct {
	Connection string        // esdb://user:password@host:port?…, as every EventStoreDB client takes it.
	Prefix     string        // Of every stream's name in the store; not part of the names here.
	Timeout    time.Duration // Of one call, and of silence where events should come; 10 s if 0.
	Patience   time.Duration // How long a failing call is repeated before ErrUnavailable; 5 s if 0.
	Watch      time.Duration // How often the head is asked for beside the subscription; 5 s if 0.
	Log        *slog.Logger  // Discarded if nil.
}

// Store is an eventstore.Store in an EventStoreDB. Its methods may be called from any goroutine.
type Store struct {
	o      Options
	links  links
	ctx    context.Context // Ends with Close.
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	work    sync.WaitGroup
	tailing sync.Once
	head    point
	kind    atomic.Int32
	counts  counts
}

// What kind of server is at the other end.
const (
	unknown  int32 = iota
	numbered       // Ours: it tells ordinals.
	counted        // Any other: ordinals are counted here.
)

var (
	_ eventstore.Store    = (*Store)(nil)
	_ eventstore.Settling = (*Store)(nil)
)

// Open returns a store. It asks the server where the log ends, so a wrong address or password is told at once.
func Open(ctx context.Context, o Options) (*Store, error) {
	config, err := esdb.ParseConnectionString(o.Connection)
	if err != nil {
		return nil, fmt.Errorf("esdb: connection string: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = timeoutDefault
	}
	if o.Patience == 0 {
		o.Patience = patienceDefault
	}
	if o.Watch == 0 {
		o.Watch = watchDefault
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	config.DefaultDeadline = &o.Timeout
	config.MaxDiscoverAttempts = min(config.MaxDiscoverAttempts, discoverMost)
	config.GossipTimeout = min(config.GossipTimeout, gossipSeconds)
	config.Logger = esdb.NoopLogging()
	s := &Store{o: o, links: links{config: config, log: o.Log}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if o.Prefix != "" {
		s.kind.Store(counted)
	}
	if _, err := s.Head(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("esdb: %w", err), s.Close())
	}
	return s, nil
}

// spawn runs f as work that Close waits for. It returns false once the store is closed.
func (s *Store) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(f)
	return true
}

// bound returns a context that ends with ctx or with the store.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Close ends what is under way, and waits for it. What it interrupts returns ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.head.close()
	s.links.close()
	s.work.Wait()
	return nil
}

// Append implements eventstore.Store. A lost connection is met by sending the same batch again.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Revision, events ...eventstore.NewEvent) (eventstore.Appended, error) {
	if err := eventstore.Check(stream, expected, events); err != nil {
		return eventstore.Appended{}, err
	}
	if err := ctx.Err(); err != nil {
		return eventstore.Appended{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	batch := make([]esdb.EventData, len(events))
	for i, e := range events {
		e = e.Normal()
		batch[i] = esdb.EventData{EventID: e.ID, EventType: e.Type, Data: e.Data, Metadata: e.Meta.Bytes(), ContentType: esdb.ContentTypeJson}
		if e.Binary {
			batch[i].ContentType = esdb.ContentTypeBinary
		}
	}
	bounded, cancel := s.bound(ctx)
	defer cancel()
	opts := esdb.AppendToStreamOptions{ExpectedRevision: expectedOf(expected)}
	res, err := persist(s, bounded, "append to "+stream, func(ctx context.Context, c *esdb.Client) (*esdb.WriteResult, error) {
		return c.AppendToStream(ctx, s.o.Prefix+stream, opts, batch...)
	})
	if err != nil {
		return eventstore.Appended{}, s.appendError(ctx, bounded, stream, expected, err)
	}
	a := eventstore.Appended{Revision: eventstore.Revision(res.NextExpectedVersion), Position: eventstore.Position(res.CommitPosition)}
	if s.kind.Load() != numbered {
		// A server that is not ours may tell the position of the first event, or none for a repeat.
		for r, err := range s.Stream(ctx, stream, a.Revision) {
			if err != nil {
				return eventstore.Appended{}, fmt.Errorf("read back the append to %s: %w", stream, err)
			}
			a.Position = r.Position
			break
		}
	}
	s.head.reach(a.Position)
	return a, nil
}

func expectedOf(rev eventstore.Revision) esdb.ExpectedRevision {
	switch rev {
	case eventstore.AnyRevision:
		return esdb.Any{}
	case eventstore.NoStream:
		return esdb.NoStream{}
	}
	return esdb.Revision(uint64(rev))
}

func (s *Store) appendError(ctx, bounded context.Context, stream string, expected eventstore.Revision, err error) error {
	if e, ok := errors.AsType[*esdb.Error](err); ok && e.Code() == esdb.ErrorCodeWrongExpectedVersion {
		wrong := &eventstore.WrongRevision{Stream: stream, Expected: expected, Actual: eventstore.NoStream}
		for r, err := range s.StreamBack(ctx, stream, eventstore.LastRevision) { // The client's error tells it as prose only.
			if err != nil {
				return fmt.Errorf("read the end of %s: %w", stream, err)
			}
			wrong.Actual = r.Revision
			break
		}
		return wrong
	}
	switch st := status.Convert(unwrapStatus(err)); {
	case s.ctx.Err() != nil:
		return eventstore.ErrClosed
	case ctx.Err() != nil:
		return fmt.Errorf("append to %s: %w", stream, ctx.Err())
	case st.Code() == codes.InvalidArgument:
		return fmt.Errorf("%w: %s", eventstore.ErrInvalid, st.Message())
	}
	return fmt.Errorf("append to %s: %w", stream, err)
}

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Head, error) {
	for r, err := range s.readBack(ctx, esdb.End{}, 1) {
		if err != nil {
			return eventstore.Head{}, err
		}
		at := eventstore.Position(r.Event.Position.Commit)
		if s.kind.Load() == numbered {
			n, _ := ordinalOf(r.Event)
			s.head.reach(at)
			return eventstore.Head{Position: at, Events: n + 1}, nil
		}
		h, err := s.counts.upTo(ctx, s, at)
		s.head.reach(h.Position)
		return h, err
	}
	return eventstore.Head{}, s.ended(ctx)
}

// Settle implements eventstore.Settling. Events are stored by the server's clock, which may be behind: it is waited for, as
// long as a failing call is repeated. A server that is not ours does not tell.
func (s *Store) Settle(ctx context.Context, at time.Time) error {
	for {
		settled, told, err := s.settled(ctx)
		behind := at.Sub(settled)
		switch {
		case err != nil:
			return err
		case !told || behind <= 0:
			return s.ended(ctx)
		case behind > s.o.Patience:
			return fmt.Errorf("%w: the event store's clock is %v behind", eventstore.ErrUnavailable, behind)
		}
		if err := pause(ctx, behind); err != nil {
			return err
		}
	}
}

// settled asks the server until when its log can be read whole.
func (s *Store) settled(ctx context.Context) (at time.Time, told bool, err error) {
	for r, err := range s.readBack(metadata.AppendToOutgoingContext(ctx, headerSettled, "1"), esdb.End{}, 1) {
		if err != nil {
			return at, false, err
		}
		ticks, err := strconv.ParseInt(r.Event.SystemMetadata[headerSettled], 10, 64)
		return time.UnixMicro(ticks / 10), err == nil, nil
	}
	return at, false, nil
}

// ended is the error of a context that ended, if it did.
func (s *Store) ended(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}

// Wait implements eventstore.Store.
func (s *Store) Wait(ctx context.Context, after eventstore.Position) error {
	s.tailing.Do(func() { s.spawn(s.tail) })
	return s.head.wait(ctx, after)
}

// point is where the log is known to end.
type point struct {
	mu     sync.Mutex
	at     eventstore.Position
	closed bool
	grown  chan struct{} // Closed when at grows; nil while nobody waits.
}

func (p *point) wakeLocked() {
	if p.grown != nil {
		close(p.grown)
		p.grown = nil
	}
}

func (p *point) reach(at eventstore.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at > p.at {
		p.at = at
		p.wakeLocked()
	}
}

func (p *point) load() eventstore.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

func (p *point) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.wakeLocked()
}

func (p *point) wait(ctx context.Context, after eventstore.Position) error {
	for {
		p.mu.Lock()
		switch {
		case p.closed:
			p.mu.Unlock()
			return eventstore.ErrClosed
		case p.at > after:
			p.mu.Unlock()
			return nil
		}
		if p.grown == nil {
			p.grown = make(chan struct{})
		}
		grown := p.grown
		p.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notFound tells that the server knows no such stream.
func notFound(err error) bool {
	e, ok := errors.AsType[*esdb.Error](err)
	return ok && e.Code() == esdb.ErrorCodeResourceNotFound
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// mine tells whether an event belongs to this log, and cuts the prefix off its stream.
func (s *Store) mine(e *esdb.RecordedEvent) (stream string, ok bool) {
	if s.kind.Load() != numbered && strings.HasPrefix(e.EventType, "$") {
		return "", false
	}
	return strings.CutPrefix(e.StreamID, s.o.Prefix)
}
