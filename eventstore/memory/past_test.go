package memory_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/memory"
)

// TestPast moves through a log and sees of each stream what stood there, and no more.
func TestPast(t *testing.T) {
	log := &memory.Store{}
	for i, stream := range []string{"a-1", "b-1", "a-1", "a-1", "b-1"} {
		e := eventstore.NewEvent{ID: [16]byte{1, byte(i)}, Type: "x.done", Data: []byte("{}"), Meta: eventstore.Metadata{
			Schema: 1, Actor: "a", Role: "city", Command: "c", Correlation: "c", At: time.UnixMicro(1).UTC(),
		}}
		if _, err := log.Append(t.Context(), stream, eventstore.AnyRevision, e); err != nil {
			t.Fatal(err)
		}
	}
	past := eventstore.NewPast(log)
	read := func(stream string, from eventstore.Revision) (out []eventstore.Revision) {
		for e, err := range past.Stream(t.Context(), stream, from) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, e.Revision)
		}
		return out
	}
	seen := map[string][]eventstore.Revision{}
	for e, err := range log.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, stream := range []string{"a-1", "b-1", "c-1"} {
			if got := read(stream, 0); !slices.Equal(got, seen[stream]) {
				t.Errorf("before %d, %s has %v, not %v", e.Position, stream, got, seen[stream])
			}
		}
		past.Move(e)
		seen[e.Stream] = append(seen[e.Stream], e.Revision)
	}
	if got := read("a-1", 1); !slices.Equal(got, []eventstore.Revision{1, 2}) {
		t.Errorf("from 1 on: %v", got)
	}
	if got := read("a-1", 3); got != nil {
		t.Errorf("beyond the end: %v", got)
	}
	if _, err := past.Append(t.Context(), "a-1", eventstore.AnyRevision); !errors.Is(err, eventstore.ErrPast) {
		t.Errorf("the past was written to: %v", err)
	}
}
