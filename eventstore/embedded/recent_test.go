package embedded

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// TestRecentAndALaggingIndexGiveEveryFrame plays readers against an index that has what they were told to wait for, and perhaps
// no more.
func TestRecentAndALaggingIndexGiveEveryFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRecent(0)         // One stream in a generation of each shard.
		for i := range r.shards { // A few, for the second half of the runs.
			r.shards[i].max = 1 + i%3
		}
		log := map[string][]eventstore.Position{} // Starts of each stream's frames.
		streams := make([]string, 400)            // Several in each shard.
		for i := range streams {
			streams[i] = fmt.Sprint("s-", i)
		}
		var end, indexed eventstore.Position
		name := rapid.SampledFrom(streams)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			stream := name.Draw(t, "stream")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				one := run{stream: []byte(stream), first: eventstore.Revision(len(log[stream]))}
				for range rapid.IntRange(1, tailFrames+2).Draw(t, "frames") {
					end += 10
					one.n = push(&one.starts, one.n, end)
					log[stream] = append(log[stream], end)
				}
				one.last = eventstore.Revision(len(log[stream]) - 1)
				r.wrote(&one)
			case 2:
				from := eventstore.Revision(rapid.IntRange(0, len(log[stream])+2).Draw(t, "from"))
				want := log[stream][min(int(from), len(log[stream])):]
				w := r.look(stream, from)
				starts := w.starts[:w.n]
				if !w.known {
					indexed = max(w.upTo, eventstore.Position(rapid.IntRange(0, int(end)).Draw(t, "indexed"))) // It may ask only what was written down.
					starts = slices.DeleteFunc(slices.Clone(want), func(p eventstore.Position) bool { return p > indexed })
					chunk := starts // The last that was read.
					if len(starts) > 0 {
						chunk = starts[rapid.IntRange(0, len(starts)).Draw(t, "chunk"):]
					}
					r.readTo(stream, from, from+eventstore.Revision(len(starts))-1, chunk, w.rotations)
				}
				if !slices.Equal(starts, want) {
					t.Fatalf("%s from %d: frames at %v, want %v (known %t, index at %d)", stream, from, starts, want, w.known, indexed)
				}
			case 3:
				if last, ok, _ := r.end(stream); ok && last != eventstore.Revision(len(log[stream])-1) {
					t.Fatalf("%s ends at %d, remembered is %d", stream, len(log[stream])-1, last)
				}
			}
		}
	})
}

// TestStreamDoesNotWaitForOthersInTheIndex reads streams that were last written long ago while the index stands still.
func TestStreamDoesNotWaitForOthersInTheIndex(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	write := func(stream string, n int) {
		t.Helper()
		if _, err := s.Append(t.Context(), stream, eventstore.Revision(n-1), storetest.Event(n)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2 * tailFrames {
		write("old-1", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: s.opts.Dir})
	s.indexed.mu.Lock() // Nobody can tell how far the index is, or wait for it.
	write("new-1", 0)
	read := make(chan string, 1)
	go func() {
		var got string
		for _, stream := range []string{"old-1", "new-1", "none-1"} {
			n := 0
			for _, err := range s.Stream(t.Context(), stream, 0) {
				if err != nil {
					t.Error(err)
				}
				n++
			}
			got += fmt.Sprintf("%s %d ", stream, n)
		}
		read <- got
	}()
	select {
	case got := <-read:
		if want := fmt.Sprintf("old-1 %d new-1 1 none-1 0 ", 2*tailFrames); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		t.Error("a reader waits for the index")
	}
	s.indexed.mu.Unlock()
}

// TestAGenerationFindsWhatIsInIt holds it to a map, with names whose hashes are alike where it looks first.
func TestAGenerationFindsWhatIsInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g generation
		limit := rapid.IntRange(1, 60).Draw(t, "limit")
		for range 2 {
			held := map[hashed]eventstore.Revision{}
			for step := range rapid.IntRange(1, 200).Draw(t, "steps") {
				h := hashed{rapid.Uint64Range(0, 3).Draw(t, "place") * recentShards, rapid.Uint64Range(0, 15).Draw(t, "rest") << 14}
				want, in := held[h]
				got := g.find(h)
				switch {
				case (got != nil) != in, in && (got.stream != h || got.last != want):
					t.Fatalf("%v: found %+v, want revision %d (held %t) of %d", h, got, want, in, len(held))
				case in:
					got.last++
					held[h]++
				case len(held) < limit:
					held[h] = eventstore.Revision(step)
					g.add(tail{stream: h, last: held[h]}, limit)
				}
			}
			if len(g.tails) != len(held) || cap(g.tails) > limit {
				t.Fatalf("%d tails in room for %d, want %d of at most %d", len(g.tails), cap(g.tails), len(held), limit)
			}
			g.clear()
		}
	})
}
