package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"zujian/eventstore"
)

const (
	timeoutDefault  = 10 * time.Second // Of one call, or of a stream's silence while it should send.
	patienceDefault = 5 * time.Second  // How long a call is repeated before its caller is told.
	pauseFirst      = 20 * time.Millisecond
	pauseMost       = 2 * time.Second
	discoverMost    = 3 // Attempts of one client to find a node; then it is dead and the next one tries.
	gossipSeconds   = 3
)

// link is one client of the official package. It is closed when nobody uses it any more: closing it under a call makes
// that call panic. One that hangs in a dead client is freed in no other way, so it is not waited for longer than grace.
type link struct {
	client *esdb.Client
	once   sync.Once

	mu     sync.Mutex
	users  int
	ending bool

	first     sync.Once
	connected error
}

// connect has one caller find the node; the others wait for it. A client that finds none is dead, and whoever asks it
// then hangs: nobody does.
func (l *link) connect() error {
	l.first.Do(func() { _, l.connected = l.client.GetServerVersion() })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending && l.connected == nil {
		return errDropped // It would look for a node of its own once more.
	}
	return l.connected
}

const grace = time.Second

func (l *link) use() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
}

func (l *link) leave() {
	l.mu.Lock()
	l.users--
	idle := l.ending && l.users == 0
	l.mu.Unlock()
	if idle {
		l.close()
	}
}

// end closes the client once it is idle, or after the grace.
func (l *link) end() {
	l.mu.Lock()
	first, idle := !l.ending, l.users == 0
	l.ending = true
	l.mu.Unlock()
	switch {
	case idle:
		l.close()
	case first:
		time.AfterFunc(grace, l.close)
	}
}

// links hands out the client in use, and replaces it once when it fails.
type links struct {
	config *esdb.Configuration
	log    *slog.Logger

	mu       sync.Mutex
	now      *link
	failures int
	until    time.Time // No new client before.
	closed   bool
	made     int // Clients, ever. For tests.
}

// get returns the client in use; whoever has it must leave it. After failures it waits before it makes another, for all callers alike.
func (ls *links) get(ctx context.Context) (*link, error) {
	for {
		ls.mu.Lock()
		if ls.closed {
			ls.mu.Unlock()
			return nil, eventstore.ErrClosed
		}
		if ls.now != nil {
			defer ls.mu.Unlock()
			ls.now.use()
			return ls.now, nil
		}
		wait := time.Until(ls.until)
		if wait <= 0 {
			defer ls.mu.Unlock()
			config := *ls.config
			client, err := esdb.NewClient(&config) // It does not connect yet.
			if err != nil {
				return nil, fmt.Errorf("make a client: %w", err)
			}
			ls.now = &link{client: client}
			ls.now.use()
			ls.made++
			return ls.now, nil
		}
		ls.mu.Unlock()
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// worked ends a row of failures.
func (ls *links) worked(l *link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.now == l {
		ls.failures = 0
	}
}

// drop closes a client that failed. The first of its callers to say so has it replaced.
func (ls *links) drop(l *link, why error) {
	ls.mu.Lock()
	if ls.now == l {
		ls.now = nil
		most := min(pauseFirst<<min(ls.failures, 10), pauseMost)
		ls.until = time.Now().Add(most/2 + rand.N(most/2+1)) // Several servers must not come back as one.
		ls.failures++
		if !ls.closed {
			ls.log.Warn("event store: connection dropped", slog.Any("err", why))
		}
	}
	ls.mu.Unlock()
	l.end()
}

func (l *link) close() { l.once.Do(func() { _ = l.client.Close() }) } // It returns nil always.

func (ls *links) close() {
	ls.mu.Lock()
	ls.closed = true
	l := ls.now
	ls.now = nil
	ls.mu.Unlock()
	if l != nil {
		l.end()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kind says what an error means for the client and the call.
type kind int

const (
	final   kind = iota // The server's answer.
	again               // Try again with the same client.
	severed             // Try again with another client.
)

// errDropped is what a call finds that comes to a client just given up.
var errDropped = errors.New("the client was given up")

// errPanicked is what a call of a client that was closed under it may end in.
var errPanicked = errors.New("the client panicked")

func judge(err error) kind {
	if errors.Is(err, errPanicked) || errors.Is(err, errDropped) {
		return severed
	}
	if errors.Is(err, io.EOF) { // The server ended the call while the client was still sending; why, the client does not ask.
		return again
	}
	if e, ok := errors.AsType[*esdb.Error](err); ok {
		switch e.Code() {
		case esdb.ErrorCodeNotLeader:
			return again // The client has gone to the leader.
		case esdb.ErrorCodeConnectionClosed, esdb.ErrorUnavailable, esdb.ErrorCodeDeadlineExceeded:
			return severed
		case esdb.ErrorAborted:
			return again // A write timed out; the same batch is safe.
		}
	}
	switch status.Code(unwrapStatus(err)) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return severed
	case codes.Aborted:
		return again
	}
	return final
}

// unwrapStatus finds the gRPC status in the client's errors, which do not say that they hold one.
func unwrapStatus(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if s, ok := status.FromError(e); ok && s.Code() != codes.Unknown {
			return e
		}
	}
	return err
}

// call runs one attempt of f in a goroutine of its own: the client's calls may outlive their context, or panic when it is
// closed. It returns when f does, or ctx ends, or the timeout is over; f's context has ended then, too.
func call[T any](s *Store, ctx context.Context, f func(context.Context, *esdb.Client) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	l, err := s.links.get(ctx)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	done := make(chan result, 1)
	if !s.spawn(func() {
		var r result
		defer l.leave()
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("%w: %v", errPanicked, p)
			}
			done <- r
		}()
		if r.err = l.connect(); r.err == nil {
			r.value, r.err = f(ctx, l.client)
		}
	}) {
		l.leave()
		return none, eventstore.ErrClosed
	}
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		select { // It is about to end with its context, unless it hangs.
		case r = <-done:
		case <-time.After(50 * time.Millisecond):
			r.err = ctx.Err()
		}
	}
	if r.err == nil {
		s.links.worked(l)
		return r.value, nil
	}
	if parent := context.Cause(ctx); errors.Is(parent, context.Canceled) {
		return none, r.err // The caller has gone; the client is not to blame.
	}
	if errors.Is(r.err, context.DeadlineExceeded) || judge(r.err) == severed {
		s.links.drop(l, r.err)
	}
	return none, r.err
}

// persist repeats f while it fails as connections fail, until ctx ends or patience is over.
func persist[T any](s *Store, ctx context.Context, what string, f func(context.Context, *esdb.Client) (T, error)) (T, error) {
	var none T
	started := time.Now()
	for wait := pauseFirst; ; wait = min(wait*2, pauseMost) {
		v, err := call(s, ctx, f)
		if err == nil {
			return v, nil
		}
		if s.ctx.Err() != nil {
			return none, eventstore.ErrClosed
		}
		if ctx.Err() != nil {
			return none, fmt.Errorf("%s: %w", what, ctx.Err())
		}
		if errors.Is(err, eventstore.ErrClosed) {
			return none, err
		}
		if !errors.Is(err, context.DeadlineExceeded) && judge(err) == final {
			return none, err
		}
		if time.Since(started) > s.o.Patience {
			return none, fmt.Errorf("%w: %s: %w", eventstore.ErrUnavailable, what, err)
		}
		if err := pause(ctx, wait); err != nil {
			return none, fmt.Errorf("%s: %w", what, err)
		}
	}
}
