package pebbleviews

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"zujian/projections"
)

// TestInOrder: writes are in order of their keys, however long those are and wherever they differ, and of one key as they came.
func TestInOrder(t *testing.T) {
	key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xf8, 0xff}), 0, 11)
	rapid.Check(t, func(t *rapid.T) {
		var all []projections.Pair
		for i, k := range rapid.SliceOfN(key, 0, 40).Draw(t, "keys") {
			all = append(all, projections.Pair{Key: string(k), Value: []byte{byte(i)}})
		}
		want := slices.Clone(all)
		slices.SortStableFunc(want, func(a, b projections.Pair) int { return strings.Compare(a.Key, b.Key) })
		for i, w := range new(keyspace).inOrder(all) {
			if p := all[w.at]; p.Key != want[i].Key || p.Value[0] != want[i].Value[0] {
				t.Fatalf("%d. is %q of write %d, not %q of %d", i, p.Key, p.Value, want[i].Key, want[i].Value)
			}
		}
	})
}
