package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// TestTablesAlone writes and reads many streams in a store that remembers few, while its index is written down now and then:
// whether a stream is looked up in the tables alone or not, all of it is found.
func TestTablesAlone(t *testing.T) {
	t.Parallel()
	const streams, steps = 500, 8_000
	rng := rand.New(rand.NewPCG(7, 7))
	fs := vfs.NewCrashableMem()
	open := func() *Store { return mustOpen(t, Options{Dir: "log", FS: fs, Heads: 1, SegmentBytes: 64 << 10}) }
	s := open()
	events := map[string]int{}
	alone := 0
	for range steps {
		stream := fmt.Sprint("unit-", rng.IntN(streams))
		n := events[stream]
		switch rng.IntN(400) {
		case 0:
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open()
		case 1: // Killed: what was not written down of the index is built anew, in memory.
			after := fs.CrashClone(vfs.CrashCloneCfg{})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			fs, s = after, nil
			s = open()
		case 2, 3, 4, 5, 6, 7, 8, 9:
			if err := errors.Join(s.indexed.wait(t.Context(), s.durable.load()), s.index.db.Flush()); err != nil {
				t.Fatal(err)
			}
		}
		if rng.IntN(3) == 0 {
			more := 1 + rng.IntN(4)
			if _, err := s.Append(t.Context(), stream, eventstore.Revision(n-1), storetest.Events(n, n+more)...); err != nil {
				t.Fatalf("%d events behind %d of %s: %v", more, n, stream, err)
			}
			events[stream] += more
			continue
		}
		from := rng.IntN(n + 2)
		if rng.IntN(2) == 0 {
			from = 0
		}
		got := 0
		for e, err := range s.Stream(t.Context(), stream, eventstore.Revision(from)) {
			if err != nil || int(e.Revision) != from+got {
				t.Fatalf("%s from %d: revision %d after %d: %v", stream, from, e.Revision, got, err)
			}
			got++
		}
		if got != max(n-from, 0) {
			t.Fatalf("%s from %d: %d events of %d", stream, from, got, n)
		}
		alone += len(s.index.tables.kept)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if alone < steps/10 {
		t.Error("the tables were hardly asked alone")
	}
}
