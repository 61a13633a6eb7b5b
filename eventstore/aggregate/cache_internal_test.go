package aggregate

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"zujian/eventstore"
)

// TestCacheForgetsWhatWasUsedLeastLately compares a cache with a list of the streams in it, the one used last at the end.
func TestCacheForgetsWhatWasUsedLeastLately(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(1, 4).Draw(t, "room")
		c := NewCache(room)
		var in []string
		newest := map[string]eventstore.Revision{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			stream := strconv.Itoa(rapid.IntRange(0, 5).Draw(t, "stream"))
			at := slices.Index(in, stream)
			if rapid.Bool().Draw(t, "keep") {
				revision := eventstore.Revision(rapid.IntRange(0, 3).Draw(t, "revision"))
				keep(c, stream, &entry[int]{revision: revision})
				if at < 0 {
					newest[stream] = revision
				}
				newest[stream] = max(newest[stream], revision)
			} else if e := start[int](c, stream); (e == nil) != (at < 0) || e != nil && e.revision != newest[stream] {
				t.Fatalf("of %v at %v: %s is %+v", in, newest, stream, e)
			} else if e == nil {
				continue
			}
			if at >= 0 {
				in = slices.Delete(in, at, at+1)
			}
			if in = append(in, stream); len(in) > room {
				in = in[1:]
			}
		}
		for _, stream := range in {
			if start[int](c, stream) == nil {
				t.Fatalf("%s of %v is forgotten", stream, in)
			}
		}
	})
}
