package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"zujian/eventstore"
)

// Log is a log on a file system. Verify reads all of it and names the first damage.
type Log interface {
	eventstore.Store
	Verify(ctx context.Context, progress func(done, total int64)) error
	Close() error
}

const eventType = "test.happened"

// newEvents makes n events that tell themselves apart from all others of the run.
func newEvents(rng *rand.Rand, n, bytesMax int) []eventstore.NewEvent {
	es := make([]eventstore.NewEvent, n)
	for i := range es {
		e := &es[i]
		binary.LittleEndian.PutUint64(e.ID[:], rng.Uint64()|1)
		binary.LittleEndian.PutUint64(e.ID[8:], rng.Uint64())
		e.Type = eventType
		e.Data = bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, rng.IntN(bytesMax))
		e.Meta = eventstore.Metadata{
			Schema: 1, Actor: "actor", Role: "system", Command: "command", Correlation: "correlation",
			At: time.Unix(1_700_000_000, 0).UTC(), Policy: 1,
		}
	}
	return es
}

func streamName(n int) string { return fmt.Sprintf("contract-%d", n) }

// acked is an append whose success a writer saw.
type acked struct {
	stream string
	res    eventstore.Appended
	events []eventstore.NewEvent
}

// survivors checks a log after a fault: everything acknowledged is there unchanged, numbers have no gaps, and nothing
// is there that nobody appended. It returns the last revision of each stream.
func survivors(ctx context.Context, s Log, kept []acked) (heads map[string]eventstore.Revision, err error) {
	heads = map[string]eventstore.Revision{}
	byPosition := map[eventstore.Position]eventstore.Recorded{}
	want, storedAt := uint64(0), time.Time{}
	for r, err := range s.All(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("read all: %w", err)
		}
		last, ok := heads[r.Stream]
		if !ok {
			last = eventstore.NoStream
		}
		switch {
		case r.Ordinal != want || r.Revision != last+1:
			return nil, fmt.Errorf("GAP: ordinal %d revision %d of %s, want %d and %d", r.Ordinal, r.Revision, r.Stream, want, last+1)
		case r.Type != eventType || len(r.Stream) != len(streamName(0)):
			return nil, fmt.Errorf("PHANTOM: %+v", r)
		case r.StoredAt.Before(storedAt):
			return nil, fmt.Errorf("GAP: recorded time goes back at ordinal %d", r.Ordinal)
		}
		heads[r.Stream], byPosition[r.Position], storedAt = r.Revision, r, r.StoredAt
		want++
	}
	if h, err := s.Head(ctx); err != nil || h.Events != want {
		return nil, errors.Join(err, fmt.Errorf("GAP: the head counts %d events, the log yields %d", h.Events, want))
	}
	for _, a := range kept {
		if err := a.survived(ctx, s, byPosition); err != nil {
			return nil, err
		}
	}
	return heads, s.Verify(ctx, nil)
}

func (a acked) survived(ctx context.Context, s Log, byPosition map[eventstore.Position]eventstore.Recorded) error {
	last := a.events[len(a.events)-1]
	r, ok := byPosition[a.res.Position]
	if !ok || r.ID != last.ID || r.Stream != a.stream || r.Revision != a.res.Revision {
		return fmt.Errorf("LOST: acknowledged revision %d of %s at %d", a.res.Revision, a.stream, a.res.Position)
	}
	i := 0
	for r, err := range s.Stream(ctx, a.stream, a.res.Revision-eventstore.Revision(len(a.events))+1) {
		if err != nil {
			return fmt.Errorf("read stream: %w", err)
		}
		if r.ID != a.events[i].ID || !bytes.Equal(r.Data, a.events[i].Data) {
			return fmt.Errorf("CHANGED: acknowledged revision %d of %s", r.Revision, a.stream)
		}
		if i++; i == len(a.events) {
			return nil
		}
	}
	return fmt.Errorf("LOST: acknowledged revision %d is not in %s", a.res.Revision, a.stream)
}

// repeated sends again what may have been written without an answer: the same append must come to the same place, or be
// written now, and never twice.
func repeated(ctx context.Context, s Log, a attempt) (eventstore.Appended, error) {
	res, err := s.Append(ctx, a.stream, a.expected, a.events...)
	if err != nil {
		return res, fmt.Errorf("repeat append to %s at %d: %w", a.stream, a.expected, err)
	}
	again, err := s.Append(ctx, a.stream, a.expected, a.events...)
	if err != nil || again != res {
		return res, errors.Join(err, fmt.Errorf("CHANGED: append to %s at %d came to %+v, repeated to %+v", a.stream, a.expected, res, again))
	}
	return res, nil
}

// attempt is an append that was asked for and not answered.
type attempt struct {
	stream   string
	expected eventstore.Revision
	events   []eventstore.NewEvent
}
