package main

import (
	"path/filepath"
	"testing"
	"time"

	"zujian/projections/pebbleviews"
)

// TestRepliesAreSwept: whoever serves deletes what was kept under idempotency keys once it has expired, and nothing else.
func TestRepliesAreSwept(t *testing.T) {
	data := t.TempDir()
	within := func(f func(*pebbleviews.Replies)) {
		t.Helper()
		v, err := pebbleviews.Open(filepath.Join(data, "views"), pebbleviews.Options{})
		if err != nil {
			t.Fatal(err)
		}
		f(v.Replies(time.Now))
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	within(func(r *pebbleviews.Replies) {
		for key, expires := range map[string]time.Duration{"old": -time.Hour, "older": -time.Minute, "new": time.Hour} {
			if err := r.Put(key, []byte(key), time.Now().Add(expires)); err != nil {
				t.Fatal(err)
			}
		}
	})
	serveInside(t, data, func(*globals) {}).close(t)
	within(func(r *pebbleviews.Replies) {
		if n, err := r.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("%d expired replies were left, %v", n, err)
		}
		if kept, ok, err := r.Get("new"); string(kept) != "new" || !ok || err != nil {
			t.Errorf("a reply that has not expired is %q, %t, %v", kept, ok, err)
		}
	})
}
