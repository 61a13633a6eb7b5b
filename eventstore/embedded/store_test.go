package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// TestStoreSmallMapped gives out the mapped files' own memory.
func TestStoreSmallMapped(t *testing.T) {
	storetest.Run(t, func(tb testing.TB) eventstore.Store {
		return mustOpen(tb, Options{Dir: tb.TempDir(), SegmentBytes: 4 << 10, Heads: 1, lend: 1})
	})
}

// TestLentOutlivesClose: what was read stays as it is when the store is closed, its folder removed, and much else is mapped.
func TestLentOutlivesClose(t *testing.T) {
	for name, lend := range map[string]int64{"lent": 1, "copied": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			o := Options{Dir: dir, SegmentBytes: 16 << 10, DeferSync: true, lend: lend}
			s := mustOpen(t, o)
			for n := range 60 {
				if _, err := s.Append(t0, fmt.Sprint("contract-", n%7), eventstore.AnyRevision, storetest.Events(n*3, n*3+3)...); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, o)
			read := map[string][]eventstore.Recorded{
				"all": storetest.Collect(t, s.All(t0, 0)), "back": storetest.Collect(t, s.AllBack(t0, eventstore.LastPosition)),
				"stream": storetest.Collect(t, s.Stream(t0, "contract-1", 0)), "stream back": storetest.Collect(t, s.StreamBack(t0, "contract-1", eventstore.LastRevision)),
			}
			want := map[string][]eventstore.Recorded{}
			for name, events := range read {
				for _, e := range events {
					e.Data = bytes.Clone(e.Data)
					want[name] = append(want[name], e)
				}
			}
			if segs := *s.segs.Load(); len(segs) < 3 || s.lent.Load() != (lend == 1) {
				t.Fatalf("%d segments, lent %v", len(segs), s.lent.Load())
			}
			if err := errors.Join(s.Close(), os.RemoveAll(dir)); err != nil {
				t.Fatal(err)
			}
			mustOpen(t, Options{Dir: t.TempDir(), SegmentBytes: 16 << 10})
			for name := range read {
				if d := storetest.Diff(want[name], read[name]); d != "" {
					t.Errorf("%s: %s", name, d)
				}
			}
		})
	}
}

func TestReopen(t *testing.T) {
	storetest.Reopen(t, func(tb testing.TB, dir string) eventstore.Store {
		return mustOpen(tb, Options{Dir: dir, SegmentBytes: 4 << 10})
	})
}

// TestSpareKeepsPace: the next segment is zeroed without rests as long as a smaller share of it is there than is used of
// the one before.
func TestSpareKeepsPace(t *testing.T) {
	o := small(vfs.NewMem())
	o.SegmentBytes = 64 << 10
	s := mustOpen(t, o)
	for n := range 1000 {
		if _, err := s.Append(t0, fmt.Sprint("contract-", n), eventstore.NoStream, storetest.Events(n, n+1)...); err != nil {
			t.Fatal(err)
		}
		segs := *s.segs.Load()
		g := segs[len(segs)-1]
		used := int64(s.durable.load() - g.base)
		for _, size := range []int64{g.size, 4 * g.size} { // Of the spare.
			same := used * (size / g.size) // Bytes of it, as full as the segment.
			if s.lags(same, size) || s.lags(size, size) || !s.lags(same-1, size) || !s.lags(0, size) {
				t.Fatalf("%d of %d bytes are used, a spare of %d: lags with %d: %v, with one less: %v, with none: %v, with all: %v", used, g.size, size,
					same, s.lags(same, size), s.lags(same-1, size), s.lags(0, size), s.lags(size, size))
			}
		}
	}
	if n := len(*s.segs.Load()); n < 3 {
		t.Fatalf("%d segments: too few", n)
	}
}
