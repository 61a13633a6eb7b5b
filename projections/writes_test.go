package projections_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	. "zujian/projections"
)

// TestWrites: the last write of each key counts, read in whatever way and between whatever writes.
func TestWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Writes
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			want := map[string]string{}
			for range rapid.IntRange(0, 60).Draw(t, "steps") {
				key := rapid.SampledFrom([]string{"", "a", "b", Key("a", "1"), Key("a", "2"), Key("b", "1"), Key("", "1")}).Draw(t, "key")
				switch rapid.IntRange(0, 4).Draw(t, "kind") {
				case 0:
					w.Set(key, nil)
					want[key] = "+"
				case 1:
					w.Set(key, []byte(key))
					want[key] = "+" + key
				case 2:
					w.Delete(key)
					want[key] = "-"
				case 3:
					lastly(t, &w, want)
				case 4:
					value, mine := w.Get(key)
					if got := mark(Pair{Value: value}); mine != (want[key] != "") || mine && got != want[key] {
						t.Fatalf("%q is %q %v, want %q", key, got, mine, want[key])
					}
				}
			}
			applied := map[string]string{}
			for _, p := range w.All() {
				applied[p.Key] = mark(p)
			}
			if d := cmp.Diff(applied, want); d != "" {
				t.Fatal(d)
			}
			lastly(t, &w, want)
			w.Reset()
		}
	})
}

// lastly holds the last writes, in order, to what they should be.
func lastly(t *rapid.T, w *Writes, want map[string]string) {
	last, before := map[string]string{}, ""
	for i, p := range w.Last() {
		if i > 0 && p.Key <= before {
			t.Fatalf("%q comes after %q", p.Key, before)
		}
		before = p.Key
		last[p.Key] = mark(p)
	}
	if d := cmp.Diff(last, want); d != "" {
		t.Fatal(d)
	}
}

func mark(p Pair) string {
	if p.Value == nil {
		return "-"
	}
	return "+" + string(p.Value)
}
