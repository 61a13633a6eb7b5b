// Package eventstore is the port every event log stands behind, and its rules. It owns the shapes of an event on
// its way in and out and nothing else; adapters and callers import it, it imports nothing of ours.
// eventstore/storetest states the laws below as tests, and every adapter runs them.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"
)

// ErrWrongRevision means the stream moved on; errors.As to *WrongRevision tells where to.
var ErrWrongRevision = errors.New("eventstore: wrong expected revision")

// ErrInvalid means the append itself is malformed: no events, a bad stream or type name, or a limit below exceeded.
var ErrInvalid = errors.New("eventstore: invalid append")

// ErrOverloaded means the store shed the append unwritten because its queue is too old; try again later.
var ErrOverloaded = errors.New("eventstore: overloaded")

// ErrUnavailable means the store cannot be reached now. Whether an append was written is not known; the same append may be
// repeated.
var ErrUnavailable = errors.New("eventstore: unavailable")

// ErrFull means the store's disk has no room to spare: the append is unwritten. Reading goes on; appends are taken again
// when somebody made room.
var ErrFull = errors.New("eventstore: the disk is full")

// ErrClosed means the store was closed or has stopped after a failed sync. Nothing more will be acknowledged.
var ErrClosed = errors.New("eventstore: closed")

const (
	EventBytesMax  = 16 << 20 // Data and metadata of one event.
	AppendMax      = 512      // Events in one append, unless they are all from outside: then OutsideMax.
	OutsideMax     = 16 << 10 // Events from outside in one append.
	AppendBytesMax = 16 << 20 // Data and metadata of one append.
	MetaBytesMax   = 1024     // One text of the metadata, valid UTF-8.
	StreamBytesMax = 1024     // A stream name: "<category>-<id>", valid UTF-8, no control characters.
	TypeBytesMax   = 1024     // A type name: "<category>.<past_participle>".
)

// WrongRevision says where the stream is.
type WrongRevision struct {
	Stream           string
	Expected, Actual Revision
}

func (e *WrongRevision) Error() string {
	return fmt.Sprintf("eventstore: stream %s is at revision %d, not %d", e.Stream, e.Actual, e.Expected)
}

// Is makes errors.Is(err, ErrWrongRevision) true.
func (e *WrongRevision) Is(target error) bool { return target == ErrWrongRevision }

// Revision is the number of a stream's last event, from 0. NoStream and AnyRevision are expectations only.
type Revision int64

const (
	NoStream    Revision = -1
	AnyRevision Revision = -2

	LastRevision Revision = math.MaxInt64 // For StreamBack: from the stream's end.
)

// Position orders all events of one store. It only grows, may skip, and is opaque to everything but its store.
// Position 0 is before the first event.
type Position uint64

// LastPosition is for AllBack: from the log's end.
const LastPosition Position = math.MaxUint64

// Head is where a log ends.
type Head struct {
	Position Position // Of the last event; 0 if there is none.
	Events   uint64   // In the log: the next event's ordinal.
}

// Store is an append-only log of streams. What it yields stays as it is: nobody changes it afterwards.
type Store interface {
	// Append writes events to the end of stream, all or none, and returns only once they are durable.
	// It MUST return ErrWrongRevision if the stream is not at expected, unless these same event ids
	// are already there in this order, starting right after expected; then it returns the first write's result.
	// With AnyRevision the repeat is recognised anywhere in the stream by its first event id.
	// An event whose Salt is zero gets a random one.
	Append(ctx context.Context, stream string, expected Revision, events ...NewEvent) (Appended, error)

	// Stream yields the events of one stream from revision from on. A missing stream yields none.
	Stream(ctx context.Context, stream string, from Revision) iter.Seq2[Recorded, error]

	// All yields every event after position after, in order, and ends at the head it saw when called.
	// It MUST NOT yield an event while one with a smaller position may still appear.
	All(ctx context.Context, after Position) iter.Seq2[Recorded, error]

	// StreamBack yields the events of one stream from revision from down to its first. A revision beyond the end is the end.
	StreamBack(ctx context.Context, stream string, from Revision) iter.Seq2[Recorded, error]

	// AllBack yields every event at or before position upTo, last first. A position beyond the head is the head it saw
	// when called.
	AllBack(ctx context.Context, upTo Position) iter.Seq2[Recorded, error]

	// Head returns where the log ends now. What an append returned is never beyond it.
	Head(ctx context.Context) (Head, error)

	// Wait returns nil when an event after position after exists, ctx.Err() when ctx ends first, ErrClosed when the store closes.
	Wait(ctx context.Context, after Position) error
}

// Ending is a Store that remembers where the streams used last end, for whoever holds what they were read to and asks again
// and again whether there is more.
type Ending interface {
	// End is a stream's last revision, NoStream if it has none; known is false if it can't be told at once. What an append
	// returned before is never beyond it.
	End(stream string) (last Revision, known bool)
}

// Settling is a Store that knows of the events it is still writing.
type Settling interface {
	// Settle returns once every event with a StoredAt of before at, which the caller's clock has reached, can be read: no other
	// will ever bear such a time. It is ErrUnavailable where the store's own clock is too far behind.
	Settle(ctx context.Context, at time.Time) error
}

// PartsMax is how many parts one append may have.
const PartsMax = 8

// Part is what an append in parts adds to the end of one stream.
type Part struct {
	Stream   string
	Expected Revision // Never AnyRevision. Of the second part of a stream: where the first leaves it.
	Events   []NewEvent
}

// Together is a Store that can append to several streams at once. Not every log can: EventStoreDB's client has no such
// call. So whoever uses it also knows a way of single appends.
type Together interface {
	Store

	// AppendTogether writes all parts or none, in their order, and returns the results of each only once all are durable.
	// Nobody ever sees the log with some of them. If a stream is not where its part expects it, it MUST return
	// ErrWrongRevision and write nothing, also when these very events are there already: who asks again looks first.
	AppendTogether(ctx context.Context, parts ...Part) ([]Appended, error)
}
