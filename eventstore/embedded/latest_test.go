package embedded

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// TestFollowersShare: who follows the log gets the very events another has read, whoever comes first; from wherever anybody
// starts, all get what the segments hold; and no more of the log is kept than is said.
func TestFollowersShare(t *testing.T) {
	o := small(vfs.NewMem())
	o.SegmentBytes = 32 << 10
	s := mustOpen(t, o)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	var all []eventstore.Recorded
	followed, shared := 0, 0
	for n := range 60 {
		var after eventstore.Position
		if len(all) > 0 {
			after = all[len(all)-1].Position
		}
		for i := range 1 + rng.IntN(3) {
			stream := fmt.Sprintf("contract-%d-%d", n, i)
			if _, err := s.Append(t0, stream, eventstore.NoStream, storetest.Events(n*4, n*4+1+rng.IntN(4))...); err != nil {
				t.Fatal(err)
			}
		}
		r := s.reader()
		if err := s.frames(t0, &r, after, s.durable.load(), func(f frame) bool { all = append(all, r.dec.event(f)); return true }); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(4) > 0 { // At times nobody follows.
			first, second := storetest.Collect(t, s.All(t0, after)), storetest.Collect(t, s.All(t0, after))
			for i := range first {
				if unsafe.SliceData(first[i].Data) == unsafe.SliceData(second[i].Data) {
					shared++
				}
			}
			followed += len(first)
		}
		for range 8 {
			from := rng.Uint64N(uint64(all[len(all)-1].Position) + 2)
			checkAfter(t, s, all, eventstore.Position(from), fmt.Sprintf("seed %d, %d events, after %d", seed, len(all), from))
		}
		l := &s.latest
		if len(l.kept) > 0 {
			e := l.kept[0]
			if starts := e.event.Position - eventstore.Position(len(e.frame)); l.to-starts > l.bytes+eventstore.Position(len(e.frame)) {
				t.Fatalf("seed %d: %d events of %d bytes are kept, not of %d", seed, len(l.kept), l.to-starts, l.bytes)
			}
		}
		if n%20 == 19 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, o)
		}
	}
	if shared < followed*9/10 {
		t.Fatalf("seed %d: of %d events only %d were read once for two", seed, followed, shared)
	}
}

// checkAfter holds what is read after a position, as events and as leaves, to the whole log.
func checkAfter(t *testing.T, s *Store, all []eventstore.Recorded, after eventstore.Position, name string) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(all), func(r eventstore.Recorded) bool { return r.Position <= after })
	if d := storetest.Diff(want, storetest.Collect(t, s.All(t0, after))); d != "" {
		t.Fatalf("%s: %s", name, d)
	}
	leaves := 0
	for c, err := range s.Leaves(t0, after) {
		if err != nil || leaves >= len(want) || c.Position != want[leaves].Position || string(c.Stream) != want[leaves].Stream {
			t.Fatalf("%s: leaf %d is %+v, %v", name, leaves, c, err)
		}
		leaves++
	}
	if leaves != len(want) {
		t.Fatalf("%s: %d leaves, not %d", name, leaves, len(want))
	}
}
