package embedded

import (
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// TestASettledMomentStays reads, while others append, what was stored up to a moment that has just passed, and again later.
func TestASettledMomentStays(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	upTo := func(at time.Time) eventstore.Revision {
		for rec, err := range s.StreamBack(t.Context(), "unit-1", 1<<40) {
			if err != nil {
				t.Fatal(err)
			}
			if !rec.StoredAt.After(at) {
				return rec.Revision
			}
		}
		return eventstore.NoStream
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if _, err := s.Append(t.Context(), "unit-1", eventstore.AnyRevision, storetest.Event(n)); err != nil {
				stopped <- err
				return
			}
		}
	}()
	was := map[time.Time]eventstore.Revision{}
	for s.Stats().Events < 100 {
		at := time.Now().Add(-2 * time.Microsecond)
		if err := s.Settle(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		was[at] = upTo(at)
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	for at, n := range was {
		if now := upTo(at); now != n {
			t.Errorf("%v: up to revision %d at first, to %d later", at, n, now)
		}
	}
}
