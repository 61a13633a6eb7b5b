package embedded

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// headFrames are how many frames the head of a stream knows, and reads the stream whole.
func headFrames(t *testing.T, s *Store, stream string, events int) (frames int) {
	t.Helper()
	if err := s.indexed.wait(t.Context(), s.durable.load()); err != nil {
		t.Fatal(err)
	}
	if err := s.index.headOf(stream, noPosition, func(h headRow) { frames = int(h.frames()) }); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range s.Stream(t.Context(), stream, 0) {
		if err != nil || e.Revision != eventstore.Revision(n) {
			t.Fatalf("%s: revision %d, want %d: %v", stream, e.Revision, n, err)
		}
		n++
	}
	if n != events {
		t.Fatalf("%s has %d events, want %d", stream, n, events)
	}
	return frames
}

// TestHeadsKnowShortStreams writes a stream in several openings: its head tells a reader all of it, without a walk through
// the index. An index built anew knows of each what was written last at once.
func TestHeadsKnowShortStreams(t *testing.T) {
	o := Options{Dir: t.TempDir(), FS: vfs.Default}
	events := 0
	again := func(s *Store) *Store {
		if s != nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return mustOpen(t, o)
	}
	write := func(s *Store, n int) {
		t.Helper()
		for range s.Stream(t.Context(), "unit-1", 0) { // Who writes a stream has read it.
		}
		es := storetest.Events(events, events+n)
		if _, err := s.AppendTogether(t.Context(), eventstore.Part{Stream: "unit-1", Expected: eventstore.Revision(events - 1), Events: es},
			eventstore.Part{Stream: fmt.Sprint("other-", events), Expected: eventstore.NoStream, Events: storetest.Events(0, 1)}); err != nil {
			t.Fatal(err)
		}
		events += n
	}
	s := again(nil)
	for _, n := range []int{2, 1, 3, 1, 5, 2 * tailFrames} {
		write(s, n)
		if got, want := headFrames(t, s, "unit-1", events), min(events, tailFrames); got != want {
			t.Errorf("after %d events the head knows %d frames, want %d", events, got, want)
		}
		s = again(s)
		if got, want := headFrames(t, s, "unit-1", events), min(events, tailFrames); got != want {
			t.Errorf("after %d events and another open the head knows %d frames, want %d", events, got, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := o.FS.RemoveAll(o.FS.PathJoin(o.Dir, indexName)); err != nil {
		t.Fatal(err)
	}
	s = again(nil)
	if got := headFrames(t, s, "unit-1", events); got != tailFrames {
		t.Errorf("in an index built anew the head knows %d frames, want %d", got, tailFrames)
	}
	if got := headFrames(t, s, "other-0", 1); got != 1 {
		t.Errorf("in an index built anew the head of a stream of one event knows %d frames", got)
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestIndexOfHeadsWithoutPositions opens an index of version 1, whose heads hold nothing but the last revision.
func TestIndexOfHeadsWithoutPositions(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s := mustOpen(t, o)
	for n := range 3 {
		if _, err := s.Append(t.Context(), "unit-1", eventstore.Revision(n-1), storetest.Event(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	x, err := openDB(o.withDefaults(), s.id, false)
	if err != nil {
		t.Fatal(err)
	}
	b := x.db.NewBatch()
	m, done, err := x.db.Get([]byte{keyMark})
	if err != nil {
		t.Fatal(err)
	}
	old := append([]byte{1}, m[1:]...)
	for _, err := range []error{
		done.Close(), b.Set([]byte{keyMark}, old, nil), b.Set([]byte(string(rune(keyHead))+"unit-1"), be.AppendUint64(nil, 2), nil),
		b.Commit(pebble.NoSync), x.close(true),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, o)
	if got := headFrames(t, s, "unit-1", 3); got != 0 {
		t.Fatalf("the head knows %d frames: the index was built anew", got)
	}
	if err := s.Verify(context.Background(), nil); err != nil {
		t.Error(err)
	}
	if _, err := s.Append(t.Context(), "unit-1", 2, storetest.Event(3)); err != nil {
		t.Fatal(err)
	}
	if got := headFrames(t, s, "unit-1", 4); got != 4 {
		t.Errorf("after the next event the head knows %d frames, want 4", got)
	}
	if err := s.Verify(context.Background(), nil); err != nil {
		t.Error(err)
	}
}
