package esdb

import (
	"context"
	"errors"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/storetest"
)

// TestSettledByTheServersClock: of a moment that the server's clock has not reached nobody is told what the log had recorded,
// since events with that time may come.
func TestSettledByTheServersClock(t *testing.T) {
	behind := func() time.Time { return time.Now().Add(-500 * time.Millisecond) }
	log, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Now: behind})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	at, _ := serveBy(t, log, "127.0.0.1:0", behind)
	s := open(t, insecure(at))
	if _, err := s.Append(t.Context(), "unit-1", eventstore.NoStream, storetest.Event(0)); err != nil {
		t.Fatal(err)
	}
	moment := time.Now()
	if err := s.Settle(t.Context(), moment); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "unit-1", eventstore.AnyRevision, storetest.Event(1)); err != nil {
		t.Fatal(err)
	}
	for r, err := range s.StreamBack(t.Context(), "unit-1", eventstore.LastRevision) {
		if err != nil || !r.StoredAt.After(moment) {
			t.Errorf("stored at %v, after %v was settled: %v", r.StoredAt, moment, err)
		}
		break
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Settle(ctx, moment.Add(time.Hour)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("an hour ahead: %v", err)
	}
}
