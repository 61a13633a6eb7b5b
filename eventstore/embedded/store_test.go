package embedded

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

func mustOpen(tb testing.TB, o Options) *Store {
	tb.Helper()
	if o.QueueAge == 0 {
		o.QueueAge = time.Hour // A disk that stalls for a second is no matter of these tests.
	}
	s, err := Open(o)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() { _ = s.Close() }) // A second Close does nothing.
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(tb testing.TB) eventstore.Store { return mustOpen(tb, Options{Dir: tb.TempDir()}) })
}

// TestStoreSmall rolls segments all the time, reads with pread, and keeps almost no head in memory.
func TestStoreSmall(t *testing.T) {
	storetest.Run(t, func(tb testing.TB) eventstore.Store {
		return mustOpen(tb, Options{Dir: "log", FS: vfs.NewMem(), SegmentBytes: 4 << 10, Heads: 4})
	})
}

func TestStoreSmallMapped(t *testing.T) {
	storetest.Run(t, func(tb testing.TB) eventstore.Store {
		return mustOpen(tb, Options{Dir: tb.TempDir(), SegmentBytes: 4 << 10, Heads: 1})
	})
}

func TestReopen(t *testing.T) {
	storetest.Reopen(t, func(tb testing.TB, dir string) eventstore.Store {
		return mustOpen(tb, Options{Dir: dir, SegmentBytes: 4 << 10})
	})
}
