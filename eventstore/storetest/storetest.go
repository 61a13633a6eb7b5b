// Package storetest states the laws of eventstore.Store as tests. Every adapter runs Run; those that outlive their
// process run Reopen too. It owns no store.
package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"zujian/eventstore"
)

// patience is how long a test waits for what should come at once: only a broken store, or a very slow one, uses it up.
const patience = 20 * time.Second

// Run holds the store that open gives to every law of the port. Each sub-test opens its own, empty, and open sees to
// its closing.
func Run(t *testing.T, open func(testing.TB) eventstore.Store) {
	for _, law := range []struct {
		name string
		run  func(*testing.T, eventstore.Store)
	}{
		{"an empty store yields nothing", emptyStore},
		{"what was appended is read back whole", readBack},
		{"a salt is kept, and drawn where there is none", salts},
		{"a stream is read from any revision", readFrom},
		{"all is read after any position", readAfter},
		{"a stream and all are read back from anywhere", readBackwards},
		{"the head is where the log ends", head},
		{"the expected revision is exact", expectedRevision},
		{"any revision appends at the end", anyRevision},
		{"the end that is known of a stream is where it ends", knownEnd},
		{"a repeated append returns the first result", repeatExact},
		{"a repeated part of an append returns its own end", repeatPrefix},
		{"a repeat at any revision is found anywhere", repeatAny},
		{"a partial repeat is refused and writes nothing", repeatPartial},
		{"the same ids in another stream are another append", repeatOtherStream},
		{"the same id many times is found from its first", repeatSameID},
		{"an append is all or nothing", allOrNone},
		{"positions and ordinals follow the order of appends", order},
		{"recorded time never goes back", recordedTime},
		{"malformed appends are refused by name", malformed},
		{"limits are inclusive", limits},
		{"the largest event fits", largestEvent},
		{"a large append fits", largeAppend},
		{"events from outside come back byte for byte", outsideEvents},
		{"outsiders may append many small events", outsideMany},
		{"similar names are different streams", similarNames},
		{"the caller may reuse its buffers", buffersReused},
		{"times come back in UTC and whole microseconds", times},
		{"racing writers of one stream: one wins each revision", raceOneStream},
		{"racing writers of many streams lose nothing", raceManyStreams},
		{"racing repeats write once", raceRepeats},
		{"readers beside writers see no gap", highWater},
		{"an iterator ends at the head it saw", headWhenCalled},
		{"an iterator may be stopped early and used again", stoppedEarly},
		{"a cancelled reader gets the context's error", cancelledRead},
		{"a cancelled append writes nothing", cancelledAppend},
		{"wait returns at once when there is more", waitPast},
		{"wait wakes on the next append", waitWakes},
		{"wait ends with its context", waitCancelled},
		{"an append in parts is written whole and in order", partsWritten},
		{"an append in parts is refused whole", partsRefused},
		{"malformed parts are refused", partsInvalid},
		{"racing appends in parts: nobody sees a half", partsRace},
		{"a closed store says so", closedStore},
	} {
		t.Run(law.name, func(t *testing.T) { law.run(t, open(t)) })
	}
}

// Event makes the n-th distinct event of a test; the same n is the same event.
func Event(n int) eventstore.NewEvent {
	e := eventstore.NewEvent{
		Type: "test.happened",
		Data: fmt.Appendf(nil, `{"n":%d,"text":"租赁合同"}`, n),
		Meta: eventstore.Metadata{
			Schema: 1 + n%3, Actor: "key-7", Role: "broker", Command: fmt.Sprintf("command-%d", n),
			Correlation: fmt.Sprintf("request-%d", n/2), At: time.Date(2026, 3, 1, 2, 0, 0, n%1000*1000, time.UTC), Policy: 4,
		},
	}
	if n%2 == 1 {
		e.Meta.Causation = fmt.Sprintf("event-%d", n-1)
	}
	binary.BigEndian.PutUint64(e.ID[:], uint64(n)+1)
	e.ID[15] = 0x80
	e.Meta.Salt = eventstore.Salt{eventstore.SaltINTL + byte(n%2), 15: 0x80} // Kept, so that a read gives the same event.
	binary.BigEndian.PutUint64(e.Meta.Salt[4:], uint64(n))
	return e
}

// Events makes the events from (included) to to (excluded).
func Events(from, to int) []eventstore.NewEvent {
	es := make([]eventstore.NewEvent, 0, to-from)
	for n := from; n < to; n++ {
		es = append(es, Event(n))
	}
	return es
}

// Collect reads an iterator to its end.
func Collect(tb testing.TB, seq iter.Seq2[eventstore.Recorded, error]) []eventstore.Recorded {
	tb.Helper()
	var out []eventstore.Recorded
	for r, err := range seq {
		if err != nil {
			tb.Fatalf("read: %v", err)
		}
		out = append(out, r)
	}
	return out
}

// Diff compares recorded events; an empty Data equals none. It explains only what differs: cmp walks large data
// byte by byte.
func Diff(want, got []eventstore.Recorded) string {
	if slices.EqualFunc(want, got, Same) {
		return ""
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// Same tells whether two recorded events are equal; an empty Data equals none.
func Same(a, b eventstore.Recorded) bool {
	same := a.Meta.At.Equal(b.Meta.At) && a.StoredAt.Equal(b.StoredAt)
	a.Meta.At, a.StoredAt = b.Meta.At, b.StoredAt
	return same && bytes.Equal(a.Data, b.Data) && a.Binary == b.Binary && a.ID == b.ID && a.Type == b.Type && a.Meta == b.Meta &&
		a.Stream == b.Stream && a.Revision == b.Revision && a.Position == b.Position && a.Ordinal == b.Ordinal
}

func mustAppend(t testing.TB, s eventstore.Store, stream string, expected eventstore.Revision, es ...eventstore.NewEvent) eventstore.Appended {
	t.Helper()
	a, err := s.Append(t.Context(), stream, expected, es...)
	if err != nil {
		t.Fatalf("append %d events to %s at %d: %v", len(es), stream, expected, err)
	}
	return a
}

func wantWrong(t testing.TB, err error, stream string, expected, actual eventstore.Revision) {
	t.Helper()
	w, ok := errors.AsType[*eventstore.WrongRevision](err)
	if !ok || !errors.Is(err, eventstore.ErrWrongRevision) {
		t.Fatalf("append to %s at %d: got %v, want ErrWrongRevision", stream, expected, err)
	}
	want := eventstore.WrongRevision{Stream: stream, Expected: expected, Actual: actual}
	if *w != want {
		t.Fatalf("got %+v, want %+v", *w, want)
	}
}

func streamIDs(t testing.TB, s eventstore.Store, stream string) [][16]byte {
	t.Helper()
	var ids [][16]byte
	for _, r := range Collect(t, s.Stream(t.Context(), stream, 0)) {
		ids = append(ids, r.ID)
	}
	return ids
}

func wantStream(t testing.TB, s eventstore.Store, stream string, want ...eventstore.NewEvent) {
	t.Helper()
	var ids [][16]byte
	for _, e := range want {
		ids = append(ids, e.ID)
	}
	if d := cmp.Diff(ids, streamIDs(t, s, stream), cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("event ids of %s (-want +got):\n%s", stream, d)
	}
}

// CheckLog holds what All yields to the laws that need no model: ordinals gapless from 0, positions strictly growing,
// revisions gapless in each stream, recorded time never going back, and each stream read alone equal to its part.
func CheckLog(tb testing.TB, s eventstore.Store) []eventstore.Recorded {
	tb.Helper()
	ctx := context.Background() // Also used from cleanups, where the test's own context has ended.
	all := Collect(tb, s.All(ctx, 0))
	byStream := map[string][]eventstore.Recorded{}
	var names []string
	for i, r := range all {
		have := byStream[r.Stream]
		switch {
		case r.Ordinal != uint64(i):
			tb.Fatalf("event %d has ordinal %d", i, r.Ordinal)
		case i > 0 && r.Position <= all[i-1].Position, r.Position == 0:
			tb.Fatalf("event %d at position %d is not after %d", i, r.Position, all[max(i-1, 0)].Position)
		case i > 0 && r.StoredAt.Before(all[i-1].StoredAt):
			tb.Fatalf("event %d was recorded %v, before the one before it %v", i, r.StoredAt, all[i-1].StoredAt)
		case r.Revision != eventstore.Revision(len(have)):
			tb.Fatalf("event %d is revision %d of %s, want %d", i, r.Revision, r.Stream, len(have))
		}
		if len(have) == 0 {
			names = append(names, r.Stream)
		}
		byStream[r.Stream] = append(have, r)
	}
	for _, name := range names {
		if d := Diff(byStream[name], Collect(tb, s.Stream(ctx, name, 0))); d != "" {
			tb.Fatalf("stream %s differs from its part of the log (-log +stream):\n%s", name, d)
		}
	}
	return all
}

// shut closes a store that can be closed.
func shut(tb testing.TB, s eventstore.Store) {
	tb.Helper()
	c, ok := s.(io.Closer)
	if !ok {
		tb.Fatalf("%T cannot be closed", s)
	}
	if err := c.Close(); err != nil {
		tb.Fatalf("close: %v", err)
	}
}
