// Package transfer copies a log from one store to another, event by event, and proves the copy: both logs have the same
// tree root. Events keep everything that package leaf commits to; positions and recorded times are each store's own.
//
// The target must be a prefix of the source: an empty log, or what an earlier copy that was stopped has left there. So a
// copy that is run again goes on. Nobody else may write to either store meanwhile; if somebody does, the roots differ.
//
// # Decisions
//
// One append at a time, since the order of the whole log is to be kept: events that follow each other in one stream go
// together, up to appendBytes, which is below the limit of an EventStoreDB as it is delivered. Both logs are read whole at
// the end instead of trusting what was sent: the price is one more reading, which is fast beside the writing.
//
// The roots are made under a log key of zeroes, since not every log that is copied is one whose key the copier holds. They
// are those of RFC 6962 over leaves of package leaf, but not those of a signed checkpoint.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
)

const (
	appendEvents = 256
	appendBytes  = 256 << 10 // Data and metadata of one append; an event that is larger goes alone.
)

// ErrDiverged means that the target is no copy of the source; errors.As to *Diverged tells where.
var ErrDiverged = errors.New("transfer: the target is no copy of the source")

// Diverged names the first event that differs.
type Diverged struct {
	Ordinal uint64
	Why     string
}

func (e *Diverged) Error() string {
	return fmt.Sprintf("transfer: the target is no copy of the source: event with ordinal %d: %s", e.Ordinal, e.Why)
}

// Is makes errors.Is(err, ErrDiverged) true.
func (e *Diverged) Is(target error) bool { return target == ErrDiverged }

// Copied says how a copy went.
type Copied struct {
	Events uint64   // In both logs.
	Before uint64   // Of them in the target already.
	Root   [32]byte // Of both.
}

// Copy brings to up to the head that from has now. Progress is told in events, of which each counts twice: when it is
// there, and when it was compared. An error after some events leaves a target that a later Copy goes on with.
func Copy(ctx context.Context, from, to eventstore.Store, progress func(done, total int64)) (c Copied, err error) {
	source, err := from.Head(ctx)
	if err != nil {
		return c, fmt.Errorf("head of the source: %w", err)
	}
	c.Events = source.Events
	have, err := to.Head(ctx)
	if err != nil {
		return c, fmt.Errorf("head of the target: %w", err)
	}
	c.Before = have.Events
	count := func(done uint64) { progress(int64(done), 2*int64(source.Events)) }
	next, stop := iter.Pull2(to.All(ctx, 0))
	defer stop()
	w := writer{to: to}
	for r, err := range from.All(ctx, 0) {
		if err != nil {
			return c, fmt.Errorf("read the source: %w", err)
		}
		if r.Ordinal >= source.Events {
			break
		}
		if r.Ordinal < have.Events {
			err = compare(&r, next)
		} else {
			err = w.add(ctx, r)
		}
		if err != nil {
			return c, err
		}
		count(r.Ordinal + 1)
	}
	if have.Events > source.Events {
		return c, &Diverged{source.Events, "the source ends before it"}
	}
	if err := w.flush(ctx); err != nil {
		return c, err
	}
	c.Root, err = verify(ctx, from, to, source.Events, count)
	return c, err
}

func compare(r *eventstore.Recorded, next func() (eventstore.Recorded, error, bool)) error {
	other, err, ok := next()
	if err != nil {
		return fmt.Errorf("read the target: %w", err)
	}
	if !ok {
		return &Diverged{r.Ordinal, "the target ends before it"}
	}
	if a, b := leaf.Of(r), leaf.Of(&other); a.Ordinal != b.Ordinal || a.Commitment != b.Commitment {
		return &Diverged{r.Ordinal, fmt.Sprintf("%s of %s at the target is not %s of %s", other.Type, other.Stream, r.Type, r.Stream)}
	}
	return nil
}

// verify reads both logs and compares their roots.
func verify(ctx context.Context, from, to eventstore.Store, n uint64, count func(uint64)) (root [32]byte, err error) {
	next, stop := iter.Pull2(to.All(ctx, 0))
	defer stop()
	a, b := newTree(), newTree()
	for r, err := range from.All(ctx, 0) {
		if err != nil {
			return root, fmt.Errorf("read the source again: %w", err)
		}
		if r.Ordinal >= n {
			break
		}
		other, err, ok := next()
		if err != nil {
			return root, fmt.Errorf("read the target again: %w", err)
		}
		if !ok {
			return root, &Diverged{r.Ordinal, "the target ends before it"}
		}
		a.add(&r)
		b.add(&other)
		if a.newest != b.newest {
			return root, &Diverged{r.Ordinal, fmt.Sprintf("it is %s of %s at the target", other.Type, other.Stream)}
		}
		count(n + r.Ordinal + 1)
	}
	if extra, err, ok := next(); err != nil {
		return root, fmt.Errorf("read the target again: %w", err)
	} else if ok {
		return root, &Diverged{extra.Ordinal, "somebody else wrote it to the target"}
	}
	if a.Size() != n || a.Root() != b.Root() {
		return root, &Diverged{a.Size(), fmt.Sprintf("root %x at the source, %x at the target", a.Root(), b.Root())}
	}
	return a.Root(), nil
}

// writer gathers events that follow each other in one stream.
type writer struct {
	to     eventstore.Store
	first  eventstore.Recorded
	events []eventstore.NewEvent
	bytes  int
}

func (w *writer) add(ctx context.Context, r eventstore.Recorded) error {
	size := len(r.Data) + len(r.Meta.Bytes())
	if len(w.events) == appendEvents || w.bytes+size > appendBytes || r.Stream != w.first.Stream {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	if len(w.events) == 0 {
		w.first = r
	}
	w.events, w.bytes = append(w.events, r.NewEvent), w.bytes+size
	return nil
}

func (w *writer) flush(ctx context.Context) error {
	if len(w.events) == 0 {
		return nil
	}
	_, err := w.to.Append(ctx, w.first.Stream, w.first.Revision-1, w.events...)
	if errors.Is(err, eventstore.ErrWrongRevision) {
		return &Diverged{w.first.Ordinal, "somebody else writes to the target: " + err.Error()}
	}
	if err != nil {
		return fmt.Errorf("write the event with ordinal %d: %w", w.first.Ordinal, err)
	}
	w.events, w.bytes = nil, 0
	return nil
}

// tree is an RFC 6962 tree over the events of one side.
type tree struct {
	leaf.Edge
	tagger *leaf.Tagger
	buf    []byte
	newest [32]byte // Hash of the last leaf.
}

func newTree() *tree { return &tree{tagger: leaf.NewTagger([32]byte{})} }

func (t *tree) add(r *eventstore.Recorded) {
	c := leaf.Of(r)
	t.buf = t.tagger.Append(t.buf[:0], &c)
	t.newest = leaf.NodeHash(t.buf)
	t.Add(t.newest)
}
